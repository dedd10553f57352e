"""Curves in latent space, measured by what they do to the image: length, energy, shortest paths.

A squared distance `d(x, y) = ‖φ(x) − φ(y)‖²` makes each latent curve a curve of features.  *Length* is always the
length of that curve: a short straight step of length `s` has `d = s²`.  The metric tensor of this package is
`H = 2 JᵀJ`, so a tangent vector `v` has the length `√(½ vᵀHv) = ‖Jv‖`, which is `paths.metric_length(v) / √2`.

A curve is known by its latents `(S, n)`; what the image does between two of them counts as a chord.  Shortest paths of
generators: Shao et al. (2018), Arvanitidis et al. (2018); the terms are those of do Carmo (1992).
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geomlib._arguments import checked
from geomlib._checks import check_finite
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.distances.distance import FeatureMap
from geomlib.eigen import Eigenpairs
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, average, metric_tensor

_BATCH = 32  # images at a time
_FINER = 8  # pieces of a step between which a constant speed is interpolated
_MEMORY = 20  # steps that the search remembers


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


@checked()
def check_features(distance: Distance) -> FeatureMap:
    """The features of a distance; raises `ValueError` for one without."""
    if distance.features is None:
        raise ValueError(
            f"distance: expected one with features, got {distance.name}, which is known by its values alone"
        )
    return distance.features


@isolated(differentiable=True, shapes={"latents": "S n"})
def features(generator: Generator, latents: Tensor, distance: Distance) -> Tensor:
    """Features `φ(G(z))` `(S, m)`, float64, of latents `(S, n)`; raises `ValueError` for a distance without them."""
    phi = check_features(distance)
    parts = latents.to(generator.device, generator.dtype).split(_BATCH)
    values = torch.cat([phi(generator(part)) for part in parts])
    return values.to("cpu" if values.device.type == "mps" else values.device, torch.float64)


def _squared_steps(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """Squared distances `(S − 1,)`, float64, of neighbours on a curve."""
    if len(curve) < 2:
        raise ValueError(f"curve: expected at least two latents, got {len(curve)}")
    if distance.features is not None:
        return features(generator, curve, distance).diff(dim=0).square().sum(1)
    latents = curve.to(generator.device, generator.dtype)
    images = torch.cat([generator(part) for part in latents.split(_BATCH)])
    pairs = zip(images[:-1].split(_BATCH), images[1:].split(_BATCH), strict=True)
    return torch.cat([distance(first, second).cpu() for first, second in pairs]).double()


@isolated(differentiable=True, shapes={"curve": "S n"})
def step_lengths(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """`√d` of neighbouring images `(S − 1,)`, float64, along a curve `(S, n)`; differentiable where none is zero."""
    return _squared_steps(generator, curve, distance).clamp(min=0).sqrt()


@isolated(differentiable=True, shapes={"curve": "S n"})
def length(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """Length of the image's path along a curve `(S, n)`: the sum of `√d` of neighbours, a lower bound."""
    return step_lengths(generator, curve, distance).sum()


@isolated(differentiable=True, shapes={"curve": "S n"})
def energy(generator: Generator, curve: Tensor, distance: Distance) -> Tensor:
    """`(S − 1) Σ d` of neighbours on a curve `(S, n)`: at least the squared length, equal where all steps are equal."""
    steps = _squared_steps(generator, curve, distance)
    return len(steps) * steps.sum()


def _check_points(points: int) -> None:
    if points < 2:
        raise ValueError(f"points: expected at least two, got {points}")


@checked(shapes={"a": "m", "b": "m"})
def straight(a: Tensor, b: Tensor, points: int) -> Tensor:
    """`points` equally spaced latents `(S, n)` on the straight line from `a` `(n,)` to `b` `(n,)`, ends included."""
    _check_points(points)
    t = torch.linspace(0, 1, points, dtype=torch.float64).to(a)[:, None]
    return torch.lerp(a, b.to(a), t)


@checked(shapes={"a": "m", "b": "m"})
def great_circle(a: Tensor, b: Tensor, points: int) -> Tensor:
    """Latents `(S, n)` from `a` to `b` whose direction turns at constant rate (Shoemake 1985) and whose norm is linear.

    Raises:
        ValueError: a norm is zero, or the two are opposite, which leaves the circle open.
    """
    _check_points(points)
    norms = torch.stack([a.norm(), b.norm()]).cpu().double()
    check_finite("norms of a and b", norms)
    if not norms.min() > 0:
        raise ValueError("a, b: expected latents that are not zero, got one that is")
    first, second = a.cpu().double() / norms[0], b.cpu().double() / norms[1]
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


@checked(shapes={"curve": "S m"})
def resampled(curve: Tensor, points: int) -> Tensor:
    """`points` latents on the broken line through a curve `(S, n)`, as many between any two of its latents."""
    if len(curve) < 2 or points < 2:
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


@isolated(shapes={"curve": "S n"})
@torch.no_grad()
def at_constant_speed(generator: Generator, curve: Tensor, distance: Distance, points: int) -> Tensor:
    """`points` latents on the broken line through `curve` `(S, n)`, equally far from each other along the image's path.

    That path is measured over eight pieces a step.

    Raises:
        ValueError: a curve of no length.
    """
    _check_points(points)
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


