"""Operators against float64 Hessians, closed forms, scipy and one another; routes; refusals."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn
from torch.nn import functional

import geomlib
from geomlib.derivatives.gram import gram, triangle
from geomlib.derivatives.jacobian import arithmetic
from geomlib.operators import FiniteDifferenceOperator, HessianOperator, PullbackOperator, metric_operator

N = 5
METHODS = ("pullback", "backward", "forward")
MSE = geomlib.load_distance("mse")
SSIM = geomlib.load_distance("ssim", dtype=torch.float64)
# A squared distance that is given by its value alone, and has a known Hessian: that of MSE.
PLAIN = geomlib.Distance("plain", value=lambda x, y: (1 - torch.cos(x - y)).flatten(1).mean(1) * 2)


def network(seed: int = 0, activation: type[nn.Module] = nn.Tanh, size: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    dense = nn.Linear(N, 12), activation(), nn.Linear(12, 3 * size**2)
    picture = nn.Unflatten(1, (3, size, size)), nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()
    return nn.Sequential(*dense, *picture).double().eval()


def generator(seed: int = 0, activation: type[nn.Module] = nn.Tanh, size: int = 4) -> geomlib.Generator:
    return geomlib.Generator(network(seed, activation, size), N)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def reference(G: geomlib.Generator, z: Tensor, distance: geomlib.Distance) -> Tensor:
    """The definition, by `torch.func.hessian`."""
    image = G(z[None]).detach()
    return torch.func.hessian(lambda p: distance(G(p[None]), image)[0])(z).detach()


@pytest.mark.parametrize("distance", [MSE, PLAIN, SSIM], ids=lambda d: d.name)
@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_the_hessian(method: str, distance: geomlib.Distance) -> None:
    G = generator(size=12 if distance is SSIM else 4)
    z = G.sample(1, seed=5)[0]
    expected = reference(G, z, distance)
    operator = metric_operator(G, z, distance, method)
    bound = 1e-6 if method == "forward" else 1e-11
    assert relative(operator.to_dense(), expected) < bound
    assert relative(operator.matmat(torch.eye(N, dtype=torch.float64)), expected) < bound
    v = torch.arange(1.0, N + 1, dtype=torch.float64)
    assert relative(operator.matvec(v), expected @ v) < bound
    assert relative(geomlib.metric_tensor(G, z, distance, method).matrix, expected) < bound


@pytest.mark.parametrize("method", METHODS)
def test_scipy_takes_the_operator(method: str) -> None:
    G = generator()
    z = G.sample(1, seed=1)[0]
    operator = metric_operator(G, z, MSE, method)
    linear = operator.as_linear_operator()
    assert linear.shape == operator.shape == (N, N) and linear.dtype == "float64"
    top = eigsh(linear, k=2, return_eigenvectors=False)
    exact = torch.linalg.eigvalsh(reference(G, z, MSE))[-2:]
    assert top == pytest.approx(exact.numpy(), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["pullback", "backward"]))
def test_symmetric_positive_and_linear(seed: int, method: str) -> None:
    G = generator(seed)
    operator = metric_operator(G, G.sample(1, seed)[0], MSE, method)
    random = torch.Generator().manual_seed(seed)
    U, V = (torch.randn(N, 3, generator=random, dtype=torch.float64) for _ in range(2))
    size = float(operator.to_dense().norm())
    assert torch.allclose(U.mT @ operator.matmat(V), operator.matmat(U).mT @ V, atol=1e-12 * size * 30)
    assert torch.allclose(operator.matmat(2 * U - V), 2 * operator.matmat(U) - operator.matmat(V), atol=1e-11 * size)
    assert bool(((V * operator.matmat(V)).sum(0) >= -1e-12 * size).all())


@pytest.mark.parametrize("distance", [MSE, PLAIN], ids=lambda d: d.name)
@pytest.mark.parametrize("tile", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_blocks_and_tiles_do_not_matter(distance: geomlib.Distance, tile: int, block: int) -> None:
    G = generator()
    z = G.sample(1, seed=3)[0]
    operator = PullbackOperator(G, z, distance, tile=tile)
    operator.tiling.block = block
    assert relative(operator.to_dense(), reference(G, z, distance)) < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_at_another_latent(method: str) -> None:
    """The same as an operator made there, with the tile of the first one; what was made for that does not remain."""
    G = generator()
    first, second = G.sample(2, seed=3)
    operator = metric_operator(G, first, MSE, method, tile=2)
    before, operator.tiling.tile = operator.to_dense(), 3
    moved, anew = operator.at(second), metric_operator(G, second, MSE, method, tile=3)
    assert type(moved) is type(operator) and moved.settings() == operator.settings() | {"tile": "3"}
    assert torch.equal(moved.to_dense(), anew.to_dense()) and torch.equal(operator.at(first).z, first)
    assert relative(operator.to_dense(), before) < 1e-13
    with pytest.raises(ValueError, match=r"z: expected shape \(5,\)"):
        operator.at(second[:4])


def test_a_step_follows_the_latent() -> None:
    G = generator()
    first, second = G.sample(2, seed=3)
    operator = FiniteDifferenceOperator(G, first, MSE, relative_step=0.1)
    assert operator.at(second).step == pytest.approx(0.1 * float(second.norm()))
    assert FiniteDifferenceOperator(G, first, MSE, absolute_step=0.1).at(second).step == 0.1


def test_vectors_keep_their_dtype_and_the_network_its_own() -> None:
    G = generator().to("cpu", torch.float32)
    operator = PullbackOperator(G, G.sample(1, seed=0)[0], MSE)
    assert operator.dtype == torch.float32 and operator.device == torch.device("cpu")
    assert operator.matvec(torch.ones(N, dtype=torch.float64)).dtype == torch.float64
    assert operator.matvec(torch.ones(N)).dtype == torch.float32


# Operations without a JVP rule, and without a second derivative.


class Plain(torch.autograd.Function):
    """The exponential in the old style, which `torch.func` does not take."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].exp()


