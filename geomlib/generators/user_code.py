"""A user's file, loaded as Python would run it: its folder first on the path, its module known by name."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FOLDERS: dict[Path, None] = {}  # of the files that were loaded


def load_file(path: Path) -> ModuleType:
    """The module that a file makes, run anew at each call, and in `sys.modules` under the file's name.

    A name that another module has, of Python or of a package, stays that module's.
    """
    path = path.resolve()
    known = sys.modules.get(path.stem)
    taken = known is not None and getattr(known, "__file__", None) != str(path)
    name = path.stem
    if taken or name in sys.stdlib_module_names:
        name += f"_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _put_first(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _put_first(folder: Path) -> None:
    """The folder first on the path; what another one brought in gives way to files of the same names in this one."""
    others = [other for other in _FOLDERS if other != folder]
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        top = name.partition(".")[0]
        is_here = (folder / f"{top}.py").is_file() or (folder / top).is_dir()
        if is_here and not file.is_relative_to(folder) and any(file.is_relative_to(other) for other in others):
            del sys.modules[name]
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
    _FOLDERS[folder] = None
    importlib.invalidate_caches()
