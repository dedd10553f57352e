"""One source a chapter, and what is made of it: the page of the book, and the student's, solved and grader's sheets.

A source is a notebook whose cells say by a tag what they are:

- `setup`: code that every exercise needs, and nothing else of the chapter
- `exercise`: the question, a directive with a label
- `answer`: code, with the answer between ``### BEGIN SOLUTION`` and ``### END SOLUTION``
- `check`: code that raises `AssertionError` and says which property fails; what stands between
  ``### BEGIN HIDDEN TESTS`` and ``### END HIDDEN TESTS`` is for graders
- `solution`: the answer in words
- `wrong` (a raw cell): an answer that is to be expected and wrong; its first line says what is wrong, the rest takes
  the place of the solution
- `page`: only for the book, as the gates that fold a solution
"""

import copy
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from geomlib._arguments import checked
from geomlib._checks import check_choice, shown
from geomlib.course.plain import Names, plain

VERSIONS = ("student", "solution", "grader")
FOLDER = "course"  # of the sources, in the project
HOLE = "...  # your answer here"
_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION\n?", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n(.*?)^[ \t]*### END HIDDEN TESTS\n?", re.MULTILINE | re.DOTALL)
_LABEL = re.compile(r"^:label: (\S+)", re.MULTILINE)
# What a student is to know before the first exercise.
_HOW = """\
**How to work on this.** Write in the place of `...`, and run the check below: it says `passes`, or which property
fails. Where you predict, `...` is the place for the run that decides. Single precision is precise enough. An answer is
graded without the text of the chapter: it may use what the cell with `import geomlib` brings, and what you write
yourself, also in cells of your own."""
_PASSES = """

print("passes")"""
# A class may work where geomlib is not: on Colab, or on a fresh laptop.  No name stands here by itself: the index may
# have another package of this name.
_INSTALL = """\
# Brings geomlib where it is missing, as on Colab; anywhere else this cell does nothing.
import importlib.util

if importlib.util.find_spec("geomlib") is None:
    %pip install --quiet "{package}" matplotlib seaborn"""
_NEEDED = """\
# This sheet needs geomlib; where it is, this cell does nothing.
import importlib.util

if importlib.util.find_spec("geomlib") is None:
    raise ModuleNotFoundError("no geomlib here: see 'In a class' in its README, or ask whoever teaches this")"""


@checked()
def chapters(root: Path) -> list[Path]:
    """The sources of a project, in their order; none where it has no course."""
    return sorted((root / FOLDER).glob("course_*.ipynb"))


