"""All rows of an experiment's claims: of the runs that there are, and of a record whose parts stand on no page."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from geomlib.findings.claims import kind_of
from geomlib.findings.controlled import STATISTICS
from geomlib.findings.intervals import Interval
from geomlib.findings.record import label_of, missing_of, parts_of, row_of
from geomlib.findings.rules import Judgement, Row

RECORDED = "recorded on"  # how `record.made` begins: so a page says that its row is one of a record


class About(Protocol):
    """What is to be known of a run: whose it is, and how a page calls it."""

    @property
    def network(self) -> str:
        """The network's name."""

    @property
    def space(self) -> str:
        """Its latent space."""

    @property
    def options(self) -> str:
        """Of the network, each NAME=VALUE, separated by blanks."""

    @property
    def distance(self) -> str:
        """That the run is under."""

    @property
    def label(self) -> str:
        """How a page calls the run."""


@dataclass(frozen=True)
class Gathered:
    """A row of a claim, wherever it was judged.

    Attributes:
        row: its network, distance and judgement; the statistic is the claim in words.
        label: of the run or of the part of a record.
        ours: what was found, as the page shows it.
        authors: their working value.
        tolerance: of an identity.
    """

    row: Row
    label: str
    ours: Any
    authors: Any = None
    tolerance: float | None = None

    @property
    def judges(self) -> bool:
        """Whether a verdict was meant: not a number that stands beside, nor an identity."""
        judged = self.row.judgement
        return judged.word != "tested" and (bool(judged.rule) or judged.word != "not comparable")

    @property
    def kind(self) -> str:
        """Whose network it is: see `kind_of`."""
        return kind_of(self.row.network)

    def __str__(self) -> str:
        ours = f"{self.ours:.3g}" if isinstance(self.ours, float) else self.ours
        return f"{self.row.statistic}: {ours} ({self.label})"


def gather(runs: Iterable[tuple[About, Path]], experiment: str, record: str | Path = "") -> list[Gathered]:
    """The rows of an experiment in every run, in their order; then those of a record that no page shows.

    What a record lacks is there as "not run".

    Args:
        runs: each with the folder that it left.
        experiment: its name; of the statistics in `STATISTICS` those that belong to it are taken.
        record: its path; empty: none.

    Raises:
        ValueError: a file that is no record.
    """
    found: list[Gathered] = []
    told: list[About] = []
    runs = list(runs)
    for run, place in runs:
        for entry in json.loads((place / "summary.json").read_text(encoding="utf-8"))["comparison"]:
            if RECORDED in (entry["source"] or ""):
                told.append(run)
            found.append(_of_run(run, entry))
    names = [name for name, known in STATISTICS.items() if known.claim == experiment]
    for part in parts_of(record):
        label = f"{label_of(part)}, record"
        for row in map(row_of, part["rows"]):
            ours = row.statistic in names or row.statistic not in STATISTICS
            there = any(_is_about(run, part, row) for run in told)
            if ours and not there:
                words = _words(row.statistic, _beside_space(part, row))
                found.append(Gathered(replace(row, statistic=words), label, str(row.judgement)))
    for one in missing_of(record):
        network, _, space = one["label"].partition(" ")
        label = f"{label_of(one)}, record"
        lacking = Judgement("not run", {}, 0, "", one["reason"])
        rows = [Row(network, space, one["distance"], _words(name, space), lacking) for name in names or ["all rows"]]
        found += [Gathered(row, label, one["reason"]) for row in rows]
    return found


def _is_about(run: About, part: Mapping[str, Any], row: Row) -> bool:
    """Whether a run is about a row of a record, with its options: another label is another network, or experiment."""
    options = {option.partition("=")[2] for option in run.options.split()}
    own = (run.network, run.distance, run.space) == (row.network, part["distance"], row.space)
    return own and options == set(_beside_space(part, row).split())


def _beside_space(part: Mapping[str, Any], row: Row) -> str:
    """What a label says beside the network and its space: options, or the kind of experiment."""
    return " ".join(word for word in part["label"].split()[1:] if word != row.space)


def _of_run(run: About, entry: Mapping[str, Any]) -> Gathered:
    intervals = {name: Interval(*ends) for name, ends in entry.get("intervals", {}).items()}
    judged = Judgement(entry["verdict"], intervals, entry.get("units", 0), entry["rule"], entry.get("note", ""))
    row = Row(run.network, run.space, entry.get("distance") or run.distance, entry["claim"], judged)
    return Gathered(row, run.label, entry["ours"], entry["authors"], entry.get("tolerance"))


def _words(statistic: str, kind: str) -> str:
    """The claim in words that a row of a record is about, of experiments of another kind than the first with that."""
    if statistic in STATISTICS:
        return STATISTICS[statistic].sentence
    return f"recorded{f' {kind}' if kind else ''}: {statistic}"
