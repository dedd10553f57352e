"""The rows of a claim come from every run and from records on no page, each under its own distance, each once."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from geomlib.findings import Interval, Results
from geomlib.findings.controlled import STATISTICS
from geomlib.findings.gathered import Gathered, gather
from geomlib.findings.record import made, row_entry
from geomlib.findings.rules import Judgement, Row, count_networks

PERCEPTUAL = "st-lpips-alex"
NAME = "log consistency"
WORDS = f"{STATISTICS[NAME].words} than every kind of control"
HOW = {"date": "2026-11-26", "commit": "0123456789", "code": "", "seconds": 1}


class About(NamedTuple):
    network: str
    distance: str = PERCEPTUAL
    space: str = "z"
    options: str = ""

    @property
    def label(self) -> str:
        return f"{self.network}, {self.space}"


def judged(word: str, value: float, width: float = 1.0) -> Judgement:
    return Judgement(word, {"untrained": Interval(value, value - width / 2, value + width / 2)}, 10, "more")


def page(
    folder: Path, name: str, source: str, *claims: tuple[str, Judgement | Interval | str], **options: object
) -> Path:
    out = Results(folder / name)
    for words, ours in claims:
        out.claim(words, ours=ours, source=source, **options)  # type: ignore[arg-type]
    return folder / name


def record(folder: Path, rows: list[Row], missing: tuple[tuple[str, str], ...] = ()) -> Path:
    parts = [{"label": row.network, "distance": row.distance, "made": HOW, "rows": [row_entry(row)]} for row in rows]
    lacking = [{"label": label, "distance": distance, "reason": "not run yet"} for label, distance in missing]
    path = folder / "record.json"
    path.write_text(json.dumps({"manifest": {}, "missing": lacking, "parts": parts}))
    return path


def test_a_row_of_a_record_that_a_page_tells_is_there_once(tmp_path: Path) -> None:
    told, untold = judged("same direction", 1.0), judged("undecided", 0.1)
    Results(tmp_path / "told").claim(WORDS, ours=told, source=made({"made": HOW}))
    kept = record(
        tmp_path,
        [Row("dcgan-portraits", "z", PERCEPTUAL, NAME, told), Row("mlp-cats", "z", PERCEPTUAL, NAME, untold)],
        (("shapes-dcgan", PERCEPTUAL), ("dcgan-portraits", PERCEPTUAL)),
    )
    found = gather([(About("dcgan-portraits"), tmp_path / "told")], "homogeneity", kept)
    assert [(one.row.network, one.row.judgement.word) for one in found[:2]] == [
        ("dcgan-portraits", "same direction"),
        ("mlp-cats", "undecided"),
    ]
    # What lacks counts as not run, a quick run of it or none; each statistic of the experiment is lacking.
    lacking = {("shapes-dcgan", "not run"), ("dcgan-portraits", "not run")}
    assert {(one.row.network, one.row.judgement.word) for one in found[2:]} == lacking
    assert {one.row.statistic for one in found} == {
        f"{one.words} than every kind of control" for one in STATISTICS.values() if one.claim == "homogeneity"
    }
    assert gather([], "anisotropy", kept)[0].row.judgement.word == "not run", "no row of another experiment"


def test_a_label_is_told_by_its_own_page_alone(tmp_path: Path) -> None:
    """The page of blue eyes does not tell what the record holds of brown ones."""
    blue, brown = judged("same direction", 1.0), judged("contradicted", -1.0)
    Results(tmp_path / "told").claim(WORDS, ours=blue, source=made({"made": HOW}))
    kept = record(
        tmp_path,
        [Row("cdcgan-eyes", "noise", PERCEPTUAL, NAME, one) for one in (blue, brown)],
        (("cdcgan-eyes noise green", PERCEPTUAL),),
    )
    content = json.loads(kept.read_text())
    for part, label in zip(content["parts"], ("blue", "brown"), strict=True):
        part["label"] = f"cdcgan-eyes noise {label}"
    kept.write_text(json.dumps(content))
    run = About("cdcgan-eyes", space="noise", options="class_index=blue")
    found = gather([(run, tmp_path / "told")], "homogeneity", kept)
    assert [one.row.judgement.word for one in found[:2]] == ["same direction", "contradicted"]
    assert {(one.label, one.row.judgement.word) for one in found[2:]} == {
        (f"cdcgan-eyes noise green, {PERCEPTUAL}, record", "not run")
    }


def test_another_kind_of_experiment_is_told_apart(tmp_path: Path) -> None:
    """A page tells its own part alone: one in two stages, of the same network and distance, is there beside it."""
    words, one, two = "eigenvectors, judged by mse", judged("undecided", 0.1), judged("same direction", 1.0)
    Results(tmp_path / "told").claim("inversion", ours=one, source=made({"made": HOW}))
    kept = record(
        tmp_path,
        [Row("dcgan-portraits", "z", PERCEPTUAL, words, each) for each in (one, two)],
        (("mlp-cats in two stages", PERCEPTUAL),),
    )
    content = json.loads(kept.read_text())
    content["parts"][1]["label"] = "dcgan-portraits in two stages"
    kept.write_text(json.dumps(content))
    found = gather([(About("dcgan-portraits"), tmp_path / "told")], "inversion", kept)
    assert [(one.row.statistic, one.row.judgement.word) for one in found] == [
        ("inversion", "undecided"),
        (f"recorded in two stages: {words}", "same direction"),
        ("recorded in two stages: all rows", "not run"),
    ]


def test_words_numbers_and_identities_do_not_judge(tmp_path: Path) -> None:
    out = Results(tmp_path / "page")
    out.claim("a number", ours="0.3", authors=0.2)
    out.claim("few", ours=Interval(1.0, 0.5, 1.5), above=0, units=3)
    out.claim("below", ours=Interval(0.5, 0.4, 0.7), below=1, units=20, distance="mse")
    out.claim("identity", ours=1e-6, tested="tests/test_x.py::test_y", tolerance=1e-3)
    number, few, below, identity = gather([(About("mlp-cats"), tmp_path / "page")], "any")
    assert [one.judges for one in (number, few, below, identity)] == [False, True, True, False]
    assert (few.row.judgement.word, below.row.judgement.word) == ("not comparable", "same direction")
    assert (few.row.distance, below.row.distance) == (PERCEPTUAL, "mse")
    assert identity.tolerance == 1e-3 and str(number) == "a number: 0.3 (mlp-cats, z)"
    # Intervals are positive on the claimed side, whichever that is.
    [(name, interval)] = below.row.judgement.intervals.items()
    assert name == "" and tuple(interval) == pytest.approx((0.5, 0.3, 0.6))


def test_the_worst_row_is_the_worst_and_not_the_first(tmp_path: Path) -> None:
    near, far = judged("undecided", 0.4), judged("undecided", -0.4)
    rows = [Row("dcgan-faces", "z", PERCEPTUAL, NAME, near), Row("mlp-cats", "z", PERCEPTUAL, NAME, far)]
    rows += [Row("mlp-cats", "z", "mse", NAME, judged("contradicted", -3.0))]
    found = gather([], "homogeneity", record(tmp_path, rows))
    count = count_networks([one.row for one in found])
    assert count.word == "undecided" and count.worst is found[1].row
    assert count.plain == {"contradicted": 1} and count.worst_plain is found[2].row
    assert [one.kind for one in found] == ["of others"] * 3
    assert Gathered(rows[0], "mine", 0.25).__str__() == f"{NAME}: 0.25 (mine)"


def test_a_file_that_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="is no record"):
        gather([], "homogeneity", tmp_path / "other.json")
