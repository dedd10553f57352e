"""What PyTorch is set to around a call does not reach its result."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import geomlib
from geomlib import _state
from geomlib.applications import controls, coordinates, directions, geodesics, inversion
from geomlib.applications import riemannian as curvature
from geomlib.check.report import Report
from geomlib.generators.spaces import as_generator


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


STATES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "bfloat16 autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "float16 autocast": partial(torch.autocast, "cpu", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "float64 by default": partial(default_dtype, torch.float64),
    "bfloat16 by default": partial(default_dtype, torch.bfloat16),
}


def made() -> geomlib.Generator:
    """A network with products of every kind that autocast rounds, and numbers of the default dtype on the way."""

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(6, 32), nn.Conv2d(2, 3, 3)

        def forward(self, z: Tensor) -> Tensor:
            features = self.first(z * torch.linspace(0.1, 1, 6)).tanh().reshape(-1, 2, 4, 4)
            return torch.tanh(self.last(features @ torch.full((4, 4), 1 / 3)))

    return geomlib.Generator(Network().eval(), 6, default_distance="mse", name="products")


def tensors(result: object) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        return [x for value in result.values() for x in tensors(value)]
    if isinstance(result, list | tuple):
        return [x for value in result for x in tensors(value)]
    return [x for value in getattr(result, "__dict__", {}).values() for x in tensors(value)]


def check(report: Report) -> Tensor:
    assert not report.problems
    text = next(row.finding for row in report.rows if row.name == "derivative")
    return torch.tensor([ord(letter) for letter in text])


def objective(image: Tensor) -> Tensor:
    return (image.flatten(1) @ torch.linspace(-1, 1, 12)).square()


CALLS: dict[str, Callable[[geomlib.Generator, Tensor, geomlib.Distance], object]] = {
    "image": lambda G, z, d: G(z),
    "distance": lambda G, z, d: d(G(z[:1]), G(z[1:])),
    "sample": lambda G, z, d: G.sample(20, seed=3),
    "shape": lambda G, z, d: torch.tensor(G.image_shape),
    **{
        method: (lambda G, z, d, method=method: geomlib.metric_tensor(G, z, d, method))
        for method in ("pullback", "backward", "forward")
    },
    "without features": lambda G, z, d: geomlib.metric_tensor(
        G, z, geomlib.Distance("own", value=lambda x, y: (x - y).square().flatten(1).mean(1))
    ),
    "jacobian": lambda G, z, d: geomlib.metric.jacobian(G, z[0], d),
    "products": lambda G, z, d: geomlib.metric_operator(G, z[0], d).matmat(torch.eye(6, dtype=torch.float64)),
    "congruence": lambda G, z, d: geomlib.metric_operator(G, z[0], d, "backward").matvec(z[1].double()),
    "Hessian": lambda G, z, d: geomlib.operators.HessianOperator(G, z[0], objective).to_dense(),
    "eigenpairs": lambda G, z, d: geomlib.top_eigenpairs(G, z[0], d, k=2, solver="lanczos"),
    "other latent": lambda G, z, d: geomlib.metric_operator(G, z[0], d).at(z[1]).to_dense(),
    "layers": lambda G, z, d: geomlib.layers.layer_metrics(G, z, geomlib.layers.layer_names(G)),
    "traverse": lambda G, z, d: geomlib.traverse(G, z[0], z[1], [0.1, 0.2], "spherical", "metric"),
    "latents along": lambda G, z, d: geomlib.latents_along(z[0], z[1], [0.1, 0.2], "spherical"),
    "check": lambda G, z, d: check(geomlib.check_generator(G, d)),
    "coordinates": lambda G, z, d: coordinates.standard(6).coordinates(z),
    "SeFa": lambda G, z, d: directions.sefa(G, 2),
    "local basis": lambda G, z, d: directions.local_basis(G, z[0], "first", 2),
    "control": lambda G, z, d: controls.reinitialised(G, 0)(z),
    "energy": lambda G, z, d: geodesics.energy(G, geodesics.straight(z[0], z[1], 4), d),
    "geodesic": lambda G, z, d: geodesics.geodesic(G, z[0], z[1], d, points=4),
    "curvature": lambda G, z, d: curvature.curvature(G, z[0], *torch.eye(6)[:2], d),
    "inversion": lambda G, z, d: inversion.invert(G, G(z[:1]), d, method="adam", budget=12, seed=0).latents,
}


@pytest.mark.parametrize("name", CALLS)
def test_no_state_reaches_a_result(name: str) -> None:
    def result() -> list[Tensor]:
        return tensors(CALLS[name](G, G.sample(2, seed=0), geomlib.load_distance("mse")))

    G = made()
    expected = result()
    assert expected
    for state, context in STATES.items():
        with context():
            found = result()
            kept = torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        with context():
            assert kept == (torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other), state


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_no_state_reaches_a_loaded_generator(space: str) -> None:
    def images() -> tuple[Tensor, Tensor]:
        G = geomlib.load_generator("shapes-stylegan2", space, truncation=0.7, noise="fresh", noise_seed=1)
        return G.sample(3, seed=0), G(G.sample(1, seed=0))

    expected = images()
    for context in STATES.values():
        with context():
            assert all(map(torch.equal, images(), expected))


def test_derivatives_of_an_image_are_the_caller_s() -> None:
    G = made()
    z = G.sample(2, seed=0)
    assert G(z.requires_grad_()).requires_grad
    with torch.no_grad():
        assert not G(z).requires_grad


APPLICATIONS = ("directions", "factors", "geodesics", "inversion.invert", "riemannian", "search", "shares")
ENGINE = ("check.report", "eigen", "layers", "metric", "operators.methods", "paths")
DOORS = (*ENGINE, *(f"applications.{name}" for name in APPLICATIONS))


def test_every_door_is_isolated() -> None:
    """Public functions of the engine that take a generator; others are made of them."""
    open_doors = []
    for name in DOORS:
        module = importlib.import_module(f"geomlib.{name}")
        for function in vars(module).values():
            if not inspect.isfunction(function) or function.__name__.startswith("_"):
                continue
            kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
            if function.__module__ == module.__name__ and geomlib.Generator in kinds:
                open_doors += [] if getattr(function, "isolated", False) else [f"{name}.{function.__name__}"]
    assert open_doors == ["layers.activation_view"]  # it runs nothing
    assert all(getattr(function, "isolated", False) for function in (geomlib.load_generator, as_generator))


def test_the_default_dtype_follows_the_arguments() -> None:
    @_state.isolated()
    def seen(*_: object, **__: object) -> torch.dtype:
        return torch.get_default_dtype()

    double = torch.zeros(1, dtype=torch.float64)
    assert seen() == seen(1, torch.zeros(1)) == seen(torch.zeros(1).half()) == torch.float32
    assert seen(1, double) == seen(x=double) == torch.float64
    with default_dtype(torch.float64):
        assert seen() == torch.float32
        assert torch.get_default_dtype() == torch.float64
        with pytest.raises(ZeroDivisionError):
            _state.isolated()(lambda: 1 / 0)()
        assert torch.get_default_dtype() == torch.float64


def test_threads_come_one_after_the_other() -> None:
    """Forward mode, the default dtype and the precision on a GPU belong to the process."""

    def case(dtype: torch.dtype) -> tuple[geomlib.Generator, Tensor, geomlib.distances.Distance]:
        G = made().to("cpu", dtype)
        return G, G.sample(1, seed=0), geomlib.load_distance("mse", dtype=dtype)

    def metric(number: int) -> Tensor:
        return geomlib.metric_tensor(*cases[number % 2]).matrix

    cases = [case(torch.float32), case(torch.float64)]
    expected = [metric(0), metric(1)]
    before = torch.get_default_dtype(), torch.backends.cudnn.allow_tf32
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(metric, range(60)))
    assert all(torch.equal(one, expected[number % 2]) for number, one in enumerate(found))
    assert before == (torch.get_default_dtype(), torch.backends.cudnn.allow_tf32)
