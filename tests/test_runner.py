"""The runner's promises: it refuses what it does not know, writes all or nothing, and runs only what is stale."""

import json
import os
import re
from pathlib import Path

import pytest
from conftest import PARAMETERS, REST, SETUP, write_notebook

from geomlib import notebook, plans, provenance, runner


def lines_of_run(root: Path, *names: str, **options: object) -> list[str]:
    lines: list[str] = []
    runner.run(names or ("toy",), root=root, say=lines.append, **options)  # type: ignore[arg-type]
    return lines


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_unknown_parameter_is_refused_with_the_known_ones(toy: Path) -> None:
    with pytest.raises(ValueError, match="unknown parameter 'position'; known: generator, positions, share, seed$"):
        runner.run(["toy"], given={"position": 3})
    with pytest.raises(ValueError, match="unknown parameter 'results'"):
        runner.run(["toy"], given={"results": "elsewhere"})
    assert not (toy / "results").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("positions", "many"),
        ("positions", "3.5"),
        ("positions", 3.5),
        ("positions", True),
        ("share", "x"),
        ("seed", ""),
    ],
)
def test_mistyped_value_is_refused(toy: Path, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"parameter '{name}' expects (int|float), got {value!r}"):
        runner.run(["toy"], given={name: value})


def test_unknown_experiment_profile_and_missing_project(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ValueError, match="no experiment 'tyo'; there are: toy"):
        runner.run(["tyo"])
    with pytest.raises(ValueError, match="no profile 'papre'; there are: quick, paper"):
        runner.run(["toy"], settings={"profile": "papre"})
    with pytest.raises(FileNotFoundError, match="expected a folder with notebooks/ and _config.yml"):
        runner.find_project(tmp_path_factory.mktemp("empty"))
    with pytest.raises(FileNotFoundError, match="absent.py"):
        runner.run(["toy"], settings={"generator": "absent.py:factory"})


def test_a_setting_that_the_notebook_lacks_passes_and_names_the_run(toy: Path) -> None:
    plan = runner.make_plan(toy, "toy", {"distance": "mse", "profile": "paper", "seed": "4"}, {"share": "0.25"})
    assert plan.parameters == {"generator": "sphere", "positions": 5, "share": 0.25, "seed": 4}
    assert plan.given == {"positions": 5, "share": 0.25, "seed": 4}
    assert plan.folder == Path("results/shapes-dcgan--default--mse--paper/toy")
    assert runner.make_plan(toy, "toy", {"profile": "paper"}, {"positions": 7}).parameters["positions"] == 7


def test_run_names_are_safe_on_file_systems() -> None:
    assert provenance.run_name() == "shapes-dcgan--default--default--quick"
    assert provenance.run_name("examples/my_gan.py:factory", "w") == "my_gan.factory--w--default--quick"
    assert provenance.run_name("shapes-stylegan2", "w+") == "shapes-stylegan2--w+--default--quick", "not that of w"
    assert provenance.run_name("pack.age:make", "", "a b/c.py:d") == "pack.age.make--default--c.d--quick"
    assert not re.search(r'[\\/:*?"<>| ]', provenance.run_name("..\\a:b*", "c?d", "<e>", "paper"))


def test_run_leaves_everything_and_a_second_one_does_nothing(toy: Path) -> None:
    assert [line.split(" in ")[0] for line in lines_of_run(toy)] == ["toy: running", "toy: done"]
    folder = toy / "results/shapes-dcgan--default--default--quick/toy"
    first = contents(folder)
    assert sorted(first) == ["arrays.npz", "line.png", "manifest.json", "summary.json", "toy.ipynb"]
    manifest = json.loads(first["manifest.json"])
    assert manifest["parameters"] == {"generator": "sphere", "positions": 3, "share": 0.5, "seed": 0}
    assert manifest["seed"] == 0
    assert set(manifest["versions"]) == {"python", "geomlib", "torch", "numpy", "scipy", "matplotlib"}
    assert manifest["seconds"] > 0
    assert os.name == "nt" or manifest["peak_memory"] > 50e6
    assert {"commit", "dirty", "device", "processor", "threads", "sources", "fingerprint"} <= set(manifest)
    assert set(manifest["files"]) == set(first) - {"manifest.json"}
    cell = notebook.read(folder / "toy.ipynb")["cells"][5]
    assert cell["metadata"]["mystnb"]["figure"]["name"] == "fig-toy-line"
    assert re.fullmatch(r"The top is \*\*0\.\d\d\*\*\.", cell["metadata"]["mystnb"]["figure"]["caption"])
    assert cell["metadata"]["mystnb"]["image"]["alt"] == "A line."

    os.utime(toy / "notebooks/toy.ipynb", (1, 1))
    assert lines_of_run(toy) == ["toy: unchanged"]
    assert contents(folder) == first


