"""The files of a user's own code: the module with a factory, and what it imports, as far as that is not installed."""

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_files(source: str) -> list[Path]:
    """The files behind `"path/to/file.py"` or `"package.module"`: it and all that it imports, one import after another.

    Imports are read, not run: those inside of functions count, and `import_module("name")` does where the name is
    written out.  Files of Python, of installed packages and of geomlib are left out.  A name that leads nowhere is
    passed over: loading the module will tell.
    """
    place = Path(source)
    if source.endswith(".py"):
        root = place.parent
        waiting = [(place, "")]
    else:
        root = Path()
        waiting = [(file, _package(source, file)) for file in _files(source, root)]
    found = dict[Path, None]()
    while waiting:
        path, package = waiting.pop()
        if path in found or _is_installed(path):
            continue
        found[path] = None
        for name in _imports(path, package) if path.is_file() else ():
            waiting += [(file, _package(name, file)) for file in _files(name, root)]
    return list(found)


def _package(name: str, file: Path) -> str:
    """The package of a file that an import of `name` led to, where its relative imports start; "": none."""
    parts, is_package = name.split("."), file.name == "__init__.py"
    while parts and parts[-1] != (file.parent.name if is_package else file.stem):
        parts.pop()
    return ".".join(parts if is_package else parts[:-1])


def _imports(path: Path, package: str) -> Iterator[str]:
    """Absolute names of the modules, and of what may be modules, that a file imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*filter(None, above), *filter(None, [node.module])])
            yield from filter(None, [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def _files(name: str, root: Path) -> Iterator[Path]:
    """The file of a module, and those of the packages around it; the folder `root` is looked through first."""
    first, *rest = name.split(".")
    for folder in _folders(first, root):
        for part in [None, *rest]:
            folder = folder if part is None else folder / part
            for file in (folder / "__init__.py", folder.with_suffix(".py")):
                if file.is_file():
                    yield file


def _folders(first: str, root: Path) -> list[Path]:
    """Where a top-level module or package lies, its folder written without a suffix."""
    beside = root / first
    if beside.is_dir() or beside.with_suffix(".py").is_file():
        return [beside]
    if first in sys.builtin_module_names or first in sys.stdlib_module_names:
        return []
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin).with_suffix("")] if spec.origin and spec.origin.endswith(".py") else []


def _is_installed(path: Path) -> bool:
    whole = path.resolve()
    known = {"site-packages", "dist-packages"} & set(whole.parts)
    return bool(known) or any(whole.is_relative_to(place) for place in (PACKAGE, *_INSTALLED))
