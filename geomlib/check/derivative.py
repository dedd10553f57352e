"""The trials that differentiate: is the derivative whole, how is it obtained, what does it cost?"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from geomlib._checks import check_finite
from geomlib.check.errors import blame
from geomlib.check.output import COUNT, Trial, Verdict
from geomlib.derivatives.jacobian import ROUTES, Linearisation, vjp_rows
from geomlib.distances import load_distance
from geomlib.metric import estimate

STEPS = tuple(10.0**-k for k in range(1, 9))  # of central differences, as shares of the latent's norm
_OTHER_SEED = 7_654_321  # not that of the latents, or a direction may be the latent itself


@contextmanager
def _collected_failures() -> Iterator[list[BaseException]]:
    """The errors that drive the engine from one route to the next, in the place of its warnings."""
    errors: list[BaseException] = []

    def collect(record: logging.LogRecord) -> bool:
        errors.append(sys.exc_info()[1] or RuntimeError(record.getMessage()))
        return False

    logger = logging.getLogger(Linearisation.__module__)
    logger.addFilter(collect)
    try:
        yield errors
    finally:
        logger.removeFilter(collect)


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
        return (
            False, f"An image also depends on the other latents of its batch: {worst:.2g} of its own derivative.",
            "Batch norm in training mode, or a minibatch layer: use stored statistics.",
        )  # fmt: skip
    return True, "Each image depends on its own latent alone.", ""


def try_route(trial: Trial) -> Verdict:
    if trial.fresh_noise:
        return None, "Fresh noise has no Jacobian: pullback refuses it.", "Use method='backward'."
    z = trial.latents[0]
    with _collected_failures() as errors:
        linear = Linearisation(trial.vector, z)
        check_finite("derivative", linear.jvp(_directions(z, 2)))
    trial.route = linear.route
    reasons = zip(ROUTES, errors, strict=False)
    failed = " ".join(f"No {name}: {blame(error, trial.modules())}." for name, error in reasons)
    if trial.route == ROUTES[0]:
        return True, "JVP under vmap serves, the fastest route.", ""
    cost = "Exact, but slower." if trial.route == ROUTES[1] else "Slow, and right to a few digits only."
    return None, f"{trial.route} serves. {failed}", f"{cost} An operation with a JVP rule in that place is faster."


def _directions(z: Tensor, count: int) -> Tensor:
    random = torch.Generator().manual_seed(_OTHER_SEED)
    drawn = torch.randn(count, len(z), generator=random, dtype=torch.float64)
    unit: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return unit.to(z)


def _between_modes(trial: Trial) -> float:
    """How far `‖Jv‖²` by the route of the metric is from `vᵀ(JᵀJv)` with `Jᵀ` by reverse mode, as a share."""
    z = trial.latents[0]
    v = _directions(z, 1)
    moved = Linearisation(trial.vector, z, route=trial.route).jvp(v)[0].detach()
    point = z.clone().requires_grad_()
    pulled = vjp_rows(trial.vector(point), point, moved[None])[0]
    forward, reverse = float(moved.double().square().sum()), float(pulled.double().dot(v[0].double()))
    return abs(forward - reverse) / (max(abs(forward), abs(reverse)) or 1.0)


def try_derivative(trial: Trial) -> Verdict:
    if not trial.route or trial.route == ROUTES[-1]:
        return None, "Not tried: there is no exact derivative to compare.", ""
    gap = _between_modes(trial)
    if not gap <= max(1e-2, 8 * torch.finfo(trial.latents.dtype).eps ** 0.5):
        return (
            False, f"{trial.route} and a backward pass differ by {gap:.1%} along one direction.",
            "A part under torch.no_grad or detached, or a faulty backward: method='backward' gives another matrix.",
        )  # fmt: skip
    try:
        exact = trial.generator.to(trial.generator.device, torch.float64)
        with torch.no_grad():
            exact(trial.latents)
    except (RuntimeError, TypeError):  # a callable whose own weights stay float32, a device without float64
        exact = trial.generator
    z = trial.latents[0].to(exact.dtype)
    v = _directions(z, 1)

    def image(position: Tensor) -> Tensor:
        values: Tensor = exact(position[None]).flatten()
        return values

    derivative = Linearisation(image, z, route=trial.route).jvp(v)[0].double()
    precision = image(z).dtype
    errors = {}
    with torch.no_grad():
        for share in STEPS:
            step = share * float(z.norm())
            difference = (image(z + step * v[0]) - image(z - step * v[0])).double() / (2 * step)
            size = torch.maximum(derivative.norm(), difference.norm())
            errors[share] = float((derivative - difference).norm() / size)
    share = min(errors, key=lambda key: errors[key])
    found = f"{trial.route} and differences differ by {errors[share]:.1g} (step {share:.0e} of |z|, {precision})."
    if not errors[share] <= (1e-3 if precision == torch.float64 else 1e-2):
        return False, found, "Part of the derivative is lost or wrong: a detached branch, or a faulty backward."
    return True, found, ""


def try_cost(trial: Trial) -> Verdict:
    if not trial.route:
        return None, "Not tried: no route serves.", ""
    generator = trial.generator
    distance = trial.distance or load_distance("mse", generator.device, generator.dtype)
    with _collected_failures():
        need = estimate(generator, trial.latents[0], distance)
    timed = f"timed on {min(need.tile, need.columns)} of {need.columns} columns"
    size = f"{need.bytes / 1e6:.2g} MB beside the weights (counted)"
    return True, f"One metric under {distance.name} takes about {need.seconds:.2g} s ({timed}) and {size}.", ""
