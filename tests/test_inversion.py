"""Inversion: closed forms, other implementations, what the account promises, and errors."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import geomlib
from geomlib import Metric
from geomlib.applications.inversion import METHODS, Inversion, Trace, cost_ratio, invert, rows_within
from geomlib.distances import Distance
from geomlib.generators.interface import Generator

SQUARES = Distance("sum of squares", lambda x: x.flatten(1))
N, M = 6, 20


def linear(seed: int = 0, rotation: Tensor | None = None) -> tuple[Generator, Tensor]:
    """`x = A z` in float64, condition number 10."""
    random = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(M, N, generator=random, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(N, N, generator=random, dtype=torch.float64)).Q
    matrix = left * torch.logspace(0, -1, N, dtype=torch.float64) @ right.T
    if rotation is not None:
        matrix = matrix @ rotation
    G = geomlib.Generator(lambda z: z @ matrix.to(z).T, N, output_range=None, name="linear")
    return G.to("cpu", torch.float64), matrix


def metric_of(matrix: Tensor) -> Metric:
    return Metric.from_matrix(2 * matrix.T @ matrix, torch.tensor(0.0))


def curved(seed: int = 1) -> Generator:
    """A smooth map that is one to one near the origin."""
    random = torch.Generator().manual_seed(seed)
    matrix = torch.randn(M, N, generator=random, dtype=torch.float64)
    G = geomlib.Generator(lambda z: (z @ matrix.to(z).T / 4).tanh(), N, output_range=None, name="curved")
    return G.to("cpu", torch.float64)


# Closed forms.


@pytest.mark.parametrize("method", ["levenberg-marquardt", "metric-newton"])
def test_least_squares_of_a_linear_map_in_two_steps(method: str) -> None:
    G, matrix = linear()
    targets = torch.randn(3, M, generator=torch.Generator().manual_seed(5), dtype=torch.float64)  # out of its range
    solution = torch.linalg.lstsq(matrix, targets.T).solution.T
    least = (targets - solution @ matrix.T).square().sum(1)
    start = torch.ones(N, dtype=torch.float64)
    budget = 1 + 2 * (N + 1) if method == "levenberg-marquardt" else 3 * 3
    found = invert(G, targets, SQUARES, method, budget=budget, metric=metric_of(matrix), start=start, damping=1e-9)
    assert torch.allclose(found.distances, least, rtol=1e-9)
    assert torch.allclose(found.latents, solution, atol=1e-4)
    assert found.calls == budget


# Working values of the authors' tutorial: R(60 degrees)ᵀ diag(1, 10) R(60 degrees), from (3, 9), rate 0.1, 150 steps.
@pytest.mark.parametrize(("method", "published", "at_75"), [("adam", 7.155, 11.5), ("adam-eigen", 0.007, 11.5)])
def test_quadratic_of_the_tutorial(method: str, published: float, at_75: float) -> None:
    turn = torch.tensor(math.radians(-60), dtype=torch.float64)
    rotation = torch.stack([torch.stack([turn.cos(), -turn.sin()]), torch.stack([turn.sin(), turn.cos()])])
    form = rotation @ torch.diag(torch.tensor([1.0, 10.0], dtype=torch.float64)) @ rotation.T
    root = torch.linalg.cholesky(form).mT
    G = geomlib.Generator(lambda z: z @ root.to(z).T, 2, output_range=None).to("cpu", torch.float64)
    start = torch.tensor([3.0, 9.0], dtype=torch.float64)
    target = torch.zeros(2, dtype=torch.float64)
    metric = Metric.from_matrix(2 * form, torch.tensor(0.0))
    options: dict[str, Any] = {"start": start, "metric": metric, "learning_rate": 0.1}
    found = invert(G, target, SQUARES, method, budget=3 * 150, **options)
    assert float(found.distances) == pytest.approx(published, abs=5e-4)
    assert found.trace.distances.shape == (150, 1)
    assert torch.allclose(found.images, torch.einsum("ij,j->i", root, found.latents), atol=1e-6)


def test_quasi_newton_without_a_metric_is_exact_after_n_steps_or_so() -> None:
    G, matrix = linear()
    z = torch.linspace(-1, 1, N, dtype=torch.float64)
    found = invert(G, matrix @ z, SQUARES, "bfgs", budget=3 * 150, damping=1e-6, start=torch.ones(N).double())
    assert float(found.distances) < 1e-12
    assert torch.allclose(found.latents, z, atol=1e-4)


# Other implementations.


def test_adam_is_that_of_torch_on_the_latent() -> None:
    G = curved()
    targets = G(G.sample(3, 1).double())
    start = G.sample(3, 2).double()[:, None]
    found = invert(G, targets, SQUARES, "adam", budget=3 * 12, start=start, learning_rate=0.05)
    z = start[:, 0].clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    best = torch.full((3,), math.inf).double()
    for _ in range(12):
        value = (G(z) - targets).square().sum(1)
        best = torch.minimum(best, value.detach())
        optimiser.zero_grad()
        value.sum().backward()
        optimiser.step()
    assert torch.allclose(found.distances, best, rtol=1e-10)


@pytest.mark.parametrize("method", ["levenberg-marquardt", "metric-newton", "bfgs"])
def test_nonlinear_least_squares_of_scipy(method: str) -> None:
    from scipy.optimize import least_squares

    G = curved()
    targets = G(G.sample(2, 1).double()) + 0.02 * torch.randn(
        2, M, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    start = 0.5 * G.sample(1, 2).double()
    found = invert(G, targets, SQUARES, method, budget=600, start=start, seed=4)
    for target, latent, value in zip(targets, found.latents, found.distances, strict=True):

        def residual(z: Any, target: Tensor = target) -> Any:
            return (G(torch.from_numpy(z)[None])[0] - target).numpy()

        other = least_squares(residual, start[0].numpy(), method="lm", xtol=1e-12, ftol=1e-12)
        assert float(value) == pytest.approx(2 * other.cost, rel=1e-6)
        assert np.allclose(latent.numpy(), other.x, atol=1e-3)


# Every method, and what they share.

SMALL: dict[str, dict[str, Any]] = {
    name: {"population": 4, "inner_steps": 3} if name.startswith("basin") else {} for name in METHODS
}


def every(method: str, budget: int = 300, seed: int = 0, **more: Any) -> tuple[Generator, Tensor, Inversion]:
    G = curved()
    targets = G(0.7 * G.sample(2, 1).double())
    options = {"seed": seed, "start": torch.zeros(N), **SMALL[method], **more}
    return G, targets, invert(G, targets, SQUARES, method, budget=budget, **options)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_nearer(method: str) -> None:
    G, targets, found = every(method)
    first, last = found.trace.distances[0], found.distances
    assert (last < (0.5 if "cma" in method else 1e-2) * first).all()
    assert torch.allclose(SQUARES(found.images, targets).double(), last, rtol=1e-4, atol=1e-10)
    assert torch.allclose(G(found.latents), found.images)
    assert found.method == method


@pytest.mark.parametrize("method", METHODS)
def test_the_account_is_what_the_network_saw(method: str) -> None:
    seen = 0

    def watched(z: Tensor) -> Tensor:
        nonlocal seen
        seen += len(z)
        return (z @ torch.ones(N, 4).to(z)).tanh() + z[:, :4]

    G = geomlib.Generator(watched, N, output_range=None, name="watched")
    shape = G.image_shape
    target, metric = torch.zeros(2, *shape), metric_of(torch.eye(N).double())
    seen = 0
    found = invert(G, target, SQUARES, method, budget=100, metric=metric, start=torch.ones(2, N), **SMALL[method])
    trace = found.trace
    assert found.calls == int(trace.calls()[-1]) <= 100
    assert torch.equal(trace.calls(0), trace.evaluations)
    if method == "levenberg-marquardt":
        assert found.calls == 2 + 7 * 2 * (N + 1)  # two starts; six products and one trial for each, seven times
    else:
        assert seen == 2 * int(trace.evaluations[-1]) + 2  # and once to show the two images
    assert found.calls > 100 - 2 * (N + 1) - 12
    assert (trace.evaluations.diff() > 0).all() and (trace.backwards.diff() >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_trace_holds_the_best_so_far(method: str) -> None:
    G, targets, found = every(method, budget=120)
    assert (found.trace.distances.diff(dim=0) <= 0).all()
    for latents, distances in zip(found.trace.latents, found.trace.distances, strict=True):
        assert torch.allclose(SQUARES(G(latents.double()), targets), distances, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_and_leaves_random_numbers_alone(method: str) -> None:
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 - the global state is what is looked at
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    budget = 90 if method.startswith("basin") else 30
    first, second = (every(method, budget=budget, start=None)[2] for _ in range(2))
    assert torch.equal(first.trace.distances, second.trace.distances)
    assert torch.equal(first.latents, second.latents)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert not torch.equal(first.latents, every(method, budget=budget, start=None, seed=1)[2].latents)


@pytest.mark.parametrize("method", ["adam-eigen", "metric-newton", "levenberg-marquardt", "cma"])
def test_targets_do_not_know_of_each_other(method: str) -> None:
    G, targets, both = every(method, budget=120)
    one = invert(G, targets[0], SQUARES, method, budget=120, start=torch.zeros(N))
    assert one.latents.shape == (N,) and one.images.shape == (M,) and one.distances.ndim == 0
    assert torch.allclose(one.trace.distances[:, 0], both.trace.distances[:, 0], rtol=1e-6)


def test_a_longer_budget_only_goes_on() -> None:
    short, long = (every("metric-newton", budget=budget)[2].trace.distances for budget in (60, 120))
    assert torch.equal(short, long[: len(short)])


def test_restarts_share_the_budget_and_the_best_counts() -> None:
    G, targets, found = every("adam", budget=120, start=None, restarts=4)
    assert len(found.trace.distances) == 10 and found.calls == 120
    starts = torch.stack([G.sample(8, 9_176_213).view(2, 4, N)[target] for target in range(2)])
    alone = [
        invert(G, targets, SQUARES, "adam", budget=30, start=starts[:, index : index + 1].double())
        for index in range(4)
    ]
    assert torch.allclose(torch.stack([one.distances for one in alone]).amin(0), found.distances, rtol=1e-6)


def test_steps_by_the_metric_do_not_depend_on_the_axes_but_those_of_adam_do() -> None:
    rotation = torch.linalg.qr(torch.randn(N, N, generator=torch.Generator().manual_seed(8), dtype=torch.float64)).Q
    paths = {}
    for name, turn in (("plain", torch.eye(N).double()), ("turned", rotation)):
        G, matrix = linear(rotation=turn)
        target = matrix @ turn.T @ torch.linspace(-1, 1, N).double()
        start = turn.T @ torch.ones(N).double()
        for method in ("adam", "adam-eigen", "metric-newton", "levenberg-marquardt"):
            found = invert(G, target, SQUARES, method, budget=60, start=start, metric=metric_of(matrix))
            paths[name, method] = found.trace.distances
    for method in ("metric-newton", "levenberg-marquardt", "adam-eigen"):
        assert torch.allclose(paths["plain", method], paths["turned", method], rtol=1e-6, atol=1e-12)
    assert not torch.allclose(paths["plain", "adam"], paths["turned", "adam"], rtol=1e-2)


def test_the_fault_is_a_wrong_rotation_and_none_where_axes_agree() -> None:
    def found(method: str, matrix: Tensor) -> Tensor:
        return every(method, budget=200, metric=metric_of(matrix))[2].trace.distances

    agreeing = torch.diag(torch.arange(N, 0, -1).double())
    assert torch.equal(found("basincma", agreeing), found("basincma-faulty", agreeing))
    turned = linear()[1]
    assert not torch.equal(found("basincma", turned), found("basincma-faulty", turned))


def test_the_second_stage_may_have_a_rate_of_its_own() -> None:
    G, matrix = linear()
    target = matrix @ torch.linspace(-1, 1, N).double()

    def found(**options: Any) -> Tensor:
        settings = {"budget": 200, "population": 4, "inner_steps": 3, "learning_rate": 0.1} | options
        return invert(G, target, SQUARES, "basincma", start=torch.zeros(N).double(), **settings).trace.distances

    first = found()
    assert torch.equal(first, found(final_rate=0.1))
    changed = found(final_rate=0.02)
    # Two generations of three steps of four candidates, 36 calls each, come first.
    assert torch.equal(first[:6], changed[:6]) and not torch.equal(first, changed)


def test_two_stages_begin_at_the_best_of_several_starts() -> None:
    G, matrix = linear()
    target = matrix @ torch.ones(N).double()
    starts = torch.stack([torch.full((N,), far) for far in (9.0, 0.5, -9.0)])

    def found(start: Tensor, budget: int) -> Tensor:
        return invert(G, target, SQUARES, "basincma", start=start, budget=budget, population=4).latents

    assert torch.equal(found(starts, 203), found(starts[[1]], 200)), "three calls to look at three"


def test_coarse_to_fine_starts_with_few_axes() -> None:
    G, matrix = linear()
    target = matrix @ torch.ones(N).double()
    metric = metric_of(matrix)
    found = invert(
        G, target, SQUARES, "levenberg-marquardt", budget=1 + 5 * 3 + 5 * 5 + 7, metric=metric, start=torch.zeros(N),
        axes=2, damping=1e-9,
    )  # fmt: skip
    shares = metric.eigenvectors.T @ torch.ones(N).double()
    left = metric.eigenvalues / 2 * shares.square()
    assert float(found.trace.distances[5]) == pytest.approx(float(left[2:].sum()), rel=1e-6)
    assert float(found.trace.distances[10]) == pytest.approx(float(left[4:].sum()), rel=1e-6)
    assert float(found.distances) < 1e-10


def test_a_distance_without_features_serves_all_but_least_squares() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    target = G(G.sample(1, 0))[0].detach()
    ssim = geomlib.load_distance("ssim")
    found = invert(G, target, ssim, "adam", budget=45, learning_rate=0.2)
    assert float(found.distances) < float(found.trace.distances[0])
    with pytest.raises(ValueError, match="levenberg-marquardt needs features, which ssim has not"):
        invert(G, target, ssim, "levenberg-marquardt", budget=45)


def test_an_image_of_a_network_is_found() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    z = G.sample(1, 3)[0]
    start = z + 0.3 * G.sample(1, 4)[0]
    d = geomlib.load_distance("mse")
    metric = geomlib.metric_tensor(G, G.sample(1, 5)[0], d)
    found = invert(G, G(z[None])[0], d, "metric-newton", budget=240, metric=metric, start=start)
    assert float(found.distances) < 1e-3 * float(found.trace.distances[0])


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"image": torch.zeros(3, 8, 8)}, r"image: expected shape \(3, 64, 64\), or several of it, got \(3, 8, 8\)"),
    ({"image": torch.zeros(0, 3, 64, 64)}, "image: expected shape"),
    ({"image": torch.full((3, 64, 64), 255.0)}, r"image: expected values in \[0, 1\], got 255 to 255"),
    ({"method": "newton"}, "method: expected one of 'adam'"),
    ({"sigma": 1.0}, "option of adam: expected one of 'learning_rate', 'betas', got 'sigma'"),
    ({"budget": 2}, "budget: expected enough calls for one step of adam on 1 starts"),
    ({"budget": 0, "method": "cma"}, "budget: expected enough calls for one step of cma on 1 starts"),
    ({"budget": 1, "method": "bfgs"}, "budget: expected enough calls for one step of bfgs on 1 starts"),
    ({"budget": 40, "method": "basincma"}, "budget: expected enough calls for one step of basincma on 1 starts"),
    ({"method": "basincma", "inner_steps": 0}, "inner_steps: expected a positive integer, got 0"),
    ({"method": "basincma", "population": None}, "population: expected a positive integer, got None"),
    ({"method": "cma", "population": 1}, "population: expected at least 2, got 1"),
    ({"method": "cma", "sigma": 0}, "sigma: expected a positive number, got 0"),
    ({"learning_rate": "fast"}, "learning_rate: expected a positive number, got 'fast'"),
    ({"method": "bfgs", "damping": math.nan}, "damping: expected a positive number, got nan"),
    ({"method": "levenberg-marquardt", "axes": -1}, "axes: expected a positive integer, got -1"),
    ({"start": torch.zeros(0, 64)}, r"start: expected shape \(64,\), .*, got \(0, 64\)"),
    ({"restarts": 0}, "restarts: expected a positive integer, got 0"),
    ({"start": torch.zeros(3)}, r"start: expected shape \(64,\), \(R, 64\) or \(1, R, 64\), got \(3,\)"),
    ({"metric": metric_of(torch.eye(3).double())}, r"metric: expected one matrix \(64, 64\), got \(3, 3\)"),
]


@pytest.mark.parametrize(("wrong", "message"), ERRORS)
def test_errors_name_the_argument(wrong: dict[str, Any], message: str) -> None:
    G = geomlib.load_generator("shapes-dcgan")
    arguments: dict[str, Any] = {"image": torch.zeros(3, 64, 64), "distance": geomlib.load_distance("mse")}
    with pytest.raises(ValueError, match=message):
        invert(G, **(arguments | wrong))


def test_an_image_that_is_not_finite() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    with pytest.raises(FloatingPointError, match="image: 1 of 12288 values not finite"):
        image = torch.zeros(3, 64, 64)
        image[1, 2, 3] = math.nan
        invert(G, image, geomlib.load_distance("mse"))


# What a search costs.


def test_rows_of_a_trace_within_calls() -> None:
    trace = Trace(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3]), torch.zeros(3, 2), torch.zeros(3, 2, N))
    assert trace.calls().tolist() == [3, 6, 9]
    assert rows_within(trace, torch.tensor([1.0, 3.0, 5.9, 6.0, 100.0])).tolist() == [0, 0, 0, 1, 2]


def test_cost_ratio_of_two_searches() -> None:
    """The first ends at a median of 2 after 30 calls; the other is there after 10, or never."""
    costs, values = torch.tensor([10, 20, 30]), torch.tensor([[8.0, 6.0, 4.0], [4.0, 4.0, 4.0], [2.0, 1.0, 9.0]])
    others = torch.tensor([[5.0, 5.0, 5.0], [2.0, 2.0, 0.0]])
    assert float(cost_ratio(costs, values, torch.tensor([5, 10]), others)) == 3
    assert float(cost_ratio(costs, values, torch.tensor([5, 10]), others + 1)) == 0
    even = values[:, :2]  # of an even number of targets the median lies between: 1.5
    assert float(cost_ratio(costs, even, torch.tensor([5, 10]), torch.tensor([[1.6, 1.6], [1.4, 1.6]]))) == 3
    with pytest.raises(ValueError, match=r"others: expected shape \(1, 3\), as of other_costs and values"):
        cost_ratio(costs, values, torch.tensor([5]), others)
