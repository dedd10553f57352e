"""Nonlinear least squares: the metric tensor of the image at hand decides each step."""

import torch
from torch import Tensor

from geomlib.applications.coordinates import Coordinates
from geomlib.applications.inversion.gradient import Damping, solve
from geomlib.applications.inversion.problem import Problem

_WIDEN = 5  # steps after which twice as many axes take part


def levenberg_marquardt(
    problem: Problem,
    coordinates: Coordinates,
    start: Tensor,
    damping: float,
    curvature: float,
    axes: int,
) -> None:
    """Levenberg and Marquardt from latents `start` `(T, R, n)`: `(JᵀJ + μ D) δ = −Jᵀr` with the gain ratio's μ.

    `r = φ(G(z)) − φ(target)`; `JᵀJ`, half of the metric tensor, comes from one Jacobian-vector product for each axis
    and step.  `D` is half of `curvature` in all coordinates: the averaged metric, in coordinates scaled by it.  From
    coarse to fine: the first `axes` coordinates alone, twice as many after every five steps, until all take part.
    """
    if not problem.affords(start.shape[1]):
        return
    points = coordinates.coordinates(start.double())
    value, residual = problem.residuals(coordinates.latents(points))
    control, steps = Damping(value, damping), 0
    restarts, moved = start.shape[1], torch.ones_like(value, dtype=torch.bool)
    total = points.shape[2]
    columns = coordinates.frame * coordinates.scales
    matrix, vector, width = torch.zeros(0), torch.zeros(0), 0
    while problem.affords(restarts * (_width(axes, steps, total) + 1)):
        if (wide := _width(axes, steps, total)) != width:
            width, moved = wide, torch.ones_like(moved)
            matrix = torch.zeros(*value.shape, width, width).double()
            vector = torch.zeros(*value.shape, width).double()
        latents = coordinates.latents(points)
        # A rejected step leaves the Jacobian as it is; it is charged all the same, so that all targets cost alike.
        for target, restart in moved.nonzero().tolist():
            matrix[target, restart], vector[target, restart] = problem.normal_equations(
                latents[target, restart], columns[:, :width], residual[target * restarts + restart]
            )
        problem.charge(restarts * width)
        damped = matrix + control.mu[..., None, None] * (curvature / 2) * torch.eye(width).double()
        step = solve(damped, -vector)
        expected = -2 * (vector * step).sum(2) - (step * (matrix @ step[..., None])[..., 0]).sum(2)
        ahead = points.clone()
        ahead[..., :width] += step
        trial, beside = problem.residuals(coordinates.latents(ahead))
        moved = control.update(value, trial, expected)
        points = torch.where(moved[..., None], ahead, points)
        residual = torch.where(moved.view(-1, 1).to(residual.device), beside, residual)
        value = torch.where(moved, trial, value)
        steps += 1


def _width(axes: int, steps: int, total: int) -> int:
    return min(total, axes << min(steps // _WIDEN, 40))
