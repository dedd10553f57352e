"""What an edit of the package costs: in the metric everything, in a figure its pages, in the book's machine nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, write_notebook

from geomlib.book import plan, provenance, runner
from geomlib.book.kernels import Kernels
from geomlib.sweep import fingerprint

MEASURED = """import geomlib
from geomlib import figures, sweep
from geomlib.findings import Results
G, d = geomlib.load_generator("shapes-biggan", "class"), geomlib.load_distance("mse")
values = sweep.metrics(G, G.sample(2, seed), d).eigenvalues
out = Results(results)
out.figure("spectra", figures.spectra({"class": values}), caption="Spectra.", alt="Lines that fall.")
out.claim("a", ours=values.max(), authors=1, source="b")
out.number(package=geomlib.__file__)
out.provenance(generator=G)"""


def run(root: Path, kernels: Kernels) -> tuple[str, dict[Path, int]]:
    """What a run of a copy of the package says, and when each chunk of the store was written."""
    lines: list[str] = []
    runner.run(["toy"], root=root, kernels=kernels, say=lines.append)
    chunks = [path for path in (root / "results/metrics").rglob("c/*") if path.is_file()]
    return "\n".join(lines), {path.relative_to(root): path.stat().st_mtime_ns for path in chunks}


def edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    """Notebooks begin with a copy of the package, which may be edited."""
    shutil.copytree(ROOT / "geomlib", tmp_path / "geomlib", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "geomlib")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Kernels(threads=1) as opened:
        yield opened


def test_an_edit_costs_what_it_touches(tmp_path: Path, kernels: Kernels) -> None:
    (tmp_path / "notebooks").mkdir()
    write_notebook(tmp_path, "toy", MEASURED)
    shutil.copyfile(ROOT / "_config.yml", tmp_path / "_config.yml")
    said, first = run(tmp_path, kernels)
    assert "done in" in said and first
    summary = json.loads(next(tmp_path.glob("results/*/toy/summary.json")).read_text(encoding="utf-8"))
    assert summary["numbers"]["package"] == str(tmp_path / "geomlib/__init__.py")

    edit(tmp_path / "geomlib/cli.py")
    edit(tmp_path / "geomlib/check/report.py")
    said, chunks = run(tmp_path, kernels)
    assert "unchanged" in said and chunks == first

    edit(tmp_path / "geomlib/figures/__init__.py")
    edit(tmp_path / "geomlib/findings/claims.py")
    said, chunks = run(tmp_path, kernels)
    assert "done in" in said and chunks == first, "drawn again from what was kept"

    edit(tmp_path / "geomlib/operators/base.py")
    said, chunks = run(tmp_path, kernels)
    assert "done in" in said and len(chunks) == 2 * len(first) and first.items() < chunks.items()


@pytest.mark.parametrize("room", ["book", "check", "cli.py", "figures", "findings", "applications", "sweep"])
def test_what_decides_no_metric_is_no_numerics(room: str) -> None:
    assert room not in fingerprint.NUMERICS


@pytest.mark.parametrize("room", [*fingerprint.NUMERICS, *plan.MACHINE])
def test_the_rooms_of_the_rules_exist(room: str) -> None:
    assert (ROOT / "geomlib" / room).exists() and not set(fingerprint.NUMERICS) & set(plan.MACHINE)
