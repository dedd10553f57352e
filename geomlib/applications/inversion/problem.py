"""What all methods of inversion share: targets, the distance to them, and the account of calls."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_finite
from geomlib._progress import Progress
from geomlib.applications.coordinates import Coordinates
from geomlib.derivatives.gram import gram
from geomlib.derivatives.jacobian import arithmetic
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.operators.pullback import PullbackOperator

BACKWARD = 2  # calls that one backward pass counts as, by the usual count of operations
_IMAGES = 64  # at a time, so that memory does not grow with the number of targets


@dataclass(frozen=True)
class Trace:
    """The course of an inversion, one row for each of `K` evaluations of all `T` targets.

    `evaluations` `(K,)` are forward passes and Jacobian-vector products so far for each target, `backwards` `(K,)` the
    backward passes.  `distances` `(K, T)` and `latents` `(K, T, n)` are the best so far, on the CPU.
    """

    evaluations: Tensor
    backwards: Tensor
    distances: Tensor
    latents: Tensor

    @checked()
    def calls(self, backward: int = BACKWARD) -> Tensor:
        """Calls so far `(K,)`, a backward pass counted as `backward` of them: 2 by operations, 0 for forward passes."""
        return self.evaluations + backward * self.backwards


class Problem:
    """`T` targets, the distance of images to them, and a budget of calls for each target.

    A forward pass of one image counts as one call, a Jacobian-vector product as one, a backward pass as two.  Every
    method evaluates here and nowhere else, so that equal budgets are equal.
    """

    def __init__(
        self, generator: Generator, targets: Tensor, distance: Distance, budget: int, progress: Progress | None = None
    ) -> None:
        self.generator, self.targets, self.distance = generator, targets, distance
        self.budget, self.progress = budget, progress
        self.evaluations = self.backwards = 0
        self.rows: list[tuple[int, int, Tensor, Tensor]] = []
        self._operator: PullbackOperator | None = None
        with torch.no_grad():
            phi = distance.features
            self._seen = None if phi is None else torch.cat([phi(part) for part in targets.split(_IMAGES)])

    @property
    def calls(self) -> int:
        """Calls so far for each target."""
        return self.evaluations + BACKWARD * self.backwards

    def affords(self, evaluations: int, backwards: int = 0) -> bool:
        """Whether so much more for each target stays within the budget."""
        return self.calls + evaluations + BACKWARD * backwards <= self.budget

    def values(self, latents: Tensor) -> Tensor:
        """Distances `(T, R)` float64 of latents `(T, R, n)` to the target of their row: `R` calls a target."""
        count = latents.shape[1]
        rows, owner = self._rows(latents)
        parts = zip(rows.split(_IMAGES), owner.split(_IMAGES), strict=True)
        with torch.no_grad():
            values = torch.cat([self._distance(part, which)[0] for part, which in parts])
        return self._record(latents, values.cpu().double().view(-1, count), evaluations=count)

    def gradients(self, coordinates: Coordinates, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distances `(T, R)` and their gradients `(T, R, k)` at coordinates `(T, R, k)`: `3 R` calls a target."""
        count = points.shape[1]
        latents = coordinates.latents(points)
        rows, owner = self._rows(latents)
        values, slopes = [], []
        for part, which in zip(rows.split(_IMAGES), owner.split(_IMAGES), strict=True):
            part = part.detach().clone().requires_grad_()
            with torch.enable_grad(), arithmetic("full"):
                value, _ = self._distance(part, which)
                slopes.append(torch.autograd.grad(value.sum(), part)[0].cpu().double())
            values.append(value.detach().cpu().double())
        slope = torch.cat(slopes).view(latents.shape) @ coordinates.frame * coordinates.scales
        distances = self._record(latents, torch.cat(values).view(-1, count), evaluations=count, backwards=count)
        return distances, slope

    def residuals(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Distances `(T, R)` and residuals `φ(G(z)) − φ(target)` `(T R, m)` of latents `(T, R, n)`: `R` calls."""
        count = latents.shape[1]
        rows, owner = self._rows(latents)
        values, residuals = [], []
        with torch.no_grad():
            for part, which in zip(rows.split(_IMAGES), owner.split(_IMAGES), strict=True):
                value, residual = self._distance(part, which)
                assert residual is not None
                values.append(value.cpu().double())
                residuals.append(residual)
        distances = self._record(latents, torch.cat(values).view(-1, count), evaluations=count)
        return distances, torch.cat(residuals)

    def normal_equations(self, latent: Tensor, directions: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """`JᵀJ` `(k, k)` and `Jᵀr` `(k,)` along columns `directions` `(n, k)` at one latent; `charge` counts them."""
        if self._operator is None:
            self._operator = PullbackOperator(self.generator, latent, self.distance)
        else:
            self._operator = self._operator.at(latent)
        moves = self._operator.columns(directions.mT.to(self._operator.z))
        return gram(moves, moves), gram(moves, residual[None])[:, 0]

    def charge(self, evaluations: int) -> None:
        """Count Jacobian-vector products, or what else is no image to compare."""
        self.evaluations += evaluations

    def trace(self) -> Trace:
        """All evaluations so far."""
        evaluations, backwards, distances, latents = zip(*self.rows, strict=True)
        return Trace(torch.tensor(evaluations), torch.tensor(backwards), torch.stack(distances), torch.stack(latents))

    def _rows(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents one below the other `(T R, n)`, for the network, and the target of each."""
        owner = torch.arange(len(latents), device=self.generator.device).repeat_interleave(latents.shape[1])
        return latents.flatten(0, 1).to(self.generator.device, self.generator.dtype), owner

    def _distance(self, latents: Tensor, owner: Tensor) -> tuple[Tensor, Tensor | None]:
        images = self.generator(latents)
        if self._seen is None or self.distance.features is None:
            return self.distance(images, self.targets[owner]), None
        residual = self.distance.features(images) - self._seen[owner]
        return residual.square().sum(1), residual

    def _record(self, latents: Tensor, values: Tensor, evaluations: int, backwards: int = 0) -> Tensor:
        check_finite(f"distance after {self.calls} calls", values)
        self.evaluations += evaluations
        self.backwards += backwards
        smallest, index = values.min(1)
        best = latents.detach().cpu()[torch.arange(len(latents)), index].to(self.generator.dtype)
        if self.rows:
            better = smallest < self.rows[-1][2]
            smallest = torch.where(better, smallest, self.rows[-1][2])
            best = torch.where(better[:, None], best, self.rows[-1][3])
        self.rows.append((self.evaluations, self.backwards, smallest, best))
        if self.progress:
            self.progress(min(self.calls, self.budget), self.budget)
        return values
