"""A record as a page shows it: a figure and a table, whatever was searched for."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from geomlib.distances import Distance, load_distance
from geomlib.findings.intervals import Interval
from geomlib.findings.record import judgements, label_of, made, missing_of, part_about, parts_of, row_of, told
from geomlib.findings.recording import arrays_of
from geomlib.findings.results import Results
from geomlib.findings.rules import Judgement, counted, in_words
from geomlib.generators import Generator, load_generator


def as_ratio(gap: Interval) -> Interval:
    """Geometric mean of an arm over that of another, from the difference of logarithms by which `rules` judge.

    The difference is positive where the arm is smaller, so that its ends change places.
    """
    return Interval(*(math.exp(-end) for end in (gap.value, gap.high, gap.low)))


class RecordPage:
    """A record on the page of one network.

    Attributes:
        parts: of the record, all of them.
        own: those of this network, in any space and under any distance.
        part: the one about this network; None where there is none.
        judged: what it says, by statistic.
        made: when and how it was made, in words.
    """

    def __init__(
        self,
        out: Results,
        path: str,
        generator: Generator,
        distance: Distance,
        *,
        ratios: bool = False,
        **settings: Any,
    ) -> None:
        """Look up the part about a generator and a distance.

        Args:
            out: of the page.
            path: of the record, see `record.parts_of`.
            generator: that the page is about.
            distance: likewise.
            ratios: intervals are of logarithms and shown as ratios, see `as_ratio`; else they are differences.
            settings: that the part was made with, to be of use here.
        """
        self.out, self.path, self.network, self.ratios = out, path, generator.name, ratios
        self.device = generator.device
        self.parts = parts_of(path)
        self.own = [part for part in self.parts if part["label"].split()[0] == self.network]
        part = part_about(path, generator, distance)
        self.part = part if part and settings.items() <= part["settings"].items() else None
        self.judged = judgements(self.part)
        self.made = made(self.part) if self.part else "on this page"

    def arrays(self, part: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """What the record keeps of a part, or of that about this network, beside its rows."""
        return arrays_of(self.path, part or self.part or {})

    def about(self, part: Mapping[str, Any]) -> tuple[Generator, Distance]:
        """The network and the distance that a part is about.

        Raises:
            FileNotFoundError: the network's weights are not here.
        """
        row, device = part["rows"][0], self.device
        return (
            load_generator(row["network"], space=row["space"], device=device),
            load_distance(part["distance"], device),
        )

    def tally(self) -> str:
        """How many rows of all parts have each word, by arm."""
        arms: dict[str, list[Judgement]] = {}
        for _, arm, _, judged in _rows(self.parts):
            arms.setdefault(arm, []).append(judged)
        return "; ".join(f"{arm}, {counted(each)}" for arm, each in arms.items())

    def ends(self, form: str) -> list[str]:
        """What was judged in the part about this network, in words, see `rules.in_words`."""
        return in_words(self.judged, form, as_ratio if self.ratios else None)

    def called(self, part: Mapping[str, Any]) -> str:
        """What a part is called on this page, whose own network needs no name."""
        label = label_of(part)
        return label.removeprefix(self.network).lstrip(", ") if part in self.own else label

    def draw(self, *, caption: str) -> None:
        """The rows in which an arm is judged against others, as the figure ``record``: a panel a measure.

        A row's statistic reads "arm, measure". The network's own parts are shown where there are some, else all;
        nothing where there is no record. When the parts were made is added to the caption.
        """
        from geomlib.figures import intervals

        shown = self.own or self.parts
        panels: dict[str, dict[str, Sequence[float]]] = {}
        for part, arm, measure, judged in _rows(shown):
            for other, gap in _against(judged, self.ratios).items():
                label = f"{arm} {'/' if self.ratios else 'minus'} {other}"
                if len(shown) > 1:
                    label = f"{self.called(part)}: {label}"
                panels.setdefault(measure, {})[label] = gap
        if panels:
            alt = "Panels of points with intervals: a row for each arm and what it has to beat; crosses: no difference."
            drawn = intervals(panels, dict.fromkeys(panels, float(self.ratios)), "no difference")
            self.out.figure("record", drawn, caption=f"{caption} {told(shown)}", alt=alt)

    def list(
        self,
        *,
        title: str,
        columns: Mapping[str, Callable[[Mapping[str, Any], str, str], Any]] | None = None,
        own: bool = False,
    ) -> None:
        """All rows, and what the record lacks, as a table; in a cell of its own, as a figure has its caption.

        Args:
            title: of the table; when the parts were made is added.
            columns: further ones, from the part, the arm and the measure.
            own: those of this network alone, where it has some.
        """
        parts, extra = (self.own if own and self.own else self.parts), dict(columns or {})
        if not parts:
            return
        rows: list[Sequence[Any]] = []
        for part, arm, measure, judged in _rows(parts):
            gaps = _against(judged, self.ratios)
            each = "; ".join(f"{other}: {gap:{'' if self.ratios else '+'}.2f}" for other, gap in gaps.items())
            more = [make(part, arm, measure) for make in extra.values()]
            rows.append([label_of(part), f"{arm}, {measure}", judged.word, *more, each])
        lacking = [None] * (1 + len(extra))
        missing = missing_of(self.path) if parts is self.parts else []
        rows += [[label_of(one), None, "not run", *lacking] for one in missing]
        against = f"{'Over' if self.ratios else 'Minus'} each other arm (95 %)"
        header = ["Network, distance", "Arm, measure", "Verdict", *extra, against]
        self.out.table(f"{title}. {told(parts)}", header, rows)


def _rows(parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str, str, Judgement]]:
    """Part, arm, measure and judgement of each row; an interval that another row of the part has is there once."""
    for part in parts:
        shown: set[tuple[str, str, Interval]] = set()
        for row in map(row_of, part["rows"]):
            arm, measure = row.statistic.split(", ", 1)
            new = {name: one for name, one in row.judgement.intervals.items() if (measure, name, one) not in shown}
            shown |= {(measure, name, one) for name, one in new.items()}
            yield part, arm, measure, replace(row.judgement, intervals=new)


def _against(judged: Judgement, ratios: bool) -> dict[str, Interval]:
    return {name: as_ratio(gap) if ratios else gap for name, gap in judged.intervals.items()}
