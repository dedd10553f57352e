"""Metrics that several processes share: what one has computed, the others read."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._files import METRICS
from geomlib._progress import Count, Progress
from geomlib.distances import Distance
from geomlib.generators import Generator
from geomlib.metric import PARTS, Metric, metric_tensor
from geomlib.sweep.fingerprint import Fingerprint, latents_hash
from geomlib.sweep.task import Task, rests_on

if TYPE_CHECKING:
    from geomlib.sweep.store import Layout

_TASK = Task(None, "pullback", None, None, "full")


@checked(shapes={"latents": "n | P n"})
def metrics(
    generator: Generator,
    latents: Tensor,
    distance: Distance,
    *,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> Metric:
    """`metric_tensor` at `latents` `(P, n)` or `(n,)`, with a memory: each metric is computed once and then read.

    In the folder `store` (by default the one that the environment variable GEOMLIB_STORE names; without one nothing is
    kept) each latent has a store of its own, under the hash of what the metric rests on and of its values.  What
    another process is just computing is left to it, and read when it is there.  Nothing is kept of what was made by
    hand, whose code has no hash, nor of a random generator.

    Raises:
        ValueError: as `metric_tensor`.
        FloatingPointError: as `metric_tensor`.
        OSError: the store cannot be written.
    """
    place = store or os.environ.get(METRICS)
    known = (generator.spec or generator.control_of) and distance.spec
    if not place or not known or not generator.deterministic:
        return metric_tensor(generator, latents, distance, progress=progress)
    if latents.ndim == 1:
        return metrics(generator, latents[None], distance, store=place, progress=progress)[0]
    import filelock

    from geomlib.sweep.store import Layout

    basis = rests_on(generator, distance, _TASK)
    folder = Path(place) / _name(generator.name, basis)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"store: cannot write {folder} ({error.strerror or error})") from error
    layout = Layout(1, generator.latent_dim, generator.latent_dim, matrix=True)
    values: dict[int, dict[str, Any]] = {}
    count = Count(0, len(latents), progress)
    for wait in (False, True):  # first what nobody is at work on, then what somebody was
        for position in [index for index in range(len(latents)) if index not in values]:
            latent = latents[position].to(generator.dtype)
            key = latents_hash(latent[None])
            try:
                with filelock.FileLock(folder / f".{key[:32]}.lock", timeout=-1 if wait else 0):
                    values[position] = _read_or_compute(
                        folder / f"{key[:32]}.zarr", generator, latent, distance, layout, basis | {"latents": key}
                    )
            except filelock.Timeout:
                continue
            except (FloatingPointError, ValueError) as error:
                raise type(error)(str(error).replace("at position 0", f"at position {position}")) from error
            count.one_more()
    parts = {name: torch.from_numpy(np.stack([values[index][name] for index in range(len(latents))])) for name in PARTS}
    settings = {key: basis[key] for key in ("method", "precision", "dtype", "device")}
    return Metric(**parts, settings=settings | {"tile": str(int(values[0]["tile"]))})


def _read_or_compute(
    path: Path, generator: Generator, latent: Tensor, distance: Distance, layout: "Layout", basis: Fingerprint
) -> dict[str, Any]:
    """What is kept at a path; computed and kept now if nothing is there, or it is damaged."""
    from geomlib.sweep.store import Store

    try:
        kept = Store.at(path, latent[None], layout, basis)
    except ValueError:  # its name is a hash of the fingerprint, so another one in it is damage
        shutil.rmtree(path)
        kept = Store.at(path, latent[None], layout, basis)
    found = kept.whole(0)
    if found is None:
        kept.write(0, _TASK.values(generator, distance, latent, True))
        found = kept.read(0)
    return found


def _name(generator: str, basis: Mapping[str, str]) -> str:
    """A folder for all metrics that rest on the same."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", generator).strip("-.")[:40]
    return f"{words}-{hashlib.sha256(json.dumps(dict(basis), sort_keys=True).encode()).hexdigest()[:16]}"
