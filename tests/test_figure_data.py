"""What figures draw, read back from them: known numbers come out, by panel, kind and series."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from geomlib import figures
from geomlib.figures import data
from geomlib.findings import Results


def rows_of(figure: Figure) -> list[dict[str, str]]:
    """The table of a figure, after it was saved, as a reader of the file has it."""
    figure.savefig(io.BytesIO(), format="png")
    return list(csv.DictReader(io.StringIO(data.to_csv(data.table(figure)))))


def numbers(rows: Sequence[dict[str, str]], *names: str, **of: str) -> list[tuple[float, ...]]:
    """The named columns of those rows that have the given values."""
    chosen = [row for row in rows if all(row[key] == value for key, value in of.items())]
    return [tuple(float(row[name]) for name in names) for row in chosen]


def test_curves_have_their_points_with_seven_digits() -> None:
    rows = rows_of(figures.curves([1, 2, 3], {"a": [1, 4, 9], "b": [math.pi, 1e-12, 1]}, "steps", "error in mm"))
    assert numbers(rows, "x", "y", series="a", kind="line") == [(1, 1), (2, 4), (3, 9)]
    assert numbers(rows, "x", "y", series="b") == [(1, 3.141593), (2, 1e-12), (3, 1)]
    assert {(row["x label"], row["y label"]) for row in rows} == {("steps", "error in mm")}
    assert list(rows[0]) == ["x label", "y label", "kind", "series", "x", "y"], "no column is empty throughout"


def test_a_band_and_a_level_belong_to_the_line_of_their_colour() -> None:
    spectrum = torch.tensor([[4.0, 1.0], [2.0, 1.0]])
    rows = rows_of(figures.spectra({"a": spectrum, "b": spectrum / 2}, {"a": 1e-3}))
    assert numbers(rows, "x", "y", kind="line", series="a") == [(1, 1), (2, 0.3333333)]
    low, high = np.percentile([4, 2], [5, 95]) / 3
    assert numbers(rows, "x", "low", "high", kind="band", series="b") == [
        pytest.approx((1, low, high), rel=1e-6),
        pytest.approx((2, 1 / 3, 1 / 3), rel=1e-6),
    ]
    assert numbers(rows, "y", kind="level", series="a") == [(0.001,)]


def test_a_histogram_has_edges_and_densities_once() -> None:
    values = {"a": [0.0, 0.1, 0.9], "b": [0.0, 1.0]}
    rows = rows_of(figures.histograms(values, "angle", bins=2))
    assert numbers(rows, "low", "high", "y", kind="histogram", series="a") == [
        (0, 0.5, pytest.approx(4 / 3)),
        (0.5, 1, pytest.approx(2 / 3)),
    ]
    assert numbers(rows, "x", kind="level", series="a") == [(pytest.approx(1 / 3),)]
    assert {row["kind"] for row in rows} == {"histogram", "level"}


def test_bars_and_intervals_have_the_words_of_their_ticks() -> None:
    rows = rows_of(figures.bars({"one": {"left": 1.0, "right": 2.0}, "two": {"left": 0.5, "right": 4.0}}, "height"))
    assert [(row["series"], row["x name"], row["y"]) for row in rows] == [
        ("one", "left", "1"), ("one", "right", "2"), ("two", "left", "0.5"), ("two", "right", "4"),
    ]  # fmt: skip
    values = {"share": {"first": (1.0, 0.5, 2.0), "second": (3.0, 2.0, 4.0)}}
    rows = rows_of(figures.intervals(values, {"share": {"first": 0.1, "second": 0.2}}, "shuffled"))
    assert numbers(rows, "low", "high", **{"y name": "second", "kind": "interval"}) == [(2, 4)]
    assert numbers(rows, "x", **{"y name": "first", "series": "shuffled"}) == [(0.1,)]
    values["size"] = {"third": (5.0, 4.0, 6.0), "second": (8.0, 7.0, 9.0)}
    nulls = {name: dict.fromkeys(panel, 0.0) for name, panel in values.items()}
    rows = rows_of(figures.intervals(values, nulls, "shuffled"))
    assert numbers(rows, "low", **{"x label": "size", "y name": "second", "kind": "interval"}) == [(7,)]
    assert numbers(rows, "low", **{"x label": "size", "y name": "third", "kind": "interval"}) == [(4,)]
    assert not numbers(rows, "low", **{"x label": "share", "y name": "third", "kind": "interval"}), "empty there"


def test_error_bars_have_their_ends() -> None:
    values = {"plain": torch.tensor([1.0, 2.0, 3.0]), "metric": torch.tensor([2.0, 4.0, 6.0])}
    rows = rows_of(figures.paired(values, "distance"))
    spread = 1 / math.sqrt(3)
    assert numbers(rows, "y", "low", "high", **{"kind": "error bar", "x name": "plain"}) == [
        pytest.approx((2, 2 - spread, 2 + spread))
    ]
    assert numbers(rows, "y", kind="line", series="2") == [(2,), (4,)], "lines without a label are numbered"


def test_heat_maps_have_cells_and_panels_the_labels_of_their_column() -> None:
    one = torch.tensor([[1.0, 2.0], [3.0, math.nan]])
    rows = rows_of(figures.matrices({"one": one, "two": -one}, "to", "from", names=["u", "v"]))
    cell = {"panel": "two", "y name": "v", "x name": "u"}
    assert numbers(rows, "x", "y", "value", **cell) == [(0, 1, -3)]
    assert sum(math.isnan(float(row["value"])) for row in rows) == 2
    assert {row["x label"] for row in rows} == {"to"} and {row["y label"] for row in rows} == {"from"}
    levels = torch.arange(4.0).reshape(1, 1, 2, 2)
    rows = rows_of(figures.spectrograms(levels, 1.0, 8.0, ["quiet"], ["loud"]))
    assert numbers(rows, "x", "y", "value")[-1] == (0.75, 6, 3)
    assert rows[0]["value label"] == "level in dB" and rows[0]["y label"] == "frequency in kHz, quiet"


def test_points_and_outlines() -> None:
    rows = rows_of(figures.scatter([1, 2, 3], {"all": [1, 2, 3], "some": [5]}, "x", "y"))
    assert numbers(rows, "x", "y", kind="points", series="some") == [(1, 5)]
    square = torch.tensor([[[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]])
    rows = rows_of(figures.outlines(square, 2 * square, "across", "up"))
    assert numbers(rows, "x", "y", kind="outline")[:4] == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert numbers(rows, "x", "y", kind="line")[2] == (2, 2)
    figure = Figure()
    figure.subplots().scatter([1, 2], [3, 4], label="cloud")
    assert numbers(rows_of(figure), "x", "y", kind="points", series="cloud") == [(1, 3), (2, 4)]


@pytest.mark.parametrize(
    "figure",
    [
        figures.montage(torch.rand(1, 2, 1, 4, 4)),
        figures.atlas(torch.rand(2, 3, 3, 8, 8), ["a", "b"]),
        figures.on_surface(torch.rand(4, 5, 3), {"one": torch.rand(6, 3)}),
    ],
    ids=["montage", "atlas", "surface"],
)
def test_pictures_have_no_data(figure: Any, tmp_path: Path) -> None:
    Results(tmp_path).figure("pictures", figure, caption="Pictures.", alt="Pictures.")
    assert not list(tmp_path.glob("*.csv"))


def test_a_long_table_is_thinned_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from geomlib.findings import results

    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(results, "_display", lambda content, metadata: shown.append(metadata))
    out = Results(tmp_path)
    for name, count in (("short", data.ROWS), ("long", data.ROWS + 1)):
        figure = figures.curves(np.arange(count), {"a": np.arange(count)}, "x", "y")
        out.figure(name, figure, caption="Points.", alt="Points.")
    assert [one["geomlib"]["data"] for one in shown] == ["data (CSV)", "data (CSV, one row in 2)"]
    lines = [len((tmp_path / f"{name}.csv").read_text().splitlines()) for name in ("short", "long")]
    assert lines == [data.ROWS + 1, data.ROWS // 2 + 2]


def test_the_standings_of_networks_have_values_and_whole_intervals() -> None:
    values = {"one": {"theirs": [0.1, -0.2, 0.4], "empty": None, "mine": [0.5, 0.2, 1.8]}}
    rows = rows_of(figures.standings(values, ["mine"], "difference"))
    assert numbers(rows, "low", "high", kind="interval", **{"y name": "mine"}) == [(0.2, 1.8)]
    assert numbers(rows, "low", "high", kind="interval", **{"y name": "theirs"}) == [(-0.2, 0.4)]
    assert numbers(rows, "x", kind="points", **{"y name": "mine"}) == [(0.5,)]
    assert not numbers(rows, "y", **{"y name": "empty"})