def read(path: Path) -> Any:
    """A notebook of the current format.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"notebook: no file {path}")
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # whatever a file that is none leads to
        raise ValueError(f"{path.name} is no notebook of format 4 ({type(error).__name__})") from error


def check_notebook(name: str, value: Any) -> None:
    """Raise `TypeError` unless a value has the form of a notebook."""
    cells = value.get("cells") if isinstance(value, Mapping) else None
    whole = {"cell_type", "metadata", "source"}
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) and whole <= cell.keys() for cell in cells):
        raise TypeError(f"{name}: expected a notebook, got {shown(value)}")


def tags(cell: Any) -> list[str]:
    """Tags of a cell."""
    return list(cell["metadata"].get("tags", []))


def labelled(notebook: Any) -> Iterator[tuple[str, Any]]:
    """The cells, each with the label of the exercise that it belongs to, "" before the first.

    In a sheet, where questions have no labels any more, the cells themselves carry them.
    """
    label = ""
    for cell in notebook["cells"]:
        if "exercise" in tags(cell):
            found = _LABEL.search(cell["source"])
            label = found[1] if found else cell["metadata"]["geomlib"]["exercise"]
        yield label, cell


@checked()
def sheet(source: Any, version: str, names: Names, package: str = "") -> Any:
    """A sheet of a chapter.

    Args:
        source: the chapter.
        version: `student` (answers and hidden tests left out), `solution` (hidden tests left out), or `grader`
            (everything, with the wrong answers that are to be expected).
        names: what the text calls what it refers to; see `plain`.
        package: what pip installs where geomlib is missing; without one the sheet says what it needs.

    Returns:
        A new notebook, without outputs, in Markdown that every notebook viewer shows.

    Raises:
        ValueError: another version.
        TypeError: no notebook.
    """
    check_choice("version", version, VERSIONS)
    check_notebook("source", source)
    made = nbformat.v4.new_notebook(metadata=copy.deepcopy(dict(source.get("metadata", {}))))
    first = _INSTALL.format(package=package) if package else _NEEDED
    made.cells = [nbformat.v4.new_code_cell(first, metadata={"tags": ["install"]})]
    asked = False
    for label, cell in labelled(source):
        text = _text(cell, version)
        if text is None:
            continue
        if version == "student" and "exercise" in tags(cell) and not asked:
            made.cells.append(nbformat.v4.new_markdown_cell(_HOW))
            asked = True
        if version != "grader" and "check" in tags(cell):
            text += _PASSES
        if cell["cell_type"] == "code":
            new = nbformat.v4.new_code_cell(text)
        else:
            new = nbformat.v4.new_markdown_cell(plain(text, names))
        kept = [tag for tag in tags(cell) if tag in ("setup", "exercise", "answer", "check", "solution", "wrong")]
        if "check" in kept and version == "student":
            kept.append("raises-exception")  # "run all" goes on after a check that fails
        if kept:
            new.metadata["tags"] = kept
        # A cell that has this is of the chapter, and no student's own.
        new.metadata["geomlib"] = {"exercise": label} if label and kept and "setup" not in kept else {}
        if "hide-input" in tags(cell):  # as JupyterLab and Colab know it
            new.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        made.cells.append(new)
    for index, cell in enumerate(made.cells):
        cell["id"] = f"cell-{index:03d}"
    nbformat.validate(made)
    return made


def _text(cell: Any, version: str) -> str | None:
    """What a sheet has of a cell, in MyST; None for nothing."""
    kinds, text = tags(cell), str(cell["source"])
    if "page" in kinds:
        return None
    if "wrong" in kinds:
        what, _, code = text.partition("\n")
        return f"**To be expected, and wrong.** {what}\n\n```python\n{code}\n```" if version == "grader" else None
    if "solution" in kinds:
        return "*Your answer:*" if version == "student" else f"**One answer.** {text}"
    if "answer" in kinds and version == "student":
        return _SOLUTION.sub(lambda found: f"{found[1]}{HOLE}\n", text).rstrip()
    if version != "grader":
        text = _HIDDEN.sub("", text)
    return _unmarked(text).rstrip()


def _unmarked(text: str) -> str:
    """Code without the lines that mark solutions and hidden tests."""
    return re.sub(r"^[ \t]*### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\n?", "", text, flags=re.MULTILINE)


def replaced(answer: str, code: str) -> str:
    """The source of an `answer` cell with other code in the place of its solution."""

    def other(found: re.Match[str]) -> str:
        return textwrap.indent(code.rstrip("\n") + "\n", found[1])

    return _SOLUTION.sub(other, answer)


def page(executed: Any) -> Any:
    """An executed chapter as the book shows it: solutions without marks, no hidden tests, no wrong answers."""
    made = copy.deepcopy(executed)
    made["cells"] = [cell for cell in made["cells"] if "wrong" not in tags(cell)]
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = _unmarked(_HIDDEN.sub("", "".join(cell["source"]))).rstrip()
    return made


def wrong_answers(source: Any) -> list[tuple[str, str, str]]:
    """Label of the exercise, what is wrong, and the code, of each wrong answer that is to be expected."""
    found = [(label, *cell["source"].partition("\n")[::2]) for label, cell in labelled(source) if "wrong" in tags(cell)]
    return [(label, what, code) for label, what, code in found]
