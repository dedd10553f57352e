"""Writes the sheets of chosen chapters into a folder that a class can be given."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from geomlib._arguments import checked
from geomlib._checks import shown
from geomlib.course.plain import names_in
from geomlib.course.sheets import VERSIONS, chapters, read, sheet

PLACES = {"student": "students", "solution": "teachers/solutions", "grader": "teachers/grading"}
# What a sheet needs beside geomlib and what geomlib brings.
NEEDS = ("ipykernel", "jupyterlab", "matplotlib", "nbformat", "seaborn")

READ_ME = """\
# {count} of the course on the geometry of generative models

- `students/`: the sheets to hand out, with `requirements.txt`{wheel}.
- `teachers/solutions/`: the same sheets with answers. `teachers/grading/`: with the wrong answers that are to be
  expected, too, and for a few exercises with hidden checks.

## Before the first class

    cd students
    python -m venv ../class && ../class/bin/pip install -r requirements.txt
    ../class/bin/jupyter lab

Python 3.11 or newer; about 2 GB of disk, most of it PyTorch; no GPU. On Windows `..\\class\\Scripts` stands for
`../class/bin`. Every sheet begins with a cell that installs geomlib where it is missing, as on Colab{colab}.

## Grading

    from geomlib.course import grade
    for mark in grade("teachers/grading/{first}", "a_students_sheet.ipynb"):
        print(mark)

This runs the answers that a student wrote, with your rights: read them first. Answers in words are yours to read; what
a good one holds stands in `teachers/solutions/`.
"""


def find(root: Path, wanted: Sequence[str] = ()) -> list[Path]:
    """The sources of the chapters that are named by number or name; all where none is named.

    Raises:
        ValueError: a chapter that is not there.
    """
    there = chapters(root)
    names = {key: path for path in there for key in (path.stem, path.stem.split("_")[1])}
    unknown = [name for name in wanted if name not in names]
    if not there:
        raise ValueError(f"root: {root} has no chapters of a course")
    if unknown:
        called = ", ".join(path.stem for path in there)
        raise ValueError(f"wanted: no chapter {', '.join(map(shown, unknown))}; there are: {called} (a number will do)")
    return [path for path in there if not wanted or path in {names[name] for name in wanted}]


@checked()
def write(root: Path, place: Path, wanted: Sequence[str] = (), *, package: str = "") -> list[Path]:
    """Write the sheets of some chapters, in all versions, with the requirements that a class needs.

    Args:
        root: the project.
        place: folder, made when missing; it must be empty, so that no student's work is ever written over.
        wanted: numbers or names of chapters; all where none is given.
        package: where pip gets geomlib: a name, an address, a path. By default a wheel is built from the project and
            laid beside the students' sheets.

    Returns:
        The files, those for students first.

    Raises:
        ValueError: a chapter that is not there.
        FileExistsError: the folder holds something.
        RuntimeError: the wheel could not be built.
    """
    sources = find(root, wanted)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise FileExistsError(f"place: {place} holds something already; name a new folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".course-", dir=place.parent) as staging:
        made = Path(staging) / "made"
        for folder in PLACES.values():
            (made / folder).mkdir(parents=True)
        students = made / PLACES["student"]
        wheel = "" if package else _build_wheel(root, students)
        names = names_in(root, map(read, chapters(root)))
        for source in sources:
            for version in VERSIONS:
                notebook = sheet(read(source), version, names, package or wheel)
                nbformat.write(notebook, made / PLACES[version] / source.name)
        versions = _pinned(root)
        lines = [package or f"./{wheel}", *(versions.get(name, name) for name in NEEDS)]
        (students / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        count = f"{len(sources)} chapters" if len(sources) > 1 else "One chapter"
        text = READ_ME.format(
            count=count,
            first=sources[0].name,
            wheel=f" and geomlib itself (`{wheel}`)" if wheel else "",
            colab="; lay the wheel beside it there" if wheel else "",
        )
        (made / "README.md").write_text(text, encoding="utf-8")
        if place.is_dir():
            place.rmdir()
        made.rename(place)
    files = (path for path in place.rglob("*") if path.is_file())
    return sorted(files, key=lambda path: ("students" not in path.parts, path))


def _pinned(root: Path) -> dict[str, str]:
    """Requirements of the project by name, each with its version."""
    file = root / "constraints.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {line.partition("==")[0].lower(): line for line in lines if "==" in line}


def _build_wheel(root: Path, folder: Path) -> str:
    """Build geomlib from the project into a folder; returns the name of the file."""
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch) / "project"  # setuptools leaves folders where it builds
        copied.mkdir()
        shutil.copytree(root / "geomlib", copied / "geomlib", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(root / name, copied / name)
        (copied / "evidence").mkdir()
        for record in root.glob("evidence/homogeneity*.json"):
            shutil.copyfile(record, copied / "evidence" / record.name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
        # What builds it is here as a rule; where it is not, pip brings it.
        command += ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
        run = subprocess.run([*command, str(copied)], capture_output=True, text=True, encoding="utf-8", check=False)
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or ["pip failed"]
        raise RuntimeError(f"geomlib could not be packed ({last[0]}); say by --package where a class gets it")
    return next(folder.glob("*.whl")).name
