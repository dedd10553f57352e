"""The work of one position: a pure function of generator, distance, latent and settings."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geomlib.distances import Distance
from geomlib.eigen import top_eigenpairs
from geomlib.generators import Generator
from geomlib.metric import metric_tensor
from geomlib.sweep.fingerprint import fingerprint
from geomlib.sweep.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """How a position is computed, apart from generator and distance."""

    top: int | None
    method: str
    tile: int | None
    memory: str | int | None
    precision: str

    def values(self, generator: Generator, distance: Distance, latent: Tensor, matrix: bool) -> dict[str, Any]:
        """All variables of one position.

        Raises as `metric_tensor` and `top_eigenpairs`.
        """
        start = time.perf_counter()
        limits = {"tile": self.tile, "memory": self.memory, "precision": self.precision}
        if self.top is not None:
            pairs = top_eigenpairs(generator, latent, distance, self.top, method=self.method, **limits)  # type: ignore[arg-type]
            values: dict[str, Any] = {"eigenvalues": pairs.eigenvalues, "eigenvectors": pairs.eigenvectors}
            values |= {"residuals": pairs.residuals, "noise_floor": pairs.noise_floor, "tile": self.tile or 0}
        else:
            metric = metric_tensor(generator, latent, distance, self.method, **limits)  # type: ignore[arg-type]
            values = {"eigenvalues": metric.eigenvalues, "eigenvectors": metric.eigenvectors}
            values |= {"noise_floor": metric.noise_floor, "tile": int(metric.settings["tile"])}
            if matrix:
                values["matrix"] = metric.matrix
        return values | {"seconds": time.perf_counter() - start}


def rests_on(generator: Generator, distance: Distance, task: Task) -> dict[str, str]:
    """The fingerprint of what a task computes at any latent."""
    settings = {"method": task.method, "precision": task.precision, "tile": task.tile or "automatic"}
    return fingerprint(generator, distance, **settings, top=task.top or "all")


def fill(store: Store, position: int, task: Task, generator: Generator, distance: Distance) -> None:
    """Compute one position of a store from its own list of latents, or say there why it cannot be."""
    start = time.perf_counter()
    latent = torch.from_numpy(store.latents[position]).to(generator.device, generator.dtype)
    try:
        values = task.values(generator, distance, latent, store.layout.matrix)
    except (FloatingPointError, ValueError) as error:
        reason = str(error).splitlines()[0].replace(" at position 0", "")
        logger.warning("position %d failed: %s", position, reason)
        store.fail(position, reason, time.perf_counter() - start)
    else:
        store.write(position, values)
