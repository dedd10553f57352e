"""The record of geodesics: it follows from its arrays, and is made resumably."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, load_script

from geomlib.findings.inversions import logarithms
from geomlib.findings.record import parts_of, read_record, row_of
from geomlib.findings.recording import arrays_of
from geomlib.findings.rules import FEWEST_UNITS, arms_beaten

RECORD = ROOT / "evidence" / "geodesics.json"
JUDGES = ("mse", "efficientnet-lite0")
script = load_script("evidence/geodesics.py")


def test_every_network_is_there_or_named_as_missing() -> None:
    record = read_record(RECORD)
    there, missing = ([part["label"] for part in record[key]] for key in ("parts", "missing"))
    assert sorted(there + missing) == sorted(script.NETWORKS)
    assert script.SETTINGS["pairs"] >= FEWEST_UNITS
    for part in record["parts"]:
        assert len(part["made"]["commit"]) == 40 and not part["made"]["edited since"]
        assert part["settings"] == script.SETTINGS


def check_words(path: Path) -> int:
    """How many rows of a record follow from its arrays by the rules of today."""
    rows = 0
    for part in parts_of(path):
        lengths = arrays_of(path, part)["lengths"]
        for index, entry in enumerate(part["rows"], 1):
            assert entry["statistic"] == f"geodesic, judged by {JUDGES[index - 1]}"
            logs, kept = logarithms(lengths[:, index]), row_of(entry).judgement
            others = dict(zip(script.OTHERS, (logs[1:2], logs[2:3], logs[3:]), strict=True))
            one = arms_beaten(logs[:1], others, better="less", units="pairs")
            assert one.word == kept.word and list(one.intervals) == list(kept.intervals)
            for name, interval in one.intervals.items():
                assert tuple(interval) == pytest.approx(tuple(kept.intervals[name]), rel=1e-6, abs=1e-9)
            rows += 1
    return rows


def test_words_follow_from_the_arrays_by_the_rules_of_today() -> None:
    assert check_words(RECORD) == 2 * len(parts_of(RECORD))


def test_a_record_is_made_and_goes_on(
    fetched: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched("mlp-cats")
    fetched("efficientnet-lite0")
    monkeypatch.setattr(script, "RECORD", tmp_path / "geodesics.json")
    monkeypatch.setattr(script, "STORE", tmp_path / "store")
    monkeypatch.setattr(script, "SETTINGS", script.SETTINGS | {"pairs": 2, "points": 3, "iterations": 1})
    monkeypatch.setattr(sys, "argv", ["geodesics.py", "--only", "mlp-cats"])
    script.main()
    first = read_record(tmp_path / "geodesics.json")
    assert [one["label"] for one in first["missing"]] == ["dcgan-portraits", "shapes-dcgan"]
    [part] = first["parts"]
    assert check_words(tmp_path / "geodesics.json") == 2
    assert {row["word"] for row in part["rows"]} == {"not comparable"}, "of two pairs"
    lengths = arrays_of(tmp_path / "geodesics.json", part)["lengths"]
    assert lengths.shape == (3 + script.SETTINGS["turns"], 3, 2) and (lengths > 0).all()
    assert part["lengths over the straight line"]["mse"]["straight line"] == pytest.approx(1)
    assert part["energy over that of the start"] < 1
    (tmp_path / "geodesics.json").unlink()
    monkeypatch.setattr(script.geodesics, "geodesic", lambda *_, **__: pytest.fail("sought again"))
    script.main()
    assert parts_of(tmp_path / "geodesics.json")[0]["rows"] == part["rows"]
