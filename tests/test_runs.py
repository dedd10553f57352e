"""Runs: different things have folders of their own, one thing has one folder, and a folder says what it is about."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SETUP, write_notebook

import geomlib
from geomlib.book import plan as plans
from geomlib.book import run as runs
from geomlib.book import runner
from geomlib.generators.known import EMBEDDED, known_defaults
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED

pytestmark = pytest.mark.usefixtures("warm")

FACTORY = """import geomlib, torch
from torch import nn
print("made")
open("made", "a").write("x")
def make(weights=None, space="", wide=False, distance="mse"):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4))).eval()
    return geomlib.Generator(module, latent_dim=4, default_distance=distance, spaces=("u", "v"), space=space or "u")
"""


def name_of(**settings: object) -> str:
    return plans.run_of(settings).name


@pytest.fixture
def mine(toy: Path) -> Path:
    """The toy project with one user's file in each of two folders, and two checkpoints."""
    for folder in ("first", "second"):
        (toy / folder).mkdir()
        (toy / folder / "my_gan.py").write_text(FACTORY)
    for file in ("epoch10.pt", "epoch20.pt"):
        (toy / file).write_text(file)
    return toy


@pytest.mark.parametrize("name", [*EMBEDDED, *(name for name, one in PACKAGED.items() if one.architecture)])
def test_the_catalogue_knows_what_the_network_says(name: str, fetched: Callable[[str], Path]) -> None:
    known = known_defaults(name)
    assert known is not None
    if name in PACKAGED:
        fetched(name)
    made = geomlib.load_generator(name)
    assert (made.spaces, made.space, made.default_distance) == (known.spaces, known.spaces[0], known.distance)


def test_names_say_what_is_resolved() -> None:
    assert name_of() == name_of(generator=plans.DEFAULT_GENERATOR)
    assert name_of(generator="shapes-dcgan") == "shapes-dcgan--z--st-lpips-alex--quick"
    assert name_of(generator="shapes-stylegan2", space="w+") == "shapes-stylegan2--w+--st-lpips-alex--quick"
    assert name_of(generator="tones-wavegan", distance="mse", profile="paper") == "tones-wavegan--z--mse--paper"
    assert name_of(generator="torus") == "torus--z--mse--quick"
    options = {"generator": "shapes-biggan", "space": "noise", "options": {"truncation": 0.5, "class_index": 2}}
    assert name_of(**options) == "shapes-biggan--noise--class_index=2,truncation=0.5--st-lpips-alex--quick"
    assert all(known_defaults(name) for name in PUBLISHED), "without a download"


def test_one_thing_has_one_folder(mine: Path) -> None:
    assert name_of(distance="st-lpips-alex", space="z") == name_of()
    assert name_of(generator="shapes-biggan", options="truncation=0.50  class_index=2") == name_of(
        generator="shapes-biggan", options={"class_index": 2, "truncation": 0.5}
    )
    before = name_of(generator="first/my_gan.py:make")
    (mine / "first/my_gan.py").write_text(FACTORY + "# edited")
    assert name_of(generator=f"{mine}/first/../first/my_gan.py:make", space="u", distance="mse") == before
    assert re.fullmatch(r"my_gan\.make-[0-9a-f]{8}--u--mse--quick", before)


def test_different_things_have_different_folders(mine: Path) -> None:
    one = {"generator": "first/my_gan.py:make"}
    asked = [
        one,
        {"generator": "second/my_gan.py:make"},
        one | {"weights": "epoch10.pt"},
        one | {"weights": "epoch20.pt"},
        one | {"space": "v"},
        one | {"options": "wide=true"},
        one | {"distance": "first/my_gan.py:make"},
        one | {"distance": "second/my_gan.py:make"},
        one | {"profile": "paper"},
    ]
    described = [plans.run_of(settings) for settings in asked]
    assert len({run.name for run in described}) == len(asked)
    assert len({run.label for run in described}) == len(asked) - 1, "all but the profile"
    for run in described:
        assert re.fullmatch(r"[A-Za-z0-9._+=,-]+", run.name) and len(run.name) < 255


