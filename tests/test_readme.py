"""What README, CONTRIBUTING, Makefile and the page on safety point to is there; test_release.py runs the example."""

import re

import pytest
from conftest import ROOT


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_quick_tests_are_there() -> None:
    names = re.search(r"QUICK := \$\(patsubst %,tests/test_%.py,((?:.|\\\n)*?)\)", (ROOT / "Makefile").read_text())
    assert names
    files = [f"tests/test_{name}.py" for name in names[1].replace("\\", " ").split()]
    assert len(files) > 5 and [file for file in files if not (ROOT / file).is_file()] == []


def test_every_promise_names_a_test_that_is_there() -> None:
    promises = re.findall(r"`(test_\w+\.py)::(\w+)`", (ROOT / "book/safety.md").read_text(encoding="utf-8"))
    assert len(promises) > 10
    for file, name in promises:
        assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{name}"
