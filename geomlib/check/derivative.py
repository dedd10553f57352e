"""The trials that differentiate: is the derivative whole, how is it obtained, what does it cost?"""

import math

import torch
from torch import Tensor

from geomlib._checks import check_finite
from geomlib.check.errors import blame
from geomlib.check.output import COUNT, Trial, Verdict
from geomlib.derivatives.jacobian import ROUTES, arithmetic
from geomlib.distances import load_distance
from geomlib.generators.interface import Generator
from geomlib.metric import estimate
from geomlib.operators import PullbackOperator

STEPS = tuple(10.0**-k for k in range(1, 9))  # of central differences, as shares of the latent's norm
_OTHER_SEED = 7_654_321  # not that of the latents, or a direction may be the latent itself


def try_gradient(trial: Trial) -> Verdict:
    lost = "Look for .detach(), torch.no_grad, .numpy(), .item(), rounding, argmax or full saturation on the way."
    latents = trial.latents.clone().requires_grad_()
    images = trial.generator(latents)
    gradient = torch.autograd.grad(images, latents, _cotangent(trial), allow_unused=True)[0] if images.grad_fn else None
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
    latents = trial.latents.clone().requires_grad_()
    images, cotangent = trial.generator(latents), _cotangent(trial)
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
    exact = _in_float64(trial)
    operator = PullbackOperator(exact, trial.latents[0], load_distance("mse", exact.device, exact.dtype))
    v = _directions(operator.z, 1)
    derivative = operator.columns(v)[0].double()
    errors, precision = {}, exact(operator.z[None]).dtype
    with torch.no_grad():
        for share in STEPS:
            step = share * float(operator.z.norm())
            ahead, behind = (exact((operator.z + side * step * v[0])[None]).flatten() for side in (1, -1))
            difference = (ahead - behind).double() / (2 * step * math.sqrt(ahead.numel()))  # as in mse
            size = torch.maximum(derivative.norm(), difference.norm())
            errors[share] = float((derivative - difference).norm() / size)
    share = min(errors, key=lambda key: errors[key])
    finding = f"{route} and differences differ by {errors[share]:.1g} (step {share:.0e} of |z|, {precision})."
    if not errors[share] <= (1e-3 if precision == torch.float64 else 1e-2):
        return False, finding, "Part of the derivative is lost or wrong: a detached branch, or a faulty backward."
    return True, finding, ""


def _in_float64(trial: Trial) -> Generator:
    """The generator in float64, or as it is where a callable's own weights stay as they are, or a device has none."""
    try:
        exact = trial.generator.to(trial.generator.device, torch.float64)
        with torch.no_grad():
            exact(trial.latents)
    except (RuntimeError, TypeError):
        return trial.generator
    return exact


def try_cost(trial: Trial) -> Verdict:
    if trial.operator is None:
        return None, "Not tried: no route serves.", ""
    generator = trial.generator
    distance = trial.distance or load_distance("mse", generator.device, generator.dtype)
    need = estimate(generator, trial.latents[0], distance)
    timing = f"timed on {min(need.tile, need.columns)} of {need.columns} columns"
    size = f"{need.bytes / 1e6:.2g} MB beside the weights (counted)"
    return True, f"One metric under {distance.name} takes about {need.seconds:.2g} s ({timing}) and {size}.", ""
