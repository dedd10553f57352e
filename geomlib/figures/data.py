"""What a figure draws, read back from it as one table: a row a point, a bar, an interval or a cell of a heat map."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator

ROWS = 20_000  # at most, in a file
PLACE = ("panel", "x label", "y label", "kind", "series")
COLUMNS = (*PLACE, "x", "x name", "y", "y name", "low", "high", "value", "value label")
Row = dict[str, Any]


def table(figure: Figure) -> list[Row]:
    """All that a figure draws by numbers, in its order.

    Pictures (images of three colours, or on axes without ticks) and scenes in space are left out.

    Returns:
        Rows by the names of `COLUMNS`. `low` and `high` are the ends of a band or an interval, along the coordinate
        that the row lacks or, where it has both, along `y`; of a bar of a histogram, its edges. `x name` and `y name`
        are the words at the nearest tick, where an axis has words.
    """
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>" and axis.name == "rectilinear"]
    named = {colour: label for axis in panels for colour, label in _legend(axis).items()}
    rows: list[Row] = []
    for number, axis in enumerate(panels, start=1):
        found = list(_of(axis, named | _legend(axis)))
        if not found:  # a picture
            continue
        title = axis.get_title() or axis.get_title("left") or (str(number) if len(panels) > 1 else "")
        place = {"panel": title, "x label": _label(figure, axis, "x"), "y label": _label(figure, axis, "y")}
        rows += [place | row for row in found]
    return rows


def to_csv(rows: Sequence[Row]) -> str:
    """A table as text: numbers with seven digits, no column that is empty throughout."""

    def text(value: Any) -> str:
        return f"{value:.7g}" if isinstance(value, float | np.floating) else str(value)

    header = [name for name in COLUMNS if name in ("x", "y") or any(row.get(name, "") != "" for row in rows)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([text(row.get(name, "")) for name in header] for row in rows)
    return stream.getvalue()


def thinned(rows: Sequence[Row]) -> tuple[Sequence[Row], int]:
    """At most `ROWS` rows at even distances, and that distance: 1 where all are kept."""
    step = -(-len(rows) // ROWS) or 1
    return rows[::step], step


def _of(axis: Any, named: Mapping[str, str]) -> Iterator[Row]:
    """The rows of one panel; `named` has the series of a colour, for what has no label itself."""
    held = {id(part) for one in axis.containers for part in _parts(one)}
    for container in axis.containers:
        if isinstance(container, BarContainer):
            yield from _bars(axis, container, named)
        elif isinstance(container, ErrorbarContainer):
            yield from _error_bars(axis, container, named)
    lines = [(line, _series(line, line.get_color(), named)) for line in axis.lines if id(line) not in held]
    nameless = [line for line, series in lines if not series]
    for line, series in lines:
        number = str(nameless.index(line) + 1) if len(nameless) > 1 and not series else ""
        yield from _line(axis, line, series or number)
    for collection in axis.collections:
        if id(collection) not in held:
            yield from _collection(axis, collection, named)
    filled = [patch for patch in axis.patches if isinstance(patch, Polygon) and patch.get_fill()]
    for count, patch in enumerate(filled, start=1):  # a polygon that is not filled repeats the bars of a histogram
        yield from ({"kind": "outline", "series": str(count), "x": x, "y": y} for x, y in patch.get_xy())
    for image in axis.images:
        yield from _heat_map(axis, image)


def _line(axis: Any, line: Any, series: str) -> Iterator[Row]:
    x, y = map(_floats, line.get_data(orig=False))
    across, up = line.get_transform().contains_branch_seperately(axis.transData)
    if not (across and up):  # a level that goes from end to end
        yield {"kind": "level", "series": series} | ({"y": y[0]} if up else {"x": x[0]})
        return
    kind = "points" if line.get_linestyle() == "None" or not line.get_linewidth() else "line"
    for one, other in zip(x, y, strict=True):
        yield {"kind": kind, "series": series, "x": one, "y": other} | _names(axis, one, other)


def _bars(axis: Any, container: Any, named: Mapping[str, str]) -> Iterator[Row]:
    boxes = [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height()) for bar in container.patches]
    if not boxes:
        return
    series = _series(container, container.patches[0].get_facecolor(), named)
    touch = len(boxes) > 1 and all(np.isclose(one[1], other[0]) for one, other in pairwise(boxes))
    for left, right, height in boxes:
        middle = (left + right) / 2
        row = {"series": series, "x": float(middle), "y": float(height)}
        if touch:
            yield {"kind": "histogram", **row, "low": float(left), "high": float(right)}
        else:
            yield {"kind": "bar", **row} | _names(axis, middle, None)


def _error_bars(axis: Any, container: Any, named: Mapping[str, str]) -> Iterator[Row]:
    line, _, bars = container.lines
    series = _series(container, line.get_color() if line else bars[0].get_colors()[0], named)
    ends = [segment for one in bars for segment in one.get_segments()]
    for x, y in zip(*line.get_data(orig=False), strict=True) if line else ():
        row = {"kind": "error bar", "series": series, "x": float(x), "y": float(y)} | _names(axis, x, y)
        [*own] = [segment[:, 1] for segment in ends if (segment[:, 0] == x).all() and segment[0, 1] <= y]
        yield row | ({"low": float(own[0].min()), "high": float(own[0].max())} if own else {})


def _collection(axis: Any, collection: Any, named: Mapping[str, str]) -> Iterator[Row]:
    colours = collection.get_edgecolor() if isinstance(collection, LineCollection) else collection.get_facecolor()
    series = _series(collection, colours[0], named) if len(colours) else ""
    if isinstance(collection, PathCollection):
        for x, y in _floats(collection.get_offsets()):
            yield {"kind": "points", "series": series, "x": x, "y": y} | _names(axis, x, y)
    elif isinstance(collection, LineCollection):
        for (x, y), (right, top) in (segment[[0, -1]] for segment in collection.get_segments()):
            if y == top:
                yield {"kind": "interval", "series": series, "y": y, "low": x, "high": right} | _names(axis, None, y)
            elif x == right:
                yield {"kind": "interval", "series": series, "x": x, "low": y, "high": top} | _names(axis, x, None)
    elif isinstance(collection, PolyCollection):
        for path in collection.get_paths():
            ends: dict[float, list[float]] = {}
            for x, y in _floats(path.vertices):
                ends.setdefault(float(x), []).append(float(y))
            for x, heights in ends.items():
                yield {"kind": "band", "series": series, "x": x, "low": min(heights), "high": max(heights)}


def _heat_map(axis: Any, image: Any) -> Iterator[Row]:
    values = _floats(image.get_array())
    if values.ndim != 2 or not axis.axison or not (len(axis.get_xticks()) or len(axis.get_yticks())):
        return
    left, right, bottom, top = image.get_extent()
    if image.origin == "upper":
        bottom, top = top, bottom
    across = left + (np.arange(values.shape[1]) + 0.5) * (right - left) / values.shape[1]
    up = bottom + (np.arange(values.shape[0]) + 0.5) * (top - bottom) / values.shape[0]
    label = image.colorbar.ax.get_ylabel() if image.colorbar else ""
    columns = [{"x": x} | _names(axis, x, None) for x in across.tolist()]
    for y, line in zip(up.tolist(), values.tolist(), strict=True):
        row = {"kind": "heat map", "y": y, "value label": label} | _names(axis, None, y)
        yield from (column | row | {"value": value} for column, value in zip(columns, line, strict=True))


def _names(axis: Any, x: float | None, y: float | None) -> Row:
    """The words at the nearest ticks, where the ticks of an axis are words."""
    found: Row = {}
    for key, side, value in (("x name", axis.xaxis, x), ("y name", axis.yaxis, y)):
        words = _words(side)
        if words and value is not None:
            found[key] = words[min(words, key=lambda place, value=value: abs(place - value))]  # type: ignore[misc]
    return found


def _words(side: Any) -> dict[float, str]:
    """Position and word of the ticks of an axis; none where they are numbers."""
    if not isinstance(side.get_major_locator(), FixedLocator):
        return {}
    places = side.get_majorticklocs()
    texts = side.get_major_formatter().format_ticks(places)
    if all(text.replace("−", "-").replace(".", "").lstrip("-").isdigit() for text in texts):
        return {}
    return {float(place): text.replace("\n", " ") for place, text in zip(places, texts, strict=False)}


def _label(figure: Figure, axis: Any, side: str) -> str:
    """The label of one side of a panel: its own, that of its column or row, or that of the figure."""
    own = str(getattr(axis, f"get_{side}label")())
    place = axis.get_subplotspec()
    for other in figure.axes if place and not own else ():
        there = other.get_subplotspec()
        same = there and (there.colspan == place.colspan if side == "x" else there.rowspan == place.rowspan)
        own = own or (str(getattr(other, f"get_{side}label")()) if same and other.get_label() != "<colorbar>" else "")
    both = (str(getattr(figure, f"get_sup{side}label")()), own)
    return ", ".join(" ".join(one.split()) for one in both if one)


def _legend(axis: Any) -> dict[str, str]:
    """Labels of a panel by colour; a colour that two share has none."""
    found: dict[str, set[str]] = {}
    for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
        part = next(iter(_parts(handle)), handle)
        colour = part.get_color() if hasattr(part, "get_color") else part.get_edgecolor()
        found.setdefault(_hex(colour), set()).add(str(label))
    return {colour: next(iter(labels)) for colour, labels in found.items() if len(labels) == 1}


def _series(artist: Any, colour: Any, named: Mapping[str, str]) -> str:
    """The label of what is drawn, or of what has its colour."""
    own = str(artist.get_label())
    return own if own and own[0] != "_" else named.get(_hex(colour), "")


def _floats(values: Any) -> Any:
    """An array in which what is masked is NaN."""
    return np.ma.filled(np.ma.asarray(values, float), np.nan)


def _hex(colour: Any) -> str:
    """A colour, without what shines through."""
    array = np.atleast_2d(colour)[0] if not isinstance(colour, str) else colour
    return str(to_hex(array)) if len(array) else ""


def _parts(container: Any) -> Iterator[Any]:
    """The artists that a container holds."""
    if isinstance(container, BarContainer):
        yield from container.patches
    elif isinstance(container, ErrorbarContainer):
        line, caps, bars = container.lines
        yield from (part for part in (line, *caps, *bars) if part is not None)
