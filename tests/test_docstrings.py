"""The examples in docstrings run and print what they say; functions that people start with have one."""

import doctest
import importlib
from types import ModuleType

import pytest
from conftest import ROOT

import geomlib

PACKAGE = ROOT / "geomlib"
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
START = (
    "load_generator",
    "load_distance",
    "check_generator",
    "metric_tensor",
    "average",
    "top_eigenpairs",
    "metric_operator",
    "traverse",
)


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    """The docstrings of a module that have examples; a wrapper counts as what it wraps."""
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    cases = examples_of(module)
    assert cases, "an example that no docstring holds does not run"
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for case in cases:
        runner.run(case, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", START)
def test_functions_to_start_with_have_an_example(name: str) -> None:
    assert ">>> " in (getattr(geomlib, name).__doc__ or ""), f"geomlib.{name} has no example"
