"""Records of what takes hours: rows that `make evidence` measured, with their numbers, as a page reads them."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, NamedTuple

from geomlib.distances import Distance
from geomlib.findings.intervals import Interval
from geomlib.findings.rules import PLAIN, Judgement, Row, is_optional
from geomlib.generators import Generator

RECORD = "evidence/homogeneity.json"  # in the project


def row_entry(row: Row, **more: Any) -> dict[str, Any]:
    """A row as JSON keeps it, with more of what is known of it."""
    judged = row.judgement
    return {
        "network": row.network,
        "space": row.space,
        "distance": row.distance,
        "statistic": row.statistic,
        "word": judged.word,
        "intervals": {name: list(interval) for name, interval in judged.intervals.items()},
        "units": judged.units,
        "rule": judged.rule,
        "note": judged.note,
    } | more


def row_of(entry: Mapping[str, Any]) -> Row:
    """The row that `row_entry` wrote."""
    intervals = {name: Interval(*ends) for name, ends in entry["intervals"].items()}
    judged = Judgement(entry["word"], intervals, entry["units"], entry["rule"], entry["note"])
    return Row(entry["network"], entry["space"], entry["distance"], entry["statistic"], judged)


def read_record(path: str | Path) -> dict[str, Any]:
    """A record: its `parts`, each with `rows` and what was `made` how, and which rows are `missing`.

    Raises:
        FileNotFoundError: no such file; the message says how to make one.
        ValueError: a file that is no record.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path: no record {path}; `make evidence` makes it")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"parts", "missing", "manifest"} <= content.keys():
        raise ValueError(f"path: {path} is no record: expected parts, missing and manifest")
    return content


def rows_of(record: Mapping[str, Any], *statistics: str) -> list[Row]:
    """The rows of a record of these statistics, those of missing parts "not run": what is not there counts as that.

    A missing part is known by its label, which begins with the network's name.
    """
    entries = (entry for part in record["parts"] for entry in part["rows"])
    rows = [row_of(entry) for entry in entries if entry["statistic"] in statistics]
    for one in record["missing"]:
        judged = Judgement("not run", {}, 0, "", one["reason"])
        network, _, space = one["label"].partition(" ")
        rows += [Row(network, space, one["distance"], statistic, judged) for statistic in statistics]
    return rows


def part_about(path: str | Path, generator: Generator, distance: Distance) -> dict[str, Any] | None:
    """The part of a record about this generator, in this space, with these options and its own weights.

    None where there is none, no such file, or no path.

    Raises:
        ValueError: a file that is no record.
    """
    if not path or not Path(path).is_file() or not generator.spec or generator.spec.get("weights"):
        return None
    options = [str(one) for key, one in generator.spec.items() if key not in ("source", "space", "weights")]
    sought = (generator.spec["source"], generator.space, distance.name, options)
    for part in read_record(path)["parts"]:
        row = part["rows"][0]
        told = [word for word in part["label"].split()[1:] if word != row["space"]]
        if sought == (row["network"], row["space"], part["distance"], told):
            return dict(part)
    return None


def parts_of(path: str | Path) -> list[dict[str, Any]]:
    """All parts of a record; none where there is no such file, or no path.

    Raises:
        ValueError: a file that is no record.
    """
    return list(read_record(path)["parts"]) if path and Path(path).is_file() else []


def missing_of(path: str | Path) -> list[dict[str, str]]:
    """Label, distance and reason of what a record lacks; nothing where there is no such file, or no path.

    Raises:
        ValueError: a file that is no record.
    """
    return list(read_record(path)["missing"]) if path and Path(path).is_file() else []


class Refusals(NamedTuple):
    """Controls tried in the place of the network: how many a rule refused of those that it judged and that count.

    `taken` names what it took for a trained network, with the control; those of optional networks are among them.
    """

    refused: int
    judged: int
    taken: list[tuple[str, str]]


def refusals(path: str | Path, statistics: Collection[str], *, plain: bool) -> Refusals:
    """The trials that a record has of a claim of these statistics, under distances of pixels (`plain`) or others.

    A control is taken for a trained network where every statistic says "same direction".

    Raises:
        ValueError: a file that is no record.
    """
    counting, taken = list[bool](), list[tuple[str, str]]()
    for part in parts_of(path):
        for one in part["refusals"] if (part["distance"] in PLAIN) is plain else ():
            words = {one["words"][name] for name in statistics}
            if "not comparable" in words:
                continue
            refused = words != {"same direction"}
            if not is_optional(part["rows"][0]["network"]):
                counting.append(refused)
            if not refused:
                taken.append((label_of(part), f"{one['kind']}, seed {one['seed']}"))
    return Refusals(sum(counting), len(counting), taken)


def judgements(part: Mapping[str, Any] | None) -> dict[str, Judgement]:
    """What a part says, by statistic; nothing where there is no part."""
    return {entry["statistic"]: row_of(entry).judgement for entry in (part["rows"] if part else ())}


def label_of(part: Mapping[str, Any]) -> str:
    """What a part is called in a row: network, space and options, and the distance."""
    return f"{part['label']}, {part['distance']}"


def told(parts: Sequence[Mapping[str, Any]]) -> str:
    """When parts were made, in sentences: those together that were made alike."""
    alike: dict[str, list[str]] = {}
    for part in parts:
        alike.setdefault(made(part), []).append(label_of(part))
    return " ".join(f"{how[:1].upper()}{how[1:]}: {'; '.join(labels)}." for how, labels in alike.items())


def made(part: Mapping[str, Any]) -> str:
    """When and with what code a part was made, in words; and whether numbers of it were known before the rule was."""
    how, known = part["made"], any(row.get("known") for row in part.get("rows", ()))
    told = "; the rule was written with earlier numbers of it known" if known else ""
    edited = " and edits after it" if how.get("edited since") else ""
    return f"recorded on {how['date']} with commit {how['commit'][:7]}{edited}{told}"


def find_record(start: Path) -> Path | None:
    """Where the record of the project is: around a folder, beside the package, or where its wheel laid it.

    None where there is none.
    """
    package = Path(__file__).parents[2]
    around = [folder / RECORD for folder in (start.resolve(), *start.resolve().parents)]
    laid = [package / RECORD, package / "share" / "geomlib" / Path(RECORD).name]  # a checkout, pip's --target
    with suppress(PackageNotFoundError):
        laid += [Path(str(one.locate())) for one in files("geomlib") or () if one.name == Path(RECORD).name]
    return next((path for path in (*around, *laid) if path.is_file()), None)
