"""The command line: help with examples, and one clear message for an error."""

import sys
from pathlib import Path

import pytest
from conftest import SETUP, write_notebook

from geomlib import cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["geomlib", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(("command", "example"), [("run", "-p positions=20"), ("book", "--distance mse")])
def test_help_shows_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, example: str
) -> None:
    assert call(monkeypatch, command, "--help") == 0
    assert example in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "toy", "-p", "position=1"], "geomlib: toy: unknown parameter 'position'; known: generator, positions"),
        (["run", "toy", "-p", "positions=x"], "geomlib: toy: parameter 'positions' expects int, got 'x'"),
        (["run", "toy", "-p", "positions"], "geomlib: -p expects NAME=VALUE, got 'positions'"),
        (["run", "tyo"], "geomlib: no experiment 'tyo'; there are: toy"),
        (["run", "toy", "--generator", "absent.py:make"], "geomlib: no such file: absent.py"),
    ],
)
def test_errors_are_one_line(
    toy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert len(error.splitlines()) == 1


def test_debug_shows_the_traceback(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["geomlib", "--debug", "run", "tyo"])
    with pytest.raises(ValueError, match="no experiment"):
        cli.main()


def test_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "book") == 2
    assert "expected a folder with notebooks/ and _config.yml" in capsys.readouterr().err


def test_run_lists_experiments_and_runs_them(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(toy, "toy", SETUP, "out.number(count=positions)")
    assert call(monkeypatch, "run") == 0
    assert capsys.readouterr().out == "toy generator positions share seed results\n"
    assert call(monkeypatch, "run", "toy", "--seed", "3", "-p", "positions=2") == 0
    folder = toy / "results/shapes-dcgan--default--default--quick/toy"
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)
    assert '"count": 2' in (folder / "summary.json").read_text()
