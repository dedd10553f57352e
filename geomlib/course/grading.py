"""Runs the answers of a sheet against the checks of its chapter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomlib._arguments import checked
from geomlib.course.sheets import check_notebook, labelled, read, tags


@dataclass(frozen=True)
class Mark:
    """What the checks say of one exercise: `passed`, and the `reason` where not."""

    exercise: str
    passed: bool
    reason: str = ""


@checked()
def grade(chapter: Any, submission: Any | None = None) -> list[Mark]:
    """Run a chapter's set-up, the answers of a sheet, and after each answer the chapter's own checks.

    Nothing else of the sheet is run.  **This runs the code of whoever wrote the sheet**, with your rights: read it
    first, or run this in a container.

    Args:
        chapter: the source or a grader's sheet, or the path of one.
        submission: a sheet with answers, or its path; without one, the chapter's own answers are taken.

    Returns:
        A mark for each exercise that has a check, in the order of the chapter.

    Raises:
        TypeError: no notebook.
        ValueError: a file that is none.
        FileNotFoundError: no such file.
    """
    chapter, submission = (read(Path(one)) if isinstance(one, str | Path) else one for one in (chapter, submission))
    check_notebook("chapter", chapter)
    check_notebook("submission", chapter if submission is None else submission)
    answers: dict[str, list[str]] = {}
    for label, cell in labelled(submission or chapter):
        if "answer" in tags(cell):
            answers.setdefault(label, []).append(cell["source"])
    names: dict[str, Any] = {"__name__": "sheet"}
    marks: list[Mark] = []
    asked: set[str] = set()
    for label, cell in labelled(chapter):
        kinds = tags(cell)
        if "setup" in kinds:
            exec(cell["source"], names)
        if "answer" in kinds and label not in asked:
            asked.add(label)
            given = answers.get(label, [])
            reason = "no answer" if not given else ""
            for source in given:
                reason = reason or _run(source, names)
        if "check" in kinds:
            reason = reason or _run(cell["source"], names)
            marks.append(Mark(label, not reason, reason))
    return marks


def _run(source: str, names: dict[str, Any]) -> str:
    """Run code; the first line of what it raises, "" for nothing."""
    try:
        exec(source, names)
    except Exception as error:  # a student's code can raise anything
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".removeprefix("AssertionError: ")
    return ""
