"""The benchmarks run, and their results say what was measured, on what and how exactly. Times are not judged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, load_script, write_notebook

from geomlib.applications.inversion import METHODS
from geomlib.book import runner
from geomlib.book.kernels import Kernels


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Runs a benchmark on a small network, in this process; returns what it wrote."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # else it begins anew

    def run(what: str, *options: str) -> Any:
        output = tmp_path / "result.json"
        monkeypatch.setattr(sys, "argv", [f"{what}.py", "--quick", "--output", str(output), *options])
        load_script(f"benchmarks/{what}.py").main()
        return json.loads(output.read_text())

    threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(threads)


@pytest.mark.parametrize("what", ["metric", "eigen"])
def test_quick_benchmark(what: str, benchmark: Callable[..., Any]) -> None:
    content = benchmark(what, "--repeats", "2")
    assert content["benchmark"] == what and content["columns"] == 24 and content["threads"] == 1
    assert {"torch", "numpy", "scipy", "geomlib"} <= content["versions"].keys()
    for name, row in content["rows"].items():
        assert len(row["all_seconds"]) == 2 and row["seconds"] > 0
        if what == "eigen" and "eigenthings" not in name:
            assert row["largest_residual"] < 5e-3 and row["largest_eigenvalue_error"] < 1e-4
        elif name in ("pullback", "pullback, double VJP", "backward, column by column", "backward, batched"):
            assert row["relative_error"] < 1e-5


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("precision", ["--positions", "2"]),
        ("precision", ["--positions", "2", "--probes", "3"]),
        ("engines", ["--repeats", "1"]),
        ("directions", ["--repeats", "1", "--k", "3", "--codes", "50", "--positions", "2"]),
    ],
)
def test_quick_benchmark_of_another_kind(what: str, options: list[str], benchmark: Callable[..., Any]) -> None:
    content = benchmark(what, *options)
    assert content["benchmark"] == what
    if what == "engines":
        (row,) = content["problems"].values()
        assert row["over_forward_passes"].keys() == {"tape", "program, first", "program, further"}
        assert 0 < max(row["relative_error"].values()) < 1e-5
    elif what == "precision":
        assert len(content["differences"]) == 2 and 0 < max(content["differences"]) < 1e-5
    else:
        assert all(row["seconds"] >= 0 for row in content["rows"].values()) and len(content["rows"]) >= 3


def test_the_benchmark_of_inversion_measures_every_method(benchmark: Callable[..., Any]) -> None:
    content = benchmark("inversion", "--repeats", "2")
    assert content["benchmark"] == "inversion" and content["threads"] == 1 and content["targets"] == 2
    assert content["rows"].keys() <= METHODS.keys()
    for row in content["rows"].values():
        assert row["calls"] == sorted(row["calls"]) and row["calls"][-1] <= content["budget"]
        assert len(row["seconds_along"]) == len(row["median"]) == len(row["low"]) == len(row["high"])
        for low, middle, high in zip(row["low"], row["median"], row["high"], strict=True):
            assert low <= middle <= high
    assert content["rows"]["adam"]["over_adam"] == 1


def test_memory_is_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "benchmarks/memory.py"), "--quick", "--output", str(output), "--k", "3"]
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    content = json.loads(output.read_text())
    assert content["benchmark"] == "memory"
    assert all(row["seconds"] >= 0 for row in content["rows"].values()) and len(content["rows"]) == 3
    assert len(done.stderr.splitlines()) == 3, "each was measured once"


def test_a_book_shares_its_store_or_does_not(project: Path, monkeypatch: pytest.MonkeyPatch, kernels: Kernels) -> None:
    script = load_script("benchmarks/book_store.py")
    measure = (
        "import geomlib\nfrom geomlib import sweep\nfrom geomlib.findings import Results\n"
        'G, d = geomlib.load_generator("shapes-biggan", "class"), geomlib.load_distance("mse")\n'
        "sweep.metrics(G, G.sample(2, seed=0), d)\nout = Results(results)",
        "out.provenance(generator=G)",
    )
    for name in ("one", "other"):
        write_notebook(project, name, *measure)
    monkeypatch.setattr(script, "build", partial(runner.run, ["one", "other"], kernels=kernels))
    kept = {}
    for shared in (True, False):
        shutil.rmtree(project / "results", ignore_errors=True)
        found = script.timed(project, {}, shared=shared)
        assert len(found["notebooks"]) == 2 and 0 < max(found["notebooks"].values()) < found["seconds"]
        kept[shared] = len(list((project / "results").glob("*/*/*.zarr")))
    assert kept == {True: 2, False: 4}
