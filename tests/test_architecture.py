"""The architecture page: its picture is that of the imports, and what it names is there."""

import re

from conftest import ROOT, load_script
from test_structure import FLOOR, ROOMS

drawing = load_script("book/draw_architecture.py")
PAGE = (ROOT / "book" / "architecture.md").read_text(encoding="utf-8")


def test_the_picture_is_up_to_date() -> None:
    assert (ROOT / drawing.PICTURE).read_text(encoding="utf-8") == drawing.draw(ROOT), (
        "the imports changed: run python book/draw_architecture.py"
    )


def test_each_room_stands_in_the_picture_once() -> None:
    words = re.findall(r"<text[^>]*>([^<]+)</text>", drawing.draw(ROOT))
    *rooms, ground = (word.split("  ")[-1] for word in words)
    assert sorted(rooms) == sorted(set(FLOOR) - set(ROOMS[0]))
    assert all(room in ground for room in ROOMS[0])


def test_only_arrows_that_no_longer_way_tells_remain() -> None:
    needs = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set[str]()}
    assert drawing.shortest(needs) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_arrows_are_imports(tmp_path) -> None:
    package = tmp_path / "geomlib"
    (package / "upper").mkdir(parents=True)
    (package / "lower.py").write_text("import math\nfrom torch import nn\n")
    (package / "upper" / "one.py").write_text("def f():\n    from geomlib.lower import g\n")
    (package / "other.py").write_text("from geomlib import lower\n")
    found = drawing.imports(tmp_path, {"upper", "lower", "other"})
    assert found == {"upper": {"lower"}, "other": {"lower"}, "lower": set()}


def test_the_page_reads_what_is_there() -> None:
    reading = re.findall(r"^\d\. `([\w/]+\.py)`", PAGE, re.MULTILINE)
    assert [path.split("/")[0].removesuffix(".py") for path in reading] == list(drawing.READING)
    named = re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)
    inside = [name for name in named if name not in ("hessian.py", "catalogue.py", "interface.py", "architectures/")]
    assert all((ROOT / "geomlib" / name.removeprefix("geomlib/")).exists() for name in inside), named
