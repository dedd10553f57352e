"""A record as a page shows it: a figure and a table, whatever was searched for."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from geomlib.findings.intervals import Interval
from geomlib.findings.record import missing_of, parts_of, row_of, told
from geomlib.findings.results import Results
from geomlib.findings.rules import Judgement


def as_ratio(gap: Interval) -> Interval:
    """Geometric mean of an arm over that of another, from the difference of logarithms by which `rules` judge.

    The difference is positive where the arm is smaller, so that its ends change places.
    """
    return Interval(*(math.exp(-end) for end in (gap.value, gap.high, gap.low)))


def draw_record(out: Results, path: str, network: str, *, ratios: bool = False, caption: str) -> None:
    """The rows of a record in which an arm is judged against others, as the figure ``record``: a panel a measure.

    A row's statistic reads "arm, measure". The network's own parts are shown where there are some, else all; nothing
    where there is no record.

    Args:
        out: of the page.
        path: of the record, see `record.parts_of`.
        network: that the page is about.
        ratios: intervals are of logarithms and shown as ratios, see `as_ratio`; else they are differences.
        caption: of the figure; when the parts were made is added.
    """
    from geomlib.figures import intervals

    parts = parts_of(path)
    shown = [part for part in parts if part["label"].split()[0] == network] or parts
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for part, arm, measure, judged in _rows(shown):
        for other, gap in _against(judged, ratios).items():
            label = f"{arm} {'/' if ratios else 'minus'} {other}"
            if len(shown) > 1:
                label = f"{part['label']}, {part['distance']}: {label}"
            panels.setdefault(measure, {})[label] = gap
    nulls = {measure: dict.fromkeys(labels, float(ratios)) for measure, labels in panels.items()}
    if panels:
        out.figure(
            "record",
            intervals(panels, nulls, "no difference"),
            caption=f"{caption} Records: {told(parts)}.",
            alt="Panels of points with intervals: a row for each arm and what it has to beat; crosses: no difference.",
        )


def list_record(
    out: Results,
    path: str,
    *,
    ratios: bool = False,
    title: str,
    columns: Mapping[str, Callable[[Mapping[str, Any], str, str], Any]] | None = None,
) -> None:
    """All rows of a record, and what it lacks, as a table; in a cell of its own, as a figure has its caption.

    Args:
        out: of the page.
        path: of the record.
        ratios: see `draw_record`.
        title: of the table; when the parts were made is added.
        columns: further ones, from the part, the arm and the measure.
    """
    parts, extra = parts_of(path), dict(columns or {})
    if not parts:
        return
    rows: list[list[Any]] = []
    for part, arm, measure, judged in _rows(parts):
        gaps = _against(judged, ratios)
        each = "; ".join(f"{other}: {gap:{'' if ratios else '+'}.2f}" for other, gap in gaps.items())
        more = [make(part, arm, measure) for make in extra.values()]
        rows.append([part["label"], part["distance"], arm, measure, *more, each, judged.word])
    rows += [[one["label"], one["distance"], *[None] * (3 + len(extra)), "not run"] for one in missing_of(path)]
    against = f"{'Over' if ratios else 'Minus'} each other arm (95 %)"
    header = ["Network", "Distance", "Arm", "Measure", *extra, against, "Verdict"]
    out.table(f"{title}. {told(parts)}", header, rows)


def _rows(parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str, str, Judgement]]:
    for part in parts:
        for row in map(row_of, part["rows"]):
            arm, measure = row.statistic.split(", ", 1)
            yield part, arm, measure, row.judgement


def _against(judged: Judgement, ratios: bool) -> dict[str, Interval]:
    return {name: as_ratio(gap) if ratios else gap for name, gap in judged.intervals.items()}
