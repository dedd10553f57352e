"""What the landing page tells of each experiment: the prose of `book/highlights/`, filled in with what a run found."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geomlib.findings.controlled import THAN_CONTROLS

LEADING = "interpretable_axes"  # its pictures come first
PROSE = Path("book") / "highlights"


def text(folders: Sequence[Path]) -> str:
    """The highlights of all experiments that apply to the run's generator, in the order of their folders.

    In the prose ``<<caption EXPERIMENT FIGURE>>`` and ``<<alt EXPERIMENT FIGURE>>`` stand for what a notebook said of a
    figure, ``<<finding EXPERIMENT>>``, ``<<axes EXPERIMENT>>`` and ``<<verdicts EXPERIMENT>>`` for what the functions
    of these names say.  Prose that glues in a number that the run could not give, as one by a judge where none was
    fair, is left out.
    """
    summaries = {
        folder.name: json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        for folder in sorted(folders, key=lambda folder: folder.name != LEADING)
    }

    def quote(match: re.Match[str]) -> str:
        what, experiment, *figure = match[1].split()
        summary = summaries[experiment]
        if figure:
            return str(summary["figures"][figure[0]][what])
        return {"finding": finding, "axes": axes, "verdicts": verdicts}[what](summary)

    parts = []
    for name, summary in summaries.items():
        prose = PROSE / f"{name}.md"
        said = prose.read_text(encoding="utf-8") if prose.is_file() else ""
        needed = set(re.findall(rf"{name}\.ipynb::(\w+)", said))
        if said and "does_not_apply" not in summary and summary["numbers"].keys() >= needed:
            parts.append(re.sub(r"<<(\w+ \w+(?: \w+)?)>>", quote, said))
    return "\n".join(parts) or "None of the experiments applies to this generator.\n"


def finding(summary: Mapping[str, Any]) -> str:
    """What was found, with what stands beside it."""
    return " ".join([summary["finding"], *summary["beside the finding"]])


def axes(summary: Mapping[str, Any]) -> str:
    """How many axes hold 99 % of the trace, beside the controls that the page has measured."""
    numbers = summary["numbers"]
    few = numbers["dimensions_for"][0]
    first = (
        f"Of {numbers['dimension']} latent axes, {few} hold 99 % of the trace of the mean spectrum; "
        f"the averaged metric, one frame of axes for all latents, needs {numbers['dimensions_in_common']}."
    )
    beside = list(zip(numbers["controls"], numbers["controls_dimensions"], strict=True))
    if len(beside) < 2:
        return f"{first} No network without training was measured beside it."
    (_, own), *others = beside
    controls = ", ".join(f"{count} ({kind})" for kind, count in others)
    return f"{first} At single latents it takes {own} on average; one network of the same layers takes {controls}."


def verdicts(summary: Mapping[str, Any]) -> str:
    """The word of each claim that is judged against every kind of control."""
    words = {
        row["claim"].removesuffix(THAN_CONTROLS): row["verdict"]
        for row in summary["comparison"]
        if row["claim"].endswith(THAN_CONTROLS)
    }
    if set(words.values()) <= {"not comparable", "not run"}:
        return "Not comparable: not measured against three networks of each kind of control."
    told = "; ".join(f"{claim}, *{word}*" for claim, word in words.items())
    return f"Against three networks of each kind of control: {told}."
