"""The landing page says beside each number what a network without training gives, and what was judged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from geomlib.book import highlights

END = " than every kind of control"


def summary(words: dict[str, str], controls: dict[str, int]) -> dict[str, Any]:
    numbers = {"dimension": 100, "dimensions_for": [27, 40], "dimensions_in_common": 74, "controls": list(controls)}
    rows = [{"claim": f"{claim}{END}", "verdict": word} for claim, word in words.items()]
    numbers |= {"controls_dimensions": list(controls.values())}
    return {"numbers": numbers, "comparison": [{"claim": "another", "verdict": "tested"}, *rows], "figures": {}}


def test_a_claim_that_is_contradicted_is_called_so() -> None:
    told = highlights.verdicts(summary({"more log consistency": "contradicted", "fewer axes": "same direction"}, {}))
    assert "more log consistency, *contradicted*; fewer axes, *same direction*" in told and "another" not in told


@pytest.mark.parametrize("words", [{}, {"fewer axes": "not comparable"}])
def test_without_three_controls_of_each_kind_nothing_is_judged(words: dict[str, str]) -> None:
    assert highlights.verdicts(summary(words, {})).startswith("Not comparable: not measured against three networks")


def test_axes_stand_beside_those_of_the_controls_that_there_are() -> None:
    told = highlights.axes(summary({}, {"own": 26, "shuffled": 92, "untrained": 97}))
    assert "27 hold 99 %" in told and "needs 74." in told and "it takes 26 on average" in told
    assert "one network of the same layers takes 92 (shuffled), 97 (untrained)." in told
    for few in ({}, {"own": 26}):
        assert "No network without training" in highlights.axes(summary({}, few))


def test_prose_is_filled_in_and_what_does_not_apply_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    highlights.PROSE.mkdir(parents=True)
    found = summary({}, {}) | {
        "finding": "It was",
        "beside the finding": ["found."],
        "figures": {"line": {"caption": "A line.", "alt": "Line."}},
    }
    for name, more in {"first": {}, "second": {"does_not_apply": "no factors"}}.items():
        (highlights.PROSE / f"{name}.md").write_text(
            f"{name}: <<finding first>> <<caption first line>> <<alt first line>>"
        )
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(found | more))
    folders = [tmp_path / "first", tmp_path / "second"]
    assert highlights.text(folders) == "first: It was found. A line. Line."
    assert highlights.text(folders[1:]).startswith("None of the experiments applies")


@pytest.mark.notebooks
def test_what_the_pages_leave_fills_the_prose_of_the_book(
    run_smallest: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    told = highlights.text([run_smallest("anisotropy"), run_smallest("homogeneity")])
    assert "<<" not in told and "rotated" not in told
    assert told.count("three networks of each kind of control") == 2
    assert "(untrained)." in told and "One untrained network of the same layers" in told
