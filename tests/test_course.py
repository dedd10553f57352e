"""The course: answers pass, empty sheets and expected mistakes fail, sheets are whole, chapters keep their promises."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from typer.testing import CliRunner

from geomlib import course
from geomlib.cli import app
from geomlib.course import plain, sheets, times
from geomlib.course.handout import find

CHAPTERS = course.chapters(ROOT)
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])


@pytest.fixture(scope="module")
def names() -> dict[tuple[str, str], str]:
    return plain.names_in(ROOT, map(sheets.read, CHAPTERS))


def checked(source: Any) -> list[str]:
    return [label for label, cell in sheets.labelled(source) if "check" in sheets.tags(cell)]


def with_answer(source: Any, label: str, code: str) -> Any:
    """A sheet that gives other code in the place of one solution."""
    given = sheets.copy.deepcopy(source)
    for of, cell in sheets.labelled(given):
        if of == label and "answer" in sheets.tags(cell):
            cell["source"] = sheets.replaced(cell["source"], code)
    return given


@every_chapter
def test_the_answers_pass_and_what_is_expected_to_be_wrong_fails(path: Path) -> None:
    source = sheets.read(path)
    marks = course.grade(source)
    assert [mark for mark in marks if not mark.passed] == []
    assert [mark.exercise for mark in marks] == checked(source)
    for label, what, code in sheets.wrong_answers(source):
        only, given = (
            {"cells": [cell for of, cell in sheets.labelled(one) if of == label or "setup" in sheets.tags(cell)]}
            for one in (source, with_answer(source, label, code))
        )
        [mark] = course.grade(only, given)
        assert not mark.passed, f"{label}: {what} passes"
        assert not re.match(r"(Name|Syntax|Indentation|NotImplemented)", mark.reason), f"{label}: {what}: {mark.reason}"


@pytest.mark.parametrize(
    ("chapter", "label", "code"),
    [
        ("0", "ex-0-1", "return torch.tensor(float(n)), torch.tensor(2.0 * n).sqrt()"),
        ("1", "ex-1-1", "s = torch.linalg.svdvals(torch.tensor([[a, b], [0.0, c]]))\nreturn s[0], s[1]"),
        ("2", "ex-2-1", "return torch.tensor([[1 + u**2, u * v], [u * v, 1 + v**2]])"),
        ("2", "ex-2-1", "return [[1 + u**2, u * v], [u * v, 1 + v**2]]"),
        ("3", "ex-3-4", "x, y, w = torch.tensor([0]), torch.tensor([1]), torch.tensor([2])"),
        ("3", "ex-3-4", "x, y, w = 0.0, 0.5, 1.0"),
        ("5", "ex-5-2", "from scipy import linalg\nreturn linalg.svdvals(linalg.orth(A).T @ linalg.orth(B))"),
        ("6", "ex-6-1", "return torch.tensor([[1, 0], [0, r**2]])"),
        ("8", "ex-8-4", "return float((1 + (null >= value).sum()) / (1 + len(null)))"),
    ],
)
def test_a_right_answer_passes_in_single_precision_and_as_plain_numbers(chapter: str, label: str, code: str) -> None:
    [path] = find(ROOT, [chapter])
    only, given = (
        {"cells": [cell for of, cell in sheets.labelled(one) if of == label or "setup" in sheets.tags(cell)]}
        for one in (sheets.read(path), with_answer(sheets.read(path), label, code))
    )
    assert course.grade(only, given) == [course.Mark(label, True)]


@every_chapter
def test_an_empty_sheet_fails_every_check(path: Path, names: dict[tuple[str, str], str]) -> None:
    source = sheets.read(path)
    marks = course.grade(source, course.sheet(source, "student", names))
    assert [mark.exercise for mark in marks] == checked(source)
    assert [mark for mark in marks if mark.passed] == []


@every_chapter
def test_a_solved_sheet_passes_the_hidden_tests_of_the_graders(path: Path, names: dict[tuple[str, str], str]) -> None:
    source = sheets.read(path)
    solved, grader = (course.sheet(source, version, names) for version in ("solution", "grader"))
    assert all(mark.passed for mark in course.grade(grader, solved))


@every_chapter
def test_sheets_hold_what_their_readers_may_see(path: Path, names: dict[tuple[str, str], str]) -> None:
    source = sheets.read(path)
    texts = {}
    for version in course.VERSIONS:
        made = course.sheet(source, version, names)
        nbformat.validate(made)
        texts[version] = "\n".join(cell["source"] for cell in made["cells"])
        words = "\n".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown")
        assert not re.search(r"^:::|\{[\w:]+\}`", words, re.MULTILINE), "MyST that a notebook viewer does not know"
        assert "### " not in "".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "code")
    student = texts["student"]
    assert student.count("**How to work on this.**") == 1
    assert student.count('print("passes")') == texts["solution"].count('print("passes")') == len(checked(source))
    assert 'print("passes")' not in texts["grader"], "grading is quiet"
    assert student.count(sheets.HOLE) == len(checked(source))
    secret = [cell["source"] for cell in source["cells"] if "solution" in sheets.tags(cell)]
    code = "\n".join(cell["source"] for cell in source["cells"])
    secret += re.findall(r"BEGIN SOLUTION\n(.*?)\n *### END", code, re.DOTALL)
    for one in secret:
        assert one.strip() not in student or len(one.strip()) < 12, one
    hidden = re.findall(r"BEGIN HIDDEN TESTS\n(.*?)\n *### END", code, re.DOTALL)
    for one in hidden:
        assert one not in student
        assert one not in texts["solution"]
        assert one in texts["grader"]


@every_chapter
def test_a_chapter_has_what_the_course_promises(path: Path) -> None:
    source = sheets.read(path)
    words = [str(cell["source"]) for cell in source["cells"] if cell["cell_type"] == "markdown"]
    text = "\n".join(words)
    kinds = Counter(times.kind_of(one) for one in words if "{exercise}" in one)
    assert sum(kinds.values()) >= 5
    assert set(kinds) == set(times.KINDS)
    numbers = re.findall(r"\{exercise\} (\d+\.\d+),", text)
    assert numbers == [f"{path.stem.split('_')[1]}.{place}" for place in range(1, len(numbers) + 1)]
    reading, work = course.minutes(source)
    assert f"About {reading} minutes of text and {work} minutes of exercises" in text
    for part in (
        "Questions\n",
        "You will be able to\n",
        "Builds on\n",
        "Key points",
        "**In the book.**",
        "**Sources.**",
    ):
        assert part in text, part
    assert "Misconception: " in text
    assert re.search(r"\{prf:(theorem|proposition)\}", text)
    assert "{prf:proof}" in text
    labels = [label for label, cell in sheets.labelled(source) if "exercise" in sheets.tags(cell)]
    for label in labels:
        told = [sheets.tags(cell) for of, cell in sheets.labelled(source) if of == label]
        assert ["solution"] in told, f"{label} has no answer in words"
        if ["answer"] in told:
            assert told.count(["check"]) == 1, f"{label} is not checked once"
    assert {label for label, _, _ in sheets.wrong_answers(source)} == set(checked(source)), "a mistake for each check"


@pytest.mark.notebooks
def test_a_sheet_runs_to_its_end_and_only_checks_fail(tmp_path: Path, names: dict[tuple[str, str], str]) -> None:
    made = course.sheet(sheets.read(find(ROOT, ["2"])[0]), "student", names)
    NotebookClient(made, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell in made["cells"]:
        failed = any(output["output_type"] == "error" for output in cell.get("outputs", []))
        assert failed == ("check" in sheets.tags(cell)), cell["source"]
    shown = [output["data"] for cell in made["cells"] for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in data for data in shown) == sum("text/markdown" in data for data in shown) == 3


def test_the_command_writes_sheets_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["course", str(tmp_path / "class"), "1", "--package", "geomlib @ file:///x.whl"])
    assert done.exit_code == 0, done.output
    lines = done.output.split()
    assert len(lines) == 5 and all(Path(line).is_file() for line in lines)


def test_a_sheet_without_a_package_names_none_of_the_index(names: dict[tuple[str, str], str]) -> None:
    first = course.sheet(sheets.read(CHAPTERS[0]), "student", names)["cells"][0]["source"]
    assert "pip install" not in first
    assert "ModuleNotFoundError" in first


def test_minutes_follow_the_stated_rule() -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "word " * 900},
        {"cell_type": "code", "metadata": {}, "source": "1"},
        {"cell_type": "markdown", "metadata": {"tags": ["exercise"]}, "source": ":::{exercise} 1.1, derive: a\n:::"},
        {
            "cell_type": "markdown",
            "metadata": {"tags": ["exercise"]},
            "source": ":::{exercise} 1.2, predict then run\n",
        },
        {"cell_type": "code", "metadata": {"tags": ["check"]}, "source": "1"},
    ]
    assert course.minutes({"cells": cells}) == (15, 15)
    with pytest.raises(ValueError, match="one of derive"):
        times.kind_of(":::{exercise} 1.1, guess: what")


def test_directives_become_quotes_and_roles_words() -> None:
    text = (
        "Before {term}`kinks <kink>`.\n\n::::{admonition} Misconception: a\n:class: warning\n\nWord\n: its meaning\n"
        ":::{prf:proof}\nSo $x$.\n:::\n::::\n\nSee {cite}`a,b`, {cite:t}`a`, {doc}`the page <x>`, {prf:ref}`thm`."
    )
    names = {("cite", "a"): "A & B 2001", ("prf:ref", "thm"): "Theorem (T)"}
    assert plain.plain(text, names) == (
        "Before kinks.\n\n> **Misconception: a.** **Word.** its meaning\n> > **Proof.** So $x$. ∎\n\n"
        "See (A & B 2001; b), A & B 2001, the page, Theorem (T)."
    )
    with pytest.raises(ValueError, match="video"):
        plain.plain(":::{video} x\nbody\n:::", {})


def test_marks_say_what_failed_and_survive_any_answer() -> None:
    def cell(kind: str, source: str) -> dict[str, Any]:
        return {"cell_type": "code", "metadata": {"tags": [kind], "geomlib": {"exercise": "ex"}}, "source": source}

    chapter = {"cells": [cell("setup", "a = 2"), cell("exercise", ""), cell("answer", "b = 4")]}
    chapter["cells"].append(cell("check", "assert b == 2 * a, 'not twice'"))
    for answer, reason in [("b = 4", ""), ("b = 5", "not twice"), ("1 / 0", "ZeroDivisionError: division by zero")]:
        submission = {"cells": [cell("exercise", ""), cell("answer", answer), cell("other", "raise SystemExit")]}
        assert course.grade(chapter, submission) == [course.Mark("ex", not reason, reason)]
    assert course.grade(chapter, {"cells": []}) == [course.Mark("ex", False, "no answer")]


def test_marks_are_fair_to_what_a_student_writes_beside_the_answer() -> None:
    def cell(source: str, *kinds: str) -> dict[str, Any]:
        held = {"tags": list(kinds), "geomlib": {"exercise": "ex"}}
        return {"cell_type": "code", "metadata": held if kinds else {}, "source": source}

    check = cell("assert twice(2) == 4, 'not twice'", "check")
    text = cell("shown = 1 / 0")  # as a figure of the chapter
    chapter = {"cells": [text, cell("", "exercise"), cell("def twice(a): ...", "answer"), check]}

    def reason(*given: dict[str, Any]) -> str:
        [mark] = course.grade(chapter, {"cells": [text, *given]})
        assert mark.passed == (not mark.reason)
        return mark.reason

    asked, helped = cell("", "exercise"), cell("def twice(a):\n    return double(a)", "answer")
    assert reason(asked, cell("def double(a):\n    return 2 * a"), helped) == ""
    assert reason(cell("def double(a):\n    return 2 * a"), asked, helped) == ""
    assert reason(asked, helped).startswith("NameError: name 'double' is not defined (of the chapter only")
    right = cell("%matplotlib inline\n!pip list\ndef twice(a):\n    return 2 * a", "answer")
    assert reason(asked, right, cell("1 / 0")) == ""
    assert reason(asked, cell("def twice(a):\n    assert a < 0", "answer")) == "AssertionError"
    assert reason(asked, cell("raise SystemExit", "answer")) == "SystemExit"
    assert reason(asked, cell("def twice(a) return", "answer")).startswith("SyntaxError: ")
    assert reason(asked, cell("twice = abs", "other")) == "no answer"


def test_a_class_gets_a_folder(tmp_path: Path) -> None:
    files = course.write(ROOT, tmp_path / "class", ["3", "course_0_generator"], package="geomlib==0.1.0")
    there = {file.relative_to(tmp_path / "class").as_posix() for file in files}
    chapters = ("course_0_generator.ipynb", "course_3_distance.ipynb")
    assert there == {"README.md", "students/requirements.txt"} | {
        f"{place}/{name}" for place in ("students", "teachers/solutions", "teachers/grading") for name in chapters
    }
    needs = (tmp_path / "class/students/requirements.txt").read_text().split()
    assert needs[0] == "geomlib==0.1.0"
    assert any(line.startswith("ipykernel==") for line in needs)
    first = nbformat.read(tmp_path / "class/students/course_3_distance.ipynb", 4)["cells"][0]["source"]
    assert '%pip install --quiet "geomlib==0.1.0"' in first
    (tmp_path / "class/students/course_3_distance.ipynb").write_text("a student's work")
    with pytest.raises(FileExistsError, match="holds something"):
        course.write(ROOT, tmp_path / "class", package="geomlib")
    assert (tmp_path / "class/students/course_3_distance.ipynb").read_text() == "a student's work"


def test_an_unknown_chapter_is_named_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no chapter '77'; there are: course_0_generator"):
        course.write(ROOT, tmp_path / "class", ["77"], package="geomlib")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="has no chapters of a course"):
        find(tmp_path)


def test_the_wheel_holds_the_package(tmp_path: Path) -> None:
    course.write(ROOT, tmp_path / "class", ["0"])
    [wheel] = (tmp_path / "class/students").glob("*.whl")
    import zipfile

    inside = zipfile.ZipFile(wheel).namelist()
    assert {"geomlib/metric.py", "geomlib/weights/shapes-dcgan.safetensors"} <= set(inside)
    assert f"./{wheel.name}" in (tmp_path / "class/students/requirements.txt").read_text().splitlines()
