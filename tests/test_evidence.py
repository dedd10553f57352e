"""The record: it follows from its own arrays by the rules of today, says what is missing, and is made resumably."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, load_script

import geomlib
from geomlib.applications import controls
from geomlib.applications.kinds import kinds_of_control
from geomlib.findings.controlled import STATISTICS, Gap, gaps, judge_gaps, own_statistics
from geomlib.findings.record import judgements, made, part_about, read_record, refusals, row_entry, row_of, rows_of
from geomlib.findings.rules import FEWEST_UNITS, LATENTS, count_networks
from geomlib.generators.latents import SEED, latents_for
from geomlib.homogeneity import off_diagonal

RECORD = ROOT / "evidence" / "homogeneity.json"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("evidence/homogeneity.py")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return read_record(RECORD)


def test_every_row_that_was_promised_is_there_or_named_as_missing(script: ModuleType, record: dict[str, Any]) -> None:
    wanted = {(entry.label, distance) for entry in script.ENTRIES for distance in entry.distances}
    there = {(part["label"], part["distance"]) for part in record["parts"]}
    missing = {(one["label"], one["distance"]) for one in record["missing"]}
    assert there | missing == wanted and not there & missing
    assert all(one["reason"] for one in record["missing"])
    # Code that was edited counts as that of its commit where its hash is that of a clean one.
    clean = {
        (part["made"]["commit"], part["made"]["code"]) for part in record["parts"] if not part["made"]["edited since"]
    }
    for part in record["parts"]:
        assert [row["statistic"] for row in part["rows"]] == list(STATISTICS)
        assert len(part["made"]["commit"]) == 40 and (part["made"]["commit"], part["made"]["code"]) in clean, part[
            "label"
        ]
        assert {one["seed"] for one in part["networks"] if one["kind"] == "shuffled"} <= {2101, 2102, 2103, 2104}


def test_words_follow_from_the_arrays_by_the_rules_of_today(record: dict[str, Any]) -> None:
    with np.load(RECORD.with_suffix(".npz")) as arrays:
        kept = {name: torch.from_numpy(arrays[name]).double() for name in arrays}
    for part in record["parts"]:
        place = f"{part['label']}|{part['distance']}"
        for row in map(row_of, part["rows"]):
            found: dict[str, list[dict[str, Gap]]] = {kind: [] for kind in part["kinds"]}
            for name in kept:
                label, distance, kind, *rest = name.split("|")
                if (label, distance) == tuple(place.split("|")) and rest[1:] == [row.statistic, "trained"]:
                    gap = Gap(kept[name], kept[name.replace("|trained", "|control")], 0)
                    found[kind].append({row.statistic: gap})
            judged = judge_gaps(row.statistic, found)
            assert judged.word == row.judgement.word, f"{place}: {row.statistic}"
            assert judged.intervals.keys() == row.judgement.intervals.keys()
            for kind, interval in judged.intervals.items():
                assert tuple(interval) == pytest.approx(tuple(row.judgement.intervals[kind]), rel=1e-3, abs=1e-4)


def test_networks_without_training_are_refused(record: dict[str, Any]) -> None:
    """In the place of a trained network none has all rows of a claim in the same direction, but one under mse."""
    taken = {}
    for plain in (False, True):
        for claim in ("homogeneity", "anisotropy"):
            names = [name for name, statistic in STATISTICS.items() if statistic.claim == claim]
            found = refusals(RECORD, names, plain=plain)
            assert found.judged == found.refused >= 20, "those that count are all refused"
            taken[claim, plain] = found.taken
    assert {key: names for key, names in taken.items() if names} == {
        ("anisotropy", True): [("ctgan-blips-l1, mse", "shuffled, seed 2104")]  # told on the page of claims
    }
    # By hand, from what the record has of each trial.
    words = [
        (part["distance"] == "mse", part["label"].startswith("ctgan"), one["words"]["linear consistency"])
        for part in record["parts"]
        for one in part["refusals"]
    ]
    linear = refusals(RECORD, ["linear consistency"], plain=False)
    own = [word for plain, optional, word in words if not plain and not optional and word != "not comparable"]
    assert (linear.refused, linear.judged) == (len(own) - own.count("same direction"), len(own))
    assert refusals("", ["linear consistency"], plain=False) == (0, 0, [])


def test_rows_are_counted_by_network(record: dict[str, Any]) -> None:
    rows = rows_of(record, "linear consistency", "log consistency")
    assert len(rows) == 2 * (len(record["parts"]) + len(record["missing"]))
    count = count_networks(rows)
    unfinished = {one["label"].split()[0] for one in record["missing"] if one["distance"] != "mse"}
    assert not any(one.word == "same direction" for one in count.networks if one.network in unfinished)
    names = [one.network for one in count.networks]
    assert len(names) == len(set(names)) and not any(name.startswith("ctgan") for name in names)
    assert all(row_of(row_entry(row)) == row for row in rows)
    for row in rows:
        assert row.judgement.units >= FEWEST_UNITS or row.judgement.word in ("not comparable", "not run")
        if row.network == "dcgan-portraits" and row.judgement.word != "not run":
            assert row.judgement.units == LATENTS["main network"]


@pytest.mark.parametrize(("seed", "repeats"), [(2101, True), (2102, False)])
def test_a_slice_repeats_the_record(fetched: Callable[[str], Path], seed: int, repeats: bool) -> None:
    """One control, measured anew by the same code, is that of the record; another network is not."""
    fetched("mlp-cats")
    G = geomlib.load_generator("mlp-cats")
    control = kinds_of_control(G, SEED)["shuffled"](seed)
    d = geomlib.load_distance("mse")
    metric = geomlib.metric_tensor(control, latents_for("metrics", G, 10), d)
    part = part_about(RECORD, G, d)
    assert part is not None and part_about(RECORD, G, geomlib.load_distance("ssim")) is None
    [kept] = [one for one in part["networks"] if (one["kind"], one.get("seed")) == ("shuffled", 2101)]
    here = own_statistics(metric)
    assert (here == pytest.approx({name: kept[name] for name in here}, rel=1e-4)) is repeats


FACTORY = """
import torch
from geomlib.generators import build
from geomlib.generators.spaces import as_generator

