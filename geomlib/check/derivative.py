"""The trials that differentiate: is the derivative whole, how is it obtained, what does it cost?"""

import math
import time

import torch
from torch import Tensor

from geomlib._checks import check_finite
from geomlib.check.errors import blame
from geomlib.check.output import COUNT, Trial, Verdict
from geomlib.derivatives.jacobian import ROUTES, arithmetic
from geomlib.distances import load_distance
from geomlib.metric import estimate
from geomlib.operators import PullbackOperator

# Of central differences, as shares of the latent's norm; those first that are the best in float64.
STEPS = tuple(10.0**-k for k in (6, 5, 7, 4, 3, 8, 2, 1))
_OTHER_SEED = 7_654_321  # not that of the latents, or a direction may be the latent itself


def try_gradient(trial: Trial) -> Verdict:
    lost = "Look for .detach(), torch.no_grad, .numpy(), .item(), rounding, argmax or full saturation on the way."
    latents = trial.latents.clone().requires_grad_()
    images = trial.generator(latents)
    trial.followed = latents, images
    gradient = None
    if images.grad_fn:
        gradient = torch.autograd.grad(images, latents, _cotangent(trial), retain_graph=True, allow_unused=True)[0]
    if gradient is None:
        return False, "The image is cut off from the latents: it has no derivative.", lost
    check_finite("derivative of the image", gradient)
    dead = (gradient == 0).all(0)
    count, total = int(dead.sum()), len(dead)
    if not count:
        return True, f"The derivative reaches all {total} coordinates.", ""
    with torch.no_grad():  # do those coordinates do nothing, or is their derivative lost?
        change = trial.generator(trial.latents + dead * (1 + trial.latents.abs())) - trial.images
    which = f"{count} of {total} coordinates, the first {int(dead.nonzero()[0])},"
    if trial.fresh_noise or float(change.abs().max()) > trial.tolerance():
        return False, f"{which} change the image but have no derivative.", lost
    if count == total:
        return False, "The image does not depend on the latents.", lost
    return None, f"{which} never change the image.", "A smaller latent_dim would do."


def _cotangent(trial: Trial) -> Tensor:
    random = torch.Generator().manual_seed(_OTHER_SEED)
    return torch.randn(trial.images.shape, generator=random).to(trial.images)


def try_independent(trial: Trial) -> Verdict:
    latents, images = trial.followed
    del trial.followed  # the graph of a large network is large
    cotangent = _cotangent(trial)
    worst = 0.0
    for index in range(COUNT):
        pulled = (images[index] * cotangent[index]).sum()
        rows = torch.autograd.grad(pulled, latents, retain_graph=True)[0].abs().amax(1)
        own = float(rows[index])
        rows[index] = 0
        worst = max(worst, float(rows.max()) / max(own, torch.finfo(rows.dtype).tiny))
    if worst > 100 * torch.finfo(images.dtype).eps:
        finding = f"An image also depends on the other latents of its batch: {worst:.2g} of its own derivative."
        return False, finding, "Batch norm in training mode, or a minibatch layer: use stored statistics."
    return True, "Each image depends on its own latent alone.", ""


def try_route(trial: Trial) -> Verdict:
    if trial.fresh_noise:
        return None, "Fresh noise has no Jacobian: pullback refuses it.", "Use method='backward'."
    z = trial.latents[0]
    operator = PullbackOperator(trial.generator, z, trial.measure())
    check_finite("derivative", operator.columns(_directions(z, 2)))
    trial.operator, route = operator, operator.linear.route
    if route == ROUTES[0]:
        return True, "JVP serves, the fastest route.", ""
    hindrances = {name: _hindrance(trial, name) for name in ROUTES[: ROUTES.index(route)]}
    why = " ".join(f"No {name}: {blame(error, trial.modules())}." for name, error in hindrances.items())
    cost = "Exact, but slower." if route == ROUTES[1] else "Slow, and right to a few digits only."
    return None, f"{route} serves. {why}", f"{cost} An operation with a JVP rule in that place is faster."


def _hindrance(trial: Trial, route: str) -> BaseException:
    """What PyTorch raises on a route that the engine had to leave."""
    z = trial.latents[0]
    direction = _directions(z, 1)
    try:
        with arithmetic("full"):
            if route == ROUTES[0]:
                torch.func.vmap(lambda v: torch.func.jvp(trial.vector, (z,), (v,)))(direction)
            else:
                point = z.clone().requires_grad_()
                output = trial.vector(point)
                cotangent = torch.zeros_like(output).requires_grad_()
                pulled = torch.autograd.grad(output, point, cotangent, create_graph=True)[0]
                torch.autograd.grad(pulled, cotangent, direction[0])
    except Exception as error:  # whatever a stranger's network raises there
        return error
    return NotImplementedError("part of this derivative is left out")


def _directions(z: Tensor, count: int) -> Tensor:
    random = torch.Generator().manual_seed(_OTHER_SEED)
    drawn = torch.randn(count, len(z), generator=random, dtype=torch.float64)
    unit: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return unit.to(z)


