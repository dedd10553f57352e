"""The rules of evidence: intervals by hand, how often they err under the null, and the networks that each refuses."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

import geomlib
from geomlib.applications import controls
from geomlib.applications.contrast import matched_contrast
from geomlib.findings import Interval, Results, claims, rules
from geomlib.findings.controlled import STATISTICS, gaps, judge, judge_gaps
from geomlib.findings.rules import (
    Judgement,
    Row,
    against_controls,
    all_above,
    arms_beaten,
    axes_against_random,
    count_networks,
    identity,
    missed_by_chance,
    verdict,
)
from geomlib.generators.spaces import as_generator
from geomlib.homogeneity import bootstrap_interval, random_frame
from geomlib.metric import Metric


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_RESAMPLES", 200)


# Words


def test_the_words_are_these_six() -> None:
    assert list(rules.WORDS) == [
        "same direction", "contradicted", "undecided", "not comparable", "not run", "tested",
    ]  # fmt: skip
    assert claims.WORDS is rules.WORDS


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        ([(1, 0.1, 2)], "same direction"),
        ([(1, 0.1, 2), (3, 0.2, 6)], "same direction"),
        ([(1, 0.1, 2), (0.5, -0.1, 1)], "undecided"),
        ([(1, 0.1, 2), (-1, -2, -0.1)], "contradicted"),
        ([(0.5, -0.1, 1), (-1, -2, -0.1)], "contradicted"),
        ([(0, 0, 0)], "undecided"),
    ],
)
def test_every_control_must_be_beaten(ends: list[tuple[float, float, float]], word: str) -> None:
    assert rules._word([Interval(*each) for each in ends]) == word


def test_fewer_than_ten_units_are_not_comparable() -> None:
    ours = Interval(1, 0.5, 2)
    assert verdict(ours=ours, above=0, units=10) == "same direction"
    assert verdict(ours=ours, above=0, units=9) == verdict(ours=ours) == "not comparable"


def test_an_identity_is_tested_within_its_tolerance() -> None:
    assert [identity(error, 1e-6) for error in (0, -1e-6, 2e-6, math.nan)] == ["tested"] * 2 + ["contradicted"] * 2
    with pytest.raises(ValueError, match="tolerance: expected a positive number, got 0"):
        identity(0.0, 0.0)


# Rule 1: intervals


def test_interval_over_seeds_by_hand() -> None:
    """Three networks of a kind, alike at all latents: only the seeds differ, and t is 4.30."""
    differences = torch.tensor([1.0, 2.0, 4.0]).double()[:, None].expand(3, 12)
    (interval,) = against_controls({"a": differences}).intervals.values()
    mean, deviation = 7 / 3, math.sqrt((16 / 9 + 1 / 9 + 25 / 9) / 2)
    reach = 4.302652729911275 * deviation * math.sqrt(4 / 3)
    assert tuple(interval) == pytest.approx((mean, mean - reach, mean + reach))
    assert scipy.stats.t.ppf(0.975, 2) == pytest.approx(4.302652729911275)


@pytest.mark.parametrize("pairs", [False, True])
def test_interval_against_another_implementation(pairs: bool) -> None:
    size, seeds = 14, 4
    values = normal(seeds, size, size) + 3 * normal(size, seed=1)[:, None] if pairs else normal(seeds, size)
    values = values + normal(seeds, seed=2).reshape(-1, *[1] * (values.ndim - 1))
    (interval,) = against_controls({"a": values}).intervals.values()
    array = values.numpy()
    off = ~np.eye(size, dtype=bool)
    means = [one[off].mean() if pairs else one.mean() for one in array]
    drawn, random = [], np.random.default_rng(1)
    for _ in range(4000):
        chosen = random.integers(size, size=size)
        table = array.mean(0)
        if pairs:
            drawn.append(np.mean([table[i, j] for i in chosen for j in chosen if i != j]))
        else:
            drawn.append(table[chosen].mean())
    half = (np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025)) / 2
    among = scipy.stats.t.ppf(0.975, seeds - 1) * np.std(means, ddof=1) * np.sqrt(1 + 1 / seeds)
    assert interval.value == pytest.approx(np.mean(means))
    assert interval.high - interval.value == pytest.approx(np.hypot(half, among), rel=0.03)
    assert interval.value - interval.low == pytest.approx(interval.high - interval.value)


def test_interval_over_latents_is_the_bootstrap_where_seeds_agree() -> None:
    rows = normal(15)
    (interval,) = against_controls({"a": rows.expand(3, 15)}).intervals.values()
    low, high = bootstrap_interval(torch.mean, rows, seed=2101)
    assert interval.high - interval.value == pytest.approx(float(high - low) / 2)


def test_diagonals_are_never_used_and_the_claimed_side_turns() -> None:
    table = (0.5 + 0.01 * normal(3, 11, 11)).clone()
    table.diagonal(dim1=1, dim2=2).fill_(torch.nan)
    more = against_controls({"a": table})
    less = against_controls({"a": table}, claimed="less")
    assert (more.word, less.word) == ("same direction", "contradicted")
    (one,), (other,) = more.intervals.values(), less.intervals.values()
    assert tuple(other) == pytest.approx((-one.value, -one.high, -one.low))


def test_what_is_not_comparable() -> None:
    assert against_controls({}).word == "not comparable", "no control"
    few = against_controls({"a": torch.ones(3, 9)})
    assert few.word == "not comparable" and few.units == 9
    seeds = against_controls({"a": torch.ones(3, 12), "b": torch.ones(2, 12)})
    assert seeds.word == "not comparable" and seeds.note == "fewer than 3 networks: b"
    with pytest.raises(ValueError, match="expected 12 latents for 'b' as before, got 11"):
        against_controls({"a": torch.ones(3, 12), "b": torch.ones(3, 11)})
    with pytest.raises(ValueError, match=r"expected \(S, P\) or \(S, P, P\) for 'a', got \(3, 12, 4\)"):
        against_controls({"a": torch.ones(3, 12, 4)})
    with pytest.raises(FloatingPointError, match="differences from 'a'"):
        against_controls({"a": torch.full((3, 12), torch.nan)})


def test_the_worst_control_decides_and_is_told(tmp_path: Path) -> None:
    judged = against_controls({"near": 1 + 0.1 * normal(3, 20), "far": 9 + 0.1 * normal(3, 20)})
    assert judged.worst is not None and judged.worst[0] == "near" and str(judged).endswith("against near")
    out = Results(tmp_path)
    assert out.claim("more", ours=judged) == "same direction"
    (row,) = out.summary["comparison"]
    assert row["units"] == 20 and row["low"] == judged.worst[1].low and "every kind of control" in row["rule"]
    assert out.claim("same", ours=1e-9, tested="tests/test_rules.py", tolerance=1e-6) == "tested"
    assert out.summary["comparison"][1]["tolerance"] == 1e-6


def test_judgements_in_words_tell_what_decides_each() -> None:
    both = {"near": 1 + 0.1 * normal(3, 20), "far": 9 + 0.1 * normal(3, 20)}
    judged = {"axes": against_controls(both), "none": against_controls({})}
    form = "{name}: {gap:.0f} to {other}, {word}"
    assert rules.in_words(judged, form) == ["axes: 1 (1 to 1) to near, same direction"]
    doubled = rules.in_words(judged, form, lambda gap: Interval(*(2 * end for end in gap)))
    assert doubled == ["axes: 2 (2 to 2) to near, same direction"]
    turned = {"axes": against_controls({name: -each for name, each in both.items()})}
    assert rules.in_words(turned, "{other}, {word}") == ["far, contradicted"]
    every = [*judged.values(), *turned.values(), *judged.values()]
    assert rules.counted(every) == "2 *same direction*, 1 *contradicted*, 2 *not comparable*"


# Rule 1: how often it errs


@pytest.mark.parametrize(("pairs", "among", "most"), [(False, 1.0, 0.05), (False, 0.0, 0.05), (True, 0.3, 0.05)])
def test_networks_like_their_controls_seldom_pass(few_resamples: None, pairs: bool, among: float, most: float) -> None:
    """Null data: the network is one of the kind. `among` is what networks differ by, beside latents that differ by 1.

    Nominal is 2.5 % a side; 300 trials tell it to 1 %.
    """
    trials, size, passed, missed = 300, 12, 0, 0
    for trial in range(trials):
        latents, own = normal(4, size, seed=2 * trial), among * normal(4, seed=2 * trial + 1)
        values = latents[:, :, None] + latents[:, None] if pairs else latents
        values = values + own.reshape(-1, *[1] * (values.ndim - 1))
        word = against_controls({"kind": values[0] - values[1:]}).word
        passed += word == "same direction"
        missed += word == "contradicted"
    assert passed / trials <= most and missed / trials <= most


def test_a_network_that_differs_passes(few_resamples: None) -> None:
    passed = 0
    for trial in range(60):
        values = normal(4, 20, seed=trial) * 0.3 + 0.1 * normal(4, seed=1000 + trial)[:, None]
        passed += against_controls({"kind": 2 + values[0] - values[1:]}).word == "same direction"
    assert passed >= 57


# Rule 1: networks that it must refuse

Kinds = Mapping[str, Callable[[geomlib.Generator, int], geomlib.Generator]]
KINDS: Kinds = {
    "shuffled": controls.shuffled,
    "untrained": controls.reinitialised,
    "untrained, N(0, 0.02)": controls.initialised_as_dcgan,
}
# Networks without training, none of which may pass for a trained one; other seeds than those of the controls.
REFUSED: Kinds = KINDS | {
    "matched Gaussian weights": controls.matched_gaussian,
    "shuffled, contrast matched": lambda G, seed: matched_contrast(controls.shuffled(G, seed), G, 0),
    "untrained, contrast matched": lambda G, seed: matched_contrast(controls.reinitialised(G, seed), G, 0),
}


SMALL = {
    "tutorial_dcgan": {"latent_dim": 12, "dim_g": 8, "depth": 2},
    "mlp": {"latent_dim": 12, "hidden": (24, 48), "size": 24},
}


def small(architecture: str) -> geomlib.Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = geomlib.generators.build(architecture, **SMALL[architecture]).eval().requires_grad_(False)
    return as_generator(architecture, network, "", architecture)


SETTINGS = [("tutorial_dcgan", "mse"), ("tutorial_dcgan", "st-lpips-alex"), ("mlp", "mse")]


@pytest.fixture(scope="module", params=SETTINGS, ids=" ".join)
def measured(request: pytest.FixtureRequest) -> tuple[dict[str, list[Metric]], dict[str, Metric]]:
    """Metrics of three controls of each kind, and of each network to refuse, at the same ten latents."""
    name, distance = request.param
    G, d = small(name), geomlib.load_distance(distance)
    z = G.sample(10, seed=0)
    fits = name == "tutorial_dcgan"  # what is initialised as one
    kinds, candidates = (
        {kind: make for kind, make in some.items() if fits or make is not controls.initialised_as_dcgan}
        for some in (KINDS, REFUSED)
    )
    return (
        {kind: [geomlib.metric_tensor(make(G, seed), z, d) for seed in range(3)] for kind, make in kinds.items()},
        {kind: geomlib.metric_tensor(make(G, 3), z, d) for kind, make in candidates.items()},
    )


def test_networks_without_training_are_refused(measured: tuple[dict[str, list[Metric]], dict[str, Metric]]) -> None:
    kinds, candidates = measured
    for name, candidate in candidates.items():
        judged = judge(candidate, kinds)
        homogeneous = {judged[one].word for one, each in STATISTICS.items() if each.claim == "homogeneity"}
        assert homogeneous != {"same direction"}, f"{name} passes for homogeneous"
        words = {statistic: one.word for statistic, one in judged.items()}
        assert set(words.values()) != {"same direction"}, f"{name} passes with {words}"


def metric(frames: Tensor, spectrum: Tensor, floor: float = 1e-9) -> Metric:
    matrix = frames * spectrum @ frames.mT
    return Metric.from_matrix(matrix, torch.full((len(frames),), floor))


def shared(latents: int, n: int, seed: int, steep: float) -> Metric:
    """A metric of the same axes everywhere."""
    return metric(random_frame(n, n, seed).expand(latents, n, n), (-steep * torch.arange(n)).double().exp())


def free(latents: int, n: int, seed: int, steep: float) -> Metric:
    """A metric of other axes at each latent."""
    frames = torch.stack([random_frame(n, n, 1000 * seed + index) for index in range(latents)])
    return metric(frames, (-steep * torch.arange(n)).double().exp())


def test_shared_axes_and_a_steep_spectrum_pass_and_the_reverse_is_contradicted() -> None:
    kinds = {kind: [free(10, 8, seed + base, 0.2) for seed in range(3)] for kind, base in (("a", 1), ("b", 4))}
    judged = judge(shared(10, 8, 0, 0.7), kinds)
    assert {one.word for one in judged.values()} == {"same direction"}
    turned = {"a": [shared(10, 8, seed, 0.7) for seed in range(3)]}
    assert {one.word for one in judge(free(10, 8, 1, 0.2), turned).values()} == {"contradicted"}
    assert judge(free(10, 8, 9, 0.2), kinds)["log consistency"].word == "undecided"


def test_log_consistency_takes_ranks_that_both_have() -> None:
    one, other = shared(10, 8, 0, 0.7), shared(10, 8, 1, 0.7)
    cut = Metric(other.matrix, other.eigenvalues, other.eigenvectors, other.eigenvalues[:, 4])
    gap = gaps(one, cut)["log consistency"]
    assert gap.ranks == 4
    values = one.eigenvalues[0].log10()[:4]
    assert torch.isfinite(gap.trained[0, 1]) and gap.trained[0, 1] == pytest.approx(1) and len(values) == 4
    none = Metric(other.matrix, other.eigenvalues, other.eigenvectors, 2 * other.eigenvalues[:, 0])
    judged = judge_gaps("log consistency", {"a": [gaps(one, none)] * 3})
    assert judged.word == "not comparable" and "fewer than two ranks in common with a" in judged.note


@pytest.mark.usefixtures("few_resamples")
def test_a_kind_that_cannot_be_had_leaves_nothing_to_compare() -> None:
    """Without shuffled networks "every kind of control" was not beaten; a matched contrast is not always to be had."""
    one = shared(10, 8, 0, 0.7)
    there = {"untrained": [gaps(one, free(10, 8, seed, 0.2)) for seed in (1, 2, 3)]}
    assert judge_gaps("linear consistency", there).word == "same direction"
    judged = judge_gaps("linear consistency", there | {"shuffled": []})
    assert judged.word == "not comparable" and judged.intervals and "shuffled cannot be had" in judged.note
    assert judge_gaps("linear consistency", there | {"shuffled, contrast matched": []}).word == "same direction"


def test_spectra_are_means_of_each_latents_own_value() -> None:
    """One latent with a huge trace does not decide: the mean spectrum would have one axis."""
    one = shared(10, 8, 0, 0.1)
    scale = torch.ones(10).double()
    scale[0] = 1e6
    big = Metric(one.matrix * scale[:, None, None], one.eigenvalues * scale[:, None], one.eigenvectors, one.noise_floor)
    assert gaps(one, big)["axes for 99 %"].control.tolist() == gaps(one, one)["axes for 99 %"].control.tolist()


# Rule 2: axes


def test_the_point_is_what_five_of_a_hundred_directions_reach() -> None:
    random = torch.arange(1, 101).double()[:, None] / 100 * torch.tensor([1.0, -0.5])
    judged = axes_against_random(torch.tensor([[0.97, 0.0], [0.0, -0.961], [0.5, 0.96]]), random, latents=60)
    assert judged.point == 0.96 and judged.above == 2
    assert judged.words == ["same direction", "same direction", "undecided"]
    assert judged.expected == pytest.approx(3 * 5 / 101)
    assert axes_against_random(torch.ones(3, 2), random, latents=9).words == ["not comparable"] * 3


def test_random_axes_are_refused() -> None:
    """As many random directions in the place of the axes, with many readings, pass in at most 2.5 % of cases."""
    words = []
    for trial in range(400):
        effects = normal(200, 6, seed=trial)
        words.append(axes_against_random(effects[:100], effects[100:], latents=60).word)
    assert words.count("same direction") / 400 <= 0.035
    assert words.count("contradicted") / 400 <= 0.035
    moving = torch.cat([3 * normal(20, 6, seed=1), 0.1 * normal(80, 6, seed=2)])
    assert axes_against_random(moving, normal(100, 6, seed=3) / 2, latents=60).word == "same direction"


@pytest.mark.parametrize("kind", ["untrained", "shuffled"])
def test_axes_of_a_network_without_training_are_refused(kind: str) -> None:
    """Axes of another network say nothing of this one: they move its readings as random directions do."""
    G = small("tutorial_dcgan")
    control = KINDS[kind](G, 5)
    z = G.sample(12, seed=1)
    H = geomlib.average(geomlib.metric_tensor(control, G.sample(10, seed=0), geomlib.load_distance("mse")))
    judged = []
    for axes in (H.eigenvectors.T, torch.nn.functional.normalize(normal(100, 12, seed=2))):
        moved = [
            (G(z + axis.float())[:, channel] - G(z - axis.float())[:, channel]).mean()
            for axis in axes
            for channel in range(3)
        ]
        judged.append(torch.stack(moved).reshape(-1, 3))
    assert axes_against_random(*judged, latents=12).word != "same direction"


def test_wrong_effects() -> None:
    with pytest.raises(ValueError, match=r"expected \(A, R\) and \(N, R\), got \(2, 3\) and \(100, 2\)"):
        axes_against_random(torch.ones(2, 3), torch.ones(100, 2), latents=60)
    with pytest.raises(ValueError, match="random: expected at least 100 directions, got 40"):
        axes_against_random(torch.ones(2, 3), torch.ones(40, 3), latents=60)
    with pytest.raises(FloatingPointError, match="effects"):
        axes_against_random(torch.full((2, 3), torch.nan), torch.ones(100, 3), latents=60)


# Rule 3: arms


def test_paired_differences_against_scipy() -> None:
    own, other = normal(3, 20), normal(3, 20, seed=1) + 0.8
    judged = arms_beaten(own, {"random axes": other}, better="less", units="targets")
    gap = (other.mean(0) - own.mean(0)).numpy()
    expected = scipy.stats.bootstrap((gap,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    interval = judged.intervals["random axes"]
    assert interval.value == pytest.approx(gap.mean())
    assert [interval.low, interval.high] == pytest.approx([expected.low, expected.high], abs=0.03)
    assert judged.word == "same direction" and judged.units == 20
    assert arms_beaten(own, {"random axes": other}, better="more").word == "contradicted"


def test_arms_that_are_like_random_axes_are_refused(few_resamples: None) -> None:
    """Ahead of the standard axes, and no further than random ones: 4 of 4 such arms once passed for a finding."""
    passed = 0
    for trial in range(200):
        unit = 3 * normal(18, seed=5 * trial)
        own, random = (unit + normal(3, 18, seed=5 * trial + index) + 2 for index in (1, 2))
        standard = unit + normal(3, 18, seed=5 * trial + 3)
        passed += (
            arms_beaten(own, {"standard axes": standard, "random axes": random}, better="more").word == "same direction"
        )
    assert passed / 200 <= 0.065, "2.5 % by the bootstrap, of 18 units a little more"


def test_every_arm_named_must_be_beaten_and_ten_units_be_there() -> None:
    own = normal(3, 12)
    arms = {"one": own - 1, "two": own + 0.0 * own}
    assert arms_beaten(own, arms, better="more").word == "undecided"
    assert arms_beaten(own[:, :9], {"one": own[:, :9] - 1}, better="more").word == "not comparable"
    with pytest.raises(ValueError, match="own, others"):
        arms_beaten(own, {}, better="more")
    with pytest.raises(ValueError, match=r"expected \(seeds, 12\) for 'one', got \(3, 11\)"):
        arms_beaten(own, {"one": own[:, :11]}, better="more")


# Counting


def row(network: str, word: str, distance: str = "st-lpips-alex", space: str = "z", value: float = 1.0) -> Row:
    judgement = Judgement(word, {"shuffled": Interval(value, value - 1, value + 1)}, 10, "")
    return Row(network, space, distance, "log consistency", judgement)


def test_every_interval_has_to_lie_above_zero() -> None:
    def word(*intervals: Interval, units: int = 10) -> str:
        return all_above(dict(zip("abc", intervals, strict=False)), units=units, rule="above").word

    above, across, below = Interval(2, 1, 3), Interval(0, -1, 1), Interval(-2, -3, -1)
    assert word(above, above) == "same direction" and word(above, across) == "undecided"
    assert word(above, across, below) == "contradicted" and word(above, units=9) == "not comparable"
    with pytest.raises(ValueError, match="expected at least one"):
        all_above({}, units=10, rule="above")
    # One interval held against the far ends of all others is never narrower than against each alone.
    assert Interval(5, 4, 6).apart_from([Interval(1, 0, 2), Interval(3, 2.5, 3.5)]) == (3, 0.5, 6)
    assert Interval(5, 4, 6).apart_from([Interval(9, 8, 10)]) == (-4, -6, -2)


def test_networks_are_counted_by_their_worst_row() -> None:
    rows = [
        row("dcgan-portraits", "same direction"),
        row("dcgan-portraits", "contradicted", "mse"),
        row("shapes-stylegan2", "same direction", space="z", value=3),
        row("shapes-stylegan2", "contradicted", space="w", value=-3),
        row("mlp-cats", "undecided", value=0.2),
        row("mlp-cats", "undecided", value=-0.2),
        row("ctgan-blips-l1", "same direction", "stft-short"),
        row("shapes-dcgan", "contradicted", "mse"),
    ]
    count = count_networks(rows)
    assert {one.network: one.word for one in count.networks} == {
        "dcgan-portraits": "same direction", "shapes-stylegan2": "contradicted", "mlp-cats": "undecided",
    }  # fmt: skip
    assert count.plain == {"contradicted": 2} and count.optional == ("ctgan-blips-l1",)
    assert count.networks[1].worst.space == "w" and count.networks[1].rows == 2
    assert count.networks[2].worst is rows[5]
    assert str(count) == ("same direction: 1 of 3 networks; contradicted: 1 of 3 networks; undecided: 1 of 3 networks")
    assert count.related == {"author generateme": ["dcgan-portraits", "mlp-cats"]}
    assert count.word == "contradicted" and count_networks(rows[:2]).word == "same direction"


def test_seeds_of_one_training_are_one_network() -> None:
    seeds = ("shapes-dcgan", "shapes-dcgan-pixels-1", "shapes-dcgan-pixels-2")
    words = ("same direction", "undecided", "same direction")
    count = count_networks([row(name, word) for name, word in zip(seeds, words, strict=True)])
    assert count.words == {"undecided": 1} and count.networks[0].network == "shapes-dcgan"
    assert count.worst is not None and count.worst.network == "shapes-dcgan-pixels-1"
    assert count_networks([row("shapes-dcgan-rewarded", "undecided"), row(seeds[0], words[0])]).words == {
        "same direction": 1, "undecided": 1,
    }  # fmt: skip


def test_relations_are_told() -> None:
    count = count_networks([row(name, "same direction") for name in ("dcgan-faces", "cdcgan-eyes", "shapes-dcgan")])
    assert count.related == {"architecture DCGAN": ["dcgan-faces", "cdcgan-eyes", "shapes-dcgan"]}
    assert rules.kin("mine.py:make") == ("mine.py:make", "mine.py:make")
    assert str(count_networks([])) == count_networks([]).word == "not run"


def test_a_page_claims_what_was_counted_and_what_axes_do(tmp_path: Path) -> None:
    out = Results(tmp_path)
    count = count_networks([row("mlp-cats", "same direction"), row("dcgan-faces", "undecided")])
    assert out.claim("every network", ours=count) == "undecided"
    axes = axes_against_random(torch.ones(2, 3), torch.zeros(100, 3), latents=60)
    assert out.claim("axes move faces", ours=axes) == "same direction"
    assert [one["ours"] for one in out.summary["comparison"]] == [
        "same direction: 1 of 2 networks; undecided: 1 of 2 networks", "2 of 2 axes above 0, 0.099 expected",
    ]  # fmt: skip


@pytest.mark.parametrize("worse", ["contradicted", "undecided", "not comparable", "not run"])
def test_one_row_that_is_not_seen_is_no_same_direction(worse: str) -> None:
    rows: Sequence[Row] = [row("mlp-cats", "same direction"), row("mlp-cats", worse)]
    assert count_networks(rows).words == {worse: 1}


def test_rows_that_miss_by_chance() -> None:
    assert missed_by_chance(40) == pytest.approx(2.0) and missed_by_chance(0) == 0
    with pytest.raises(ValueError, match="intervals: expected 0 or more, got -1"):
        missed_by_chance(-1)