class Once(Plain):
    """The same, differentiable only once; autograd would leave it out of a second derivative without a word."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].exp()


class Lost(Plain):
    """The same, with a derivative that autograd takes for a constant."""

    @staticmethod
    def backward(ctx, gradient):
        return gradient.detach() * ctx.saved_tensors[0].exp()


def sampled(z: Tensor) -> Tensor:
    """A picture drawn by the network and turned by `grid_sample`, which has no JVP rule."""
    angle = 0.1 * z[:, 0]
    rows = [
        torch.stack([angle.cos(), -angle.sin(), 0 * angle], 1),
        torch.stack([angle.sin(), angle.cos(), 0 * angle], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), [len(z), 3, 4, 4], align_corners=False)
    return functional.grid_sample(network().to(z.dtype)(z), grid, align_corners=False)


def attention(z: Tensor) -> Tensor:
    tokens = torch.einsum("bi,bj->bij", z, z.cos())[:, None]
    return functional.scaled_dot_product_attention(tokens, tokens.sin(), tokens)


def raw(function, dtype: torch.dtype = torch.float64) -> geomlib.Generator:
    return geomlib.Generator(function, N, output_range=None).to("cpu", dtype)


@pytest.mark.parametrize(
    ("function", "route", "bound"),
    [
        (lambda z: (z @ z.new_tensor([[0.1, 0.2, 0.3, 0.4, 0.5]]).mT).exp() * z.cos(), "JVP", 1e-13),
        (attention, "JVP", 1e-12),
        (sampled, "double VJP", 1e-12),
        (lambda z: Plain.apply(z.cos()) * z.sum(1, keepdim=True), "double VJP", 1e-12),
        (lambda z: Once.apply(z.cos()) * z.sum(1, keepdim=True), "differences", 1e-7),
    ],
    ids=["plain", "attention", "grid_sample", "custom", "custom once"],
)
def test_routes(function, route: str, bound: float, caplog: pytest.LogCaptureFixture) -> None:
    G = raw(function)
    latents = G.sample(3, seed=2)
    with caplog.at_level(logging.WARNING):
        metric = geomlib.metric_tensor(G, latents, MSE)
    assert metric.settings["route"] == route
    recorded = route == "JVP"
    assert metric.settings["recorded"] == str(recorded)
    if function is not sampled:  # which is recorded, but cannot be replayed
        assert bool(PullbackOperator(G, latents[0], MSE).linear.tape) == recorded
    # It says so once a step down, not once a position.
    assert len(caplog.records) == {"JVP": 0, "double VJP": 1, "differences": 2}[route]
    step, basis = 1e-6, torch.eye(N, dtype=torch.float64)
    for z, H in zip(latents, metric.matrix, strict=True):
        J = torch.stack([(G((z + step * e)[None]) - G((z - step * e)[None])).flatten() / (2 * step) for e in basis], 1)
        assert relative(H, (2 / len(J) * J.mT @ J).detach()) < 1e-7
    if route == "differences":
        with pytest.raises(NotImplementedError, match="cannot be differentiated twice"):
            geomlib.metric_tensor(G, latents, MSE, "backward")
    else:
        assert relative(metric.matrix, geomlib.metric_tensor(G, latents, MSE, "backward").matrix) < bound


def test_double_vjp_equals_jvp() -> None:
    G = generator(activation=nn.ReLU)
    z = G.sample(1, seed=0)[0]
    forward, backward = PullbackOperator(G, z, MSE), PullbackOperator(G, z, MSE)
    backward.linear.route = "double VJP"
    eye = torch.eye(N, dtype=torch.float64)
    assert torch.allclose(forward.columns(eye), backward.columns(eye), rtol=1e-12, atol=1e-15)


def test_a_derivative_that_is_lost_is_noticed() -> None:
    G = raw(lambda z: Lost.apply(z.cos()) * z.sum(1, keepdim=True))
    same = raw(lambda z: z.cos().exp() * z.sum(1, keepdim=True))
    z = G.sample(1, seed=0)[0]
    metric = geomlib.metric_tensor(G, z, MSE)
    assert metric.settings["route"] == "differences"
    assert relative(metric.matrix, geomlib.metric_tensor(same, z, MSE).matrix) < 1e-7


def test_a_broken_generator_is_not_blamed_on_the_route() -> None:
    def broken(z: Tensor) -> Tensor:
        raise RuntimeError("the real reason")

    with pytest.raises(RuntimeError, match="the real reason"):
        geomlib.metric_tensor(raw(broken), torch.zeros(N, dtype=torch.float64), MSE)


# Objectives and steps.


def test_hessian_of_a_unit() -> None:
    """A quadratic unit on a linear map has the Hessian 2 Aᵀ B A; on a linear one it has none."""
    random = torch.Generator().manual_seed(0)
    A = torch.randn(7, N, generator=random, dtype=torch.float64)
    B = torch.randn(7, 7, generator=random, dtype=torch.float64)
    G, z = raw(lambda z: z @ A.mT), torch.randn(N, generator=random, dtype=torch.float64)
    expected = A.mT @ (B + B.mT) @ A
    for kind in (HessianOperator, FiniteDifferenceOperator):
        unit = kind(G, z, lambda x: torch.einsum("bi,ij,bj->b", x, B, x))
        assert relative(unit.to_dense(), expected) < 1e-8
    assert not HessianOperator(G, z, lambda x: x.sum()).to_dense().any()
    with pytest.raises(ValueError, match=r"objective: expected one number for one image, got shape \(1, 7\)"):
        HessianOperator(G, z, lambda x: x).to_dense()


def test_steps_of_differences() -> None:
    """The error of central differences falls with the square of the step; at the origin the step is absolute."""
    G = raw(lambda z: z.sin() * z.flip(1).exp())
    z = G.sample(1, seed=0)[0]
    expected = reference(G, z, MSE)
    coarse, fine = (
        relative(FiniteDifferenceOperator(G, z, MSE, relative_step=s).to_dense(), expected) for s in (2e-2, 1e-2)
    )
    assert coarse / fine == pytest.approx(4, rel=0.05)
    assert FiniteDifferenceOperator(G, z, MSE, relative_step=0.1).step == pytest.approx(0.1 * float(z.norm()))
    assert FiniteDifferenceOperator(G, z, MSE, absolute_step=0.1).step == 0.1
    origin = torch.zeros(N, dtype=torch.float64)
    at_origin = FiniteDifferenceOperator(G, origin, MSE)
    assert at_origin.step == 1e-6
    assert relative(at_origin.to_dense(), reference(G, origin, MSE)) < 1e-7
    with pytest.raises(ValueError, match="relative_step, absolute_step: expected positive numbers"):
        FiniteDifferenceOperator(G, z, MSE, relative_step=0.0)


# Refusals.


def test_pullback_refuses_what_it_cannot_do() -> None:
    G = generator()
    z = G.sample(1, seed=0)[0]
    shifted = geomlib.Distance("shifted", value=lambda x, y: (x - y + 0.3).square().flatten(1).mean(1))
    root = geomlib.Distance("root", value=lambda x, y: (x - y).square().flatten(1).mean(1).sqrt())
    for distance in (shifted, root):
        with pytest.raises(ValueError, match="expected zero, as of a squared distance; use method='backward'"):
            metric_operator(G, z, distance)
    assert relative(HessianOperator(G, z, shifted).to_dense(), reference(G, z, shifted)) < 1e-12
    noisy = generator()
    noisy.deterministic = False
    with pytest.raises(ValueError, match="its noise is drawn anew in each call"):
        metric_operator(noisy, z, MSE)
    assert metric_operator(noisy, z, MSE, "backward").to_dense().any()


def test_bad_arguments_are_named() -> None:
    G = generator()
    z = G.sample(2, seed=0)
    with pytest.raises(ValueError, match=r"z: expected shape \(5,\), got \(2, 5\)"):
        metric_operator(G, z, MSE)
    with pytest.raises(ValueError, match="precision: expected one of 'full', 'tf32', got 'half'"):
        metric_operator(G, z[0], MSE, precision="half")
    with pytest.raises(ValueError, match="tile: expected a positive integer, got 0"):
        metric_operator(G, z[0], MSE, tile=0)
    with pytest.raises(ValueError, match=r"V: expected shape \(5, k\)"):
        metric_operator(G, z[0], MSE).matmat(torch.zeros(4, 2))
    with pytest.raises(FloatingPointError, match="z: 1 of 5"):
        metric_operator(G, torch.where(torch.arange(N) == 2, torch.nan, z[0]), MSE)


# Arithmetic.


def test_arithmetic_is_set_and_restored() -> None:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    for precision in ("full", "tf32"):
        with arithmetic(precision):
            assert (products.allow_tf32, convolutions.allow_tf32) == (precision == "tf32",) * 2
        assert (products.allow_tf32, convolutions.allow_tf32) == before


@pytest.mark.parametrize("columns", [3, 60, 131])
def test_gram_in_float64(columns: int) -> None:
    rows = torch.randn(columns, 20_000, generator=torch.Generator().manual_seed(0))
    expected = rows.double() @ rows.double().mT
    assert torch.allclose(gram(rows, rows), expected, rtol=1e-12, atol=1e-9)
    assert torch.equal(gram(rows, rows), gram(rows, rows).mT)
    other = rows[: columns // 2 + 1].clone()
    assert torch.allclose(gram(rows, other), expected[:, : len(other)], rtol=1e-12, atol=1e-9)


def test_a_triangle_in_float32_knows_small_eigenvalues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a Gram matrix in float32 has lost them."""
    random = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(m, 24, generator=random, dtype=torch.float64)).Q for m in (30_000, 24))
    exact = torch.logspace(0, -4.5, 24, dtype=torch.float64)
    rows = (right * exact @ left.mT).float()
    assert triangle(rows).shape == (24, 24)
    monkeypatch.setattr("geomlib.derivatives.gram.slow_float64", lambda device: True)
    by_triangle = torch.linalg.eigvalsh(gram(rows, rows)).flip(0)
    assert float((by_triangle / exact.square() - 1).abs().max()) < 0.02
    lost = torch.linalg.eigvalsh((rows @ rows.mT).double()).flip(0)
    assert float((lost / exact.square() - 1).abs().max()) > 0.1


def test_columns_take_vectors_of_any_dtype() -> None:
    """The axes of a metric are float64; a float32 network is not to leave its recording for them."""
    G = geomlib.load_generator("shapes-dcgan")
    operator = PullbackOperator(G, G.sample(1, seed=0)[0], MSE)
    rows = torch.eye(G.latent_dim, dtype=torch.float64)[:3]
    assert torch.equal(operator.columns(rows), operator.columns(rows.float()))
    assert operator.linear.tape and operator.linear.route == "JVP"
