"""Parameters of notebooks: every line of the cell counts, and every word becomes a value of its type or is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from nbformat import v4

from geomlib import _literals as literals
from geomlib.book import parameters
from geomlib.book.parameters import Parameter


def notebook(folder: Path, *cells: str) -> Path:
    """A notebook whose cells are all tagged."""
    made = v4.new_notebook(cells=[v4.new_code_cell(cell, metadata={"tags": ["parameters"]}) for cell in cells])
    path = folder / "mine.ipynb"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('query: str = "a=b"  # what is = asked', Parameter("query", "str", "a=b", "what is = asked")),
        ('mark: str = "# 1"', Parameter("mark", "str", "# 1", "")),
        ('mode: Literal["a", "b"] = "a"', Parameter("mode", "Literal['a', 'b']", "a", "")),
        ("alpha = 0.5  # mixes", Parameter("alpha", "float", 0.5, "mixes")),
        ("nothing = None", Parameter("nothing", "Any", None, "")),
        ("many: list[int] = [\n    1,\n]  # several lines", Parameter("many", "list[int]", [1], "several lines")),
        ('label: "str" = "x"', Parameter("label", "'str'", "x", "")),
        ("share: float = -1", Parameter("share", "float", -1, "")),
        ("layer: int = None", Parameter("layer", "Optional[int]", None, "")),
        ("layer: int | None = None", Parameter("layer", "Optional[int | None]", None, "")),
    ],
)  # fmt: skip
def test_every_declaration_is_seen(tmp_path: Path, line: str, expected: Parameter) -> None:
    source = f'from typing import Literal\n{line}\nresults: str = "r"\n'
    found = parameters.inspect(notebook(tmp_path, source))
    assert list(found) == [expected.name, "results"]
    assert found[expected.name] == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "seed: int = 0\nprint(seed)",
            r"mine: expected NAME: TYPE = LITERAL in its cell of parameters, got 'print\(seed\)'",
        ),
        ("seed: int", "mine: expected NAME: TYPE = LITERAL in its cell of parameters, got 'seed: int'"),
        ("a, b = 1, 2", "mine: expected NAME: TYPE = LITERAL in its cell of parameters, got .*b.* = "),
        ("a = b = 1", "got 'a = b = 1'"),
        ("%matplotlib inline", "mine: its cell tagged 'parameters' is no Python: .* in '%matplotlib inline'"),
        ("seed = 0\nseed = 3", "mine: parameter 'seed' is declared twice"),
        ("seed: int = 1 + len('a')", "mine: default of parameter 'seed' is no literal"),
        ('seed: int = "3"', "mine: parameter 'seed': default '3' is not of the type int"),
        ("seed: Path = 3", "mine: parameter 'seed': default 3 is not of the type Path"),
        ('mode: Literal["a"] = "b"', "mine: parameter 'mode': default 'b' is not of the type Literal"),
    ],
)
def test_what_is_no_parameter_is_refused_by_name(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameters.inspect(notebook(tmp_path, source))


def test_two_tagged_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine: 2 cells are tagged 'parameters', expected one"):
        parameters.inspect(notebook(tmp_path, "seed: int = 0", "seed: int = 3"))
    assert parameters.inspect(notebook(tmp_path)) == {}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("3", "int", 3),
        ("-2", "int", -2),
        ("1e-3", "float", 1e-3),
        ("2", "float", 2.0),
        ("true", "bool", True),
        ("False", "bool", False),
        ("3", "str", "3"),
        ("none", "str", "none"),
        ("None", "Optional[int]", None),
        ("none", "int | None", None),
        ("4", "typing.Optional[int]", 4),
        ("word", "Union[int, str]", "word"),
        ("b", "Literal['a', 'b']", "b"),
        ("2", "Literal[1, 2]", 2),
        ("[1, 2]", "list[float]", [1.0, 2.0]),
        ("(1, 2)", "tuple[int, int]", (1, 2)),
        ({"a": 1}, "dict[str, int]", {"a": 1}),
        ("0.5", "Any", 0.5),
    ],
)
def test_words_become_values_of_the_declared_type(value: object, kind: str, expected: object) -> None:
    converted = literals.convert(value, kind)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1", "bool"), (1, "bool"), (True, "int"), ("2.5", "int"), (3, "str"), ("c", "Literal['a', 'b']"),
     ("x", "int | None"), ("1", "Literal['a', True]"), ("[1, 'a']", "list[int]"), ("1", "list"), ("[a", "Any")],
)  # fmt: skip
def test_what_cannot_be_of_the_type_is_refused(value: object, kind: str) -> None:
    known = {"one": Parameter("one", kind, None, "")}
    with pytest.raises(ValueError, match="^mine: parameter 'one' expects "):
        parameters.check("mine", known, {"one": value})


@pytest.mark.parametrize(
    ("word", "expected"),
    [("true", True), ("FALSE", False), ("None", None), ("1", 1), ("-0.5", -0.5),
     ("[1, [true, none]]", [1, [True, None]]), ("'1'", "1"), ("word", "word"),
     ("1-2", "1-2"), ("a.b/c.pt", "a.b/c.pt"), ("", "")],
)  # fmt: skip
def test_literals(word: str, expected: Any) -> None:
    value = literals.literal(word)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize("word", ["[1", "'a", "{a: b}", "(1, f())"])
def test_half_a_literal_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="expected a literal of Python"):
        literals.literal(word)


def test_options_of_a_generator_are_one_line() -> None:
    text = "truncation=0.7 class_index=2  wide=false sizes=[1, 2] label='a b' path=x=y.pt"
    options = {"truncation": 0.7, "class_index": 2, "wide": False, "sizes": [1, 2], "label": "a b", "path": "x=y.pt"}
    assert literals.generator_options(text) == options
    assert literals.generator_options("  ") == {}
    assert literals.options_text(options) == (
        "class_index=2 label='a b' path=x=y.pt sizes=[1, 2] truncation=0.7 wide=False"
    )
    for value in ("7", "true", "", "a b", "[", "word", "it's", "a b=c", -1e-30, None, [["a"], 1], {"a": (1, 2)}):
        assert literals.generator_options(literals.options_text({"one": value})) == {"one": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("truncation", "options: expected NAME=VALUE, got 'truncation'"),
        ("0.7 a=1", "options: expected NAME=VALUE, got '0.7'"),
        ("a=1 a=2", "options: a is given twice"),
        ("a=[1", "options: a: expected a literal of Python"),
    ],
)
def test_options_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        literals.generator_options(text)


def test_options_without_a_literal_are_refused() -> None:
    with pytest.raises(ValueError, match="options: expected numbers, words and lists of them"):
        literals.options_text({"one": object()})
