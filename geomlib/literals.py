"""Values written as words: one reading for parameters, for options of a generator, and for both command line flags."""

import ast
import re
from collections.abc import Mapping
from typing import Any

CONSTANTS = {"true": True, "false": False, "none": None}
OPTION = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


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
            raise ValueError(f"expected a literal of Python, got {word!r}") from None
        return word
    return value


class _Constants(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802 - the name that ast calls
        known = node.id.lower()
        return ast.copy_location(ast.Constant(CONSTANTS[known]), node) if known in CONSTANTS else node


def generator_options(text: str) -> dict[str, Any]:
    """Options of a generator from one line of NAME=VALUE, as ``"truncation=0.7 class_index=2"``; "" has none.

    Values are read by `literal`; blanks belong to a value as long as no further NAME= follows.

    Raises:
        ValueError: a piece that is not NAME=VALUE, a name that comes twice, or a value that `literal` refuses.
    """
    found: dict[str, Any] = {}
    for piece in re.split(r"\s+(?=[A-Za-z_]\w*=)", text.strip()) if text.strip() else []:
        parts = OPTION.fullmatch(piece)
        if not parts:
            raise ValueError(f"options: expected NAME=VALUE, got {piece!r}")
        if parts[1] in found:
            raise ValueError(f"options: {parts[1]} is given twice in {text!r}")
        try:
            found[parts[1]] = literal(parts[2])
        except ValueError as error:
            raise ValueError(f"options: {parts[1]}: {error}") from None
    return found


def options_text(options: Mapping[str, Any]) -> str:
    """The one line that `generator_options` reads back, its names in order.

    Raises:
        ValueError: a value that has no literal.
    """
    words = {name: value if _plain(value) else repr(value) for name, value in sorted(options.items())}
    text = " ".join(f"{name}={word}" for name, word in words.items())
    if generator_options(text) != dict(options):
        raise ValueError(f"options: expected numbers, words and lists of them, got {dict(options)!r}")
    return text


def _plain(value: Any) -> bool:
    """Whether a value is a word that stands for itself without quotation marks."""
    return isinstance(value, str) and re.fullmatch(r"[^\s\"'\[({]\S*", value) is not None and literal(value) == value
