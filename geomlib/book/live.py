"""The live page's part of the build: what its scripts are made from, and when they are made anew."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from geomlib._files import METRICS
from geomlib.book import provenance
from geomlib.book.process import KEPT, Say, attend

PLACE = Path("book") / "_static" / "live" / "made"
DEFAULT = ("shapes-dcgan",)  # no pictures of people unless they are asked for
_LIST = "networks.js"
_UNUSED = ("book", "check", "cli.py", "course")  # rooms that nothing of it rests on


def prepare(names: Sequence[str], *, positions: int = 25, threads: int = 1, say: Say = print) -> None:
    """Make the scripts and pictures of some generators in `PLACE`, unless they are there and nothing has changed.

    That is done in a process of its own, with as many threads as notebooks have, so that both share metrics.

    Args:
        names: of DCGANs, as for `load_generator`; the first is the one that the page begins with.
        positions: latents over which the metric is averaged.
        threads: of the process.
        say: takes one line at a time.

    Raises:
        ValueError: a generator that the page cannot show, or weights that are not here.
        FileNotFoundError: a file that is named and is not there.
    """
    seal = _seal(names, positions)
    if _first_line(PLACE / _LIST) == f"// {seal}":
        return
    environment = os.environ | {
        METRICS: os.environ.get(METRICS) or str(Path(*KEPT).absolute()),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "geomlib.live", str(PLACE), str(positions), seal, *names]
    with tempfile.TemporaryDirectory() as scratch:
        told, errors = Path(scratch) / "told", Path(scratch) / "errors"
        with told.open("wb") as output, errors.open("wb") as error:
            process = subprocess.Popen(command, stdout=output, stderr=error, env=environment, start_new_session=True)
            shown = 0

            def tell() -> None:
                nonlocal shown
                lines = told.read_text(encoding="utf-8").splitlines()
                for line in lines[shown:]:
                    say(line)
                shown = len(lines)

            attend(process, threading.Event(), tell)
            tell()
        if process.returncode:
            lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ValueError(lines[-1] if lines else f"live: the process ended with code {process.returncode}")


def _seal(names: Sequence[str], positions: int) -> str:
    """Hash of all that the scripts and pictures rest on."""
    package = provenance.PACKAGE
    modules = sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in _UNUSED)
    parts: list[str | bytes] = [*names, str(positions), json.dumps(provenance.versions(), sort_keys=True)]
    parts += [json.dumps(provenance.source_files(name), sort_keys=True) for name in names]
    for module in modules:
        parts += [module.relative_to(package).as_posix(), module.read_bytes()]
    return provenance.digest(parts)


def _first_line(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8") as stream:
        return stream.readline().rstrip("\n")
