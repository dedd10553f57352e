"""`geomlib compare`: an own network held against its controls by the rule of the record, and set beside the others."""

import json
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from PIL import Image

from geomlib import cli, runner
from geomlib._files import put_in_place
from geomlib.findings.comparison import COMPARED
from geomlib.findings.controlled import STATISTICS
from geomlib.findings.record import find_record, read_record, rows_of

COLUMN = '<th scope=\\"col\\">Yours'  # as the page has it in its JSON
pytestmark = pytest.mark.usefixtures("warm")

FACTORY = """
import torch
import geomlib
from torch import nn

def make(wide: bool = True):
    torch.manual_seed(0)
    layers = nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4))
    return geomlib.Generator(nn.Sequential(*layers).eval(), latent_dim=5, output_range=(-1, 1), default_distance="mse")

def plain():
    return geomlib.Generator(lambda z: z[:, :, None, None].repeat(1, 1, 8, 8), 3, default_distance="mse")

def narrow():
    return geomlib.Generator(nn.Sequential(nn.Linear(2, 48), nn.Unflatten(1, (3, 4, 4))).eval(), latent_dim=2)

def broken():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's folder: a factory and nothing else, outside of any project."""
    (tmp_path / "mine.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEOMLIB_STORE", raising=False)
    threads = torch.get_num_threads()
    yield tmp_path  # type: ignore[misc]
    torch.set_num_threads(threads)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["geomlib", "compare", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_an_own_network_is_a_row_beside_the_recorded_ones(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "mine.py:make", "-o", "wide=true") == 0
    shown = capsys.readouterr()
    assert "about" not in shown.err.splitlines()[-1] and "metric 130 of 130" in shown.err
    own = "mine.py:make z wide=True, mse (yours)"
    [row] = [line for line in shown.out.splitlines() if line.startswith(f">  {own}")]
    recorded = read_record(ROOT / "evidence" / "homogeneity.json")
    for part in recorded["parts"]:
        start = f"   {part['label']}, {part['distance']} "
        [line] = [line for line in shown.out.splitlines() if line.startswith(start)]
        assert all(one["word"] in line for one in part["rows"])
    [folder] = (place / "results" / "compare").iterdir()
    assert {path.name for path in folder.iterdir()} == {"comparison.png", "comparison.csv", COMPARED, "summary.json"}
    assert Image.open(folder / "comparison.png").width > 1000
    kept = read_record(folder / COMPARED)
    [part] = kept["parts"]
    rows = {one.statistic: one for one in rows_of(kept, *STATISTICS)}
    assert all(one.judgement.word in row for one in rows.values())
    assert {one.judgement.units for one in rows.values()} == {10}
    # The value of an interval is the network's own less the mean of three controls.
    means = {kind: [one for one in part["networks"] if one["kind"] == kind] for kind in ("trained", *part["kinds"])}
    assert part["kinds"] == ["shuffled", "untrained", "shuffled, contrast matched", "untrained, contrast matched"]
    for name, sign in (("linear consistency", 1), ("axes for 99 %", -1), ("participation ratio", -1)):
        for kind, interval in rows[name].judgement.intervals.items():
            assert len(means[kind]) == 3
            gap = means["trained"][0][name] - sum(one[name] for one in means[kind]) / 3
            assert interval.value == pytest.approx(sign * gap, abs=1e-6)
    summary = json.loads((folder / "summary.json").read_text())
    assert [one["network"] for one in summary["comparison"]] == ["yours"] * 4

    # What was measured is read when it is run again, also after the folder is gone.
    (folder / COMPARED).write_text("{}")
    monkeypatch.setattr("geomlib.sweep.task.Task.values", lambda *arguments: pytest.fail("computed again"))
    assert call(monkeypatch, "mine.py:make", "-o", "wide=true", "--record", str(place / "none.json")) == 2
    assert (folder / COMPARED).read_text() == "{}"
    assert call(monkeypatch, "mine.py:make", "-o", "wide=true") == 0
    assert read_record(folder / COMPARED)["parts"][0]["rows"] == part["rows"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.py:make", "--latents", "9"], "geomlib: latents: expected at least 10, for a verdict needs them, got 9"),
        (["mine.py:make", "--seeds", "2"], "geomlib: seeds: expected at least 3, for a verdict needs them, got 2"),
        (["mine.py:make", "--threads", "0"], "geomlib: threads: expected a positive integer, got 0"),
        (["mine.py:make", "--distance", "l2"], "geomlib: distance: expected one of "),
        (["mine.py:make", "--record", "no.json"], "geomlib: path: no record no.json"),
        (["mine.py:make", "--record", "mine.json"], "geomlib: path: mine.json is no record: expected parts, "),
        (["mine.py:plain"], "geomlib: generator: mine.py:plain is no module with weights, so there are no controls"),
        (["mine.py:narrow", "--distance", "mse"], "geomlib: generator: expected at least three latent axes to compare"),
        (["mine.py:broken"], "geomlib: RuntimeError: no weights here (mine.py:"),
        (["mine.py:gone"], "geomlib: generator: "),
        (["absent.py:make"], "geomlib: generator: no file absent.py"),
        (["shapes-biggan", "--space", "class", "--distance", "mse"], "geomlib: space: class of shapes-biggan has only"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (place / "mine.json").write_text('{"rows": []}')
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert len(error.splitlines()) == 1
    assert {path.name for path in place.iterdir()} <= {"mine.py", "mine.json", "__pycache__"}


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "results").write_text("a file")
    monkeypatch.setattr("geomlib.sweep.task.Task.values", lambda *arguments: pytest.fail("measured"))
    assert call(monkeypatch, "mine.py:make") == 2
    assert "is no folder that can be written" in capsys.readouterr().err


def test_the_record_is_found_around_a_folder_and_beside_the_package(tmp_path: Path) -> None:
    assert find_record(tmp_path) == ROOT / "evidence" / "homogeneity.json"
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "homogeneity.json").write_text("{}")
    (tmp_path / "deeper").mkdir()
    assert find_record(tmp_path / "deeper") == tmp_path / "evidence" / "homogeneity.json"


def test_the_page_of_all_claims_shows_what_was_compared_and_counts_it_nowhere(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "what_we_could_confirm"
    (toy / f"notebooks/{page}.ipynb").write_bytes((ROOT / f"notebooks/{page}.ipynb").read_bytes())
    lines: list[str] = []
    [folder] = runner.run([page], root=toy, settings={"profile": "smallest"}, say=lines.append)
    before = json.loads((folder / "summary.json").read_text())["numbers"]
    assert COLUMN not in (folder / f"{page}.ipynb").read_text()
    record = read_record(ROOT / "evidence" / "homogeneity.json")
    part = next(one for one in record["parts"] if one["distance"] == "mse")
    for row in part["rows"]:
        row["network"] = "mine.py:make"
    (toy / "results/compare/mine").mkdir(parents=True)
    (toy / "results/compare/mine" / COMPARED).write_text(json.dumps({"manifest": {}, "missing": [], "parts": [part]}))
    lines.clear()
    runner.run([page], root=toy, settings={"profile": "smallest"}, say=lines.append)
    assert "unchanged" not in lines[0]
    shown = (folder / f"{page}.ipynb").read_text()
    assert COLUMN in shown and "mine.py:make, z (yours)" in shown
    assert "mine.py:make, mse: contradicted" in shown
    assert json.loads((folder / "summary.json").read_text())["numbers"] == before


def test_the_page_of_all_claims_has_the_rows_of_records_that_are_on_no_page(toy: Path) -> None:
    page = "what_we_could_confirm"
    (toy / f"notebooks/{page}.ipynb").write_bytes((ROOT / f"notebooks/{page}.ipynb").read_bytes())
    record = read_record(ROOT / "evidence" / "geodesics.json")
    (toy / "evidence").mkdir(exist_ok=True)
    (toy / "evidence/geodesics.json").write_text(json.dumps(record))
    [folder] = runner.run([page], root=toy, settings={"profile": "smallest"}, say=lambda line: None)
    shown = (folder / f"{page}.ipynb").read_text()
    rows = [row for part in record["parts"] for row in part["rows"]]
    assert len(rows) > 2
    for row in rows:
        assert f"{row['network']}, {row['distance']}, record" in shown and f"recorded: {row['statistic']}" in shown
    judged = sum(row["word"] in ("same direction", "undecided", "contradicted") for row in rows)
    assert json.loads((folder / "summary.json").read_text())["numbers"]["rows_judged"] == judged > 0


def test_a_folder_that_cannot_be_put_in_place_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, place = tmp_path / "made", tmp_path / "place"
    for folder in (made, place):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self == made:
            raise PermissionError("refused")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(PermissionError, match="refused"):
            put_in_place(made, place)
    assert (place / "name").read_text() == "place"
    put_in_place(made, place)
    assert (place / "name").read_text() == "made" and [one.name for one in tmp_path.iterdir()] == ["place"]
