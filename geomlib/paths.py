"""Moves through latent space."""

import torch
from torch import Tensor

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.interface import Generator
from geomlib.metric import Metric


def latents_along(
    z: Tensor, v: Tensor, steps: Tensor, geometry: str = "linear", units: str = "latent", metric: Metric | None = None
) -> Tensor:
    """Latents `(S, n)` on the way from `z` `(n,)` along `v` `(n,)` at `steps` `(S,)`.

    `linear`: `z + t v / ‖v‖`.  `spherical`: `‖z‖ (cos t ẑ + sin t u)`, `u` the part of `v` orthogonal to `z`, `t` in
    radians (Wang & Ponce 2021, Figure 1).  `units="metric"` divides `t` by the metric length `√(vᵀHv)` of one unit of
    `t` under `metric`, so that equal steps along different axes change the image equally, `d² ≈ t² / 2`.

    Raises `ValueError` for an unknown geometry or unit, a zero or radial `v`, or metric units without a metric.
    """
    check_choice("geometry", geometry, ("linear", "spherical"))
    check_choice("units", units, ("latent", "metric"))
    check_matrix("z, v", torch.stack([z, v.to(z)]), len(z))
    steps, tangent, scale = steps.to(z), v.to(z), z.norm()
    if geometry == "spherical":
        tangent = tangent - (tangent.dot(z) / z.dot(z)) * z
    if tangent.norm() <= 1e-6 * v.norm() or not tangent.norm() > 0:
        raise ValueError(f"v: expected a direction that moves z in {geometry} geometry, got one of length 0")
    tangent = tangent / tangent.norm()
    if units == "metric":
        if metric is None:
            raise ValueError("metric: expected the Metric at z where units='metric', got None")
        velocity = (tangent if geometry == "linear" else scale * tangent).double().cpu()
        steps = steps / (velocity @ metric.matrix @ velocity).sqrt().to(z)
    if geometry == "linear":
        moved: Tensor = z + steps[:, None] * tangent
    else:
        moved = steps.cos()[:, None] * z + steps.sin()[:, None] * scale * tangent
    return moved


@torch.no_grad()
def traverse(
    generator: Generator,
    z: Tensor,
    v: Tensor,
    steps: Tensor,
    geometry: str = "linear",
    units: str = "latent",
    metric: Metric | None = None,
) -> Tensor:
    """Images `(S, *image_shape)` at `latents_along(z, v, steps, geometry, units, metric)`."""
    return generator(latents_along(z, v, steps, geometry, units, metric))
