"""The sample report says what was measured, shows it, and is graded in every row of the rubric."""

import json
import re

from conftest import ROOT

from geomlib.findings import Interval

PAGE = " ".join((ROOT / "book/sample_report.md").read_text(encoding="utf-8").split())
FOLDER = ROOT / "book/sample_report"
SUMMARY = json.loads((FOLDER / "summary.json").read_text(encoding="utf-8"))
INTERVALS = [
    Interval(*value)
    for value in SUMMARY["numbers"].values()
    if isinstance(value, list) and len(value) == 3 and value[1] <= value[0] <= value[2]
]


def test_every_interval_of_the_page_was_measured() -> None:
    told = re.findall(r"-?\d\.\d\d \(-?\d\.\d\d to -?\d\.\d\d\)", PAGE.replace("−", "-"))
    assert len(told) > 8
    assert set(told) <= {f"{one:.2f}" for one in INTERVALS}


def test_the_page_has_the_figures_with_their_captions_and_data() -> None:
    for name, figure in SUMMARY["figures"].items():
        assert f"sample_report/{name}.png" in PAGE
        assert figure["caption"] in PAGE and figure["alt"] in PAGE, name
        data = FOLDER / f"{name}.csv"
        assert data.is_file() == (f"sample_report/{name}.csv" in PAGE), name


def test_every_part_and_every_row_of_the_rubric_is_there() -> None:
    assignment = (ROOT / "book/assignment.md").read_text(encoding="utf-8")
    for part in re.findall(r"^\d\. \*\*(.+?)\.\*\*", assignment, re.MULTILINE):
        assert re.search(rf"## \d · {re.escape(part)}", PAGE), part
    rows = re.findall(r"^\| \*\*(\w+)\*\* \|", assignment, re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        assert re.search(rf"\| {row} \| [1-4] \|", PAGE), row
