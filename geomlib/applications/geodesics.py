"""Curves in latent space, measured by what they do to the image: length, energy, shortest paths.

A squared distance `d(x, y) = ‖φ(x) − φ(y)‖²` makes each latent curve a curve of features.  *Length* is always the
length of that curve: a short straight step of length `s` has `d = s²`.  The metric tensor of this package is
`H = 2 JᵀJ`, so a tangent vector `v` has the length `√(½ vᵀHv) = ‖Jv‖`, which is `paths.metric_length(v) / √2`.

A curve is known by its latents `(S, n)`; what the image does between two of them counts as a chord.  Shortest paths of
generators: Shao et al. (2018), Arvanitidis et al. (2018); the terms are those of do Carmo (1992).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._checks import check_finite, check_matrix
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.eigen import Eigenpairs
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, average, metric_tensor

_BATCH = 32  # images at a time
_FINER = 8  # pieces of a step between which a constant speed is interpolated
_MEMORY = 20  # steps that the search remembers
_SMALLEST_STEP = 2.0**-12  # share of the proposed step at which a line search gives up


@dataclass(frozen=True)
class Geodesic:
    """Result of `geodesic`: `curve` `(S, n)` with its `length`, float64 on the CPU.

    `energies` are those of the start and after each iteration, never rising; `converged` says that the last ones differ
    by less than the tolerance; `calls` counts evaluations of the whole curve.
    """

    curve: Tensor
    energies: tuple[float, ...]
    length: float
    converged: bool
    calls: int


@isolated(differentiable=True)
def features(generator: Generator, latents: Tensor, distance: Distance) -> Tensor:
    """Features `φ(G(z))` `(S, m)`, float64, of latents `(S, n)`; raises `ValueError` for a distance without them."""
    if distance.features is None:
        raise ValueError(
            f"distance: expected one with features, got {distance.name}, which is known by its values alone"
        )
    parts = latents.to(generator.device, generator.dtype).split(_BATCH)
    found = torch.cat([distance.features(generator(part)) for part in parts])
    return found.to("cpu" if found.device.type == "mps" else found.device, torch.float64)


def _squared_steps(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """Squared distances `(S − 1,)`, float64, of neighbours on a curve."""
    check_matrix("curve", curve, generator.latent_dim)
    if len(curve) < 2:
        raise ValueError(f"curve: expected at least two latents, got {len(curve)}")
    if distance.features is not None:
        return features(generator, curve, distance).diff(dim=0).square().sum(1)
    latents = curve.to(generator.device, generator.dtype)
    images = torch.cat([generator(part) for part in latents.split(_BATCH)])
    pairs = zip(images[:-1].split(_BATCH), images[1:].split(_BATCH), strict=True)
    return torch.cat([distance(first, second).cpu() for first, second in pairs]).double()


@isolated(differentiable=True)
def step_lengths(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """`√d` of neighbouring images `(S − 1,)`, float64, along a curve `(S, n)`; differentiable where none is zero."""
    return _squared_steps(generator, curve, distance).clamp(min=0).sqrt()


@isolated(differentiable=True)
def length(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """Length of the image's way along a curve `(S, n)`: the sum of `√d` of neighbours, a lower bound of the curve's."""
    return step_lengths(generator, curve, distance).sum()


@isolated(differentiable=True)
def energy(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """`(S − 1) Σ d` of neighbours on a curve `(S, n)`: at least the squared length, equal where all steps are equal."""
    steps = _squared_steps(generator, curve, distance)
    return len(steps) * steps.sum()


def _check_ends(a: Tensor, b: Tensor, points: int) -> None:
    check_matrix("a, b", torch.stack([a, b.to(a)]), len(a))
    if points < 2:
        raise ValueError(f"points: expected at least two, got {points}")


def straight(a: Tensor, b: Tensor, points: int) -> Tensor:
    """`points` equally spaced latents `(S, n)` on the straight line from `a` `(n,)` to `b` `(n,)`, ends included."""
    _check_ends(a, b, points)
    t = torch.linspace(0, 1, points, dtype=torch.float64).to(a)[:, None]
    return torch.lerp(a, b.to(a), t)


def great_circle(a: Tensor, b: Tensor, points: int) -> Tensor:
    """Latents `(S, n)` from `a` to `b` whose direction turns at constant rate (Shoemake 1985) and whose norm is linear.

    Raises `ValueError` where a norm is zero, or the two are opposite, which leaves the circle open.
    """
    _check_ends(a, b, points)
    norms = torch.stack([a.norm(), b.norm()]).double().cpu()
    if not norms.min() > 0:
        raise ValueError("a, b: expected latents that are not zero, got one that is")
    first, second = a.double().cpu() / norms[0], b.double().cpu() / norms[1]
    if float((first + second).norm()) < 1e-6:
        raise ValueError("a, b: expected latents that are not opposite, got a and a negative multiple of it")
    angle = 2 * torch.atan2((first - second).norm(), (first + second).norm())
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    # sinc is sin(πx) / (πx): finite for a vanishing angle.
    weights = [part * torch.sinc(part * angle / torch.pi) / torch.sinc(angle / torch.pi) for part in (1 - t, t)]
    directions = weights[0] * first + weights[1] * second
    circle: Tensor = (directions * torch.lerp(norms[0], norms[1], t)).to(a)
    circle[0], circle[-1] = a, b.to(a)
    return circle


def resampled(curve: Tensor, points: int) -> Tensor:
    """`points` latents on the broken line through a curve `(S, n)`, as many between any two of its latents."""
    if curve.ndim != 2 or len(curve) < 2 or points < 2:
        raise ValueError(
            f"curve, points: expected two latents (S, n) and two points or more, got {tuple(curve.shape)} and {points}"
        )
    return _at(curve, torch.linspace(0, len(curve) - 1, points, dtype=torch.float64))


def _at(curve: Tensor, t: Tensor) -> Tensor:
    """The broken line through a curve at `t` in [0, S − 1]."""
    before = t.floor().long().clamp(max=len(curve) - 2)
    share = (t - before).to(curve)[:, None]
    before = before.to(curve.device)
    return torch.lerp(curve[before], curve[before + 1], share)


@isolated()
@torch.no_grad()
def at_constant_speed(generator: Generator, curve: Tensor, distance: Distance, points: int) -> Tensor:
    """`points` latents on the broken line through `curve` `(S, n)`, equally far from each other along the image's way.

    That way is measured over eight pieces a step.  Raises `ValueError` for a curve of no length.
    """
    pieces = _FINER * (max(points, len(curve)) - 1)
    fine = resampled(curve, pieces + 1)
    passed = torch.cat([torch.zeros(1).double(), step_lengths(generator, fine, distance).cpu().cumsum(0)])
    if not passed[-1] > 0:
        raise ValueError("curve: expected one along which the image changes, got one of length zero")
    wanted = torch.linspace(0, 1, points, dtype=torch.float64) * passed[-1]
    after = torch.searchsorted(passed, wanted).clamp(1, pieces)
    left, right = passed[after - 1], passed[after]
    share = ((wanted - left) / (right - left).clamp(min=1e-300)).clamp(0, 1)
    return _at(fine, after - 1 + share)


@isolated()
def geodesic(
    generator: Generator,
    a: Tensor,
    b: Tensor,
    distance: Distance,
    *,
    points: int = 16,
    iterations: int = 60,
    tol: float = 1e-5,
    damping: float = 0.1,
    metric: Metric | Eigenpairs | None = None,
    progress: Progress | None = None,
) -> Geodesic:
    """A curve of `points` latents from `a` `(n,)` to `b` `(n,)` of least `energy`: a shortest path at constant speed.

    The search starts from the straight line or the great circle, whichever has less energy, and finds a minimum near
    it; there may be others.  It is L-BFGS (Nocedal & Wright 2006, algorithm 7.4) with a backtracking line search, so
    that the energy never rises.  It begins with the Gauss-Newton Hessian of the energy under one metric everywhere,
    `(S − 1) K ⊗ (H + damping λ₁)`, `K` the second differences.  `H` is `metric`, whole or its top eigenpairs, or else
    the mean over three latents of the start (three times `n` Jacobian-vector products).

    Where an axis hardly changes the image the search may go far along it, out of the latents that the generator knows;
    `damping` holds it back.  It changes the way of the search, not the energy.  The search ends after `iterations`, or
    where two of them lower the energy by less than `tol` of it each, on average: for kinks (ReLU) after hundreds.

    Raises `ValueError` for equal ends, fewer than three points, `iterations` below one, a `damping` that is not
    positive or metrics of several latents, and `FloatingPointError` where the energy of the start is not finite.
    """
    _check_ends(a, b, points)
    if points < 3 or iterations < 1 or not damping > 0:
        raise ValueError(
            "points, iterations, damping: expected at least 3, at least 1 and a positive number, got "
            f"{points}, {iterations} and {damping}"
        )
    if metric is not None and metric.eigenvectors.ndim != 2:
        raise ValueError(f"metric: expected that of one latent or an average, got {tuple(metric.eigenvectors.shape)}")
    if torch.equal(a, b.to(a)):
        raise ValueError("a, b: expected two different latents, got equal ones")
    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    search = _Search(generator, distance)
    curve, value = search.start(a, b, points)
    if metric is None:
        three = curve[[points // 4, points // 2, points - 1 - points // 4]]
        metric = average(metric_tensor(generator, three, distance))
    values = [value]
    condition = _conditioner(metric, points, damping)
    slope = search.slope(curve)
    steps: list[tuple[Tensor, Tensor]] = []
    converged = False
    while len(values) <= iterations and not converged:
        direction = _direction(slope, steps, condition)
        moved, value = search.along(curve, values[-1], slope, direction)
        if moved is None and steps:  # what it remembers leads nowhere: begin anew
            steps = []
            continue
        if moved is None:
            converged = bool(-(slope * direction).sum() <= tol * values[-1])
            break
        values.append(value)
        # One short step says nothing yet.
        converged = len(values) > 2 and values[-3] - value <= 2 * tol * value
        before, slope = slope, search.slope(moved)
        step, change = moved - curve, slope - before
        if (step * change).sum() > 1e-8 * step.norm() * change.norm():
            steps = [*steps, (step, change)][-_MEMORY:]
        curve = moved
        if progress:
            progress(iterations if converged else len(values) - 1, iterations)
    with torch.no_grad():
        return Geodesic(curve, tuple(values), float(length(generator, curve, distance)), converged, search.calls)


class _Search:
    """The energy of curves with fixed ends, and how often it was asked for."""

    def __init__(self, generator: Generator, distance: Distance) -> None:
        self.generator, self.distance, self.calls = generator, distance, 0

    @torch.no_grad()
    def value(self, curve: Tensor) -> float:
        self.calls += 1
        return float(energy(self.generator, curve, self.distance))

    def start(self, a: Tensor, b: Tensor, points: int) -> tuple[Tensor, float]:
        starts = [straight(a, b, points)]
        with suppress(ValueError):  # opposite latents have no great circle
            starts.append(great_circle(a, b, points))
        values = [self.value(curve) for curve in starts]
        check_finite("energy of the start", torch.tensor(values))
        best = values.index(min(values))
        return starts[best], values[best]

    def slope(self, curve: Tensor) -> Tensor:
        """The gradient of the energy; zero at the ends, which stay."""
        self.calls += 1
        curve = curve.detach().requires_grad_()
        with torch.enable_grad():
            gradient: Tensor = torch.autograd.grad(energy(self.generator, curve, self.distance), curve)[0]
        gradient[0] = gradient[-1] = 0
        return gradient

    def along(self, curve: Tensor, value: float, slope: Tensor, direction: Tensor) -> tuple[Tensor | None, float]:
        """The first of ever shorter steps that lowers the energy enough (Armijo), or None."""
        falls, size = float((slope * direction).sum()), 1.0
        while falls < 0 and size >= _SMALLEST_STEP:
            moved = curve + size * direction
            found = self.value(moved)
            if found < value + 1e-4 * size * falls:
                return moved, found
            size /= 2
        return None, value


def _conditioner(metric: Metric | Eigenpairs, points: int, damping: float) -> Callable[[Tensor], Tensor]:
    """The inverse of the energy's Hessian under one metric everywhere, `(S, n)` to `(S, n)`."""
    vectors, values = metric.eigenvectors, metric.eigenvalues.clamp(min=0) / 2
    floor = damping * float(values.max()) or 1.0
    side = torch.ones(points - 3, dtype=torch.float64)
    second = 2 * torch.eye(points - 2, dtype=torch.float64) - side.diag(1) - side.diag(-1)
    inverse = torch.linalg.inv(2 * (points - 1) * second)

    def condition(rows: Tensor) -> Tensor:
        inside = inverse @ rows[1:-1]
        along = inside @ vectors
        outside = (inside - along @ vectors.mT) / floor
        return functional.pad(outside + along / (values + floor) @ vectors.mT, (0, 0, 1, 1))

    return condition


def _direction(
    slope: Tensor, steps: list[tuple[Tensor, Tensor]], condition: Callable[[Tensor], Tensor]
) -> Tensor:  # fmt: skip
    """The quasi-Newton step, by the two-loop recursion."""
    rest, shares = slope.clone(), []
    for step, change in reversed(steps):
        shares.append((step * rest).sum() / (step * change).sum())
        rest = rest - shares[-1] * change
    result = condition(rest)
    if steps:
        step, change = steps[-1]
        result = result * (step * change).sum() / (change * condition(change)).sum()
    for (step, change), share in zip(steps, reversed(shares), strict=True):
        result = result + (share - (change * result).sum() / (step * change).sum()) * step
    return -result
