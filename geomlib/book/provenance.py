"""What a result rests on: source files, hashes, versions, commit, machine."""

import hashlib
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from geomlib._files import sha256

PACKAGE = Path(__file__).parents[1]
PACKAGES = ("geomlib", "torch", "numpy", "scipy", "matplotlib")


def source_files(generator: str, weights: str = "", distance: str = "") -> dict[str, str]:
    """SHA-256 by path of what a run depends on beside the package: checkpoints, and files with a user's factories.

    Every embedded checkpoint and its card are among them, whichever the run uses: they are few and small.

    Raises:
        FileNotFoundError: a file that is named, and is not there.
    """
    from geomlib.generators import source_files as sources

    files = [*sources(generator, weights), *sources(distance), *PACKAGE.glob("weights/[!.]*")]
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}")
    return {path.name if path.is_relative_to(PACKAGE) else path.as_posix(): sha256(path) for path in sorted(set(files))}


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that numbers and figures come from."""

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES}


def commit(root: Path) -> tuple[str | None, bool | None]:
    """The git commit of a folder and whether files differ from it; ``(None, None)`` outside a repository."""

    def git(*arguments: str) -> str | None:
        try:
            answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        except OSError:
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    revision, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    return revision, None if revision is None or changes is None else bool(changes)


def processor() -> str:
    """The processor's name, as the operating system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        model = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE)
        if model:
            return model[1].strip()
    return platform.processor() or platform.machine()


def digest(parts: Iterable[bytes | str]) -> str:
    """One SHA-256 over many parts; where one part ends and the next begins counts."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode() + data)
    return total.hexdigest()
