"""The metric tensor against closed forms, float64 double backpropagation and `torch.func.hessian`; its properties."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import geomlib
from geomlib.metric import jacobian

METHODS = ("pullback", "backward")
FLOAT32 = 1e-6  # a few units of float32 rounding for these shallow maps
seeds = st.integers(0, 10_000)


def network(seed: int, latent_dim: int = 6, activation: type[nn.Module] = nn.Tanh) -> nn.Module:
    torch.manual_seed(seed)
    return (
        nn.Sequential(
            nn.Linear(latent_dim, 20),
            activation(),
            nn.Linear(20, 48),
            nn.Unflatten(1, (3, 4, 4)),
            nn.Conv2d(3, 3, 3, padding=1),
            nn.Tanh(),
        )
        .double()
        .eval()
    )


def generator(seed: int, activation: type[nn.Module] = nn.Tanh) -> geomlib.Generator:
    return geomlib.Generator(network(seed, activation=activation), 6)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["linear", "sphere", "torus", "normalised"])
def test_closed_forms(name: str, dtype: torch.dtype, method: str) -> None:
    surface = geomlib.load_generator(name, dtype=dtype)
    latents = surface.sample(4, seed=1)
    metric = geomlib.metric_tensor(surface, latents, geomlib.load_distance("mse"), method)
    expected = torch.stack([surface.first_fundamental_form(z.double()) for z in latents]) * 2 / surface.image_shape[0]
    assert metric.matrix.dtype == torch.float64
    assert relative(metric.matrix, expected) < (FLOAT32 if dtype == torch.float32 else 1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_rank_deficiency_lies_below_the_noise_floor(method: str) -> None:
    surface = geomlib.load_generator("normalised")
    z = torch.tensor([0.3, -1.0, 0.5])
    metric = geomlib.metric_tensor(surface, z, geomlib.load_distance("mse"), method)
    assert (metric.eigenvalues > metric.noise_floor).tolist() == [True, True, False]
    radial = metric.eigenvectors[:, 2]
    assert abs(float(radial @ (z / z.norm()).double())) > 1 - 1e-6


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("method", METHODS)
def test_against_torch_hessian(method: str, activation: type[nn.Module]) -> None:
    G, distance = generator(3, activation), geomlib.load_distance("mse")
    z = G.sample(1, seed=5)[0]
    reference = G(z[None])
    hessian = torch.func.hessian(lambda p: (G(p[None]) - reference).square().mean())(z)
    assert relative(geomlib.metric_tensor(G, z, distance, method).matrix, hessian.detach()) < 1e-12


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_symmetric_positive_and_decomposed(seed: int) -> None:
    G = generator(seed)
    metric = geomlib.metric_tensor(G, G.sample(3, seed), geomlib.load_distance("mse"))
    H, w, V = metric.matrix, metric.eigenvalues, metric.eigenvectors
    assert torch.equal(H, H.mT)
    assert bool((w >= -metric.noise_floor[:, None]).all())
    assert bool((w.diff(dim=-1) <= 0).all())
    assert torch.allclose(H @ V, V * w[:, None, :], atol=1e-12 * float(w.max()))
    assert bool((V.gather(1, V.abs().argmax(1, keepdim=True)) > 0).all())


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_change_of_coordinates(seed: int) -> None:
    """The metric of G∘A at z is Aᵀ H(Az) A."""
    inner = network(seed)
    A = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    composed = geomlib.Generator(lambda z: inner(z.double() @ A.T), 6).to("cpu", torch.float64)
    z = torch.randn(6, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    distance = geomlib.load_distance("mse")
    H = geomlib.metric_tensor(geomlib.Generator(inner, 6), A @ z, distance).matrix
    assert relative(geomlib.metric_tensor(composed, z, distance).matrix, A.T @ H @ A) < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_scaling_the_distance_scales_the_metric(method: str) -> None:
    G = generator(0)
    z = G.sample(1, seed=0)[0]
    once, nine_fold = (geomlib.Distance("scaled", lambda x, k=k: k * x.flatten(1)) for k in (1.0, 3.0))
    H, nine_H = (geomlib.metric_tensor(G, z, d, method).matrix for d in (once, nine_fold))
    assert torch.allclose(nine_H, 9 * H, rtol=1e-12)


def test_batch_tile_and_single_position_agree() -> None:
    G, distance = generator(1), geomlib.load_distance("mse")
    latents = G.sample(3, seed=2)
    together = geomlib.metric_tensor(G, latents, distance)
    assert together.matrix.shape == (3, 6, 6)
    for tile in (1, 4):
        assert torch.allclose(
            geomlib.metric_tensor(G, latents, distance, tile=tile).matrix, together.matrix, rtol=1e-12
        )
    assert torch.allclose(geomlib.metric_tensor(G, latents[1], distance).matrix, together[1].matrix, rtol=1e-12)


def test_the_noise_floor_is_where_float32_stops_to_tell() -> None:
    """With a spectrum of sixteen decades, eigenvalues above the floor are right to 10 %, in float32."""
    torch.manual_seed(0)
    q = [torch.linalg.qr(torch.randn(32, 32, dtype=torch.float64)).Q for _ in range(2)]
    net = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Tanh(), nn.Linear(32, 256), nn.Tanh(), nn.Linear(256, 512))
    net[0].weight.data = (q[0] * torch.logspace(0, -8, 32, dtype=torch.float64) @ q[1].T).float()
    single = geomlib.Generator(net.eval(), 32, output_range=None)
    z, distance = single.sample(1, seed=0)[0], geomlib.load_distance("mse")
    rough = geomlib.metric_tensor(single, z, distance)
    exact = geomlib.metric_tensor(single.to("cpu", torch.float64), z, distance)
    above = rough.eigenvalues > rough.noise_floor
    assert 20 < int(above.sum()) < 32
    assert float((rough.eigenvalues / exact.eigenvalues - 1).abs()[above].max()) < 0.1


def test_the_trained_generator_against_float64_double_backpropagation() -> None:
    exact, rough = (geomlib.load_generator("shapes-dcgan", dtype=dtype) for dtype in (torch.float64, torch.float32))
    latents = rough.sample(1, seed=11)
    distances = [geomlib.load_distance("lpips-squeeze", dtype=G.dtype, pretrained=False) for G in (exact, rough)]
    reference = geomlib.metric_tensor(exact, latents, distances[0], "backward")
    metric = geomlib.metric_tensor(rough, latents, distances[1])
    for H, reference_H in zip(metric.matrix, reference.matrix, strict=True):
        assert relative(H, reference_H) <= 1e-5


def test_jacobian_columns_are_directional_derivatives() -> None:
    G, distance = generator(2), geomlib.load_distance("mse")
    z, step = G.sample(1, seed=3)[0], 1e-6
    J = jacobian(G, z, distance)
    for k in range(6):
        e = step * torch.eye(6, dtype=torch.float64)[k]
        difference = (distance.features(G((z + e)[None])) - distance.features(G((z - e)[None])))[0] / (2 * step)
        assert torch.allclose(J[:, k], difference, atol=1e-9)


def test_average_is_the_mean_of_the_matrices() -> None:
    G = generator(4)
    metrics = geomlib.metric_tensor(G, G.sample(5, seed=0), geomlib.load_distance("mse"))
    mean = geomlib.average(metrics)
    assert torch.allclose(mean.matrix, metrics.matrix.mean(0))
    assert mean.eigenvalues.shape == (6,)
    with pytest.raises(ValueError, match="several positions"):
        geomlib.average(mean)


def test_save_and_load(tmp_path) -> None:
    G = generator(5)
    metric = geomlib.metric_tensor(G, G.sample(2, seed=0), geomlib.load_distance("mse"))
    metric.save(tmp_path / "metric.safetensors")
    loaded = geomlib.load_metric(tmp_path / "metric.safetensors")
    for name in ("matrix", "eigenvalues", "eigenvectors", "noise_floor"):
        assert torch.equal(getattr(loaded, name), getattr(metric, name))
    with pytest.raises(FileNotFoundError, match="no file"):
        geomlib.load_metric(tmp_path / "absent")


def test_nothing_is_changed_and_progress_is_told() -> None:
    G = generator(6)
    latents = G.sample(3, seed=0)
    before, state = latents.clone(), {k: v.clone() for k, v in G.module.state_dict().items()}
    told: list[tuple[int, int]] = []
    geomlib.metric_tensor(G, latents, geomlib.load_distance("mse"), progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(latents, before)
    assert all(torch.equal(state[key], value) for key, value in G.module.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in G.module.parameters())


def test_bad_input_is_named() -> None:
    G, mse = generator(0), geomlib.load_distance("mse")
    z = G.sample(1, seed=0)[0]
    with pytest.raises(ValueError, match=r"z: expected shape \(6,\) or \(P, 6\), got \(5,\)"):
        geomlib.metric_tensor(G, z[:5], mse)
    with pytest.raises(ValueError, match="method: expected one of 'pullback', 'backward', 'forward', got 'exact'"):
        geomlib.metric_tensor(G, z, mse, "exact")
    with pytest.raises(TypeError, match="floating-point"):
        geomlib.metric_tensor(G, torch.zeros(6, dtype=torch.long), mse)
    with pytest.raises(FloatingPointError, match=r"z: 1 of 6"):
        geomlib.metric_tensor(G, torch.where(torch.arange(6) == 2, torch.nan, z), mse)


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_without_gradient_is_refused(method: str) -> None:
    inner = network(0)
    detached = geomlib.Generator(lambda z: inner(z.double()).detach(), 6)
    with pytest.raises(ValueError, match="no derivative of the image reaches the latent"):
        geomlib.metric_tensor(detached, detached.sample(1, seed=0), geomlib.load_distance("mse"), method)


def test_nan_weights_are_named_with_the_position() -> None:
    module = network(0)
    with torch.no_grad():
        module[2].weight[3, 3] = torch.nan
    broken = geomlib.Generator(module, 6)
    with pytest.raises(FloatingPointError, match="image at position 0"):
        geomlib.metric_tensor(broken, broken.sample(2, seed=0), geomlib.load_distance("mse"))


def random_function(kind: str) -> Callable[[Tensor], Tensor]:
    weight = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))

    class Backward(torch.autograd.Function):
        """An operation that neither a JVP nor a recording can follow."""

        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    random = torch.Generator().manual_seed(0)
    return {
        "dropout": lambda z: functional.dropout(z, 0.5) @ weight,
        "noise that is added": lambda z: (z @ weight).tanh() + 0.1 * torch.randn(12),
        "noise that multiplies": lambda z: torch.rand(6) * (z @ weight).tanh()[:, :6],
        "noise like the latent": lambda z: torch.rand_like(z) * z,
        "noise from a generator": lambda z: z * torch.randn(6, generator=random),
        "in place": lambda z: (z @ weight).tanh() * torch.empty(12).normal_(),
        "in another route": lambda z: Backward.apply(z) @ weight + torch.randn(12),
        "a choice": lambda z: (z @ weight)[:, torch.randperm(12)].tanh(),
    }[kind]


RANDOM = (
    "dropout",
    "noise that is added",
    "noise that multiplies",
    "noise like the latent",
    "noise from a generator",
    "in place",
    "in another route",
    "a choice",
)


@pytest.mark.parametrize("method", ["pullback", "backward", "forward"])
@pytest.mark.parametrize("kind", RANDOM)
def test_random_operations_are_refused_by_name(kind: str, method: str) -> None:
    G = geomlib.Generator(random_function(kind), 6, output_range=None)
    with pytest.raises(ValueError, match=r"generator: aten\.\w+ draws new random numbers in each call"):
        geomlib.metric_tensor(G, G.sample(1, 0), geomlib.load_distance("mse"), method)


def test_a_random_distance_is_refused() -> None:
    G = geomlib.Generator(lambda z: z.sin(), 6, output_range=None)
    for d in (
        geomlib.Distance("features", lambda x: functional.dropout(x)),
        geomlib.Distance("value", value=lambda x, y: functional.dropout((x - y).square()).sum(1)),
    ):
        for method in ("pullback", "backward"):
            with pytest.raises(ValueError, match="draws new random numbers"):
                geomlib.metric_tensor(G, G.sample(1, 0), d, method)


def test_what_is_drawn_from_a_seed_of_its_own_is_taken() -> None:
    weight = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))

    def fixed(z: Tensor) -> Tensor:
        return (z @ weight + torch.randn(12, generator=torch.Generator().manual_seed(1))).tanh()

    G = geomlib.Generator(fixed, 6, output_range=None)
    z, d = G.sample(2, 0), geomlib.load_distance("mse")
    slope = 1 - fixed(z).double().square()
    exact = 2 / 12 * torch.einsum("im,pm,jm->pij", weight.double(), slope.square(), weight.double())
    for method in ("pullback", "backward"):
        assert torch.allclose(geomlib.metric_tensor(G, z, d, method).matrix, exact, rtol=1e-4, atol=1e-5)


def test_what_is_declared_random_is_differentiated_by_backward_alone() -> None:
    G = geomlib.Generator(random_function("noise that is added"), 6, output_range=None, deterministic=False)
    d = geomlib.load_distance("mse")
    assert geomlib.metric_tensor(G, G.sample(1, 0), d, "backward").matrix.any()
    for method in ("pullback", "forward"):
        with pytest.raises(ValueError, match="its noise is drawn anew in each call"):
            geomlib.metric_tensor(G, G.sample(1, 0), d, method)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision(dtype: torch.dtype, tolerance: float) -> None:
    """Exact methods lose what the precision loses; differences would lose everything, and say so."""
    torch.manual_seed(0)
    exact = geomlib.Generator(nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 48)).eval(), 6, None)
    z, G = exact.sample(2, 0), exact.to("cpu", dtype)
    d, half = geomlib.load_distance("mse"), geomlib.load_distance("mse", "cpu", dtype)
    right = geomlib.metric_tensor(exact, z, d).matrix
    for method in ("pullback", "backward"):
        found = geomlib.metric_tensor(G, z, half, method).matrix
        assert (found - right).norm() < tolerance * right.norm(), method
    with pytest.raises(ValueError, match=f"differences are lost in the rounding of {str(dtype)[6:]}; use method='pull"):
        geomlib.metric_tensor(G, z, half, "forward")
    given = geomlib.operators.FiniteDifferenceOperator(G, z[0], half, relative_step=0.3).to_dense()
    assert (given - right[0]).norm() < 0.2 * right[0].norm()


def test_half_precision_is_not_blamed_on_the_network() -> None:
    G = geomlib.Generator(lambda z: 1e-4 * z.repeat(1, 100), 6, None).to("cpu", torch.float16)
    with pytest.raises(ValueError, match="or too small for this precision: try float32"):
        geomlib.metric_tensor(G, torch.ones(6), geomlib.load_distance("mse", "cpu", torch.float16), "backward")
