"""Parameters of notebooks: read from the cell tagged ``parameters``, checked by name and by declared type."""

import ast
import re
from pathlib import Path
from typing import Any, NamedTuple

SIMPLE = {"int": int, "float": float, "str": str, "bool": bool}
CONTAINERS = {"list": list, "tuple": tuple, "dict": dict}


class Parameter(NamedTuple):
    """One parameter of a notebook, as its cell declares it."""

    name: str
    kind: str
    default: Any
    help: str


def inspect(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in order.

    Raises:
        ValueError: a default that is no literal.
    """
    import papermill

    found = {}
    for name, entry in papermill.inspect_notebook(str(notebook)).items():
        try:
            default = ast.literal_eval(entry["default"])
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{notebook.stem}: default of parameter {name!r} is no literal") from error
        found[name] = Parameter(name, entry["inferred_type_name"], default, entry["help"])
    return found


def check(experiment: str, known: dict[str, Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """The given values in their declared types.

    Args:
        experiment: named in errors.
        known: what the notebook declares.
        given: values, or words from a command line.

    Raises:
        ValueError: a name that the notebook does not have, or a value that cannot be of the declared type.
    """
    for name in given:
        if name not in known or name == "results":
            names = ", ".join(one for one in known if one != "results")
            raise ValueError(f"{experiment}: unknown parameter {name!r}; known: {names}")
    values = {}
    for name, value in given.items():
        try:
            values[name] = convert(value, known[name].kind)
        except (ValueError, TypeError, SyntaxError):
            expected = known[name].kind
            raise ValueError(f"{experiment}: parameter {name!r} expects {expected}, got {value!r}") from None
    return values


def convert(value: Any, kind: str) -> Any:
    """A value, or a word for it, as the declared type; raises ValueError or TypeError where that cannot be."""
    optional = re.fullmatch(r"Optional\[(.*)\]", kind)
    if optional:
        return None if value in (None, "None") else convert(value, optional[1])
    if kind == "str":
        if not isinstance(value, str):
            raise TypeError(value)
        return value
    if kind in SIMPLE:
        parsed = _literal(value)
        if kind == "float" and type(parsed) is int:
            parsed = float(parsed)
        if type(parsed) is not SIMPLE[kind]:
            raise TypeError(value)
        return parsed
    container = re.fullmatch(r"(list|tuple|dict)(?:\[(.*)\])?", kind)
    if container:
        parsed = ast.literal_eval(value) if isinstance(value, str) else value
        if not isinstance(parsed, CONTAINERS[container[1]]):
            raise TypeError(value)
        if container[1] == "list" and container[2]:
            return [convert(one, container[2]) for one in parsed]
        return parsed
    raise ValueError(f"unknown type {kind}")


def _literal(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