def test_what_changes_by_content_runs_again(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def current() -> bool:
        return runner.make_plan(toy, "toy", {}, {}).is_current()

    [folder] = runner.run(["toy"])
    assert current()
    assert not runner.make_plan(toy, "toy", {}, {"positions": 4}).is_current()
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0"})
    assert not current()
    monkeypatch.undo()
    (folder / "summary.json").write_text("{}")
    assert not current(), "results that were changed by hand are not the run's"


def test_source_and_package_decide_the_fingerprint(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = runner.make_plan(toy, "toy", {}, {})
    first = plan.fingerprint()
    executed = notebook.read(toy / plan.source)
    executed["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    (toy / plan.source).write_text(json.dumps(executed))
    assert plan.fingerprint() == first, "outputs are not source"
    executed["cells"][2]["source"] += "\n# changed"
    (toy / plan.source).write_text(json.dumps(executed))
    assert plan.fingerprint() != first
    package = toy / "package"
    package.mkdir()
    (package / "numerics.py").write_text("a")
    (package / "cli.py").write_text("a")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    second = plan.fingerprint()
    (package / "cli.py").write_text("b")
    assert plan.fingerprint() == second, "the command line computes nothing"
    (package / "numerics.py").write_text("b")
    assert plan.fingerprint() != second


def test_two_runs_are_equal_byte_for_byte(toy: Path) -> None:
    write_notebook(toy, "toy", SETUP, "import warnings; warnings.warn('here'); print(object(), results)", *REST)
    [folder] = runner.run(["toy"])
    first = contents(folder)
    runner.run(["toy"], force=True)
    second = contents(folder)
    del first["manifest.json"], second["manifest.json"]
    assert first == second
    assert str(toy).encode() not in first["toy.ipynb"]


def test_failure_shows_cell_and_error_and_leaves_earlier_results(toy: Path) -> None:
    [folder] = runner.run(["toy"])
    first = contents(folder)
    write_notebook(toy, "toy", SETUP, "out.number(top=2)", "bad = positions\nworse = bad / 0")
    with pytest.raises(runner.NotebookError) as caught:
        runner.run(["toy"])
    message = str(caught.value)
    assert message.startswith("toy: cell 5 failed with ZeroDivisionError: division by zero")
    assert "worse = bad / 0" in message
    assert "\x1b" not in message
    assert contents(folder) == first
    assert [path.name for path in folder.parent.iterdir()] == ["toy"], "nothing half-made stays"
    assert notebook.errors(notebook.read(toy / "results/.failed/toy.ipynb"))


def test_a_kernel_that_dies_is_an_error(toy: Path) -> None:
    write_notebook(toy, "toy", "import os; os._exit(3)")
    with pytest.raises(runner.NotebookError, match="its process ended without a result(.|\n)*died"):
        runner.run(["toy"])


def test_what_does_not_apply_ends_early_without_error(toy: Path) -> None:
    write_notebook(toy, "toy", SETUP, "out.does_not_apply('a sphere has no factors')", "1 / 0")
    [folder] = runner.run(["toy"])
    assert json.loads((folder / "summary.json").read_text())["does_not_apply"] == "a sphere has no factors"
    executed = notebook.read(folder / "toy.ipynb")
    assert not notebook.errors(executed)
    assert "Does not apply" in executed["cells"][-1]["source"]
    assert "a sphere has no factors" in executed["cells"][-1]["source"]
    assert "1 / 0" not in json.dumps(executed)
    assert lines_of_run(toy) == ["toy: unchanged"]


def test_progress_reaches_the_terminal_and_leaves_nothing_behind(toy: Path) -> None:
    loop = "import time\nshow = progress('positions')\nfor k in range(3):\n    show(k + 1, 3)\n    time.sleep(0.3)"
    write_notebook(toy, "toy", SETUP, loop)
    lines = lines_of_run(toy)
    assert re.fullmatch(r"toy:   positions \d/3", lines[1])
    executed = (toy / "results/shapes-dcgan--default--default--quick/toy/toy.ipynb").read_text()
    assert "positions 1/3" not in executed
    assert '"outputs": []' in executed


def test_injected_cell_is_hidden_when_it_only_names_the_folder() -> None:
    for source, hidden in (('# Parameters\nresults = "r"', True), ('# Parameters\nseed = 3\nresults = "r"', False)):
        cell = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": source, "outputs": []}
        text = notebook.normalise({"cells": [cell], "metadata": {}}, "toy", {})
        assert ("remove-cell" in text) == hidden


def test_several_run_at_once_and_each_with_its_threads(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meet = """import os, time
from pathlib import Path
Path("here-" + str(seed)).touch()
for _ in range(600):
    time.sleep(0.1)
    if len(list(Path.cwd().glob("here-*"))) == 2:
        break
else:
    raise RuntimeError("the other notebook never came")
out.number(threads=os.environ["OMP_NUM_THREADS"])"""
    for index, name in enumerate(("first", "second")):
        write_notebook(toy, name, SETUP, meet, parameters=PARAMETERS.replace("seed: int = 0", f"seed: int = {index}"))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for folder in runner.run(["first", "second"], threads=2, say=lambda line: None):
        assert json.loads((folder / "summary.json").read_text())["numbers"]["threads"] == "2"
        assert json.loads((folder / "manifest.json").read_text())["threads"] == 2


def test_a_notebook_that_shows_benchmarks_follows_them(toy: Path) -> None:
    write_notebook(toy, "shows", "folder = 'benchmarks/results'; print(seed, positions, share, generator, results)")
    plan = runner.make_plan(toy, "shows", {}, {})
    other = runner.make_plan(toy, "toy", {}, {})
    before = plan.fingerprint(), other.fingerprint()
    (toy / "benchmarks" / "results").mkdir(parents=True)
    (toy / "benchmarks" / "results" / "new.json").write_text("{}", encoding="utf-8")
    assert plan.fingerprint() != before[0]
    assert other.fingerprint() == before[1]


def test_readers_of_results_come_last_and_follow_what_they_read(toy: Path) -> None:
    read = """import json
from pathlib import Path
found = json.loads(Path("results/shapes-dcgan--default--default--quick/toy/summary.json").read_text())
out.number(copied=found["numbers"]["top"])"""
    write_notebook(toy, "reader", SETUP, read, reads_results=True)
    assert [line.split(" in ")[0] for line in lines_of_run(toy, "reader", "toy")] == [
        "toy: running", "toy: done", "reader: running", "reader: done"
    ]  # fmt: skip
    assert lines_of_run(toy, "reader", "toy") == ["toy: unchanged", "reader: unchanged"]
    write_notebook(toy, "toy", SETUP.replace("random(positions)", "random(positions) + 1"), *REST)
    assert [line.split(" in ")[0] for line in lines_of_run(toy, "toy", "reader")][-1] == "reader: done"


def test_comparisons_are_planned_from_the_project(toy: Path) -> None:
    assert plans.comparisons(toy, "quick") == []
    (toy / "notebooks/runs.json").write_text(
        '{"experiments": ["toy"], '
        '"runs": [{"generator": "torus", "space": "z"}, {"generator": "linear", "experiments": ["toy"], "share": 0.1}]}'
    )
    first, second = plans.comparisons(toy, "paper")
    assert first.folder == Path("results/torus--z--default--paper/toy")
    assert first.parameters["positions"] == 5 and first.parameters["generator"] == "torus"
    assert second.parameters["share"] == 0.1 and second.parameters["positions"] == 5
    assert (first.label, second.label) == ("toy (torus, z)", "toy (linear)")
