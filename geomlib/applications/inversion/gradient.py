"""Descent by gradients: Adam in any coordinates, and a quasi-Newton method that starts from the metric."""

import torch
from torch import Tensor

from geomlib.applications.coordinates import Coordinates
from geomlib.applications.inversion.problem import Problem


def adam(
    problem: Problem,
    coordinates: Coordinates,
    start: Tensor,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    steps: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Adam (Kingma & Ba 2015) from latents `start` `(T, R, n)`, all at once, until `steps` or the budget end.

    Adam scales each coordinate by its own gradients, so it depends on the axes.  Returns the last latents
    `(T, R, n)` that were evaluated and their distances `(T, R)`.
    """
    points = coordinates.coordinates(start.double()).requires_grad_()
    optimiser = torch.optim.Adam([points], lr=learning_rate, betas=betas)
    reached, values = start, torch.full(start.shape[:2], torch.inf).double()
    step_count = 0
    while problem.affords(start.shape[1], start.shape[1]) and (steps is None or step_count < steps):
        reached = coordinates.latents(points.detach())
        values, points.grad = problem.gradients(coordinates, points.detach())
        optimiser.step()
        step_count += 1
    return reached, values


def quasi_newton(
    problem: Problem, coordinates: Coordinates, start: Tensor, damping: float, curvature: float | None = None
) -> None:
    """BFGS with the damping of Levenberg and Marquardt, from latents `start` `(T, R, n)`, to the end of the budget.

    The Hessian of the distance to a target begins as `curvature` in all directions of the coordinates: in coordinates
    scaled by the metric, that *is* the metric tensor.  Each step solves `(B + μ B₀) δ = −g` and updates `B` by the
    change of the gradient (Nocedal & Wright 2006, procedure 18.2, which keeps `B` positive); `damping` is the first μ.
    Where `curvature` is None, the first undamped step has a hundredth of the latent's length.
    """
    if not problem.affords(start.shape[1], start.shape[1]):
        return
    points = coordinates.coordinates(start.double())
    value, gradient = problem.gradients(coordinates, points)
    first = torch.full_like(value, curvature or 1.0)
    if curvature is None:
        first = gradient.norm(dim=2) / (0.01 * start.double().norm(dim=2)).clamp(min=1e-2)
    first = first.clamp(min=torch.finfo(torch.float64).tiny)[..., None, None]
    identity = torch.eye(points.shape[2]).double() * first
    hessian, control = identity, Damping(value, damping)
    while problem.affords(start.shape[1], start.shape[1]):
        step = solve(hessian + control.mu[..., None, None] * identity, -gradient)
        trial, slope = problem.gradients(coordinates, points + step)
        bent = (hessian @ step[..., None])[..., 0]
        expected = -(gradient * step).sum(2) - (step * bent).sum(2) / 2
        hessian = _bfgs(hessian, step, slope - gradient, bent)
        better = control.update(value, trial, expected)
        points = torch.where(better[..., None], points + step, points)
        gradient = torch.where(better[..., None], slope, gradient)
        value = torch.where(better, trial, value)


class Damping:
    """μ of Levenberg and Marquardt by the gain ratio: the decrease found over the decrease expected (Nielsen 1999)."""

    def __init__(self, like: Tensor, first: float) -> None:
        self.mu, self._growth = torch.full_like(like, first), torch.full_like(like, 2.0)

    def update(self, value: Tensor, trial: Tensor, expected: Tensor) -> Tensor:
        """Whether each trial is better; lowers its μ by how well it was foreseen, or raises it ever faster."""
        better = trial < value
        gain = (value - trial) / expected.clamp(min=torch.finfo(torch.float64).tiny)
        lower = (1 - (2 * gain.clamp(-10, 10) - 1) ** 3).clamp(1 / 3, 2)
        self.mu = (self.mu * torch.where(better, lower, self._growth)).clamp(1e-12, 1e12)
        self._growth = torch.where(better, 2.0, 2 * self._growth).clamp(max=64)
        return better


def solve(matrix: Tensor, vector: Tensor) -> Tensor:
    """`matrix⁻¹ vector` of positive matrices `(..., k, k)` and vectors `(..., k)`, also where rounding spoils them."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed.any():
        solution: Tensor = torch.cholesky_solve(vector[..., None], factor)[..., 0]
        return solution
    values, vectors = torch.linalg.eigh(matrix)
    inverse = 1 / values.abs().clamp(min=torch.finfo(torch.float64).tiny)
    spoilt: Tensor = (vectors @ (inverse * (vectors.mT @ vector[..., None])[..., 0])[..., None])[..., 0]
    return spoilt


def _bfgs(hessian: Tensor, step: Tensor, change: Tensor, bent: Tensor) -> Tensor:
    """Powell's damped update by `step` and the `change` of the gradient; `bent` is `hessian @ step`."""
    along, before = (step * change).sum(-1), (step * bent).sum(-1)
    tiny = torch.finfo(torch.float64).tiny
    mixed = torch.where(along >= 0.2 * before, 1.0, 0.8 * before / (before - along).clamp(min=tiny))[..., None]
    change = mixed * change + (1 - mixed) * bent
    along = (step * change).sum(-1)
    updated = (
        hessian
        + change[..., :, None] * change[..., None, :] / along[..., None, None]
        - bent[..., :, None] * bent[..., None, :] / before[..., None, None]
    )
    usable = (along > tiny) & (before > tiny) & torch.isfinite(updated).all(-1).all(-1)
    return torch.where(usable[..., None, None], updated, hessian)