def make():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build("tutorial_dcgan", latent_dim=6, dim_g=4, depth=1).eval().requires_grad_(False)
    return as_generator("tutorial_dcgan", network, "", "small", "mse")
"""


def test_a_record_is_made_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: ModuleType) -> None:
    (tmp_path / "small.py").write_text(FACTORY)
    name = f"{tmp_path}/small.py:make"
    monkeypatch.setattr(script, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(script, "STORE", tmp_path / "metrics")
    monkeypatch.setattr(
        script, "ENTRIES", (script.Entry(name, latents=4, distances=("mse",)), script.Entry("mlp-cats"))
    )
    monkeypatch.setattr(sys, "argv", ["homogeneity.py", "--only", name])
    script.main()
    first = read_record(tmp_path / "record.json")
    assert [one["label"] for one in first["missing"]] == ["mlp-cats", "mlp-cats"]
    (part,) = first["parts"]
    assert part["kinds"] == [
        "shuffled", "untrained", "untrained, N(0, 0.02)", "shuffled, contrast matched", "untrained, contrast matched",
    ]  # fmt: skip
    assert [one["kind"] for one in part["refusals"]] == part["kinds"][:3]
    assert {row["word"] for row in part["rows"]} == {"not comparable"}, "of four latents"
    assert all(list(row["intervals"]) == part["kinds"] for row in part["rows"])
    contrasts = [one["contrast"] for one in part["networks"] if "contrast matched" in one["kind"]]
    assert contrasts == pytest.approx([part["networks"][0]["contrast"]] * 6, rel=1e-5)
    # What is there is not made again; what was lost is read from the kept metrics.
    before = (tmp_path / "record.json").stat().st_mtime_ns
    script.main()
    assert (tmp_path / "record.json").stat().st_mtime_ns == before
    (tmp_path / "record.json").unlink()
    monkeypatch.setattr("geomlib.sweep.task.Task.values", lambda *arguments: pytest.fail("computed again"))
    script.main()
    again = read_record(tmp_path / "record.json")["parts"][0]
    assert again["rows"] == part["rows"] and again["explanations"] == part["explanations"]


def test_what_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`make evidence` makes it"):
        read_record(tmp_path / "none.json")
    (tmp_path / "other.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(ValueError, match="is no record: expected parts, missing and manifest"):
        read_record(tmp_path / "other.json")


def test_what_was_known_before_the_rule_is_told_wherever_a_part_is() -> None:
    told = {(part["label"], part["distance"]): made(part) for part in read_record(RECORD)["parts"]}
    assert "the rule was written with earlier numbers of it known" in told["mlp-cats", "mse"]
    assert told["shapes-dcgan", "mse"].startswith("recorded on ") and "known" not in told["shapes-dcgan", "mse"]


def test_a_control_of_the_record_comes_out_again_and_another_does_not(fetched: Callable[[str], Path]) -> None:
    fetched("mlp-cats")
    G, d = geomlib.load_generator("mlp-cats"), geomlib.load_distance("mse")
    part = part_about(RECORD, G, d)
    assert part and judgements(part) and "commit" in made(part)
    latents = latents_for("metrics", G, 4)
    with np.load(RECORD.with_suffix(".npz")) as arrays:
        kept = torch.from_numpy(arrays["mlp-cats|mse|shuffled|2101|log consistency|control"]).double()[:4, :4]
    trained = geomlib.metric_tensor(G, latents, d)

    def error(seed: int) -> float:
        control = geomlib.metric_tensor(controls.shuffled(G, seed), latents, d)
        again = off_diagonal(gaps(trained, control)["log consistency"].control)
        return float((again - off_diagonal(kept)).abs().max() / again.abs().max())

    assert error(2101) < 1e-4 < 1e-2 < error(2108)
    assert part_about(RECORD, G, geomlib.load_distance("ssim")) is None
    assert part_about("", G, d) is None and part_about("no/such.json", G, d) is None
