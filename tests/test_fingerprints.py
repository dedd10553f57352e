"""What an edit of the package costs: in the metric everything, in a figure its pages, in the book's machine nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from geomlib.book import plan
from geomlib.sweep import fingerprint

COMMAND = [sys.executable, "-m", "geomlib.cli", "run", "anisotropy", "--generator", "shapes-biggan", "--space", "class"]
COMMAND += ["--distance", "mse", "--profile", "smallest"]


def run(root: Path) -> tuple[str, dict[Path, int]]:
    """What a run of a copy of the package says, and when each chunk of the store was written."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(COMMAND, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    chunks = [path for path in (root / "results/metrics").rglob("c/*") if path.is_file()]
    return ran.stdout + ran.stderr, {path.relative_to(root): path.stat().st_mtime_ns for path in chunks}


def edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def test_an_edit_costs_what_it_touches(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "geomlib", tmp_path / "geomlib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    shutil.copyfile(ROOT / "notebooks/anisotropy.ipynb", tmp_path / "notebooks/anisotropy.ipynb")
    shutil.copyfile(ROOT / "_config.yml", tmp_path / "_config.yml")
    said, first = run(tmp_path)
    assert "done in" in said and first

    edit(tmp_path / "geomlib/cli.py")
    edit(tmp_path / "geomlib/check/report.py")
    said, chunks = run(tmp_path)
    assert "unchanged" in said and chunks == first

    edit(tmp_path / "geomlib/figures/__init__.py")
    edit(tmp_path / "geomlib/findings/claims.py")
    said, chunks = run(tmp_path)
    assert "done in" in said and chunks == first, "drawn again from what was kept"

    edit(tmp_path / "geomlib/operators/base.py")
    said, chunks = run(tmp_path)
    assert "done in" in said and len(chunks) == 2 * len(first) and first.items() < chunks.items()


@pytest.mark.parametrize("room", ["book", "check", "cli.py", "figures", "findings", "applications", "sweep"])
def test_what_decides_no_metric_is_no_numerics(room: str) -> None:
    assert room not in fingerprint.NUMERICS


@pytest.mark.parametrize("room", [*fingerprint.NUMERICS, *plan.MACHINE])
def test_the_rooms_of_the_rules_exist(room: str) -> None:
    assert (ROOT / "geomlib" / room).exists() and not set(fingerprint.NUMERICS) & set(plan.MACHINE)
