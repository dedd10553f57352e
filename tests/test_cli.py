"""The command line: help with examples, and one clear message for an error."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SETUP, write_notebook
from PIL import Image
from safetensors.torch import load_file

import geomlib
from geomlib import cli
from geomlib.invert_command import read_image


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["geomlib", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


FACTORY = """
import geomlib
from torch import nn
def make(wide: bool = False, depth: "int | None" = None, scale=1, label="x"):
    module = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4))).eval()
    name = f"{'wide' if wide else 'narrow'} {depth} {scale} {label}"
    return geomlib.Generator(module, latent_dim=4, default_distance="mse", name=name)
"""

EXAMPLES = [
    ("run", "-p positions=20"),
    ("book", "--distance mse"),
    ("list", "geomlib list"),
    ("fetch", "geomlib fetch dcgan-portraits"),
    ("check", "-o truncation=0.7"),
    ("metric", "--out my_metric.safetensors"),
    ("invert", "--out inversion"),
]


@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_help_shows_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, example: str
) -> None:
    assert call(monkeypatch, command, "--help") == 0
    assert example in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "toy", "-p", "position=1"], "geomlib: toy: unknown parameter 'position'; known: generator, space"),
        (["run", "toy", "-p", "positions=x"], "geomlib: toy: parameter 'positions' expects int, got 'x'"),
        (["run", "toy", "-p", "positions"], "geomlib: -p expects NAME=VALUE, got 'positions'"),
        (["run", "tyo"], "geomlib: no experiment 'tyo'; there are: toy"),
        (["run", "toy", "--generator", "absent.py:make"], "geomlib: generator: no file absent.py"),
        (["run", "toy", "--threads", "0"], "geomlib: threads: expected a positive integer, got 0"),
        (["fetch", "dcgan"], "geomlib: name: expected one of 'default', 'dcgan-portraits', "),
        (["fetch", "dcgan-portraits", "dcgan"], "geomlib: name: expected one of 'default', "),
        (["fetch", "dcgan-faces", "--from", "no.whl"], "geomlib: dcgan-faces: no file no.whl"),
        (["fetch", "dcgan-fashion", "--from", "no.pth"], "geomlib: --from: dcgan-fashion does not come from a package"),
        (["fetch", "absent.py:NET"], "geomlib: name: no file absent.py"),
        (["fetch", f"{ROOT}/examples/packaged_gan.py:Cats"], "geomlib: name: "),
        (["fetch", "wavegan-piano"], "geomlib: wavegan-piano: no public file; "),
        (["check", "absent.py:make"], "geomlib: generator: no file absent.py"),
        (["check", "shapes-dcgan", "-o", "truncation"], "geomlib: -o expects NAME=VALUE, got 'truncation'"),
        (["check", "shapes-dcgan", "-o", "truncation=0.7"], "geomlib: "),
        (["check", "shapes-dcgan", "-o", "a=1", "-o", "a=2"], "geomlib: -o a is given twice"),
        (["check", "shapes-dcgan", "-o", "size=[3"], "geomlib: -o size: expected a literal of Python, got '[3'"),
        (
            ["check", "mine.py:make", "-o", "wide=2"],
            "geomlib: generator: option 'wide' of mine.py:make expects bool, got 2",
        ),
        (
            ["check", "mine.py:make", "-o", "depth=two"],
            "geomlib: generator: option 'depth' of mine.py:make expects int ",
        ),
        (
            ["check", "mine.py:make", "-o", "scale=true"],
            "geomlib: generator: option 'scale' of mine.py:make expects float",
        ),
        (
            ["check", "mine.py:make", "-o", "label=7"],
            "geomlib: generator: option 'label' of mine.py:make expects str, got 7",
        ),
        (["metric", "torus", "--distance", "mse", "--positions", "0"], "geomlib: positions: expected a positive"),
        (["metric", "torus", "--distance", "mse", "--out", "no/where"], "geomlib: out: no folder no"),
        (["metric", "torus", "--distance", "mse", "--method", "both"], "geomlib: method: expected one of 'pullback'"),
    ],
)
def test_errors_are_one_line(
    toy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (toy / "mine.py").write_text(FACTORY)
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert len(error.splitlines()) == 1


def test_debug_shows_the_traceback(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["geomlib", "--debug", "run", "tyo"])
    with pytest.raises(ValueError, match="no experiment"):
        cli.main()


@pytest.mark.parametrize("command", ["--help", "list"])
def test_what_tells_of_the_package_waits_for_no_library(command: str) -> None:
    assert not {"torch", "numpy", "scipy", "matplotlib", "pooch", "safetensors"} & set(modules_after(command))


def modules_after(*arguments: str) -> list[str]:
    """Modules that are loaded when a command has ended, in an interpreter of its own."""
    code = f"""import atexit, sys
atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr))
sys.argv = ["geomlib", *{arguments!r}]
from geomlib.cli import main
main()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stderr)


def test_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "book") == 2
    assert "expected a folder with notebooks/ and _config.yml" in capsys.readouterr().err


@pytest.mark.usefixtures("warm")
def test_run_lists_experiments_and_runs_them(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(toy, "toy", SETUP, "out.number(count=positions)")
    assert call(monkeypatch, "run") == 0
    assert capsys.readouterr().out == "toy generator space options weights positions share seed results\n"
    assert call(monkeypatch, "run", "toy", "--seed", "3", "-p", "positions=2") == 0
    folder = toy / "results/shapes-dcgan--z--st-lpips-alex--quick/toy"
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)
    assert '"count": 2' in (folder / "summary.json").read_text()
    options = ["--generator", "shapes-biggan", "--space", "noise", "-o", "class_index=2", "-o", "truncation=0.50"]
    assert call(monkeypatch, "run", "toy", *options) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "toy (shapes-biggan, noise, class_index=2 truncation=0.5): running"
    assert Path(shown[-1]).parent.name == "shapes-biggan--noise--class_index=2,truncation=0.5--st-lpips-alex--quick"


def test_a_file_that_is_no_notebook_is_named_and_the_rest_is_listed(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {"Untitled": "", "list": "[]", "cells": '{"cells": [{}]}', "text": "hello", "old": '{"worksheets": []}'}
    for name, content in contents.items():
        (toy / "notebooks" / f"{name}.ipynb").write_text(content)
    assert call(monkeypatch, "run") == 0
    shown = capsys.readouterr()
    assert shown.out == "toy generator space options weights positions share seed results\n"
    assert len(shown.err.splitlines()) == len(contents)
    assert "geomlib: Untitled.ipynb is empty; mend it, or move it out of notebooks/" in shown.err
    assert all(
        f"geomlib: {name}.ipynb is no notebook of format 4" in shown.err for name in contents if name != "Untitled"
    )
    assert call(monkeypatch, "run", "Untitled") == 2
    assert capsys.readouterr().err.startswith("geomlib: Untitled.ipynb is empty")


def test_list_says_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from geomlib.generators.packaged import PACKAGED

    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path))
    (tmp_path / "stylegan2-cat-config-f.pt").write_bytes(b"put here by hand")
    assert call(monkeypatch, "list") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "embedded" in rows["shapes-dcgan"] and "present" in rows["stylegan2-cat-256"]
    assert "no public file" in rows["wavegan-piano"] and "absent" in rows["dcgan-fashion"]
    assert all("absent" in rows[name] for name in PACKAGED)
    (tmp_path / f"mlp-cats-{PACKAGED['mlp-cats'].sha256[:8]}.safetensors").touch()
    assert call(monkeypatch, "list") == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert [name for name in PACKAGED if "present" in rows[name]] == ["mlp-cats"]
    assert {"sphere", "tones-wavegan", "bigbigan-128"} <= rows.keys()


def test_check_tells_by_its_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert call(monkeypatch, "check", "examples/my_gan.py:my_gan", "--distance", "mse") == 0
    assert "No problem found." in capsys.readouterr().out
    assert call(monkeypatch, "check", "examples/random_layer.py:random_layer") == 1
    assert "random_layer.py:" in capsys.readouterr().out, "the line that draws is named"


def test_metric_prints_a_summary_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "metric.safetensors"
    arguments = ["--space", "noise", "-o", "class_index=2", "--positions", "2", "--seed", "3", "--out", str(out)]
    assert call(monkeypatch, "metric", "shapes-biggan", "--distance", "mse", *arguments) == 0
    shown = capsys.readouterr().out
    generator = geomlib.load_generator("shapes-biggan", "noise", class_index=2)
    expected = geomlib.metric_tensor(generator, generator.sample(2, 3), geomlib.load_distance("mse"))
    assert (geomlib.load_metric(out).matrix - expected.matrix).abs().max() < 1e-9 * expected.matrix.abs().max()
    assert f"{float(expected.eigenvalues.mean(0)[0]):.4g}" in shown
    assert "space noise, 48 latents" in shown and shown.splitlines()[-1] == str(out)


