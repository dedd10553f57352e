"""Affine coordinates of a latent space, in which an optimiser works: standard, eigenvectors, scaled, cut off.

Wang & Ponce 2021, Figure 5: a latent is `z = origin + V diag(s) c`, and the optimiser moves `c`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import as_count, check_finite
from geomlib._state import isolated
from geomlib.metric import Metric


@dataclass(frozen=True)
class Coordinates:
    """`z = origin + (c · scales) frameᵀ`, with orthonormal columns `frame` `(n, k)` and positive `scales` `(k,)`.

    All float64 on the CPU.  With `k < n` the coordinates reach a `k`-dimensional plane through the origin only.
    """

    frame: Tensor
    scales: Tensor
    origin: Tensor

    @isolated(differentiable=True)
    def latents(self, coordinates: Tensor) -> Tensor:
        """Latents `(..., n)` at `coordinates` `(..., k)`, differentiable, in their dtype and on their device."""
        _check_columns("coordinates", coordinates, len(self.scales))
        frame, scales, origin = (part.to(coordinates) for part in (self.frame, self.scales, self.origin))
        moved: Tensor = origin + (coordinates * scales) @ frame.mT
        return moved

    @isolated(differentiable=True)
    def coordinates(self, latents: Tensor) -> Tensor:
        """Coordinates `(..., k)` of `latents` `(..., n)`; of their projection where `k < n`."""
        _check_columns("latents", latents, len(self.origin))
        frame, scales, origin = (part.to(latents) for part in (self.frame, self.scales, self.origin))
        coordinates: Tensor = (latents - origin) @ frame / scales
        return coordinates


def _check_columns(name: str, value: Tensor, count: int) -> None:
    if not value.is_floating_point() or value.ndim < 1 or value.shape[-1] != count:
        raise ValueError(
            f"{name}: expected floating-point numbers (..., {count}), got {value.dtype} {tuple(value.shape)}"
        )


@checked()
def standard(n: int) -> Coordinates:
    """The latent's own coordinates."""
    n = as_count("n", n)
    return Coordinates(torch.eye(n).double(), torch.ones(n).double(), torch.zeros(n).double())


@checked()
def eigen(metric: Metric, exponent: float = 0.0, k: int | None = None, smallest: float = 1e-4) -> Coordinates:
    """Coordinates along the first `k` eigenvectors (all by default) of a metric tensor, usually an average.

    Scales are `(λ / λ₁)^(−exponent)`: 0 only rotates, 0.5 makes steps of one size change the image alike in every
    direction.  Eigenvalues below the share `smallest` of the largest count as that, or directions that do nothing
    would take all the room.

    Raises:
        ValueError: a metric at several positions, or a `k` outside 1 to `n`.
    """
    n = metric.matrix.shape[-1]
    if metric.matrix.ndim != 2:
        raise ValueError(f"metric: expected one matrix (n, n), got {tuple(metric.matrix.shape)}; see geomlib.average")
    if k is not None and not 1 <= k <= n:
        raise ValueError(f"k: expected an integer from 1 to {n}, got {k}")
    shares = (metric.eigenvalues[:k] / metric.eigenvalues[0]).clamp(min=smallest)
    scales = shares.pow(-exponent)
    check_finite("scales by exponent and smallest", scales)
    return Coordinates(metric.eigenvectors[:, :k], scales, torch.zeros(n).double())
