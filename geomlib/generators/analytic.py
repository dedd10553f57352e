"""Surfaces and maps whose metric is known in closed form, for tests and for teaching.

Each factory gives an `AnalyticGenerator`; its output has no image range.  With the distance `mse`, a mean over `m`
outputs, the metric tensor is `2 / m` times the first fundamental form.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from geomlib._state import seeded
from geomlib.generators.interface import Generator, Sampler


class AnalyticGenerator(Generator):
    """A generator that knows its `first_fundamental_form(z)`, the matrix `JᵀJ` `(n, n)` at a latent `z` `(n,)`."""

    first_fundamental_form: Callable[[Tensor], Tensor]


def _analytic(
    name: str,
    latent_dim: int,
    function: Callable[[Tensor], Tensor],
    form: Callable[[Tensor], Tensor],
    sampler: Sampler | None = None,
) -> AnalyticGenerator:
    generator = AnalyticGenerator(
        function, latent_dim, output_range=None, sampler=sampler, name=name, default_distance="mse"
    )
    generator.first_fundamental_form = form
    return generator


def _box(low: tuple[float, ...], high: tuple[float, ...]) -> Sampler:
    """Uniform latents between two corners."""

    def sampler(count: int, random: torch.Generator) -> Tensor:
        corner = torch.tensor(low)
        return corner + torch.rand(count, len(low), generator=random) * (torch.tensor(high) - corner)

    return sampler


def linear(outputs: int = 48, latent_dim: int = 16, decades: float = 4.0, seed: int = 0) -> AnalyticGenerator:
    """`x = A z` with singular values that fall over `decades`: the same metric everywhere, `JᵀJ = AᵀA`."""
    random = seeded(seed)
    left = torch.linalg.qr(torch.randn(outputs, latent_dim, generator=random, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(latent_dim, latent_dim, generator=random, dtype=torch.float64)).Q
    matrix = left * torch.logspace(0, -decades, latent_dim, dtype=torch.float64) @ right.T
    return _analytic("linear", latent_dim, lambda z: z @ matrix.to(z).T, lambda z: (matrix.T @ matrix).to(z))


def sphere(radius: float = 1.0) -> AnalyticGenerator:
    """Polar angle and longitude to a sphere; `JᵀJ = diag(r², r² sin² polar)`. Latents stay away from the poles."""

    def function(z: Tensor) -> Tensor:
        polar, longitude = z.unbind(1)
        x, y = polar.sin() * longitude.cos(), polar.sin() * longitude.sin()
        return radius * torch.stack([x, y, polar.cos()], dim=1)

    def form(z: Tensor) -> Tensor:
        return radius**2 * torch.diag(torch.stack([torch.ones_like(z[0]), z[0].sin() ** 2]))

    return _analytic("sphere", 2, function, form, _box((0.3, -3.1), (2.8, 3.1)))


def torus(major: float = 2.0, minor: float = 0.8) -> AnalyticGenerator:
    """Angles around the tube and around the axis; `JᵀJ = diag(b², (a + b cos tube)²)`."""

    def function(z: Tensor) -> Tensor:
        tube, axis = z.unbind(1)
        distance = major + minor * tube.cos()
        return torch.stack([distance * axis.cos(), distance * axis.sin(), minor * tube.sin()], dim=1)

    def form(z: Tensor) -> Tensor:
        return torch.diag(torch.stack([minor**2 * torch.ones_like(z[0]), (major + minor * z[0].cos()) ** 2]))

    return _analytic("torus", 2, function, form, _box((-3.1, -3.1), (3.1, 3.1)))


def normalised(latent_dim: int = 3) -> AnalyticGenerator:
    """`x = z / ‖z‖`, the first step of several published generators: the radial direction has eigenvalue zero.

    `JᵀJ = (I − ẑẑᵀ) / ‖z‖²` has rank `n − 1` and grows without bound towards the origin.
    """

    def form(z: Tensor) -> Tensor:
        unit = z / z.norm()
        return (torch.eye(latent_dim).to(z) - torch.outer(unit, unit)) / z.dot(z)

    return _analytic("normalised", latent_dim, lambda z: z / z.norm(dim=1, keepdim=True), form)
