"""The promises of the architecture: what an import loads, and which room may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "geomlib"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "matplotlib", "seaborn", "lpips", "torchvision", "dask", "xarray", "papermill", "nbformat", "IPython", "typer",
    "pooch", "requests", "cma", "scipy", "stlpips_pytorch",
)  # fmt: skip
# From the ground up: a room imports from floors below its own, which are the earlier ones in this list; those on the
# ground also from each other.
ROOMS = (
    ("_arguments", "_checks", "_files", "_literals", "_markdown", "_progress", "_state"),
    ("derivatives", "generators"),
    ("distances",),
    ("readers", "worlds", "operators"),
    ("metric", "paths"),
    ("eigen", "homogeneity", "layers", "spectrum"),
    ("sweep",),
    ("applications", "check", "figures"),
    ("findings", "course"),
    ("live",),
    ("book",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
# Further than its floor a room may not look down: it has no business there.
NEVER = {
    "worlds": {"derivatives"},
    "figures": set(FLOOR) - {"_arguments", "_checks"},
    "course": set(FLOOR) - {"_arguments", "_checks"},
    "book": {"metric", "operators", "applications", "figures"},
}
# Names under which modules are imported outside the project.
DOORS = ("directions", "inversion", "invert_command", "parameters", "results", "runner")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    return name.split(".")[1]


def imports_of(path: Path, inside: bool = False) -> set[str]:
    """Modules of geomlib that this one imports when it is loaded, or also those imported inside of functions."""
    names = {name_of(module) for module in MODULES}
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree) if inside else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return (found & names) - {"geomlib", name_of(path)}


@pytest.mark.parametrize("name", ["geomlib", "geomlib.metric", "geomlib.applications.inversion"])
def test_numerics_are_light(name: str) -> None:
    code = f"import {name}, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_what_is_declared_of_generators_needs_no_torch() -> None:
    modules = ("_checks", "_files", "generators.known", "generators.packaged", "generators.published")
    names = ", ".join(f"geomlib.{name}" for name in (*modules, "generators.download", "generators.envelope"))
    code = f"import sys, {names}; print([name for name in ('torch', 'numpy', 'pooch') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_package_waits_for_torch() -> None:
    code = (
        "import geomlib, sys; assert 'torch' not in sys.modules; geomlib.metric_tensor; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_stands_in_a_room() -> None:
    found = {room_of(name_of(path)) for path in MODULES if path.parent != PACKAGE or path.name != "__init__.py"}
    assert found == {*FLOOR, *DOORS}


@pytest.mark.parametrize("room", FLOOR)
def test_rooms_import_one_way(room: str) -> None:
    for path in MODULES:
        if path.parent == PACKAGE and path.name == "__init__.py" or room_of(name_of(path)) != room:
            continue
        for other in {room_of(name) for name in imports_of(path, inside=True)} - {room}:
            assert FLOOR[other] < max(1, FLOOR[room]), f"{name_of(path)} imports {other}"
            assert other not in NEVER.get(room, set()), f"{name_of(path)} imports {other}"


def test_modules_have_no_cycle() -> None:
    graph = {name_of(path): imports_of(path) for path in MODULES if path.name != "__init__.py"}
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"cycle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