@isolated(shapes={"a": "n", "b": "n"})
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
    it; there may be others.  It is scipy's L-BFGS-B, by which the energy never rises, in coordinates that are whitened
    by the Gauss-Newton Hessian of the energy under one metric everywhere, `(S − 1) K ⊗ (H + damping λ₁)`, `K` the
    second differences.  `H` is `metric`, whole or its top eigenpairs, or else
    the mean over three latents of the start (three times `n` Jacobian-vector products).

    Where an axis hardly changes the image the search may go far along it, out of the latents that the generator knows;
    `damping` holds it back.  It changes which steps are tried, not the energy.  The search ends after `iterations`, or
    where two of them lower the energy by less than `tol` of it each, on average: for kinks (ReLU) after hundreds.

    Raises:
        ValueError: equal ends, fewer than three points, `iterations` below one, a `damping` that is not positive or
            metrics of several latents.
        FloatingPointError: the energy of the start is not finite.
    """
    if points < 3 or iterations < 1 or not damping > 0:
        raise ValueError(
            "points, iterations, damping: expected at least 3, at least 1 and a positive number, got "
            f"{points}, {iterations} and {damping}"
        )
    if metric is not None and (metric.eigenvectors.ndim != 2 or len(metric.eigenvectors) != len(a)):
        raise ValueError(
            f"metric: expected that of one latent or an average, with eigenvectors ({len(a)}, k), got "
            f"{tuple(metric.eigenvectors.shape)}"
        )
    if torch.equal(a, b.to(a)):
        raise ValueError("a, b: expected two different latents, got equal ones")
    from scipy.optimize import OptimizeResult, minimize

    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    curve, value, calls = _start(generator, a, b, distance, points)
    if metric is None:
        three = curve[[points // 4, points // 2, points - 1 - points // 4]]
        metric = average(metric_tensor(generator, three, distance))
    rows, columns = _whitening(metric, points, damping)
    energies, converged = [value], False

    def at(moves: np.ndarray) -> Tensor:
        inside = rows @ torch.tensor(moves).view(points - 2, -1) @ columns
        return curve + functional.pad(inside, (0, 0, 1, 1))

    def evaluate(moves: np.ndarray, unit: float) -> tuple[float, np.ndarray]:
        """Energy and gradient in whitened coordinates, of which one is `unit` long."""
        nonlocal calls
        calls += 1
        here = at(unit * moves).requires_grad_()
        reached = energy(generator, here, distance)
        if not reached.isfinite():  # a step that is too long
            return 10 * energies[0] / unit**2, 0 * moves
        gradient = torch.autograd.grad(reached, here)[0][1:-1]
        return float(reached.detach()) / unit**2, (rows.mT @ gradient @ columns).flatten().numpy() / unit

    def after(intermediate_result: OptimizeResult) -> None:
        nonlocal converged
        energies.append(unit**2 * float(intermediate_result.fun))
        # One short step says nothing yet.
        converged = len(energies) > 2 and energies[-3] - energies[-1] <= 2 * tol * energies[-1]
        if progress:
            progress(iterations if converged else len(energies) - 1, iterations)
        if converged:
            raise StopIteration

    moves = np.zeros(curve[1:-1].numel())
    # A first gradient of length one: then the first step that is tried is the Gauss-Newton step.
    unit = float(np.linalg.norm(evaluate(moves, 1.0)[1])) or 1.0
    limits = {"maxiter": iterations, "maxfun": 100 * iterations, "maxcor": _MEMORY, "ftol": 0, "gtol": 0}
    result = minimize(evaluate, moves, (unit,), method="L-BFGS-B", jac=True, callback=after, options=limits)
    if len(energies) <= iterations and not converged:  # no step lowers the energy
        converged = float(unit**2 * result.jac @ result.jac) <= tol * energies[-1]
    curve = at(unit * result.x)
    check_finite("curve", curve)
    check_finite("energies", torch.tensor(energies))
    with torch.no_grad():
        return Geodesic(curve, tuple(energies), float(length(generator, curve, distance)), converged, calls)


@torch.no_grad()
def _start(generator: Generator, a: Tensor, b: Tensor, distance: Distance, points: int) -> tuple[Tensor, float, int]:
    """The straight line or the great circle, whichever has less energy; that energy; curves evaluated."""
    starts = [straight(a, b, points)]
    with suppress(ValueError):  # opposite latents have no great circle
        starts.append(great_circle(a, b, points))
    values = [float(energy(generator, curve, distance)) for curve in starts]
    check_finite("energy of the start", torch.tensor(values))
    best = values.index(min(values))
    return starts[best], values[best], len(starts)


def _whitening(metric: Metric | Eigenpairs, points: int, damping: float) -> tuple[Tensor, Tensor]:
    """`R` `(S − 2, S − 2)` and `C` `(n, n)`: `M ↦ R M C` is a root of the inverse of the energy's Hessian."""
    vectors, values = metric.eigenvectors, metric.eigenvalues.clamp(min=0) / 2
    floor = damping * float(values.max()) or 1.0
    side = torch.ones(points - 3, dtype=torch.float64)
    second = 2 * torch.eye(points - 2, dtype=torch.float64) - side.diag(1) - side.diag(-1)
    rows = torch.linalg.cholesky(torch.linalg.inv(2 * (points - 1) * second))
    outside = torch.eye(len(vectors), dtype=torch.float64) * floor**-0.5
    return rows, outside + vectors * ((values + floor) ** -0.5 - floor**-0.5) @ vectors.mT
