"""Shares carried by the first axes, against closed forms; scores together; whether latents vary alike."""

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib import figures
from geomlib.applications import factors, shares
from geomlib.homogeneity import random_frame


def columns(outputs: Tensor) -> dict[str, Tensor]:
    return {f"factor {index}": column[:, None] for index, column in enumerate(outputs.T)}


def test_effects_of_all_but_the_first_axes_are_those_of_the_rest() -> None:
    mixtures = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 1, -2, 2]])
    G = geomlib.Generator(lambda z: z @ mixtures.to(z).T, 4, output_range=None, name="plain")
    axes = {"straight": torch.eye(4, dtype=torch.float64), "turned": random_frame(4, 4, seed=1)}
    calls: list[tuple[int, int]] = []
    terms = shares.rest_effects(
        G, axes, (0, 1, 2, 4), columns, latents=G.sample(8000, 3), progress=lambda *at: calls.append(at)
    )
    assert terms.shape == (4000, 2, 2, 4, 3) and calls == [(1, 2), (2, 2)]
    effects = factors.total_effects(terms)
    units = torch.nn.functional.normalize(mixtures.double(), dim=1)
    for index, basis in enumerate(axes.values()):
        expected = 1 - torch.stack([(units @ basis[:, :k]).square().sum(1) for k in (0, 1, 2, 4)])
        assert (effects[index] - expected).abs().max() < 0.05
    assert effects[:, -1].abs().max() < 1e-9, "nothing is drawn anew"
    with pytest.raises(ValueError, match="latents"):
        shares.rest_effects(G, axes, (1,), columns, latents=G.sample(5, 3))


def test_scores_stand_in_the_order_of_their_names() -> None:
    importance = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    each = (factors.disentanglement, factors.completeness, factors.gap)
    together = shares.scores(importance)
    assert tuple(score.__name__ for score in each) == shares.SCORES
    for row, score in zip(together, each, strict=True):
        assert torch.equal(row, score(importance))


def test_a_figure_of_shares_begins_without_axes_and_ends_with_all() -> None:
    carried = {"a": torch.tensor([[0.2, 0.3, 0.4], [0.5, 0.6, 0.7]])}
    drawn = figures.shares([1, 2], 4, carried, {"x_place": 0, "size": 2}).axes[:2]
    assert [axis.get_title() for axis in drawn] == ["x place", "size"]
    for axis, values in zip(drawn, ([0, 0.2, 0.5, 1], [0, 0.4, 0.7, 1]), strict=True):
        assert axis.lines[0].get_xdata().tolist() == [0, 1, 2, 4]
        assert axis.lines[0].get_ydata() == pytest.approx(values)


def test_normal_latents_vary_alike_and_stretched_ones_do_not() -> None:
    latents = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    assert shares.vary_alike(latents), "few samples alone are no reason"
    assert not shares.vary_alike(latents * torch.linspace(0.1, 3, 16))


def test_principal_axes_are_those_of_the_images_or_of_the_codes() -> None:
    latents = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([1.0, 3.0, 0.2])
    G = geomlib.Generator(lambda z: z * scale, 3, output_range=None, name="plain")
    for kind, given, first in (("images", latents, 1), ("codes", latents / scale, 2)):
        label, axes = shares.principal(G, given)
        assert label == kind and axes[:, 0].abs().argmax() == first


def test_other_distances_leave_out_the_own_one() -> None:
    assert list(shares.other_distances(geomlib.load_distance("mse"))) == ["st-lpips-alex", "untrained trunk"]
    assert list(shares.other_distances(geomlib.load_distance("ssim"))) == ["st-lpips-alex", "mse", "untrained trunk"]


def test_axes_that_are_no_basis_are_refused() -> None:
    G = geomlib.Generator(lambda z: z, 4, output_range=None)
    for basis, counts, words in (
        (torch.eye(4)[:, :2], [3], r"expected shape \(4, m\), m from 3 to 4, got \(4, 2\)"),
        (2 * torch.eye(4), [1], "expected orthonormal columns"),
        (torch.eye(3), [1], r"expected shape \(4, m\)"),
    ):
        with pytest.raises(ValueError, match=words):
            shares.rest_effects(G, {"own": basis}, counts, columns, latents=G.sample(4, seed=0))
