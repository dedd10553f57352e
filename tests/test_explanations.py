"""Axes from elsewhere and blocks of shared axes, against consistency itself and where the answer is known."""

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib import homogeneity
from geomlib.applications import directions
from geomlib.applications.explanations import axes_of_others, block_curve, try_axes
from geomlib.homogeneity import off_diagonal, random_frame
from geomlib.metric import Metric


def spectrum(n: int) -> Tensor:
    return (-0.7 * torch.arange(n)).double().exp()


def metrics(frames: Tensor, floor: float = 0.0) -> Metric:
    matrix = frames * spectrum(frames.shape[-1]) @ frames.mT
    return Metric.from_matrix(matrix, torch.full((len(frames),), floor))


def free(count: int, n: int) -> Metric:
    return metrics(torch.stack([random_frame(n, n, seed) for seed in range(count)]))


def test_axes_of_one_latent_give_a_row_of_the_consistency() -> None:
    H = free(6, 7)
    H = Metric(H.matrix, H.eigenvalues, H.eigenvectors, H.eigenvalues[:, 5])
    whole, tried = homogeneity.consistency(H), try_axes(H, H.eigenvectors[2])
    others = torch.arange(6) != 2
    torch.testing.assert_close(tried.linear[others], whole.linear[2, others])
    torch.testing.assert_close(tried.log[others], whole.log[2, others])
    assert torch.equal(tried.left_out, whole.left_out[2])
    assert tried.linear[2] == pytest.approx(1) and tried.log[2] == pytest.approx(1)
    own = try_axes(H, H.eigenvectors)
    torch.testing.assert_close(own.linear, torch.ones(6).double())


def test_first_weights_are_the_axes_of_a_linear_network() -> None:
    """The metric of a linear network is the square of its weights: SeFa finds its axes without a picture."""
    G = geomlib.load_generator("linear")
    H = geomlib.metric_tensor(G, G.sample(3, seed=0), geomlib.load_distance("mse"))
    tried = try_axes(H, directions.sefa(G, G.latent_dim).axes)
    torch.testing.assert_close(tried.linear, torch.ones(3).double(), atol=1e-6, rtol=0)


def test_the_average_leaves_the_latent_out() -> None:
    pair = free(2, 5)
    axes = axes_of_others(pair)
    torch.testing.assert_close(axes.abs(), pair.eigenvectors.flip(0).abs())
    many = free(4, 5)
    expected = geomlib.average(many[torch.tensor([0, 1, 3])]).eigenvectors
    torch.testing.assert_close(axes_of_others(many)[2], expected)
    tried = try_axes(pair, axes)
    torch.testing.assert_close(tried.linear, homogeneity.consistency(pair).linear[[1, 0], [0, 1]])


def test_no_boundary_is_random_axes_and_all_are_shared_ones() -> None:
    H = free(8, 6)
    curve = block_curve(H, seed=0, draws=12)
    assert curve.boundaries == (1, 2, 4) and curve.linear.shape == (4, 12)
    random = [off_diagonal(homogeneity.consistency(homogeneity.rotated(H, seed)).log).mean() for seed in range(12)]
    error = float(torch.stack(random).std()) / 12**0.5
    assert float(curve.log[0].mean()) == pytest.approx(float(torch.stack(random).mean()), abs=4 * error)
    means = curve.log.mean(1)
    assert (means.diff() > 0).all(), "the finer the blocks, the more is shared"
    assert not torch.equal(curve.log[0], block_curve(H, seed=1, draws=12).log[0])
    two = block_curve(free(5, 2), seed=0, draws=3)
    assert two.boundaries == (1,)
    torch.testing.assert_close(two.linear[1], torch.ones(3).double())


def test_a_draw_of_some_latents_has_the_mean_of_all() -> None:
    H = free(12, 6)
    whole, some = (block_curve(H, seed=0, draws=60, latents=latents).log for latents in (None, 5))
    spread = (whole.var(1) + some.var(1)).sqrt() / 60**0.5
    assert ((some.mean(1) - whole.mean(1)).abs() < 4 * spread + 0.02).all()
    torch.testing.assert_close(block_curve(H, seed=3, draws=2, latents=12).log, block_curve(H, seed=3, draws=2).log)
    with pytest.raises(ValueError, match="latents: expected at least two, got 1"):
        block_curve(H, seed=0, latents=1)


def test_equal_axes_in_two_blocks_by_hand() -> None:
    """Three axes, the first shared by all: the two others are turned by an angle, known in closed form."""
    curve = block_curve(metrics(torch.eye(3).double().expand(4, 3, 3)), seed=0, draws=200)
    # L of the first axis is exact; of the others it is a mixture of their two eigenvalues with weight sin².
    values = spectrum(3)
    angle = torch.rand(20_000, generator=torch.Generator().manual_seed(0)).double() * 2 * torch.pi
    mixed = values.repeat(len(angle), 1)
    mixed[:, 1] -= (values[1] - values[2]) * angle.sin() ** 2
    mixed[:, 2] += (values[1] - values[2]) * angle.sin() ** 2
    expected = homogeneity.agreement(values.expand_as(mixed), mixed).linear.mean()
    assert float(curve.linear[1].mean()) == pytest.approx(float(expected), abs=0.003)


def test_wrong_arguments() -> None:
    H = free(3, 4)
    with pytest.raises(ValueError, match=r"axes: expected \(4, 4\) or \(3, 4, 4\), got \(4, 3\)"):
        try_axes(H, torch.eye(4)[:, :3])
    with pytest.raises(ValueError, match="axes: expected orthonormal columns"):
        try_axes(H, 2 * torch.eye(4))
    with pytest.raises(ValueError, match="metrics: expected at least two latents, got 1"):
        axes_of_others(H[0])
    with pytest.raises(ValueError, match="draws: expected a positive integer, got 0"):
        block_curve(H, seed=0, draws=0)
