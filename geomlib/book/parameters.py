"""Parameters of notebooks: read from the cell tagged ``parameters``, checked by name and by type."""

import ast
import io
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

from geomlib._literals import TYPES, convert
from geomlib.book import notebook


class Parameter(NamedTuple):
    """One parameter of a notebook, as its cell declares it; `kind` is a type as Python writes it, "Any" for any."""

    name: str
    kind: str
    default: Any
    help: str


def inspect(path: Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in order; none where no cell is tagged.

    A parameter is an assignment of a literal to a name, with or without a type; its type is else that of its default.
    What stands in the comment behind it is its help. The cell may import what types need, and holds nothing else: a
    line that is no parameter would be executed and never be recorded.

    Raises:
        ValueError: more than one cell is tagged, or a line of the cell is no parameter.
    """
    name = path.stem
    tagged = [cell for cell in notebook.read(path)["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) > 1:
        raise ValueError(f"{name}: {len(tagged)} cells are tagged 'parameters', expected one; join them into one cell")
    source = "".join("".join(cell["source"]) for cell in tagged)
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise ValueError(f"{name}: its cell tagged 'parameters' is no Python: {error.msg} in {line!r}") from None
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {one.start[0]: one.string.lstrip("# ").rstrip() for one in tokens if one.type == tokenize.COMMENT}
    known: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        one = _parameter(name, statement, comments.get(statement.end_lineno or 0, ""))
        if one.name in known:
            raise ValueError(f"{name}: parameter {one.name!r} is declared twice")
        known[one.name] = one
    return known


def _parameter(notebook_name: str, statement: ast.stmt, comment: str) -> Parameter:
    target: ast.expr | None
    value: ast.expr | None
    declared = None
    if isinstance(statement, ast.AnnAssign):
        target, value, declared = statement.target, statement.value, statement.annotation
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    else:
        target = value = None
    if not isinstance(target, ast.Name) or value is None:
        line = ast.unparse(statement).splitlines()[0]
        raise ValueError(f"{notebook_name}: expected NAME: TYPE = LITERAL in its cell of parameters, got {line!r}")
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        raise ValueError(f"{notebook_name}: default of parameter {target.id!r} is no literal") from None
    if declared is None:
        kind = type(default).__name__
        return Parameter(target.id, kind if kind in TYPES else "Any", default, comment)
    kind = ast.unparse(declared)
    try:
        kind = f"Optional[{kind}]" if default is None else kind
        fits = convert(default, kind) == default
    except (ValueError, TypeError, SyntaxError):
        fits = False
    if not fits:
        raise ValueError(f"{notebook_name}: parameter {target.id!r}: default {default!r} is not of the type {kind}")
    return Parameter(target.id, kind, default, comment)


def check(experiment: str, known: dict[str, Parameter], values: dict[str, Any]) -> dict[str, Any]:
    """The values in their declared types.

    Args:
        experiment: named in errors.
        known: what the notebook declares.
        values: by name; words from a command line are read.

    Raises:
        ValueError: a name that the notebook does not have, or a value that cannot be of the declared type.
    """
    for name in values:
        if name not in known or name == "results":
            names = ", ".join(one for one in known if one != "results")
            raise ValueError(f"{experiment}: unknown parameter {name!r}; known: {names}")
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = convert(value, known[name].kind)
        except (ValueError, TypeError, SyntaxError):
            expected = known[name].kind
            raise ValueError(f"{experiment}: parameter {name!r} expects {expected}, got {value!r}") from None
    return converted
