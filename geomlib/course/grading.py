"""Runs the answers of a sheet against the checks of its chapter."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomlib._arguments import checked
from geomlib.course.sheets import check_notebook, labelled, read, tags

_MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)  # what a notebook understands, and Python does not


@dataclass(frozen=True)
class Mark:
    """What the checks say of one exercise: `passed`, and the `reason` where not."""

    exercise: str
    passed: bool
    reason: str = ""


@checked()
def grade(chapter: Any, submission: Any | None = None) -> list[Mark]:
    """Run a chapter's set-up, the answers of a sheet, and after each answer the chapter's own checks.

    Of the rest of the sheet only cells are run that the student added, such as a function in a cell of its own; if one
    fails, that is no mistake of the answer.  **This runs the code of whoever wrote the sheet**, with your rights:
    read it first, or run this in a container.

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
    known = {str(cell["source"]).strip() for cell in chapter["cells"]}
    written: dict[str, list[tuple[str, bool]]] = {}  # code by exercise, and whether it is an answer
    for label, cell in labelled(submission or chapter):
        answer = "answer" in tags(cell)
        brought = tags(cell) or "geomlib" in cell["metadata"] or str(cell["source"]).strip() in known
        if answer or (cell["cell_type"] == "code" and not brought):
            written.setdefault(label, []).append((cell["source"], answer))
    names: dict[str, Any] = {"__name__": "sheet"}
    marks: list[Mark] = []
    waiting: list[tuple[str, bool]] = []
    reason = ""
    for label, cell in labelled(chapter):
        kinds = tags(cell)
        waiting += written.pop(label, [])
        if "setup" in kinds:
            exec(cell["source"], names)
        if "exercise" in kinds:
            reason = "no answer"
        if "answer" in kinds:
            for source, answer in waiting:
                said = _run(source, names)
                if answer:
                    reason = said if reason in ("", "no answer") else reason
            waiting = []
        if "check" in kinds:
            reason = reason or _run(cell["source"], names)
            marks.append(Mark(label, not reason, reason))
    return marks


def _run(source: str, names: dict[str, Any]) -> str:
    """Run code; the first line of what it raises, "" for nothing."""
    try:
        try:
            code = compile(source, "sheet", "exec")
        except SyntaxError:
            code = compile(_MAGIC.sub(r"\1pass", source), "sheet", "exec")
        exec(code, names)
    except (Exception, SystemExit) as error:  # a student's code can raise anything
        kind, said = type(error).__name__, str(error).partition("\n")[0]
        if isinstance(error, NameError):
            said += " (of the chapter only its set-up is run here)"
        return said if said and kind == "AssertionError" else f"{kind}: {said}".removesuffix(": ")
    return ""
