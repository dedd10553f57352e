"""The promises of the architecture: what an import loads, how modules depend, how large they are."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "geomlib"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
HEAVY = (
    "matplotlib", "seaborn", "lpips", "torchvision", "dask", "xarray", "papermill", "nbformat", "IPython", "typer",
    "pooch", "requests", "cma", "scipy", "stlpips_pytorch",
)  # fmt: skip
RUNNER = {
    "runner",
    "plans",
    "runs",
    "process",
    "book",
    "cli",
    "results",
    "provenance",
    "execute",
    "notebook",
    "parameters",
}
NOT_NUMERICS = RUNNER | {"figures", "shapes"}
# What stands between a latent and its metric tensor: to be read in one sitting.
METRIC = ("metric", "operator", "operators", "pullback", "routes", "gram", "memory")
# How a function is differentiated, for those who want to know.
DERIVATIVE = ("linearise", "dual", "tape")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Modules of geomlib that this one imports when it is loaded."""
    names = {name_of(module) for module in MODULES}
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return (found & names) - {"geomlib", name_of(path)}


def test_importing_geomlib_is_light() -> None:
    code = f"import geomlib, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_size(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 310


def test_the_metric_is_read_in_one_sitting() -> None:
    for names, most in ((METRIC, 1100), (DERIVATIVE, 600)):
        assert sum(len((PACKAGE / f"{name}.py").read_text().splitlines()) for name in names) <= most


def test_imports_have_no_cycle() -> None:
    graph = {name_of(path): imports_of(path) for path in MODULES if path.name != "__init__.py"}
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"cycle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


def test_numerics_never_draw_or_run_notebooks() -> None:
    upper = RUNNER | {"figures"}
    for path in MODULES:
        if not {path.stem, path.parent.name} & NOT_NUMERICS:
            assert not {name.split(".")[1] for name in imports_of(path)} & upper, name_of(path)