def test_options_reach_a_factory_as_values(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (toy / "mine.py").write_text(FACTORY)
    for words, name in (
        (("wide=false",), "narrow None 1 x"),
        (("wide=true", "depth=3", "scale=0.5", "label='7'"), "wide 3 0.5 7"),
        (("depth=none", "label=a=b"), "narrow None 1 a=b"),
    ):
        options = [part for word in words for part in ("-o", word)]
        assert call(monkeypatch, "metric", "mine.py:make", "--positions", "2", *options) == 0
        assert capsys.readouterr().out.startswith(f"{name}, space z, 4 latents")


def test_invert_finds_a_picture_and_leaves_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = geomlib.load_generator("shapes-dcgan")
    pixels = generator(generator.sample(1, 3))[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    Image.fromarray(pixels).resize((160, 128)).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    options = ["--distance", "mse", "--budget", "60", "--restarts", "2"]
    assert call(monkeypatch, "invert", "shapes-dcgan", "picture.png", "--out", "found", *options) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == "picture.png: 160 x 128, its middle, resized to 64 x 64"
    assert lines[1] == "shapes-dcgan, space z, 64 latents; metric-newton; 60 calls"
    assert "Traceback" not in shown.err and "calls 60/60" in shown.err
    assert [Path(line) for line in lines[-5:]] == [
        Path("found", name)
        for name in ("inversion.png", "curve.png", "curve.csv", "latent.safetensors", "summary.json")
    ]
    summary = json.loads((tmp_path / "found" / "summary.json").read_text())
    latent = load_file(tmp_path / "found" / "latent.safetensors")["latent"]
    target, _ = read_image(tmp_path / "picture.png", (3, 64, 64))
    value = float(geomlib.load_distance("mse")(generator(latent[None]), target[None]))
    assert summary["numbers"]["distance"] == pytest.approx(value, rel=1e-4)
    assert value < summary["numbers"]["distance_at_start"] / 2
    assert all((tmp_path / "found" / f"{name}.png").is_file() for name in summary["figures"])


def test_a_picture_is_cropped_and_resized(tmp_path: Path) -> None:
    picture = Image.new("RGB", (60, 20), "red")
    picture.paste("blue", (20, 0, 40, 20))
    picture.save(tmp_path / "wide.png")
    middle, told = read_image(tmp_path / "wide.png", (3, 10, 10))
    assert told.endswith("60 x 20, its middle, resized to 10 x 10")
    blue = torch.tensor([0.0, 0.0, 1.0])[:, None, None]
    assert middle.shape == (3, 10, 10) and (middle - blue).abs()[:, :, 1:-1].max() < 0.05
    grey, told = read_image(tmp_path / "wide.png", (1, 20, 60))
    assert grey.shape == (1, 20, 60) and told.endswith("60 x 20") and 0 <= grey.min() <= grey.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shapes-dcgan", "absent.png"], "geomlib: image: no file absent.png"),
        (["shapes-dcgan", "words.png"], "geomlib: image: words.png is not a picture that Pillow can read"),
        (["shapes-dcgna", "words.png"], "geomlib: generator: "),
        (["tones-wavegan", "words.png"], "geomlib: image: this generator makes outputs of shape (1, "),
        (["shapes-dcgan", "words.png", "--method", "newton"], "geomlib: method: expected one of adam, "),
        (["shapes-dcgan", "red.png", "--distance", "l2"], "geomlib: distance: expected one of "),
        (["shapes-dcgan", "red.png", "--distance", "mse", "--budget", "1"], "geomlib: budget: expected enough calls"),
    ],
)
def test_invert_tells_errors_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.png").write_text("no picture")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    assert call(monkeypatch, "invert", *arguments, "--out", "found") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(message)
    assert not (tmp_path / "found").exists()


MINE = """import geomlib
def make():
    return geomlib.Generator(lambda z: z[:, :, None, None].repeat(1, 1, 8, 8), 3, default_distance="mse")
"""


@pytest.mark.usefixtures("warm")
def test_paths_are_those_of_the_working_folder(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = toy / "work"
    work.mkdir()
    (work / "mine.py").write_text(MINE)
    outside = toy.parent / f"{toy.name}-outside.py"
    outside.write_text(MINE)
    monkeypatch.chdir(work)
    assert cli._in_project("mine.py:make") == "work/mine.py:make"
    assert cli._in_project("mine.py") == "work/mine.py"
    assert cli._in_project(f"../../{outside.name}:make") == f"{outside}:make"
    assert [cli._in_project(one) for one in ("mse", "a.b:c", "gone.py:make")] == ["mse", "a.b:c", "gone.py:make"]
    monkeypatch.chdir(toy)
    assert cli._in_project("work/mine.py:make") == "work/mine.py:make"
    monkeypatch.chdir(work)
    assert call(monkeypatch, "run", "toy", "--generator", "mine.py:make") == 0
    assert list(toy.glob("results/mine.make-*/toy/summary.json"))


def test_the_time_left_is_at_the_pace_of_all_positions_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 600, 60))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("geomlib.findings.results.progress", lambda what: lambda done, total: None)
    tell = cli._remaining()
    for done in range(1, 6):
        tell(done, 10)
    assert [int(word) for word in capsys.readouterr().err.split() if word.isdecimal()] == [9, 8, 7, 6, 5]
