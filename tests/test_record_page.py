"""A record on a page: its figure and table hold every row, and a ratio is that of the geometric means."""

import json
from pathlib import Path

import pytest
import torch

import geomlib
from geomlib.findings import Interval, Results
from geomlib.findings.record import row_entry
from geomlib.findings.record_page import RecordPage, as_ratio
from geomlib.findings.rules import Row, arms_beaten

MADE = {"date": "2026-01-02", "commit": "0123456789", "code": "x"}


def write(path: Path, lengths: dict[str, torch.Tensor]) -> None:
    logs = {name: values.log()[None] for name, values in lengths.items()}
    judged = arms_beaten(logs.pop("own"), logs, better="less", units="pairs")
    row = row_entry(Row("sphere", "z", "mse", "own axes, judged by ssim", judged))
    part = {
        "label": "sphere",
        "distance": "mse",
        "made": MADE,
        "rows": [row],
        "settings": {"targets": 40, "rates": [1, 2]},
    }
    missing = [{"label": "torus", "distance": "mse", "reason": "not run yet"}]
    path.write_text(json.dumps({"manifest": {}, "missing": missing, "parts": [part]}))


def test_a_ratio_is_that_of_geometric_means() -> None:
    torch.manual_seed(0)
    lengths = {name: torch.rand(40, dtype=torch.float64) + 1 for name in ("own", "other")}
    logs = {name: values.log() for name, values in lengths.items()}
    judged = arms_beaten(logs["own"][None], {"other": logs["other"][None]}, better="less", units="pairs")
    ratio = as_ratio(judged.intervals["other"])
    assert ratio.value == pytest.approx(float((logs["own"].mean() - logs["other"].mean()).exp()))
    assert ratio.low <= ratio.value <= ratio.high
    assert as_ratio(Interval(0.0, 0.0, 0.0)) == (1, 1, 1)


def test_every_row_is_shown_and_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "record.json", Results(tmp_path / "out")
    sphere, d = geomlib.load_generator("sphere"), geomlib.load_distance("mse")
    for place in (str(path), ""):
        page = RecordPage(out, place, sphere, d)
        page.draw(caption="c.")
        page.list(title="t")
    assert "record" not in out.summary["figures"], "no record, nothing to show"

    tables: list[tuple[list[str], list[list[object]]]] = []
    monkeypatch.setattr(Results, "table", lambda self, caption, header, rows: tables.append((header, rows)))
    torch.manual_seed(0)
    write(path, {name: torch.rand(40) + at for name, at in (("own", 1), ("line", 3), ("arc", 0.5))})
    page = RecordPage(out, str(path), sphere, d, ratios=True)
    page.draw(caption="c.")
    page.list(title="t", columns={"Arm again": lambda _, arm, __: arm})
    caption = out.summary["figures"]["record"]["caption"]
    assert caption == "c. Recorded on 2026-01-02 with commit 0123456: sphere, mse."
    drawn = (tmp_path / "out" / "record.csv").read_text()
    assert "own axes / line" in drawn and "own axes / arc" in drawn
    [(header, [row, missing])] = tables
    assert header[3] == "Arm again"
    assert row[:4] == ["sphere, mse", "own axes, judged by ssim", "contradicted", "own axes"]
    page.list(title="t", own=True)
    assert [one[0] for one in tables.pop()[1]] == ["sphere, mse"], "what other networks lack is left out"
    assert "line: " in str(row[4]) and "arc: " in str(row[4]) and missing[:3] == ["torus, mse", None, "not run"]
    assert len(row) == len(missing) == len(header)
    told = page.ends("{name}: {gap:.3f} times {other}, {word}")
    other, gap = page.judged["own axes, judged by ssim"].worst or ("", Interval(0.0, 0.0, 0.0))
    assert told == [f"own axes, judged by ssim: {as_ratio(gap):.3f} times {other}, contradicted"]
    assert page.made == "recorded on 2026-01-02 with commit 0123456"
    assert page.tally() == "own axes, 1 *contradicted*"
    # A second claim about the arm, with the same opponents and one more, shows that one alone.
    content = json.loads(path.read_text())
    [first] = content["parts"][0]["rows"]
    more = {**first, "statistic": "own axes (paid for), judged by ssim"}
    more["intervals"] = {**first["intervals"], "longer": [-1.0, -2.0, -0.5]}
    content["parts"][0]["rows"].append(more)
    path.write_text(json.dumps(content))
    RecordPage(Results(tmp_path / "more"), str(path), sphere, d, ratios=True).draw(caption="c.")
    both = (tmp_path / "more" / "record.csv").read_text()
    assert both.count("/ line") == drawn.count("/ line") and "own axes (paid for) / longer" in both
    network, lowered = page.about(page.parts[0])
    assert (network.name, lowered.name) == ("sphere", "mse")


def test_a_part_made_with_other_settings_is_of_no_use_here(tmp_path: Path) -> None:
    path, sphere, d = tmp_path / "record.json", geomlib.load_generator("sphere"), geomlib.load_distance("mse")
    torch.manual_seed(0)
    write(path, {name: torch.rand(40) + at for name, at in (("own", 1), ("line", 3))})
    page = RecordPage(Results(tmp_path / "out"), str(path), sphere, d, targets=40)
    assert page.part and page.part["settings"] == {"targets": 40, "rates": [1, 2]}
    page = RecordPage(Results(tmp_path / "out"), str(path), sphere, d, targets=20)
    assert page.part is None and not page.judged and page.made == "on this page" and page.ends("{name}") == []
