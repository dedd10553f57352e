"""How long a chapter takes: an estimate by a rule that the course states, and not a measurement."""

import re
from typing import Any

from geomlib._arguments import checked
from geomlib.course.sheets import check_notebook, tags

# Minutes of each kind of exercise.
KINDS = {"derive": 10, "predict": 5, "program": 10, "criticise": 5, "open": 10}
WORDS_A_MINUTE = 90  # of a text with formulas
CELL = 1  # minutes for a cell of code that is shown, and for what it draws


def kind_of(question: str) -> str:
    """The kind of an exercise, from its title ("3.2, derive: ...").

    Raises:
        ValueError: a title that names none.
    """
    title = re.search(r"\{exercise\} *[\d.]+, *(\w+)", question)
    if not title or title[1] not in KINDS:
        raise ValueError(f"an exercise begins with its number and one of {', '.join(KINDS)}, got {question[:60]!r}")
    return title[1]


@checked()
def minutes(source: Any) -> tuple[int, int]:
    """Minutes for the text and for the exercises of a chapter, each to the next five."""
    check_notebook("source", source)
    words, cells, work = 0, 0, 0
    for cell in source["cells"]:
        kinds = tags(cell)
        if "exercise" in kinds:
            work += KINDS[kind_of(cell["source"])]
        elif cell["cell_type"] == "markdown" and not {"page", "solution"} & {*kinds}:
            words += len(cell["source"].split())
        elif cell["cell_type"] == "code" and not {"answer", "check", "parameters", "setup"} & {*kinds}:
            cells += CELL
    return 5 * -(-round(words / WORDS_A_MINUTE + cells) // 5), 5 * -(-work // 5)
