"""The course's part of the book: its pages, the sheets to download, and what teachers should expect."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat

from geomlib._arguments import checked
from geomlib.course.plain import names_in
from geomlib.course.sheets import chapters, page, read, sheet, wrong_answers
from geomlib.course.times import minutes

SHEETS = "sheets"


@checked()
def collect(root: Path, executed: Path) -> None:
    """Turn executed chapters into pages, and lay beside them the sheets that pages offer.

    Args:
        root: the project.
        executed: where the executed notebooks of the book are; chapters are changed in place.  A project without a
            course gets nothing.
    """
    sources = {path: read(path) for path in chapters(root)}
    if not sources:
        return
    names = names_in(root, sources.values())
    sheets = executed / SHEETS
    sheets.mkdir(parents=True, exist_ok=True)
    for path, source in sources.items():
        shown = executed / path.name
        if shown.is_file():
            text = json.dumps(page(json.loads(shown.read_text(encoding="utf-8"))), indent=1, ensure_ascii=False)
            shown.write_text(text + "\n", encoding="utf-8", newline="\n")
        for version in ("student", "solution"):
            nbformat.write(sheet(source, version, names), sheets / f"{path.stem}_{version}.ipynb")
    (executed / "course_times.md").write_text(_times(sources.items()), encoding="utf-8", newline="\n")
    (executed / "wrong_answers.md").write_text(_wrong(sources.items()), encoding="utf-8", newline="\n")


def _title(source: Any) -> str:
    return str(source["cells"][0]["source"]).partition("\n")[0].lstrip("# ")


def _times(sources: Iterable[tuple[Path, Any]]) -> str:
    """A table of the chapters with their minutes and slides, for pages in `book/`."""
    rows = ["| Chapter | Text | Exercises | Slides |", "|---|---|---|---|"]
    total = [0, 0]
    for path, source in sources:
        both = minutes(source)
        total = [a + b for a, b in zip(total, both, strict=True)]
        shown = f'<a href="executed/{path.stem}_slides.html">slides</a>'
        rows.append(f"| {{doc}}`/book/executed/{path.stem}` | {both[0]} min | {both[1]} min | {shown} |")
    rows.append(f"| All | {total[0] / 60:.1f} h | {total[1] / 60:.1f} h | |")
    return "\n".join(rows) + "\n"


def _number(label: str) -> str:
    """The number of an exercise, "3.2" for `ex-3-2`."""
    return ".".join(label.split("-")[1:])


def _wrong(sources: Iterable[tuple[Path, Any]]) -> str:
    """The wrong answers to be expected, chapter by chapter."""
    parts = []
    for path, source in sources:
        lines: dict[str, list[str]] = {}
        for label, what, _ in wrong_answers(source):
            lines.setdefault(label, []).append(what)
        parts.append(f"{{doc}}`/book/executed/{path.stem}`\n")
        parts[-1] += "".join(
            f"\n- {{ref}}`{_number(label)} <{label}>`: {' '.join(told)}" for label, told in lines.items()
        )
    return "\n\n".join(parts) + "\n"
