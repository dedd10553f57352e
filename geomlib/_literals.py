"""Values written as words: one reading for parameters, for options of a generator, and for both command line flags."""

import ast
import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from geomlib._arguments import checked
from geomlib._checks import shown

CONSTANTS = {"true": True, "false": False, "none": None}
TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "tuple": tuple, "dict": dict}
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def literal(word: str) -> Any:
    """The value that a word stands for.

    Numbers, lists, tuples, dictionaries and quoted words are as Python writes them; true, false and none are constants
    in any case of letters; any other word is itself.

    Raises:
        ValueError: a word that opens a bracket or a quotation, and is no literal.
    """
    try:
        value = ast.literal_eval(_Constants().visit(ast.parse(word.strip(), mode="eval")))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        if word.strip()[:1] in tuple("[({\"'"):
            raise ValueError(f"expected a literal of Python, got {shown(word)}") from None
        return word
    return value


class _Constants(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802 - the name that ast calls
        known = node.id.lower()
        return ast.copy_location(ast.Constant(CONSTANTS[known]), node) if known in CONSTANTS else node


def convert(value: Any, kind: str) -> Any:
    """A value, or a word for it, as a type that Python's source names: of `TYPES`, Any, Literal, or some of them.

    Raises:
        ValueError: the value cannot be of the type, or the type is not known.
        TypeError: likewise.
    """
    return _as_type(value, ast.parse(kind, mode="eval").body)


def _as_type(value: Any, kind: ast.expr) -> Any:
    if isinstance(kind, ast.Constant):  # None, or a type in quotation marks
        return convert(value, kind.value) if isinstance(kind.value, str) else _choose(value, [None])
    if isinstance(kind, ast.BinOp):
        return _first(value, [kind.left, kind.right])
    name = ast.unparse(kind.value if isinstance(kind, ast.Subscript) else kind).rpartition(".")[2]
    inner = [] if not isinstance(kind, ast.Subscript) else _several(kind.slice)
    if name == "Literal":
        return _choose(value, [ast.literal_eval(one) for one in inner])
    if name == "Optional":
        return _first(value, [ast.Constant(None), *inner])
    if name == "Union":
        return _first(value, inner)
    if name == "str":
        if not isinstance(value, str):
            raise TypeError(value)
        return value
    parsed = literal(value) if isinstance(value, str) else value
    if name == "Any":
        return parsed
    if name == "float" and type(parsed) is int:
        parsed = float(parsed)
    if type(parsed) is not TYPES.get(name.lower()):
        raise TypeError(value)
    return [_as_type(one, inner[0]) for one in parsed] if isinstance(parsed, list) and inner else parsed


def _several(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _first(value: Any, kinds: list[ast.expr]) -> Any:
    """The value as the first of several types that it can be."""
    for kind in kinds:
        with contextlib.suppress(ValueError, TypeError, SyntaxError):
            return _as_type(value, kind)
    raise TypeError(value)


def _choose(value: Any, choices: list[Any]) -> Any:
    """The one of the choices that the value is, or is a word for."""
    for one in [value, literal(value)] if isinstance(value, str) else [value]:
        if any(type(one) is type(choice) and one == choice for choice in choices):
            return one
    raise ValueError(value)


def assignments(pieces: Iterable[str], where: str, verb: str = "expected") -> dict[str, str]:
    """The names and the words of pieces NAME=VALUE; errors begin with `where`, and `verb` says what it wants.

    Raises:
        ValueError: a piece that is not NAME=VALUE, or a name that comes twice.
    """
    words: dict[str, str] = {}
    for piece in pieces:
        parts = ASSIGNMENT.fullmatch(piece)
        if not parts:
            raise ValueError(f"{where} {verb} NAME=VALUE, got {shown(piece)}")
        if parts[1] in words:
            raise ValueError(f"{where} {parts[1]} is given twice")
        words[parts[1]] = parts[2]
    return words


def read_options(pieces: Iterable[str], where: str, verb: str = "expected") -> dict[str, Any]:
    """The names and the values of pieces NAME=VALUE, each value read by `literal`.

    Raises:
        ValueError: see `assignments`, or a value that `literal` refuses.
    """
    values = {}
    for name, word in assignments(pieces, where, verb).items():
        try:
            values[name] = literal(word)
        except ValueError as error:
            raise ValueError(f"{where} {name}: {error}") from None
    return values


@checked()
def generator_options(text: str) -> dict[str, Any]:
    """Options of a generator from one line of NAME=VALUE, as ``"truncation=0.7 class_index=2"``; "" has none.

    Values are read by `literal`; blanks belong to a value as long as no further NAME= follows.

    Raises:
        ValueError: a piece that is not NAME=VALUE, a name that comes twice, or a value that `literal` refuses.
    """
    pieces = re.split(r"\s+(?=[A-Za-z_]\w*=)", text.strip()) if text.strip() else []
    return read_options(pieces, "options:")


def options_text(options: Mapping[str, Any]) -> str:
    """The one line that `generator_options` reads back, its names in order.

    Raises:
        ValueError: a value that has no literal.
    """
    words = {key: one if _plain(one) else repr(one).replace("=", r"\x3d") for key, one in sorted(options.items())}
    text = " ".join(f"{name}={word}" for name, word in words.items())
    with contextlib.suppress(ValueError):
        if generator_options(text) == dict(options):
            return text
    raise ValueError(f"options: expected numbers, words and lists of them, got {dict(options)!r}")


def _plain(value: Any) -> bool:
    """Whether a value is a word that stands for itself without quotation marks."""
    return isinstance(value, str) and re.fullmatch(r"[^\s\"'\[({]\S*", value) is not None and literal(value) == value
