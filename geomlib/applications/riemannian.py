"""The connection and the curvature of the metric: straightest paths, transport of edits, volume, sectional curvature.

All for the Riemannian metric `½H = JᵀJ` that flat feature space induces, with the lengths of `geodesics`: a distance
with features is needed.  Definitions as in do Carmo (1992).  Nothing here asks for Christoffel symbols: the image is a
surface in feature space, and its second fundamental form and its tangent spaces say the same.

Directions whose eigenvalue is below a floor change the image by no more than rounding; there the metric has no inverse,
and they are left out, as each function states.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_finite
from geomlib._state import isolated
from geomlib.applications.geodesics import check_features, features
from geomlib.derivatives.gram import gram
from geomlib.derivatives.jacobian import arithmetic, check_twice_differentiable
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, noise_floor
from geomlib.operators import PullbackOperator


class Shot(NamedTuple):
    """Result of `exponential_map`: latents `curve` `(S, n)`, and how well they follow the equation.

    `speeds` `(S − 1,)` are the lengths of the steps times their number: all `‖Jv‖` on an exact geodesic.  `residuals`
    `(S − 1,)` say what is left of the discrete equation, as a share of the speed.
    """

    curve: Tensor
    speeds: Tensor
    residuals: Tensor


class LogVolume(NamedTuple):
    """Result of `volume_element`: `log √det(½H)` and the number of eigenvalues that it leaves out."""

    value: Tensor
    left_out: Tensor


def _tangents(generator: Generator, z: Tensor, distance: Distance) -> tuple[Tensor, Metric]:
    """The tangent space of the image at `z`: `J` as rows `(n, m)`, and `JᵀJ` decomposed."""
    operator = PullbackOperator(generator, z, distance)
    rows = operator.columns(torch.eye(len(z), device=generator.device, dtype=generator.dtype))
    matrix = gram(rows, rows)
    return rows, Metric.from_matrix(matrix, noise_floor(operator, matrix))


def _frame(metric: Metric, rank: int) -> Tensor:
    """Vectors `(n, rank)` along the first eigenvectors of `JᵀJ` that move the features by orthonormal moves."""
    return metric.eigenvectors[:, :rank] / metric.eigenvalues[:rank].sqrt()


def _rank(metric: Metric) -> int:
    return int((metric.eigenvalues > metric.noise_floor).sum())


@isolated(shapes={"z": "n", "v": "n"})
@torch.no_grad()
def exponential_map(
    generator: Generator,
    z: Tensor,
    v: Tensor,
    distance: Distance,
    *,
    points: int = 16,
    damping: float = 0.1,
    iterations: int = 30,
    tol: float = 1e-6,
) -> Shot:
    """The geodesic from `z` `(n,)` with initial velocity `v` `(n,)`: `points` latents over unit time, `exp_z(v)` last.

    The discrete equation of least `geodesics.energy` is solved forward, `J(z_i)ᵀ (φ(z_i+1) − 2 φ(z_i) + φ(z_i−1)) = 0`,
    with `φ(z_0) − φ(z_−1)` the first step `Jv / (S − 1)` (a variational integrator, of second order in the step;
    Marsden & West 2001).  Unlike the differential equation it asks for no second derivative, so that it has a meaning
    for ReLU networks.  Each step is solved by at most `iterations` of Newton's method with the metric at `z_i`, whose
    eigenvalues are raised by `damping` times the largest: the latents move slowly along axes far below that, and
    `residuals` count them little.  Lower it where the metric is well conditioned.

    Small eigenvalues make the problem ill-posed whatever the method: look at `speeds` and `residuals`.

    Raises:
        ValueError: other shapes, a distance without features, fewer than two points, or a `v` that leaves the image as
            it is.
        FloatingPointError: the latents run away to no finite image.
    """
    check_features(distance)
    if points < 2 or iterations < 1 or not damping > 0:
        raise ValueError(
            "points, iterations, damping: expected at least 2, at least 1 and a positive number, got "
            f"{points}, {iterations} and {damping}"
        )
    here, step = z.detach().cpu().double(), v.detach().cpu().double() / (points - 1)
    reached = features(generator, here[None], distance)[0].cpu()
    curve, sizes, residuals = [here], [], []
    move: Tensor | None = None
    for _ in range(points - 1):
        rows, metric = _tangents(generator, here, distance)
        if move is None:
            move = step @ rows.cpu().double()
            if not move.any():
                raise ValueError("v: expected a direction that changes the image, got one that does not")
        values, vectors = metric.eigenvalues, metric.eigenvectors
        inverse = vectors / (values.clamp(min=0) + damping * values[0]) @ vectors.mT
        aim, residual = reached + move, math.inf
        there, correction, share = here, -step, 1.0
        for _ in range(iterations):
            trial = there - share * correction
            trial_image = features(generator, trial[None], distance)[0].cpu()
            pull = gram((trial_image - aim)[None].to(rows.device), rows)[0]
            left = float((pull @ inverse @ pull).clamp(min=0).sqrt() / move.norm())
            if left < residual:
                there, image, residual = trial, trial_image, left
                correction, share = inverse @ pull, min(1.0, 2 * share)
            else:  # the path bends too much for a step of this size
                share /= 2
            if residual <= tol:
                break
        if residual == math.inf:
            raise FloatingPointError(f"geodesic: the image after {len(curve)} of {points - 1} steps is not finite")
        move = image - reached
        here, step, reached = there, there - here, image
        curve.append(here)
        sizes.append(move.norm())
        residuals.append(residual)
    return Shot(torch.stack(curve), (points - 1) * torch.stack(sizes), torch.tensor(residuals, dtype=torch.float64))


@isolated(shapes={"curve": "S n", "vectors": "n | k n"})
@torch.no_grad()
def parallel_transport(generator: Generator, curve: Tensor, vectors: Tensor, distance: Distance) -> Tensor:
    """Vectors `(n,)` or `(k, n)` at `curve[0]`, carried along the curve `(S, n)`: `(S, n)` or `(S, k, n)`, float64.

    From one latent to the next, moves of the features in one tangent space are projected on the other, and the
    projection is replaced by the rotation nearest to it (its polar factor).  This keeps all inner products `vᵀ JᵀJ w`
    and tends to the Levi-Civita transport as steps get short.  What it needs is `J` at each latent of the curve.

    The tangent space is spanned by the leading eigenvectors, as many as stand above the noise floor everywhere on the
    curve; the part of a vector beyond them is dropped.

    Raises:
        ValueError: other shapes or a distance without features.
    """
    check_features(distance)
    rows = vectors if vectors.ndim == 2 else vectors[None]
    metrics: list[Metric] = []
    crossed: list[Tensor] = []
    before: Tensor | None = None
    for z in curve:
        tangents, metric = _tangents(generator, z, distance)
        metrics.append(metric)
        if before is not None:
            crossed.append(gram(tangents, before))
        before = tangents
    rank = min(_rank(metric) for metric in metrics)
    frames = [_frame(metric, rank) for metric in metrics]
    # In an orthonormal frame of the tangent space a transport is a rotation.
    coordinates = rows.detach().cpu().double() @ metrics[0].matrix @ frames[0]
    carried = [coordinates @ frames[0].mT]
    for old, new, cross in zip(frames, frames[1:], crossed, strict=False):
        left, _, right = torch.linalg.svd(new.mT @ cross @ old)
        coordinates = coordinates @ (left @ right).mT
        carried.append(coordinates @ new.mT)
    result = torch.stack(carried)
    return result if vectors.ndim == 2 else result[:, 0]


@checked()
def volume_element(metric: Metric) -> LogVolume:
    """`log √det(½H)` `([P])`: the logarithm of the volume of features that a unit volume of latents becomes.

    Eigenvalues at or below the noise floor are left out, and counted; compare values only where the counts are equal.
    """
    above = metric.eigenvalues > metric.noise_floor[..., None]
    halves = (metric.eigenvalues / 2).where(above, 1.0)
    return LogVolume(halves.log().sum(-1) / 2, (~above).sum(-1))


@isolated(shapes={"z": "n", "u": "n | k n", "v": "n | k n"})
@torch.no_grad()
def curvature(
    generator: Generator, z: Tensor, u: Tensor, v: Tensor, distance: Distance, *, step: float = 0.0
) -> Tensor:
    """Sectional curvature `()` at `z` `(n,)` of the plane of `u` and `v` `(n,)`; `(k,)` of `k` planes `(k, n)`.

    By the Gauss equation, since feature space is flat: `K = ⟨B(u, u), B(v, v)⟩ − ‖B(u, v)‖²` for `u`, `v` orthonormal
    in the metric, `B` the part of `∂²φ` that is normal to the image (all of it along axes below the noise floor).  Its
    unit is one over a squared length of features.

    With `step` zero second derivatives are exact.  A ReLU network bends only at its
    kinks, which no derivative sees: there the value is what the smooth parts (output, features) leave, zero for a
    piecewise linear map.  A positive `step`, a length of features, takes central differences over that length instead,
    and so counts the bends within.

    Raises:
        ValueError: other shapes, a distance without features, a negative `step`, or vectors that span no plane in the
            metric.
    """
    check_features(distance)
    first, second = (w if w.ndim == 2 else w[None] for w in (u, v))
    if second.shape != first.shape or step < 0 or step * step == math.inf:
        raise ValueError(
            f"u, v, step: expected equal shapes and a number that is not negative, got {tuple(u.shape)}, "
            f"{tuple(v.shape)} and {step}"
        )
    rows, metric = _tangents(generator, z, distance)
    a, b = _orthonormal(first.detach().cpu().double(), second.detach().cpu().double(), metric)
    directions = torch.cat([a, b, a + b])
    bends = _second_derivatives(generator, z, directions, distance, step)
    inside = gram(bends.to(rows.device), rows) @ _frame(metric, _rank(metric))

    moved, along = (part.unflatten(0, (3, -1)).cpu().double() for part in (bends, inside))
    # Inner products of the normal parts of B(w, w) for w = a, b and c = a + b.
    products = torch.einsum("ikm,jkm->ijk", moved, moved) - torch.einsum("ikm,jkm->ijk", along, along)
    (aa, ab, ac), (_, bb, bc), (_, _, cc) = products
    # B(a, b) = (B(a + b, a + b) − B(a, a) − B(b, b)) / 2
    result: Tensor = ab - (aa + bb + cc + 2 * (ab - ac - bc)) / 4
    return result if u.ndim == 2 else result[0]


def _orthonormal(u: Tensor, v: Tensor, metric: Metric) -> tuple[Tensor, Tensor]:
    def product(x: Tensor, y: Tensor) -> Tensor:
        products: Tensor = (x @ metric.matrix * y).sum(1, keepdim=True)
        return products

    floor = metric.noise_floor
    lengths = product(u, u)
    rest = v - product(u, v) / lengths * u
    for vectors, squared in ((u, lengths), (rest, product(rest, rest))):
        if not (squared > floor * vectors.square().sum(1, keepdim=True)).all():
            raise ValueError("u, v: expected two directions that change the image differently, got others")
    return u / lengths.sqrt(), rest / product(rest, rest).sqrt()


def _second_derivatives(generator: Generator, z: Tensor, directions: Tensor, distance: Distance, step: float) -> Tensor:
    """`∂²φ(w, w)` `(k, m)` of each direction `w` `(k, n)`."""
    z = z.detach().to(generator.device, generator.dtype)
    if step:
        middle = z.cpu().double()
        ends = torch.cat([middle + step * directions, middle - step * directions, middle[None]])
        plus, minus, centre = features(generator, ends, distance).split([len(directions), len(directions), 1])
        bends: Tensor = (plus - 2 * centre + minus) / step**2
        return bends

    # ⟨c, φ(z + t w)⟩ twice differentiated in t is linear in c, and its derivative in c is what is wanted: reverse mode
    # alone, which more operations have than forward mode over forward mode.
    assert distance.features is not None
    t = z.new_zeros(len(directions), 1, requires_grad=True)
    with torch.enable_grad(), arithmetic("full"):
        moved = distance.features(generator(z + t * directions.to(z)))
        c = torch.zeros_like(moved, requires_grad=True)
        speed = _derivative(c * moved, t)
        check_twice_differentiable(speed)
        return _derivative(_derivative(speed, t), c).detach()


def _derivative(values: Tensor, of: Tensor) -> Tensor:
    """The gradient of the sum of `values`, with its graph; zero where one does not depend on the other."""
    if not values.requires_grad:
        return torch.zeros_like(of)
    return torch.autograd.grad(values.sum(), of, create_graph=True, materialize_grads=True)[0]


@checked(shapes={"vectors": "m | k m"})
def with_length(metric: Metric, vectors: Tensor, length: float) -> Tensor:
    """Vectors `(n,)` or `(k, n)` in the same directions, each of one length `‖Jv‖ = √(½ vᵀHv)` at the metric's latent.

    Raises:
        ValueError: a vector that the metric gives no length, another shape or a negative length.
        FloatingPointError: vectors that get too long for their numbers.
    """
    if metric.matrix.shape != (vectors.shape[-1],) * 2:
        raise ValueError(
            f"metric, vectors: expected (n, n) beside (k, n), got {tuple(metric.matrix.shape)} and "
            f"{tuple(vectors.shape)}"
        )
    if not 0 <= length < math.inf:
        raise ValueError(f"length: expected a finite number of 0 or more, got {length}")
    vectors = vectors.double()
    squared = (vectors @ metric.matrix * vectors).sum(-1, keepdim=True) / 2
    if not (squared > 0).all():
        raise ValueError("vectors: expected directions that change the image, got one that does not")
    scaled: Tensor = vectors * (length / squared.sqrt())
    check_finite("vectors of this length", scaled)
    return scaled