def test_names_are_safe_on_file_systems() -> None:
    def part(shown: str) -> str:
        return runs.Run(shown, "", "", "", True, "quick", ("", "", "")).name

    assert part("a") == "a--default--default--quick"
    unsafe = ["a b", "a-b", "a--b", "..a", "a/b", "a\\b", "<e>", "x" * 300]
    made = [runs._part(text) for text in unsafe]
    assert len(set(made)) == len(unsafe)
    assert not any(re.search(r'[\\/:*?"<>| ]|--|^\.', one) or len(one) > 80 for one in made)
    assert runs._options_part("a=1,b=2") != runs._options_part("a=1 b=2")


@pytest.mark.usefixtures("warm")
def test_a_factory_is_called_once_for_all_notebooks(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_notebook(mine, "other", SETUP)
    settings = {"generator": "first/my_gan.py:make"}
    runner.run(["toy", "other"], settings=settings, say=lambda line: None)
    assert (mine / "made").read_text() == "x"
    assert capsys.readouterr().out == "", "what a factory prints is no output of the command"
    runner.run(["toy"], say=lambda line: None)
    assert (mine / "made").read_text() == "x", "no factory, nothing loaded"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import absent_package", "generator: mine.py:make failed with ModuleNotFoundError: No module named"),
        ("raise SystemExit('usage:\\nmine.py')", "generator: mine.py:make failed with SystemExit: usage:$"),
        ("def make(): return 1 / 0", "generator: mine.py:make failed with ZeroDivisionError: division by zero"),
        ("def make(): return 3", "generator: mine.py:make returned int, expected a geomlib.Generator"),
        ("def make(: pass", "generator: mine.py:make failed with SyntaxError: "),
    ],
)
def test_a_factory_that_fails_is_told_in_one_line(toy: Path, code: str, message: str) -> None:
    (toy / "mine.py").write_text(code)
    with pytest.raises(ValueError, match=message) as caught:
        runner.run(["toy"], settings={"generator": "mine.py:make"})
    assert "\n" not in str(caught.value)
    assert not (toy / "results").exists()


def test_unknown_names_and_files_are_told_before_anything_runs(toy: Path) -> None:
    for settings, message in (
        ({"generator": "shapes-dcgna"}, "generator: expected one of"),
        ({"space": "q"}, "space: expected one of 'z'"),
        ({"weights": "absent.pt"}, "weights: no file absent.pt"),
        ({"options": "size"}, "options: expected NAME=VALUE, got 'size'"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=f"^{message}"):
            runner.run(["toy"], settings=settings)
    assert not (toy / "results").exists()


def test_finished_runs_are_those_whose_folder_says_so(project: Path) -> None:
    run = plans.run_of({"profile": "quick"})
    about = json.dumps({"about": {**run.__dict__}})
    for name, text in ((run.name, about), ("copied--z--mse--quick", about), ("older--default--default--quick", "{}")):
        folder = project / "results" / name / "toy"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    found = list(runs.finished("results", "quick", "toy"))
    assert [one.name for one, _ in found] == [run.name]
    assert found[0][1] == Path("results") / run.name / "toy"
    assert list(runs.finished("results", "paper", "toy")) == []


@pytest.mark.usefixtures("warm")
def test_readers_count_the_same_after_a_second_run(project: Path) -> None:
    """The pages that read all others, on a small network: what they find does not depend on an earlier run."""
    names = ("anisotropy", "homogeneity", "compare_gans", "what_we_could_confirm")
    for name in names:
        shutil.copyfile(ROOT / f"notebooks/{name}.ipynb", project / f"notebooks/{name}.ipynb")
    (project / "mine.py").write_text(FACTORY)
    settings = {"generator": "mine.py:make", "profile": "smallest"}
    lines: list[str] = []
    folders = runner.run(names, settings=settings, say=lines.append)
    claims = json.loads((folders[-1] / "summary.json").read_text())["numbers"]["claims_run"]
    assert claims > 1
    numbers = json.loads((folders[2] / "summary.json").read_text())["numbers"]
    assert numbers["runs"] == 1, "it read those of this very run"
    lines.clear()
    runner.run(names, settings=settings, say=lines.append)
    assert lines == [f"{name} (mine.py:make): unchanged" for name in names]
