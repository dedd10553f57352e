"""Metrics at many latents, one at a time, into a store: what is there is read, the rest is computed and kept."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geomlib._checks import check_finite, check_matrix
from geomlib._progress import Progress
from geomlib.distances import Distance
from geomlib.generators import Generator
from geomlib.metric import Metric, metric_tensor
from geomlib.sweep.cluster import spread
from geomlib.sweep.fingerprint import latents_hash
from geomlib.sweep.store import Layout, State, Store
from geomlib.sweep.task import Task, fill, rests_on

if TYPE_CHECKING:
    import xarray

logger = logging.getLogger(__name__)

KEPT = "GEOMLIB_STORE"  # environment variable: a folder of metrics that several processes share


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
        RuntimeError: a position made its worker hang or die three times.
    """
    check_matrix("latents", latents, generator.latent_dim)
    check_finite("latents", latents)
    if not len(latents):
        raise ValueError("latents: expected at least one position, got none")
    first, shards = shard or (0, 1)
    if not 0 <= first < shards:
        raise ValueError(f"shard: expected (index, count) with 0 <= index < count, got {shard}")
    if timeout is not None and client is None:
        raise ValueError("timeout: needs a client, whose worker can be started anew")
    if client is not None and not (generator.spec and distance.spec):
        raise ValueError("client: workers build generator and distance from their specs; load both by name or factory")
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
    count_done = _Count(len(mine) - len(left), len(mine), progress)
    if client is None:
        for position in left:
            fill(kept, position, task, generator, distance)
            count_done.one_more()
    else:
        spread(client, kept, left, task, generator, distance, timeout, count_done.one_more)
    import xarray

    dataset: xarray.Dataset = xarray.open_zarr(kept.path, consolidated=False)
    return dataset


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


def metrics(
    generator: Generator,
    latents: Tensor,
    distance: Distance,
    *,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> Metric:
    """`metric_tensor` at each of `latents` `(P, n)`, through a store that several processes share and that grows.

    In the folder `store` (by default the one that the environment variable GEOMLIB_STORE names; without one nothing is
    kept) each latent has a store of its own, under the hash of what the metric rests on and of its values.  What
    another process is just computing is left to it, and read when it is there.

    Raises as `metric_tensor`.
    """
    place = store or os.environ.get(KEPT)
    if not place:
        return metric_tensor(generator, latents, distance, progress=progress)
    import filelock

    check_matrix("latents", latents, generator.latent_dim)
    task = Task(None, "pullback", None, None, "full")
    basis = rests_on(generator, distance, task)
    folder = Path(place) / _name(generator.name, basis)
    folder.mkdir(parents=True, exist_ok=True)
    layout = Layout(1, generator.latent_dim, generator.latent_dim, matrix=True)
    values: dict[int, dict[str, Any]] = {}
    count = _Count(0, len(latents), progress)
    for wait in (False, True):  # first what nobody is at work on, then what somebody was
        for position in [index for index in range(len(latents)) if index not in values]:
            latent = latents[position][None].to(generator.dtype)
            key = latents_hash(latent)
            try:
                with filelock.FileLock(folder / f".{key[:32]}.lock", timeout=-1 if wait else 0):
                    kept = Store.at(folder / f"{key[:32]}.zarr", latent, layout, basis | {"latents": key})
                    found = kept.whole(0)
                    if found is None:
                        kept.write(0, _at(position, task, generator, distance, latent[0]))
                    values[position] = kept.read(0) if found is None else found
            except filelock.Timeout:
                continue
            count.one_more()
    parts = {
        name: torch.from_numpy(np.stack([values[index][name] for index in range(len(latents))])) for name in _PARTS
    }
    settings = {key: basis[key] for key in ("method", "precision", "dtype", "device")}
    return Metric(**parts, settings=settings | {"tile": str(int(values[0]["tile"]))})


_PARTS = ("matrix", "eigenvalues", "eigenvectors", "noise_floor")


def _at(position: int, task: Task, generator: Generator, distance: Distance, latent: Tensor) -> dict[str, Any]:
    """The values at one of several positions, whose number errors name."""
    try:
        return task.values(generator, distance, latent, True)
    except (FloatingPointError, ValueError) as error:
        raise type(error)(str(error).replace("at position 0", f"at position {position}")) from error


def _name(generator: str, basis: Mapping[str, str]) -> str:
    """A folder for all metrics that rest on the same."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", generator).strip("-.")[:40]
    return f"{words}-{hashlib.sha256(json.dumps(dict(basis), sort_keys=True).encode()).hexdigest()[:16]}"


class _Count:
    """Tells how far the work is."""

    def __init__(self, done: int, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = done, total, progress

    def one_more(self) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)
