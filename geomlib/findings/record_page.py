"""A record as a page shows it: one figure and one table, whatever was searched for."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from geomlib.findings.intervals import Interval
from geomlib.findings.record import made, missing_of, parts_of, row_of
from geomlib.findings.results import Results


def as_ratio(gap: Interval) -> Interval:
    """Geometric mean of an arm over that of another, from the difference of logarithms by which `rules` judge.

    The difference is positive where the arm is smaller, so that its ends change places.
    """
    return Interval(*(math.exp(-end) for end in (gap.value, gap.high, gap.low)))


def show_record(
    out: Results,
    path: str,
    network: str,
    *,
    ratios: bool = False,
    caption: str,
    title: str,
    columns: Mapping[str, Callable[[Mapping[str, Any], str, str], Any]] | None = None,
) -> None:
    """The rows of a record in which an arm is judged against others, as the figure and the table ``record``.

    A row's statistic reads "arm, measure". The figure has a panel a measure and shows the network's own parts where
    there are some, else all; the table shows all, and what is missing. Nothing is shown where there is no record.

    Args:
        out: of the page.
        path: of the record, see `record.parts_of`.
        network: that the page is about.
        ratios: intervals are of logarithms and shown as ratios, see `as_ratio`; else they are differences.
        caption: of the figure; when the parts were made is added.
        title: of the table, likewise.
        columns: further ones of the table, from the part, the arm and the measure.
    """
    from geomlib.figures import intervals

    parts, extra = parts_of(path), dict(columns or {})
    if not parts:
        return
    told = "; ".join(f"{part['label']}, {part['distance']}: {made(part)}" for part in parts)
    shown = [part for part in parts if part["label"].split()[0] == network] or parts
    panels: dict[str, dict[str, Sequence[float]]] = {}
    rows: list[list[Any]] = []
    for part in parts:
        for entry in part["rows"]:
            row = row_of(entry)
            arm, measure = row.statistic.split(", ", 1)
            against = {k: as_ratio(gap) if ratios else gap for k, gap in row.judgement.intervals.items()}
            if part in shown:
                for other, gap in against.items():
                    label = f"{part['label']}, {part['distance']}: {arm} {'/' if ratios else 'minus'} {other}"
                    panels.setdefault(measure, {})[label] = gap
            each = "; ".join(f"{other}: {gap:{'' if ratios else '+'}.2f}" for other, gap in against.items())
            more = [make(part, arm, measure) for make in extra.values()]
            rows.append([part["label"], part["distance"], arm, measure, *more, each, row.judgement.word])
    rows += [[one["label"], one["distance"], *[None] * (3 + len(extra)), "not run"] for one in missing_of(path)]
    nulls = {measure: dict.fromkeys(labels, float(ratios)) for measure, labels in panels.items()}
    out.figure(
        "record",
        intervals(panels, nulls, "no difference"),
        caption=f"{caption} Records: {told}.",
        alt="Panels of points with intervals: a row for each arm and what it has to beat, a cross for no difference.",
    )
    header = ["Network", "Distance", "Arm", "Measure", *extra]
    against_column = f"{'Over' if ratios else 'Minus'} each other arm (95 %)"
    out.table(f"{title}. {told}", [*header, against_column, "Verdict"], rows)
