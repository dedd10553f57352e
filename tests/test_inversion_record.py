"""The record of inversions: it follows from its arrays, and a slice of it comes out again."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import ROOT, load_script

import geomlib
from geomlib.distances import Distance
from geomlib.findings import inversions as experiment
from geomlib.findings.inversions import (
    AGAINST,
    ARMS,
    LONGER,
    Inversions,
    InversionSettings,
    judged_by,
    judgement,
    judges,
    repeated,
    settings_of,
    tune,
)
from geomlib.findings.record import part_about, parts_of, read_record, row_of
from geomlib.findings.recording import arrays_of
from geomlib.findings.rules import FEWEST_SEEDS, LATENTS
from geomlib.generators import Generator
from geomlib.generators.latents import RANGES
from geomlib.metric import Metric, metric_tensor

RECORD = ROOT / "evidence" / "inversion.json"
SMALL = InversionSettings(targets=2, tuning=1, starts=2, steps=10, runs=2, positions=1)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("evidence/inversion.py")


def test_settings_are_those_that_were_promised(script: ModuleType) -> None:
    for settings in script.KINDS.values():
        assert settings.targets >= LATENTS["targets of inversion"] and settings.runs >= FEWEST_SEEDS
        assert settings.starts > 1 and settings.tuning >= 5
        for use, count in (("targets", settings.targets), ("tuning", settings.tuning)):
            first, end = RANGES[use]
            assert end is not None and count <= end - first


def test_every_network_is_there_or_named_as_missing(script: ModuleType) -> None:
    record = read_record(RECORD)
    there, missing = ([(one["label"], one["distance"]) for one in record[key]] for key in ("parts", "missing"))
    assert sorted(there + missing) == sorted((name + kind, distance) for name, kind, distance in script.ENTRIES)
    for part in record["parts"]:
        assert len(part["made"]["commit"]) == 40 and not part["made"]["edited since"]


def check_words(path: Path) -> int:
    """How many rows of a record follow from its arrays by the rules of today."""
    rows = 0
    for part in parts_of(path):
        arrays, against = arrays_of(path, part), settings_of(part).against
        judged = {row["statistic"].split(", judged by ")[1] for row in part["rows"]}
        assert part["distance"] not in judged and len(judged) == 2, "what is lowered judges nothing"
        for entry in part["rows"]:
            claim, judge = entry["statistic"].split(", judged by ")
            values = {name: arrays[f"judged {judge}"][index] for index, name in enumerate(part["arms"])}
            one, kept = judgement(values, claim, against), row_of(entry).judgement
            assert one.word == kept.word and one.units == kept.units
            assert list(one.intervals) == list(kept.intervals) == list(against[claim])
            for name, interval in one.intervals.items():
                assert tuple(interval) == pytest.approx(tuple(kept.intervals[name]), rel=1e-3, abs=1e-4)
            rows += 1
        for arm, tried in part["tuning"].items():
            for stage, costs in tried.items():
                best = min(costs, key=lambda rate: costs[rate])
                assert float(best) == pytest.approx(part["rates"][arm][stage], rel=1e-4)
                inside = best not in (min(costs, key=float), max(costs, key=float))
                assert inside or len(costs) == 8, f"{arm} {stage}: the best rate is at an end"
    return rows


def test_words_follow_from_the_arrays_by_the_rules_of_today() -> None:
    parts = parts_of(RECORD)
    assert check_words(RECORD) == sum(2 * len(settings_of(part).against) for part in parts)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, fetched: Callable[[str], Path], script: ModuleType) -> Path:
    """A record of one small run by the script itself."""
    fetched("mlp-cats")
    fetched("efficientnet-lite0")
    folder = tmp_path_factory.mktemp("record")
    two = replace(SMALL, stages=True, population=4, inner_steps=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(script, "RECORD", folder / "inversion.json")
        patched.setattr(script, "STORE", folder / "store")
        patched.setattr(script, "KINDS", {"": SMALL, " in two stages": two})
        entries = [(name, kind, "mse") for name in ("mlp-cats", "shapes-dcgan") for kind in script.KINDS]
        patched.setattr(script, "ENTRIES", entries)
        patched.setattr(sys, "argv", ["inversion.py", "--only", "mlp-cats"])
        script.main()
        first = parts_of(folder / "inversion.json")
        (folder / "inversion.json").unlink()
        patched.setattr(Inversions, "invert", lambda *_, **__: pytest.fail("inverted again"))
        script.main()
        assert [part["rows"] for part in parts_of(folder / "inversion.json")] == [part["rows"] for part in first]
    return folder / "inversion.json"


def test_a_record_is_made_and_goes_on(small: Path) -> None:
    record = read_record(small)
    assert [one["label"] for one in record["missing"]] == ["shapes-dcgan", "shapes-dcgan in two stages"]
    one, two = record["parts"]
    assert one["arms"] == ["standard", LONGER, *list(ARMS)[1:]] and list(one["rates"]) == list(ARMS)
    assert two["arms"] == ["standard", LONGER, *list(experiment.STAGES)[1:]]
    assert list(two["rates"]) == list(experiment.STAGES)
    assert {row["word"] for row in one["rows"] + two["rows"]} == {"not comparable"}, "of two targets"
    for part in (one, two):
        assert part["calls of the metric once"] == 100
        assert part["calls"][LONGER] == part["calls"]["standard"] + 50
    assert set(two["rates"]["eigenvectors"]) == {"learning_rate", "final_rate"}
    assert check_words(small) == 2 * len(AGAINST) + 2 * 2, "in two stages by the eigenvectors alone, paid for and not"
    # More calls never leave the standard search farther away, for what it lowers.
    distances = arrays_of(small, one)["distances"]
    assert (distances[1] <= distances[0]).all()


def test_a_slice_comes_out_again_and_a_planted_change_does_not(small: Path) -> None:
    G, d = geomlib.load_generator("mlp-cats"), geomlib.load_distance("mse")
    part = part_about(small, G, d)
    assert part is not None
    arrays, settings = arrays_of(small, part), settings_of(part)
    metric = geomlib.average(metric_tensor(G, G.sample(1, settings.seed), d))
    work = Inversions(G, d, metric, settings)
    errors = repeated(work, part, arrays)
    assert list(errors) == [*ARMS, "metric"] and max(errors.values()) < 1e-4
    faster: dict[str, Any] = part | {
        "rates": {arm: {"learning_rate": 1.1 * one["learning_rate"]} for arm, one in part["rates"].items()}
    }
    changed = repeated(work, faster, arrays)
    assert all(changed[arm] > 1e-3 for arm in ARMS)
    order = torch.arange(G.latent_dim).roll(1)
    turned = Metric.from_matrix(metric.matrix[order][:, order], metric.noise_floor)
    changed = repeated(replace(work, metric=turned), part, arrays)
    assert all(changed[arm] > 1e-3 for arm in ("eigenvectors", "scaled", "metric")) and changed["standard"] < 1e-4


def linear() -> tuple[Generator, Distance]:
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(6, 9, generator=random).double() * torch.tensor([5, 3, 1, 0.5, 0.2, 0.1]).double()[:, None]
    return (
        geomlib.Generator(lambda z: z @ matrix.to(z), 6, output_range=None).to("cpu", torch.float64),
        geomlib.load_distance("mse"),
    )


def test_random_axes_have_the_eigenvalues_of_the_metric_and_axes_of_their_run() -> None:
    G, d = linear()
    work = Inversions(G, d, metric_tensor(G, torch.zeros(6).double(), d), replace(SMALL, targets=3))
    own, first, second = work.axes("scaled", 0), *(work.axes("random axes, scaled", run) for run in (0, 1))
    assert own is work.metric
    for one in (first, second):
        assert torch.allclose(one.eigenvalues, own.eigenvalues)
        assert not torch.allclose(one.eigenvectors.abs(), own.eigenvectors.abs(), atol=1e-2)
    assert not torch.allclose(first.matrix, second.matrix)
    starts = [work.starts(3, run) for run in (0, 1)]
    assert starts[0].shape == (3, 2, 6) and not torch.equal(*starts)
    assert work.metric_calls == 6 and work.budget(LONGER) == work.budget("scaled") + 2


def test_rates_are_looked_for_until_the_best_lies_between_others() -> None:
    found = tune(0.1, lambda rate: abs(rate - 0.8))
    assert list(found) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
    assert list(tune(0.1, lambda rate: (rate - 0.1) ** 2)) == [0.05, 0.1, 0.2]
    assert len(tune(1.0, lambda rate: rate)) == 8, "without a best one it ends"


def test_the_judges_share_no_network_with_what_is_lowered(fetched: Callable[[str], Path]) -> None:
    fetched("efficientnet-lite0")
    G = geomlib.load_generator("mlp-cats")
    z = G.sample(3, 0)
    images = G(z)
    for lowered, other in (("mse", "st-lpips-alex"), ("st-lpips-alex", "mse")):
        beside = judges(geomlib.load_distance(lowered))
        assert list(beside) == [other, "efficientnet-lite0"]
    for judge in beside.values():
        assert torch.allclose(judged_by(judge, G, z, images), torch.zeros(3).double(), atol=1e-6)
        assert (judged_by(judge, G, z.roll(1, 0), images) > 1e-4).all()


def test_an_arm_that_is_nearer_by_half_beats_the_others() -> None:
    spread = torch.rand(3, 20, generator=torch.Generator().manual_seed(1)).double() + 1
    others = {name: spread for name in ("standard", LONGER, "random axes")}
    for factor, word in ((0.5, "same direction"), (1.0, "undecided"), (2.0, "contradicted")):
        noise = 1 + 0.1 * torch.rand(3, 20, generator=torch.Generator().manual_seed(2)).double() - 0.05
        one = judgement(others | {"eigenvectors": factor * noise * spread}, "eigenvectors", AGAINST)
        assert one.word == word and one.units == 20
    # One that is not beaten is enough, where it is an opponent: the calls of the metric are another claim.
    arms = others | {"eigenvectors": 0.5 * spread, LONGER: 0.4 * spread}
    assert judgement(arms, "eigenvectors", AGAINST).word == "same direction"
    paid = judgement(arms, "eigenvectors (metric paid for)", AGAINST)
    assert (paid.word, list(paid.intervals)) == ("contradicted", ["standard", LONGER, "random axes"])
