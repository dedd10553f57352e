"""Total effects of axes against closed forms, and the scores that follow from them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib.applications import factors as dis
from geomlib.homogeneity import bootstrap_interval, random_frame
from geomlib.worlds.shapes import FACTOR_NAMES, dataset, render, sample_factors
from geomlib.worlds.shapes.networks import FactorReader, load_factor_reader
from geomlib.worlds.tones.networks import load_tone_reader

SCORES = (dis.disentanglement, dis.completeness, dis.gap)


def plain(function: Callable[[Tensor], Tensor], n: int, **options: object) -> geomlib.Generator:
    return geomlib.Generator(function, n, output_range=None, name="plain", **options)  # type: ignore[arg-type]


def columns(outputs: Tensor) -> dict[str, Tensor]:
    return {f"factor {index}": column[:, None] for index, column in enumerate(outputs.T)}


def test_effects_of_a_linear_map_are_squared_cosines() -> None:
    mixtures = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 1, -2, 2]])
    G = plain(lambda z: z @ mixtures.to(z).T, 4)
    axes = torch.cat([torch.eye(4, dtype=torch.float64), random_frame(4, 4, seed=1)], 1)
    found = dis.axis_effects(G, axes, columns, pairs=4000)
    assert found.factors == ("factor 0", "factor 1", "factor 2") and found.effects.shape == (8, 3)
    expected = (torch.nn.functional.normalize(mixtures.double(), dim=1) @ axes).square().T
    assert (found.effects - expected).abs().max() < 0.05
    assert found.effects[expected == 0].abs().max() < 1e-9, "an axis that does nothing"
    # Without interactions the effects of a whole basis sum to one.
    assert (found.effects[4:].sum(0) - 1).abs().max() < 0.06


def test_effects_count_interactions_and_depend_on_the_frame() -> None:
    # z0 z1 = (u² − v²) / 2 for u, v the diagonals: a pure interaction in one frame, a sum in the other.
    G = plain(lambda z: z[:, :1] * z[:, 1:2] * torch.ones(2), 3)
    diagonal = torch.tensor([[1.0, 1, 0], [1, -1, 0], [0, 0, math.sqrt(2)]], dtype=torch.float64) / math.sqrt(2)
    straight, turned = (
        dis.axis_effects(G, axes, columns, pairs=6000).effects[:, 0]
        for axes in (torch.eye(3, dtype=torch.float64), diagonal)
    )
    assert (straight - torch.tensor([1.0, 1.0, 0.0])).abs().max() < 0.08
    assert (turned - torch.tensor([0.5, 0.5, 0.0])).abs().max() < 0.08


def test_effects_on_circles_classes_and_partly_known_codes() -> None:
    """Codes of several coordinates: a circle, indicators, and one that is known for one class alone."""

    def read(z: Tensor) -> dict[str, Tensor]:
        turn = z[:, 0] + 0.5 * z[:, 1]
        first = z[:, 2] > 0
        partly = torch.stack([z[:, 0], z[:, 3], z[:, 3]], 1)
        partly[:, 1:] = partly[:, 1:].where(first[:, None], torch.nan)
        return {
            "hue": torch.stack([turn.cos(), turn.sin()], 1),
            "class": torch.stack([first, ~first], 1).float(),
            "partly": partly[:, 1:],
            "constant": torch.full((len(z), 1), 0.3),
            "unknown": torch.full((len(z), 2), torch.nan),
        }

    found = dis.axis_effects(plain(lambda z: z, 4), torch.eye(4, dtype=torch.float64), read, pairs=6000, seed=2)
    effects = dict(zip(found.factors, found.effects.T, strict=True))
    # E exp(iu) = exp(−s²/2) for a normal angle: redrawing a part with variance s² moves by 1 − exp(−s²).
    hue = torch.tensor([1 - math.exp(-1), 1 - math.exp(-0.25), 0, 0]) / (1 - math.exp(-1.25))
    assert (effects["hue"] - hue).abs().max() < 0.04
    assert (effects["class"] - torch.tensor([0, 0, 1.0, 0])).abs().max() < 0.04
    # Where the class changes nothing is compared, so that the class itself does nothing to the code.
    assert (effects["partly"] - torch.tensor([0, 0, 0, 1.0])).abs().max() < 0.06
    assert effects["constant"].isnan().all() and effects["unknown"].isnan().all()


def test_redraws_come_from_the_generator_s_own_sampler() -> None:
    scales = torch.tensor([0.1, 3.0])
    G = plain(lambda z: z.sum(1, keepdim=True), 2, sampler=lambda count, random: 5 + scales * torch.rand(
        count, 2, generator=random))  # fmt: skip
    found = dis.axis_effects(G, torch.eye(2, dtype=torch.float64), columns, pairs=4000).effects[:, 0]
    assert (found - scales.square() / scales.square().sum()).abs().max() < 0.04


def test_sign_order_seed_and_resampling() -> None:
    G = plain(lambda z: torch.tanh(z @ random_frame(3, 3, seed=5).to(z)), 3)
    axes, seen = random_frame(3, 3, seed=2), []
    found = dis.axis_effects(G, axes, columns, pairs=300, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)] and found.terms.shape == (300, 2, 3, 3)
    again = dis.axis_effects(G, -axes[:, [2, 0, 1]], columns, pairs=300)
    torch.testing.assert_close(again.effects, found.effects[[2, 0, 1]], atol=1e-6, rtol=0)
    other = dis.axis_effects(G, axes, columns, pairs=300, seed=1)
    assert not torch.equal(other.effects, found.effects)
    low, high = bootstrap_interval(dis.total_effects, found.terms, seed=0, count=300)
    larger = dis.axis_effects(G, axes, columns, pairs=20000, seed=3).effects
    assert ((low < found.effects) & (found.effects < high)).all()
    assert ((low < larger) & (larger < high)).double().mean() > 0.7
    both = dis.total_effects(torch.stack([found.terms, again.terms], 1))
    torch.testing.assert_close(both, torch.stack([found.effects, again.effects]))


def test_axes_are_named_by_what_they_change() -> None:
    effects = torch.tensor([
        [0.9, 0.1, 0.0, 0.2], [0.3, 0.05, 0.5, 0.24], [0.05, 0.09, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2],
        [0.1, torch.nan, 0.15, 0.0],
    ])  # fmt: skip
    factors = ("size", "x", "front_hue", "y")
    assert dis.axis_names(effects, factors) == ["size", "front hue + size", "nothing", "mixed", "front hue + size"]
    assert dis.axis_names(effects[:3], factors, threshold=0.01)[2] == "x + size"


def test_scores_of_known_matrices() -> None:
    for matrix, expected in (
        (torch.eye(4)[torch.tensor([2, 0, 3, 1])], (1.0, 1.0, 1.0)),
        (torch.full((5, 3), 0.2), (0.0, 0.0, 0.0)),
        # Two axes for each of two factors: disentangled, half complete, no gap.
        (torch.tensor([[0.5, 0], [0.5, 0], [0, 0.5], [0, 0.5]]), (1.0, 0.5, 0.0)),
        # One axis that does everything, one that does nothing: complete, not disentangled.
        (torch.tensor([[0.7, 0.7], [0.0, 0.0]]), (0.0, 1.0, 0.7)),
    ):
        assert [float(score(matrix)) for score in SCORES] == pytest.approx(expected, abs=1e-7)


def test_scores_against_plain_loops() -> None:
    importance = torch.rand(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, total = importance.tolist(), float(importance.sum())

    def concentration(values: list[float]) -> float:
        parts = [value / sum(values) for value in values]
        return 1 + sum(part * math.log(part) for part in parts) / math.log(len(parts))

    turned = [list(column) for column in zip(*rows, strict=True)]
    expected = (
        sum(sum(row) / total * concentration(row) for row in rows),
        sum(map(concentration, turned)) / 3,
        sum(sorted(column)[-1] - sorted(column)[-2] for column in turned) / 3,
    )
    assert [float(score(importance)) for score in SCORES] == pytest.approx(expected)


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_invariant_to_order_and_leave_unknown_factors_out(score: Callable[[Tensor], Tensor]) -> None:
    importance = torch.rand(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    value = score(importance)
    assert 0 < value < 1
    torch.testing.assert_close(score(importance[[3, 0, 5, 1, 2, 4]][:, [2, 3, 0, 1]]), value)
    unknown = torch.full((6, 1), torch.nan, dtype=torch.float64)
    torch.testing.assert_close(score(torch.cat([importance[:, :2], unknown, importance[:, 2:]], 1)), value)
    torch.testing.assert_close(score(torch.stack([importance, importance / 2]))[0], value)
    halved = score(importance / 2)
    torch.testing.assert_close(halved, value / 2 if score is dis.gap else value)


@pytest.fixture(scope="module")
def reader() -> FactorReader:
    return load_factor_reader()


def test_shapes_are_read_as_codes(reader: FactorReader) -> None:
    images, factors = dataset(600, seed=3)
    reading = dis.read_shapes(reader)(images)
    assert tuple(reading) == FACTOR_NAMES
    assert {name: code.shape[1] for name, code in reading.items()} == dict(
        zip(FACTOR_NAMES, (3, 1, 1, 1, 4, 2, 2, 1), strict=True)
    )
    shape = reading["shape"].argmax(1)
    assert (shape == factors[:, 0]).double().mean() > 0.98
    known = reading["angle"].isfinite()
    for index, columns_of_it in ((0, []), (1, [0, 1]), (2, [2, 3])):
        mask = known[shape == index]
        assert mask[:, columns_of_it].all() and int(mask.sum()) == len(mask) * len(columns_of_it)
    torch.testing.assert_close(reading["foreground_hue"].norm(dim=1), torch.ones(600))
    for name in ("x", "y", "size", "background_brightness"):
        truth = factors[:, FACTOR_NAMES.index(name)]
        assert torch.corrcoef(torch.stack([truth, reading[name][:, 0].double()]))[0, 1] > 0.97, name


def test_factors_as_latents_are_found_again(reader: FactorReader) -> None:
    """The renderer as a generator whose latents are the factors: a permutation matrix, but for what shapes share."""

    def sampler(count: int, random: torch.Generator) -> Tensor:
        return sample_factors(count, int(torch.randint(2**31, (1,), generator=random))).float()

    G = geomlib.Generator(
        lambda z: render(torch.cat([z[:, :1].round().clamp(0, 2), z[:, 1:]], 1)).float(),
        8, output_range=(0, 1), sampler=sampler, name="renderer",
    )  # fmt: skip
    found = dis.axis_effects(G, torch.eye(8, dtype=torch.float64), dis.read_shapes(reader), pairs=60, seed=1)
    own = found.effects.diagonal()
    assert (own > 0.7).all() and (found.effects - own.diag()).max() < 0.1
    assert dis.disentanglement(found.effects) > 0.8 and dis.gap(found.effects) > 0.7


def test_tones_are_read_as_codes() -> None:
    from geomlib.worlds.tones import data

    factors = data.sample_factors(12, seed=0)
    reading = dis.read_tones(load_tone_reader())(data.render(factors))
    assert tuple(reading) == data.FACTOR_NAMES
    assert [code.shape[1] for code in reading.values()] == [4, 1, 1, 1, 1]
    assert torch.equal(reading["note"].argmax(1), factors[:, 0].long())


@pytest.mark.parametrize(
    ("axes", "pairs", "message"),
    [
        (torch.eye(3), 10, r"axes: expected shape \(4, m\), got \(3, 3\)"),
        (torch.eye(4)[0], 10, r"axes: expected shape \(4, m\)"),
        (torch.eye(4)[:, :0], 10, r"axes: expected shape \(4, m\)"),
        (2 * torch.eye(4), 10, "axes: expected unit vectors"),
        (torch.eye(4), 1, "pairs: expected at least two, got 1"),
    ],
)
def test_impossible_axes(axes: Tensor, pairs: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dis.axis_effects(plain(lambda z: z, 4), axes, columns, pairs=pairs)


def test_impossible_codes_outputs_and_importances() -> None:
    G = plain(lambda z: z, 2)
    with pytest.raises(ValueError, match=r"read: expected codes \(10, d\) of 'flat', got \(10,\)"):
        dis.axis_effects(G, torch.eye(2), lambda z: {"flat": z[:, 0]}, pairs=10)
    with pytest.raises(FloatingPointError, match="outputs of plain"):
        dis.axis_effects(plain(lambda z: z.log(), 2), torch.eye(2), columns, pairs=10)
    for matrix, message in (
        (torch.ones(3), r"expected shape \(..., m, F\), got \(3,\)"),
        (torch.ones(1, 3), "got 1 axes"),
        (torch.tensor([[1.0, torch.nan], [1, 1]]), "1 factors without NaN"),
        (torch.tensor([[1.0, -0.5], [1, 1]]), "and -0.5"),
    ):
        for score in SCORES:
            with pytest.raises(ValueError, match=message):
                score(matrix)


def test_figures_show_every_axis_and_number() -> None:
    from geomlib import figures

    strips = figures.atlas(torch.rand(5, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), list("abcde"))
    filled = [axis for axis in strips.axes if axis.images]
    assert [axis.get_title(loc="left") for axis in filled] == ["a", "d", "b", "e", "c"], "down, then right"
    assert filled[0].images[0].get_size() == (8, 3 * 9 - 1)
    values = torch.tensor([[0.97, 0.04], [torch.nan, 0.5]])
    drawn = figures.heat_map(values, ["1 x", "2 y"], ["x", "y"]).axes[0]
    assert [text.get_text() for text in drawn.texts] == ["0.97", "0.50"]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["1 x", "2 y"]


def test_given_latents_stand_for_those_of_the_seed() -> None:
    G = plain(lambda z: z, 4)
    drawn = dis.axis_effects(G, torch.eye(4), columns, pairs=30, seed=7)
    given = dis.axis_effects(G, torch.eye(4), columns, pairs=30, latents=G.sample(60, seed=7))
    assert torch.equal(given.terms, drawn.terms)
    with pytest.raises(ValueError, match=r"latents: expected shape \(60, 4\), got \(59, 4\)"):
        dis.axis_effects(G, torch.eye(4), columns, pairs=30, latents=G.sample(59, seed=7))