def _between_modes(trial: Trial, operator: PullbackOperator) -> float:
    """How far `‖Jv‖²` by the route of the metric is from `vᵀ(JᵀJv)` with `Jᵀ` by reverse mode, as a share."""
    point = trial.latents[0].clone().requires_grad_()
    v = _directions(point.detach(), 1)
    move = operator.columns(v)[0]
    output = trial.vector(point)
    reverse = 0.0
    if output.requires_grad:
        pulled = torch.autograd.grad(output, point, move, materialize_grads=True)[0]
        reverse = float(pulled.double().dot(v[0].double()))
    forward = float(move.double().square().sum())
    return abs(forward - reverse) / (max(abs(forward), abs(reverse)) or 1.0)


def try_derivative(trial: Trial) -> Verdict:
    if trial.operator is None or trial.operator.linear.route == ROUTES[-1]:
        return None, "Not tried: there is no exact derivative to compare.", ""
    route, gap = trial.operator.linear.route, _between_modes(trial, trial.operator)
    if not gap <= max(1e-2, 8 * torch.finfo(trial.latents.dtype).eps ** 0.5):
        finding = f"{route} and a backward pass differ by {gap:.1%} along one direction."
        advice = "A part under torch.no_grad or detached, or a faulty backward: method='backward' gives another matrix."
        return False, finding, advice
    mse = load_distance("mse", trial.generator.device, trial.generator.dtype)
    operator = trial.operator
    if trial.measure().name != "mse":
        operator = PullbackOperator(trial.generator, trial.latents[0], mse)
    v = _directions(trial.latents[0], 1)
    differences = _Differences(trial, v[0])
    limit = 1e-3 if differences.precision == torch.float64 else 1e-2
    share, error = differences.nearest(operator.columns(v)[0], limit)
    if error > limit and differences.precision != trial.generator.dtype:  # rounding of the derivative itself?
        exact = load_distance("mse", trial.generator.device, differences.precision)
        operator = PullbackOperator(differences.generator, trial.latents[0], exact)
        share, error = differences.nearest(operator.columns(v.to(operator.z))[0], limit)
    finding = f"{route} and differences differ by {error:.1g} (step {share:.0e} of |z|, {differences.precision})."
    if not error <= limit:
        return False, finding, "Part of the derivative is lost or wrong: a detached branch, or a faulty backward."
    return True, finding, ""


class _Differences:
    """Central differences of the image along a direction, in float64 where the network takes it, each step once."""

    def __init__(self, trial: Trial, direction: Tensor) -> None:
        self.z, self.direction = trial.latents[0].cpu().double(), direction.cpu().double()
        self.kept: dict[float, Tensor] = {}
        try:
            self.generator = trial.generator.to(trial.generator.device, torch.float64)
            self._difference(STEPS[0])
        except (RuntimeError, TypeError):  # weights of a callable stay as they are, and some devices have no float64
            self.generator = trial.generator
            self._difference(STEPS[0])

    @torch.no_grad()
    def _difference(self, share: float) -> Tensor:
        if share not in self.kept:
            step = share * float(self.z.norm())
            ahead, behind = (
                self.generator((self.z + side * step * self.direction)[None]).flatten() for side in (1, -1)
            )
            self.precision = ahead.dtype
            size = 2 * step * math.sqrt(ahead.numel())  # as in mse
            self.kept[share] = (ahead - behind).cpu().double() / size
        return self.kept[share]

    def nearest(self, derivative: Tensor, limit: float) -> tuple[float, float]:
        """The first step whose difference is as near as `limit` to a derivative, else the nearest; with its error."""
        errors = {}
        derivative = derivative.cpu().double()
        for share in STEPS:
            difference = self._difference(share)
            size = torch.maximum(derivative.norm(), difference.norm())
            errors[share] = float((derivative - difference).norm() / size)
            if errors[share] <= limit:
                return share, errors[share]
        share = min(errors, key=lambda key: errors[key])
        return share, errors[share]


def try_cost(trial: Trial) -> Verdict:
    if trial.operator is None:
        return None, "Not tried: no route serves.", ""
    if trial.distance is not None and trial.distance.features is None:
        need = estimate(trial.generator, trial.latents[0], trial.distance)
        name, tile, columns, seconds, size = trial.distance.name, need.tile, need.columns, need.seconds, need.bytes
    else:  # the operator is warm from the trials before
        tiling, columns = trial.operator.tiling, trial.generator.latent_dim
        start = time.perf_counter()
        tile = trial.operator.run_tile()
        seconds = (time.perf_counter() - start) * columns / tile * tiling.passes(columns)
        name, size = trial.measure().name, tiling.bytes
    timing = f"timed on {min(tile, columns)} of {columns} columns"
    told = f"{size / 1e6:.2g} MB beside the weights (counted)"
    return True, f"One metric under {name} takes about {seconds:.2g} s ({timing}) and {told}.", ""
