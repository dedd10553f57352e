"""Metrics at a list of latents, one at a time, into a store: what is there is left, the rest is computed and kept."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import as_count, as_index
from geomlib._progress import Count, Progress
from geomlib.distances import Distance
from geomlib.generators import Generator
from geomlib.sweep.cluster import spread
from geomlib.sweep.fingerprint import latents_hash
from geomlib.sweep.store import Layout, State, Store
from geomlib.sweep.task import Task, fill, rests_on

if TYPE_CHECKING:
    import xarray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How far a store is: numbers of positions, seconds of those done (one after another), bytes on the disk."""

    positions: int
    done: int
    failed: int
    missing: int
    damaged: int
    seconds: float
    bytes: int


@checked(shapes={"latents": "P n"})
def run(
    generator: Generator,
    latents: Tensor,
    distance: Distance,
    *,
    store: str | Path,
    client: Any = None,
    shard: tuple[int, int] | None = None,
    top: int | None = None,
    method: str = "pullback",
    tile: int | None = None,
    memory: str | int | None = None,
    precision: str = "full",
    matrix: bool = False,
    verify: bool = False,
    retry_failed: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> "xarray.Dataset":
    """The metric at each of `latents` `(P, n)`, kept in a Zarr store; positions that are there are not computed again.

    The dataset has the variables `latents` `(P, n)`, `eigenvalues` `(P, k)`, `eigenvectors` `(P, n, k)`, `noise_floor`,
    `tile`, `seconds` and `state` `(P)` (0 missing, 1 done, 2 failed, with a `reason`); with `top` the leading `k`
    eigenpairs and their `residuals` (`tile` 0: chosen automatically), else `k = n`, and with `matrix=True` the
    matrices.  What failed (an image or a metric that is not finite, a latent that no derivative reaches) is told by a
    warning, and the rest goes on.

    Args:
        generator: on one device; for a client it must have a `spec`, from which each worker builds it once.
        latents: the list that the store is for.
        distance: likewise.
        store: a folder; made where nothing is.
        client: a `dask.distributed.Client`: positions spread over its workers.  None: here, one after another.
        shard: `(index, count)`: only every `count`-th position from `index` on, for an array job.
        top: leading eigenpairs instead of the whole metric.
        method: see `metric_tensor`, as `tile`, `memory` and `precision`.
        tile: columns at a time; fixed, the same bits come out wherever the memory is enough.
        memory: see `metric_tensor`.
        precision: see `metric_tensor`.
        matrix: keep the matrices as well.
        verify: read every chunk, and compute again what is damaged.
        retry_failed: compute again what failed.
        timeout: seconds after which a worker of the client that does not finish a position is started anew, and the
            position given to another.
        progress: called with the numbers of finished and of all positions.

    Raises:
        ValueError: a wrong argument, a store of another sweep (with the fields that differ) or none of a sweep.
        OSError: the store cannot be written.
        RuntimeError: a position made its worker hang or die three times, or a client had no worker for five minutes.
    """
    first, shards = shard or (0, 1)
    if not 0 <= first < shards:
        raise ValueError(f"shard: expected (index, count) with 0 <= index < count, got {shard}")
    if timeout is not None and client is None:
        raise ValueError("timeout: needs a client, whose worker can be started anew")
    if client is not None and not (generator.spec and distance.spec):
        raise ValueError("client: workers build generator and distance from their specs; load both by name or factory")
    if top is not None:
        as_index("top", top, generator.latent_dim + 1)
        top = as_count("top", top)
    pairs = generator.latent_dim if top is None else top
    layout = Layout(len(latents), generator.latent_dim, pairs, top is not None, matrix)
    task = Task(top, method, tile, memory, precision)
    basis = rests_on(generator, distance, task) | {"latents": latents_hash(latents)}
    kept = Store.at(store, latents, layout, basis)
    for position in kept.damaged() if verify else []:
        logger.warning("position %d is damaged: computing it again", position)
        kept.forget(position)
    again = {State.MISSING, State.DAMAGED} | ({State.FAILED} if retry_failed else set())
    mine = range(first, len(latents), shards)
    left = [position for position in mine if kept.state(position) in again]
    count_done = Count(len(mine) - len(left), len(mine), progress)
    if client is None:
        for position in left:
            fill(kept, position, task, generator, distance)
            count_done.one_more()
    else:
        spread(client, kept, left, task, generator, distance, timeout, count_done.one_more)
    import xarray

    dataset: xarray.Dataset = xarray.open_zarr(kept.path, consolidated=False)
    return dataset


@checked()
def status(store: str | Path) -> Status:
    """How far a store is, by the states of its positions.

    Raises:
        FileNotFoundError: there is no store.
        ValueError: it is something else.
    """
    kept = Store(Path(store))
    states = kept.states()
    done, failed, missing, damaged = (
        states.count(one) for one in (State.DONE, State.FAILED, State.MISSING, State.DAMAGED)
    )
    seconds = float(np.nansum(kept.array("seconds")[:])) if not damaged else float("nan")
    return Status(len(states), done, failed, missing, damaged, seconds, kept.size())
