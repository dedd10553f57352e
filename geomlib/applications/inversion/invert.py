"""The verb: invert images by any of the methods, at a stated cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsFloat

import torch
from torch import Tensor

from geomlib._checks import as_count, check_choice, check_finite, shown
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.applications.coordinates import eigen, standard
from geomlib.applications.inversion.evolution import basin_cma, cma_es
from geomlib.applications.inversion.gradient import adam, quasi_newton
from geomlib.applications.inversion.levenberg_marquardt import levenberg_marquardt
from geomlib.applications.inversion.problem import Problem, Trace
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, average, metric_tensor

_SMALLEST = 1e-3  # share of the largest eigenvalue below which the metric no longer scales coordinates
_POSITIONS = 10  # latents whose metrics are averaged where no metric is given
_START_SEED = 9_176_213  # starts are never the latents that `Generator.sample` gives for a small seed

# The options of each method with their defaults.
_ADAM: dict[str, Any] = {"learning_rate": 0.1, "betas": (0.9, 0.999)}
_BASIN: dict[str, Any] = {
    "learning_rate": 0.1,
    "final_rate": None,
    "sigma": 0.4,
    "population": 6,
    "inner_steps": 5,
    "finalists": 1,
}
METHODS: dict[str, dict[str, Any]] = {
    "adam": _ADAM,
    "adam-eigen": _ADAM,
    "adam-scaled": _ADAM | {"learning_rate": 0.03},
    "bfgs": {"damping": 0.03},
    "metric-newton": {"damping": 0.1},
    "levenberg-marquardt": {"damping": 0.1, "axes": None},
    "cma": {"sigma": 0.4, "population": None},
    "basincma": _BASIN,
    "basincma-eigen": _BASIN,
    "basincma-faulty": _BASIN,
}
_COUNTS = ("axes", "population", "inner_steps", "finalists")
_WITHOUT_METRIC = ("adam", "bfgs", "cma", "basincma")


@dataclass(frozen=True)
class Inversion:
    """Result of `invert` for `T` targets, or for one, then without that axis.

    `latents` `(T, n)`, their `images` `(T, *image_shape)` and `distances` `(T,)` to the targets are the best that were
    evaluated.  `trace` holds all evaluations; `calls` is what one target cost.
    """

    latents: Tensor
    images: Tensor
    distances: Tensor
    trace: Trace
    method: str

    @property
    def calls(self) -> int:
        """Forward passes and Jacobian-vector products count as one, backward passes as two."""
        return int(self.trace.calls()[-1])


@isolated()
def invert(
    generator: Generator,
    image: Tensor,
    distance: Distance,
    method: str = "adam",
    *,
    budget: int = 450,
    seed: int = 0,
    metric: Metric | None = None,
    start: Tensor | None = None,
    restarts: int = 1,
    progress: Progress | None = None,
    **options: Any,
) -> Inversion:
    """The latent whose image is nearest to `image` `(*image_shape)`, or to each of `(T, *image_shape)`.

    | Method | Options | |
    | --- | --- | --- |
    | `adam`, `adam-eigen` | `learning_rate`, `betas` | in the latent's own axes, or the eigenvectors of `metric` |
    | `adam-scaled` | the same | these axes, scaled by `λ^(-1/2)` |
    | `metric-newton` | `damping` | BFGS whose first Hessian is `metric`: one gradient a step |
    | `bfgs` | `damping` | the same without the metric: its control |
    | `levenberg-marquardt` | `damping`, `axes` | the metric at each latent; `axes` at first, more and more then |
    | `cma` | `sigma`, `population` | CMA-ES, without gradients |
    | `basincma`, `basincma-eigen` | see `evolution.basin_cma` | starts by CMA-ES, each refined by Adam in either axes |
    | `basincma-faulty` | the same | `basincma` with the fault of the authors' script: an ablation |

    `budget` is in calls for each target, over all `restarts`: a forward pass of one image or a Jacobian-vector product
    is one, a backward pass two.  `metric` is one matrix, usually an average over latents; by default the average over
    10 samples, whose `10 n` products are not counted since they serve every image.  `start` `(n,)`, `(R, n)` or
    `(T, R, n)` are the first latents, by default `restarts` samples of the generator for each target from `seed`.
    `progress(calls, budget)` is called after each step.

    Source: Wang & Ponce 2021, Figure 5; the methods that step by the metric are not in the paper.

    Raises:
        ValueError: an image of another shape or range, an unknown method or option, a value that it cannot have, a
            budget below one step, or a distance without features where `levenberg-marquardt` needs them.
        FloatingPointError: what is not finite.
    """
    check_choice("method", method, METHODS)
    for name in options:
        check_choice(f"option of {method}", name, METHODS[method])
    options = {name: _checked(name, value, METHODS[method][name]) for name, value in options.items()}
    if method == "levenberg-marquardt" and distance.features is None:
        raise ValueError(f"distance: levenberg-marquardt needs features, which {distance.name} has not")
    targets = _targets(generator, image)
    starts = _starts(generator, start, len(targets), restarts, seed)
    if metric is None and method not in _WITHOUT_METRIC:
        metric = average(metric_tensor(generator, generator.sample(_POSITIONS, seed + _START_SEED + 1), distance))
    if metric is not None and metric.matrix.shape != (generator.latent_dim,) * 2:
        raise ValueError(
            f"metric: expected one matrix ({generator.latent_dim}, {generator.latent_dim}), got "
            f"{tuple(metric.matrix.shape)}; see geomlib.average"
        )
    problem = Problem(generator, targets, distance, budget, progress)
    _run(method, problem, starts, None if method in _WITHOUT_METRIC else metric, seed, METHODS[method] | options)
    if not problem.rows:
        raise ValueError(f"budget: expected enough calls for one step of {method} on {starts.shape[1]} starts")
    if progress:
        progress(budget, budget)
    trace = problem.trace()
    latents = trace.latents[-1].to(generator.device, generator.dtype)
    with torch.no_grad():
        images = torch.cat([generator(part) for part in latents.split(64)])
    distances = trace.distances[-1]
    if image.ndim == len(generator.image_shape):
        return Inversion(latents[0], images[0], distances[0], trace, method)
    return Inversion(latents, images, distances, trace, method)


def _run(
    method: str, problem: Problem, start: Tensor, metric: Metric | None, seed: int, options: dict[str, Any]
) -> None:
    plain = standard(problem.generator.latent_dim)
    if metric is None:
        run: dict[str, Callable[..., Any]] = {"adam": adam, "bfgs": quasi_newton, "cma": cma_es, "basincma": basin_cma}
        random = {"seed": seed} if "cma" in method else {}
        run[method](problem, plain, start, **random, **options)
        return
    turned, scaled = eigen(metric), eigen(metric, 0.5, smallest=_SMALLEST)
    largest = float(metric.eigenvalues[0])
    match method:
        case "adam-eigen" | "adam-scaled":
            adam(problem, turned if method == "adam-eigen" else scaled, start, **options)
        case "metric-newton":
            quasi_newton(problem, scaled, start, curvature=largest, **options)
        case "levenberg-marquardt":
            options["axes"] = options["axes"] or problem.generator.latent_dim
            levenberg_marquardt(problem, scaled, start, curvature=largest, **options)
        case "basincma-eigen":
            basin_cma(problem, turned, start, seed=seed, **options)
        case "basincma-faulty":
            basin_cma(problem, plain, start, seed=seed, rebuilt=turned, **options)


def _checked(name: str, value: Any, default: Any) -> Any:
    """The value of an option: None where that is the default, a count, or a positive number."""
    if (value is None and default is None) or name == "betas":
        return value
    if name in _COUNTS:
        value = as_count(name, value)
        if name == "population" and value < 2:
            raise ValueError(f"population: expected at least 2, got {value}")
        return value
    if isinstance(value, bool) or not isinstance(value, SupportsFloat) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name}: expected a positive number, got {shown(value)}")
    return value


def _targets(generator: Generator, image: Tensor) -> Tensor:
    """Targets `(T, *image_shape)`, on the generator's device."""
    shape = tuple(generator.image_shape)
    targets = image[None] if image.ndim == len(shape) else image
    if tuple(targets.shape[1:]) != shape or not len(targets):
        raise ValueError(f"image: expected shape {shape}, or several of it, got {tuple(image.shape)}")
    check_finite("image", targets)
    if generator.output_range is not None and generator.clamp and not -0.01 <= targets.min() <= targets.max() <= 1.01:
        low, high = float(targets.min()), float(targets.max())
        raise ValueError(f"image: expected values in [0, 1], got {low:.3g} to {high:.3g}")
    return targets.detach().to(generator.device, generator.dtype)


def _starts(generator: Generator, start: Tensor | None, count: int, restarts: int, seed: int) -> Tensor:
    """First latents `(T, R, n)`, float64 on the CPU."""
    if restarts < 1:
        raise ValueError(f"restarts: expected a positive integer, got {restarts}")
    n = generator.latent_dim
    if start is None:
        start = generator.sample(count * restarts, seed + _START_SEED).view(count, restarts, n)
    fits = start.ndim in (1, 2, 3) and start.shape[-1] == n and start.numel()
    if not fits or (start.ndim == 3 and len(start) != count):
        raise ValueError(f"start: expected shape ({n},), (R, {n}) or ({count}, R, {n}), got {tuple(start.shape)}")
    start = start[None] if start.ndim == 1 else start
    return start.expand(count, *start.shape[-2:]).detach().cpu().double()
