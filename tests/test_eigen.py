"""Eigen-solvers against known spectra, scipy and one another; residuals are what they say."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from torch import Tensor

import geomlib
from geomlib.eigen import Eigenpairs, block_krylov, dense, top_eigenpairs
from geomlib.operators import HessianOperator, PullbackOperator

MSE = geomlib.load_distance("mse")
N, OUTPUTS = 96, 150


def linear(values: Tensor, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[geomlib.Generator, Tensor]:
    """A linear generator whose metric under MSE has exactly these eigenvalues, and its eigenvectors."""
    random = torch.Generator().manual_seed(seed)
    n = len(values)
    left, right = (torch.linalg.qr(torch.randn(m, n, generator=random, dtype=torch.float64)).Q for m in (OUTPUTS, n))
    A = ((left * (values * OUTPUTS / 2).sqrt()) @ right.mT).to(dtype)
    return geomlib.Generator(lambda z: z @ A.mT, n, output_range=None).to("cpu", dtype), right


STEEP = torch.logspace(0, -10, N, dtype=torch.float64)
FLAT = torch.linspace(2, 1, N, dtype=torch.float64)


def operator(values: Tensor, seed: int = 0) -> PullbackOperator:
    G, _ = linear(values, seed)
    return PullbackOperator(G, torch.zeros(len(values), dtype=torch.float64), MSE)


def true_residuals(pairs: Eigenpairs, op: PullbackOperator) -> Tensor:
    V = pairs.eigenvectors
    lengths = (op.to_dense() @ V - V * pairs.eigenvalues).norm(dim=0)
    return lengths / pairs.eigenvalues.abs().clamp(min=pairs.noise_floor)


@pytest.mark.parametrize("block", [None, 1, 3, 30])
@pytest.mark.parametrize("values", [STEEP, FLAT], ids=["steep", "flat"])
def test_block_krylov_finds_a_known_spectrum(values: Tensor, block: int | None) -> None:
    op = operator(values)
    pairs = block_krylov(op, 6, block=block, tol=1e-6)
    assert bool(pairs.converged.all()) and bool((pairs.residuals <= 1e-6).all())
    assert torch.allclose(pairs.eigenvalues, values[:6], rtol=1e-9)
    assert torch.allclose(true_residuals(pairs, op), pairs.residuals, atol=1e-9)
    assert torch.allclose(pairs.eigenvectors.mT @ pairs.eigenvectors, torch.eye(6, dtype=torch.float64), atol=1e-12)
    V = pairs.eigenvectors
    assert bool((V.gather(0, V.abs().argmax(0, keepdim=True)) > 0).all())
    assert pairs.products <= N
    if values is STEEP and block != 30:
        assert pairs.products < N / 2


def test_eigenvectors_are_the_known_ones() -> None:
    G, vectors = linear(STEEP)
    z = torch.zeros(N, dtype=torch.float64)
    for solver in ("krylov", "lanczos"):
        pairs = top_eigenpairs(G, z, MSE, k=5, tol=1e-8, solver=solver)
        assert torch.allclose((pairs.eigenvectors * vectors[:, :5]).sum(0).abs(), torch.ones(5).double(), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0, 8), st.sampled_from([1, 2, 5, None]))
@example(0, 1, 1e-4, 1)
def test_residuals_meet_the_tolerance(seed: int, k: int, decades: float, block: int | None) -> None:
    values = torch.logspace(0, -decades, 24, dtype=torch.float64)
    op = operator(values, seed)
    pairs = block_krylov(op, k, block=block, tol=1e-4, seed=seed)
    assert bool(pairs.converged.all())
    assert bool((true_residuals(pairs, op) <= 1.01e-4).all())
    assert bool((pairs.eigenvalues.diff() <= 0).all())
    # A residual bounds the way to the nearest eigenvalue; which ones are found, only where the spectrum falls.
    nearest = (pairs.eigenvalues[:, None] - values).abs().amin(1)
    assert bool((nearest <= 1.01e-4 * values[0]).all())
    if decades >= 1:
        assert torch.allclose(pairs.eigenvalues, values[:k], rtol=1e-6)


def test_against_arpack_on_a_trained_generator() -> None:
    """Every method and solver against ARPACK over double backward, on one network."""
    G, d = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("lpips-squeeze", pretrained=False)
    z = G.sample(1, seed=4)[0]
    start = torch.ones(64).double().numpy()
    published = eigsh(HessianOperator(G, z, d).as_linear_operator(), k=4, tol=1e-4, v0=start)
    values, vectors = (torch.from_numpy(part.copy()).flip(-1) for part in published)
    for method, solver in (("pullback", "krylov"), ("pullback", "lanczos"), ("backward", "krylov")):
        pairs = top_eigenpairs(G, z, d, k=4, method=method, solver=solver)
        assert bool(pairs.converged.all())
        assert pairs.eigenvalues.tolist() == pytest.approx(values.tolist(), rel=1e-4)
        assert torch.allclose((pairs.eigenvectors * vectors).sum(0).abs(), torch.ones(4).double(), atol=1e-4)
        assert pairs.products < 64


def test_all_columns_where_they_are_cheaper() -> None:
    G, _ = linear(FLAT)
    z = torch.zeros(N, dtype=torch.float64)
    many = top_eigenpairs(G, z, MSE, k=20)
    assert many.products == N and bool(many.converged.all()) and float(many.residuals.max()) < 1e-12
    op = PullbackOperator(G, z, MSE)
    few = dense(op, 3)
    assert torch.equal(few.eigenvalues, geomlib.metric_tensor(G, z, MSE).eigenvalues[:3])


def test_noise_is_not_called_an_eigenvalue() -> None:
    """In float32 the small end of a steep spectrum is rounding: its residuals do not reach a tolerance, and say so."""
    G, _ = linear(STEEP, dtype=torch.float32)
    pairs = block_krylov(PullbackOperator(G, torch.zeros(N), MSE), N, block=16, tol=1e-3)
    assert pairs.products == N
    above = pairs.eigenvalues > 1e2 * pairs.noise_floor
    assert 20 < int(above.sum()) < 60
    assert torch.allclose(pairs.eigenvalues[above], STEEP[above], rtol=1e-2)


def test_multiple_and_zero_eigenvalues() -> None:
    values = torch.cat([torch.full((5,), 2.0), torch.full((3,), 1.0), torch.zeros(20)]).double()
    pairs = block_krylov(operator(values), 9, block=2, tol=1e-8)
    assert pairs.eigenvalues.tolist() == pytest.approx([2] * 5 + [1] * 3 + [0], abs=1e-10)
    assert bool((pairs.eigenvectors.mT @ pairs.eigenvectors - torch.eye(9)).abs().max() < 1e-10)


def test_seeds_repeat() -> None:
    op = operator(STEEP)
    first, again, other = (block_krylov(op, 4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.eigenvectors, again.eigenvectors) and torch.equal(first.residuals, again.residuals)
    assert not torch.equal(first.residuals, other.residuals)


def test_bad_arguments_are_named() -> None:
    G, _ = linear(FLAT)
    z = torch.zeros(N, dtype=torch.float64)
    with pytest.raises(ValueError, match="k: expected 1 to 96, got 97"):
        top_eigenpairs(G, z, MSE, k=97)
    with pytest.raises(ValueError, match="k: expected 1 to 96, got 0"):
        top_eigenpairs(G, z, MSE, k=0)
    with pytest.raises(ValueError, match="solver: expected one of 'krylov', 'lanczos', got 'arpack'"):
        top_eigenpairs(G, z, MSE, solver="arpack")
    with pytest.raises(ValueError, match="tol: expected a positive number, got 0"):
        top_eigenpairs(G, z, MSE, k=2, tol=0)


@pytest.mark.parametrize("solver", ["krylov", "lanczos"])
def test_a_latent_that_no_derivative_reaches_is_refused(solver: str) -> None:
    flat = geomlib.Generator(lambda z: (z * 0).clamp(1, 2)[:, :, None], 20, output_range=None)
    with pytest.raises(ValueError, match="generator: no derivative of the image reaches the latent"):
        top_eigenpairs(flat, torch.zeros(20), MSE, k=2, solver=solver)
