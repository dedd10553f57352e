"""The API reference has what the package promises, and nothing that is not there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from conftest import ROOT

import geomlib

PAGES = sorted((ROOT / "book/api").glob("*.md"))
ROOMS = [name for page in PAGES for name in re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8"))]
FIRST = (ROOT / "book/api.md").read_text(encoding="utf-8")


def documented(room: str) -> set[int]:
    """What `automodule` shows of a room: its `__all__`, or what it defines; that which has a docstring."""
    module = importlib.import_module(room)
    own = [one for one in vars(module).values() if getattr(one, "__module__", "") == room]
    named = [getattr(module, name) for name in getattr(module, "__all__", [])]
    return {id(one) for one in named or own if inspect.getdoc(one)}


def test_every_public_name_has_its_entry() -> None:
    shown = set().union(*map(documented, ROOMS))
    for name in geomlib.__all__:
        one = getattr(geomlib, name)
        if inspect.ismodule(one):
            assert one.__name__ in ROOMS, f"the room geomlib.{name} is on no page"
        else:
            assert id(one) in shown or f"autofunction:: geomlib.{name}\n" in FIRST, f"geomlib.{name} is on no page"


def test_the_first_page_links_to_functions_that_are_documented() -> None:
    names = re.findall(r"^   ~(\S+)$", FIRST, re.MULTILINE)
    assert len(names) > 8
    for name in names:
        room, _, function = name.rpartition(".")
        assert id(getattr(importlib.import_module(room), function)) in documented(room), name


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_fields_of_tuples_are_told_by_their_class_alone(page: Path) -> None:
    """Python says "Alias for field number 0" of each; such fields are excluded by name."""
    text = page.read_text(encoding="utf-8")
    for room, options in re.findall(r"automodule:: (\S+)\n((?:   :.*\n)*)", text):
        excluded = set(re.findall(r"[\w]+", options.partition(":exclude-members:")[2].partition("\n")[0]))
        module = importlib.import_module(room)
        names = getattr(module, "__all__", [name for name, one in vars(module).items() if inspect.isclass(one)])
        classes = [getattr(module, name) for name in names]
        for one in classes:
            fields = getattr(one, "_fields", ()) if "imported" in options or one.__module__ == room else ()
            assert set(fields) <= excluded, f"{room}.{one.__name__}"
