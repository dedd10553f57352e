"""The files of a user's own code: what a factory's module imports, and nothing that is installed."""

import sys
from pathlib import Path

import pytest
import torch

from geomlib.book.plan import make_plan
from geomlib.generators.imported import own_files

FILES = {
    "mine.py": "import os, numpy\nimport beside\nfrom parts.net import Net\nfrom parts import extra\n",
    "beside.py": "def late():\n    import importlib\n    importlib.import_module('dynamic')\n    import lazy\n",
    "dynamic.py": "",
    "lazy.py": "import mine\n",
    "unused.py": "",
    "parts/__init__.py": "",
    "parts/net.py": "from .layers.block import Block\nfrom . import shared\n",
    "parts/extra.py": "from ..beside import late\n",
    "parts/shared.py": "SIZE = 3",
    "parts/layers/__init__.py": "from ..other import Other\n",
    "parts/layers/block.py": "import torch\nimport geomlib\n",
    "parts/other.py": "not Python at all (",
    "parts/unused.py": "",
}
OWN = set(FILES) - {"unused.py", "parts/unused.py"}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_imports_of_a_file(code: Path) -> None:
    assert {path.as_posix() for path in own_files("mine.py")} == OWN
    assert {path.relative_to(code).as_posix() for path in own_files(f"{code}/mine.py")} == OWN


def test_all_imports_of_a_module(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {name for name in OWN if name.startswith("parts/")} - {"parts/extra.py"}
    assert {path.as_posix() for path in own_files("parts.net")} == expected
    monkeypatch.chdir("/")
    monkeypatch.syspath_prepend(str(code))
    assert {path.relative_to(code).as_posix() for path in own_files("parts.net")} == expected


def test_installed_code_is_left_out(code: Path) -> None:
    assert (
        own_files("torch.nn") == own_files("json") == own_files("geomlib.metric") == own_files("no.such.module") == []
    )
    assert own_files("gone.py") == [Path("gone.py")]  # whoever hashes it says that it is gone


FACTORY = """
import geomlib, torch
from settings import SCALE
from torch import nn
def make(weights="own.pt"):
    net = nn.Sequential(nn.Linear(4, 48), nn.Unflatten(1, (3, 4, 4)))
    net.load_state_dict(torch.load(weights, weights_only=True))
    scale = float(open("scale.txt").read())
    return geomlib.Generator(net.eval(), 4, (-scale, scale), default_distance="mse")
def distance():
    scale = float(open("distance.txt").read())
    return lambda x: scale * x.flatten(1)
"""


def train(seed: int) -> None:
    torch.manual_seed(seed)
    weights = {"0.weight": torch.randn(48, 4), "0.bias": torch.zeros(48)}
    torch.save(weights, "own.pt")


@pytest.mark.parametrize("source", ["mine.py:make", "mine:make"])
@pytest.mark.parametrize("change", ["weights", "settings.py", "scale.txt", "distance.txt", "nothing"])
def test_a_result_is_stale_when_the_network_is_another(
    toy: Path, monkeypatch: pytest.MonkeyPatch, source: str, change: str
) -> None:
    files = {"mine.py": FACTORY, "settings.py": "SCALE = 1\n", "scale.txt": "1.0", "distance.txt": "1.0"}
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(toy))
    for name in ("mine", "settings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    train(1)
    settings = {"generator": source, "distance": "mine.py:distance"}
    before = make_plan(toy, "toy", settings, {})
    fingerprint = before.fingerprint()
    if change == "weights":
        train(2)
    elif change != "nothing":
        Path(change).write_text(files[change].replace("1", "2"), encoding="utf-8")
    after = make_plan(toy, "toy", settings, {})
    assert before.folder == after.folder
    assert (after.fingerprint() == fingerprint) == (change == "nothing")
