"""Executed notebooks as results: what changes from run to run is taken out, figures get captions."""

import json
import re
from pathlib import Path
from typing import Any

from geomlib._markdown import as_words

PAPERMILL_TIMES = ("start_time", "end_time", "duration", "input_path", "output_path", "exception")
ERROR_MARK = "papermill-error-cell-tag"
INJECTED = "injected-parameters"
EXPECTED = "raises-exception"  # the tag of a cell that shows an error on purpose
NOT_APPLICABLE = "DoesNotApply"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
VARYING = {
    re.compile(r"\bat 0x[0-9a-fA-F]+"): "at 0x0",  # addresses in what objects print
    re.compile(r"[^\s\"]{0,200}ipykernel_\d+[/\\]+\d+\.py"): "<cell>",  # where a warning came from
}


def source_text(notebook: dict[str, Any]) -> str:
    """What decides a notebook's results: kind, tags, source of its cells, and ``metadata.geomlib``; not its outputs."""
    cells = [[c["cell_type"], c["metadata"].get("tags", []), "".join(c["source"])] for c in notebook["cells"]]
    return json.dumps([cells, notebook["metadata"].get("geomlib", {})], sort_keys=True)


def read(path: Path) -> dict[str, Any]:
    """A notebook as JSON.

    Raises:
        ValueError: the file is empty or no notebook; the message names it.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for cell in content["cells"]:
            cell.setdefault("metadata", {})
            cell["cell_type"], cell["source"]  # noqa: B018 - what every cell has
        content.setdefault("metadata", {})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        what = "is empty" if not path.stat().st_size else f"is no notebook of format 4 ({type(error).__name__})"
        raise ValueError(f"{path.name} {what}; mend it, or move it out of {path.parent.name}/") from error
    return content


def errors(notebook: dict[str, Any], on_purpose: bool = False) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Cells that ended in an error: their number, counted from 1 without what papermill added; the cell; the error.

    Those tagged ``raises-exception`` show one on purpose and count only if they are asked for.
    """
    own = [c for c in notebook["cells"] if not {ERROR_MARK, INJECTED} & set(c["metadata"].get("tags", []))]
    failures = []
    for number, cell in enumerate(own, start=1):
        if not on_purpose and EXPECTED in cell["metadata"].get("tags", []):
            continue
        failures += [(number, cell, output) for output in cell.get("outputs", []) if output["output_type"] == "error"]
    return failures


def normalise(notebook: dict[str, Any], experiment: str, replacements: dict[str, str]) -> str:
    """Text of an executed notebook that two runs give byte for byte.

    Args:
        notebook: executed, as papermill leaves it.
        experiment: its name, for the labels of figures.
        replacements: texts that differ between runs (paths), and what stands for them.
    """
    cells = [c for c in notebook["cells"] if ERROR_MARK not in c["metadata"].get("tags", [])]
    cells = _end_where_it_does_not_apply(cells)
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index:03d}"
        for key in ("execution", "papermill"):
            cell["metadata"].pop(key, None)
        if INJECTED in cell["metadata"].get("tags", []):
            _hide_if_only_plumbing(cell)
        if cell["cell_type"] == "code":
            cell["outputs"] = _merge_streams(cell["outputs"])
            for output in cell["outputs"]:
                _settle(output)
                _caption(cell, output, experiment)
    notebook["cells"] = cells
    for key in PAPERMILL_TIMES:
        notebook["metadata"].get("papermill", {}).pop(key, None)
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _end_where_it_does_not_apply(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and output["ename"] == NOT_APPLICABLE:
                cell["outputs"].remove(output)
                note = f":::{{admonition}} Does not apply\n:class: note\n{as_words(output['evalue'])}\n:::"
                return [*cells[: index + 1], {"cell_type": "markdown", "metadata": {}, "source": note}]
    return cells


def _hide_if_only_plumbing(cell: dict[str, Any]) -> None:
    """The page shows injected parameters, unless there is but the folder for the results."""
    lines = [line for line in "".join(cell["source"]).splitlines() if not re.match(r"#|results\s*=", line)]
    if not any(lines):
        cell["metadata"]["tags"].append("remove-cell")


def _merge_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Printed text in one piece, however it was cut on its way."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream" and merged and merged[-1].get("name") == output["name"]:
            merged[-1]["text"] = "".join(merged[-1]["text"]) + "".join(output["text"])
        else:
            merged.append(output)
    return merged


def _settle(output: dict[str, Any]) -> None:
    """Take out of printed text what no two processes share."""
    holder = output.get("data", output)
    for key in ("text", "text/plain", "text/html"):
        if key in holder:
            holder[key] = "".join(holder[key])
            for pattern, constant in VARYING.items():
                holder[key] = pattern.sub(constant, holder[key])


def _caption(cell: dict[str, Any], output: dict[str, Any], experiment: str) -> None:
    """Put caption, label and alternative text where MyST-NB reads them."""
    name = output.get("metadata", {}).get("geomlib", {}).get("figure")
    if name:
        alt = output["metadata"]["image/png"]["alt"]
        caption = "".join(output["data"]["text/plain"])
        link = output["metadata"]["geomlib"].get("data")
        if link:
            caption += f" [{{download}}`{link} <{experiment}/{name}.csv>`]{{.figure-data}}"
        cell["metadata"]["mystnb"] = {
            "image": {"alt": alt, "classes": "dark-light"},
            "figure": {"caption": caption, "name": f"fig-{experiment}-{name}"},
        }


def describe(experiment: str, number: int, cell: dict[str, Any], error: dict[str, Any]) -> str:
    """A failed cell in plain sight: where, its source, the exception."""
    source = "\n".join(f"    {line}" for line in "".join(cell["source"]).splitlines())
    trace = ESCAPES.sub("", "\n".join(error["traceback"])).splitlines()
    tail = "\n".join(f"    {line}" for line in trace[-12:])
    cause = f"{error['ename']}: {ESCAPES.sub('', error['evalue'])}"
    return f"{experiment}: cell {number} failed with {cause}\n\n  the cell\n{source}\n\n  the traceback's end\n{tail}"
