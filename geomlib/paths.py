"""Moves through latent space."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_choice, check_finite
from geomlib._state import isolated
from geomlib.distances import Distance, load_distance
from geomlib.generators.interface import Generator
from geomlib.operators import PullbackOperator


def _tangent(z: Tensor, v: Tensor, geometry: str) -> Tensor:
    """Velocity of the move at `z`: a unit vector, or one of length `‖z‖` orthogonal to `z` (radians)."""
    check_choice("geometry", geometry, ("linear", "spherical"))
    tangent = v.to(z)
    if geometry == "spherical":
        tangent = tangent - (tangent.dot(z) / z.dot(z)) * z
    length = tangent.norm()
    if not length > 1e-6 * v.norm():
        raise ValueError(f"v: expected a direction that moves z in {geometry} geometry, got one that does not")
    velocity: Tensor = tangent / length
    return velocity * z.norm() if geometry == "spherical" else velocity


def _lengths(steps: Tensor | Sequence[float], like: Tensor) -> Tensor:
    """Steps as a tensor `(S,)`."""
    t = torch.as_tensor(steps).to(like)
    if t.ndim != 1 or not len(t):
        raise ValueError(f"steps: expected shape (S,), at least one, got {tuple(t.shape)}")
    return t


@isolated(differentiable=True, shapes={"z": "m", "v": "m"})
def latents_along(z: Tensor, v: Tensor, steps: Tensor | Sequence[float], geometry: str = "linear") -> Tensor:
    """Latents `(S, n)` on the way from `z` `(n,)` along `v` `(n,)` at `steps` `(S,)`.

    `linear`: `z + t v / ‖v‖`.  `spherical`: `‖z‖ (cos t ẑ + sin t u)`, `u` the unit part of `v` orthogonal to `z`, `t`
    in radians (Wang & Ponce 2021, Figure 1).  Raises `ValueError` for an unknown geometry, or a zero or radial `v`.
    """
    tangent = _tangent(z, v, geometry)
    t = _lengths(steps, z)[:, None]
    moved: Tensor = z + t * tangent if geometry == "linear" else t.cos() * z + t.sin() * tangent
    return moved


@checked(shapes={"latents": "any P m"})
def distinct(latents: Tensor) -> Tensor:
    """Latents `(P, n)` without repetitions, in the order of their first occurrence: a space of classes has few."""
    values, inverse = torch.unique(latents, dim=0, return_inverse=True)
    positions = torch.arange(len(latents), device=latents.device)
    first = torch.full_like(positions[: len(values)], len(latents)).scatter_reduce(0, inverse, positions, "amin")
    return latents[first.sort().values]


@isolated(shapes={"z": "n", "v": "n"})
def metric_length(generator: Generator, z: Tensor, v: Tensor, distance: Distance) -> Tensor:
    """Length `√(vᵀ H(z) v)` of a tangent vector `v` `(n,)` at `z` `(n,)`, float64: one product with the metric."""
    operator = PullbackOperator(generator, z, distance)
    if distance.features is None:
        squared = v.double().dot(operator.matvec(v).double()).clamp(min=0)
    else:
        squared = 2 * operator.columns(v[None]).double().square().sum()
    check_finite("length of v", squared)
    return squared.sqrt()


@isolated(shapes={"z": "n", "v": "n"})
@torch.no_grad()
def traverse(
    generator: Generator,
    z: Tensor,
    v: Tensor,
    steps: Tensor | Sequence[float],
    geometry: str = "linear",
    units: str = "latent",
    *,
    distance: Distance | None = None,
) -> Tensor:
    """Images along a line, or a great circle, from one latent.

    Args:
        generator: of `n` latents.
        z: the latent `(n,)` to start from.
        v: the direction `(n,)`; its length does not matter.
        steps: how far to go, `(S,)`.
        geometry: `linear` or `spherical`, as in `latents_along`.
        units: `latent`: steps are lengths of latents, or radians.  `metric`: they are divided by the metric length of
            the velocity at `z`, so that equal steps along different axes change the image equally, `d² ≈ t² / 2`.
        distance: that of the metric, by default the generator's own.

    Returns:
        Images `(S, *image_shape)`.

    Raises:
        ValueError: for an unknown geometry or unit, or a direction that does not move the latent or the image.

    Examples:
        A quarter of the equator of the unit sphere:

        >>> import geomlib, torch
        >>> sphere, z = geomlib.load_generator("sphere"), torch.tensor([torch.pi / 2, 0.0])
        >>> points = geomlib.traverse(sphere, z, torch.tensor([0.0, 1.0]), [0.0, torch.pi / 2])
        >>> print(points.round(decimals=4).abs().tolist())
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    check_choice("units", units, ("latent", "metric"))
    z = z.to(generator.device, generator.dtype)
    t = _lengths(steps, z)
    check_finite("steps", t)
    if units == "metric":
        measure = distance or load_distance(generator.default_distance, generator.device, generator.dtype)
        length = metric_length(generator, z, _tangent(z, v, geometry), measure).to(z)
        if not length > 0:
            raise ValueError(
                "v: expected a direction that changes the image where units='metric', got one that does not"
            )
        t = t / length
    return generator(latents_along(z, v, t, geometry))
