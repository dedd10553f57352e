"""A release: what its files say of it agrees, and its archives hold what they should and work away from the project.

`make dist` builds the archives into `dist` and tests those (DIST names the folder); a test run builds its own.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from filelock import FileLock

import geomlib
from geomlib.generators.known import EMBEDDED

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
MADE = ("results/a/summary.json", "_build/html/index.html", "book/executed/a.ipynb", "book/_static/live/made/a.bin")
MADE += ("geomlib/__pycache__/a.pyc", "notebooks/.ipynb_checkpoints/a.ipynb", ".venv/ready", "build/a", "dist/a")
LARGEST = 6 * 2**20  # bytes of one file; the largest are the embedded weights
NOT_OURS = {"PKG-INFO", "setup.cfg"}


def test_version_licence_authors_and_address_agree() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", geomlib.__version__)
    assert "version" in PROJECT["dynamic"], "the version stands in geomlib/__init__.py alone"
    assert str(CITATION["version"]) == geomlib.__version__
    assert CITATION["license"] == PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert [one["name"] for one in CITATION["authors"]] == [one["name"] for one in PROJECT["authors"]]
    assert PROJECT["authors"][0]["name"].removeprefix("The ") in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert CITATION["preferred-citation"]["url"] == PROJECT["urls"]["Paper"]


def test_the_citation_has_what_its_format_asks_for() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    paper = CITATION["preferred-citation"]
    assert {"type", "title", "authors"} <= paper.keys() and paper["conference"]["name"]
    assert [f"{one['given-names']} {one['family-names']}" for one in paper["authors"]] == [
        "Binxu Wang",
        "Carlos R. Ponce",
    ]
    assert paper["year"] == 2021 and paper["url"].endswith(paper["identifiers"][0]["value"].removeprefix("arXiv:"))


def test_the_changelog_begins_with_this_version_or_what_comes_after_it() -> None:
    first = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)[0]
    assert re.fullmatch(rf"{re.escape(geomlib.__version__)} \((not released yet|\d{{4}}-\d\d-\d\d)\)", first), first


def copied(place: Path) -> Path:
    """The files of the project, as git knows them where it is there, and beside them what work leaves behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
        names = [
            name for name in names if not re.search(r"__pycache__|\.egg-info|^\.|^build/|^_build/|^results/", name)
        ]
    else:
        names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    for name in (*names, *MADE):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if name in MADE:
            (place / name).write_text("made", encoding="utf-8")
        else:
            shutil.copyfile(ROOT / name, place / name)
    return place


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive and the wheel: those of DIST, or such as are built once for all test processes."""
    if given := os.environ.get("DIST"):
        place = ROOT / given
    else:
        base = tmp_path_factory.getbasetemp()
        place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "archives"
        with FileLock(f"{place}.lock"):
            if not place.exists():
                project = copied(tmp_path_factory.mktemp("copy") / "project")
                command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(project)]
                done = subprocess.run(command, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr[-2000:]
    [source], [wheel] = place.glob("*.tar.gz"), place.glob("*.whl")
    return source, wheel


def test_the_names_of_the_archives_have_the_version(archives: tuple[Path, Path]) -> None:
    assert archives[0].name == f"geomlib-{geomlib.__version__}.tar.gz"
    assert archives[1].name == f"geomlib-{geomlib.__version__}-py3-none-any.whl"


def members(source: Path) -> dict[str, int]:
    """Sizes of the files in a source archive, by their names below its top folder."""
    with tarfile.open(source) as archive:
        return {one.name.partition("/")[2]: one.size for one in archive if one.isfile()}


def test_the_source_archive_is_the_project_and_nothing_that_was_made(archives: tuple[Path, Path]) -> None:
    held = {name: size for name, size in members(archives[0]).items() if ".egg-info/" not in name}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if not listed.returncode and not os.environ.get("DIST"):
        tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
        assert tracked - held.keys() == set(), "the archive lacks files of the project"
    assert not held.keys() & {*MADE} and not [
        name for name in held if name.startswith(("results/", "_build/", "dist/"))
    ]
    assert {name for name, size in held.items() if size > LARGEST} == set()
    assert {"tests/conftest.py", "notebooks/anisotropy.ipynb", "evidence/homogeneity.json", "Makefile"} <= held.keys()


def test_the_wheel_holds_the_package_alone(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[1]) as wheel:
        held = set(wheel.namelist())
        [metadata] = [name for name in held if name.endswith(".dist-info/METADATA")]
        about = HeaderParser().parsestr(wheel.read(metadata).decode())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "geomlib").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= held, "the wheel lacks files of the package"
    others = {name.partition("/")[2] for name in held - package}
    records = {f"data/share/geomlib/{path.name}" for path in ROOT.glob("evidence/homogeneity*.json")}
    expected = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
    assert records and others == expected | records
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("geomlib", geomlib.__version__, "MIT")
    assert about["Project-URL"] == f"Paper, {PROJECT['urls']['Paper']}"


@pytest.fixture(scope="session")
def python(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel, which borrows the libraries of this one, but not geomlib."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    made = place / folder / Path(sys.executable).name
    ask = [str(made), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", "--ignore-installed"]
    command = [sys.executable, "-m", "pip", "--python", str(made), *install, str(archives[1])]
    subprocess.run(command, check=True, capture_output=True)
    return made


def away(python: Path, place: Path, *words: str) -> str:
    """What Python prints, far from the project and with nothing of it in the environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GEOMLIB"))}
    command = [str(python), "-W", "ignore", *words]
    done = subprocess.run(command, cwd=place, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_ten_lines_of_the_readme_run_without_the_project(python: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## Ten lines\n\n```python\n(.*?)```", readme, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", readme, re.DOTALL)
    assert code and shown
    where = "import importlib.metadata, geomlib; print(geomlib.__file__, importlib.metadata.version('geomlib'))"
    file, version = away(python, tmp_path, "-c", where).split()
    assert python.parent.parent in Path(file).parents and version == geomlib.__version__
    assert away(python, tmp_path, "-c", code[1]) == shown[1]


def test_the_command_and_the_records_are_installed(python: Path, tmp_path: Path) -> None:
    script = python.parent / ("geomlib.exe" if os.name == "nt" else "geomlib")
    listed = subprocess.run([str(script), "list"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^(\S+) .* embedded ", listed, re.MULTILINE) == [*EMBEDDED]
    find = "from pathlib import Path; from geomlib.findings.record import find_record; print(find_record(Path.cwd()))"
    words = ["metric", "tones-wavegan", "--positions", "1", "--method", "backward"]
    record, shown = away(python, tmp_path, "-c", f"{find}; from geomlib.cli import main; main()", *words).split("\n", 1)
    assert Path(record).name == "homogeneity.json"
    assert "tones-wavegan, space z" in shown


def test_tests_run_from_the_source_archive(archives: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    [project] = tmp_path.iterdir()
    quick = ["tests/test_spectrum.py", "tests/test_architecture.py", "tests/test_readme.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-2000:]
