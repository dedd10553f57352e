"""The runner's promises: it refuses what it does not know, writes all or nothing, and runs only what is stale."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import PARAMETERS, REST, SETUP, write_notebook

from geomlib.book import notebook, provenance, runner
from geomlib.book import plan as plans

pytestmark = pytest.mark.usefixtures("warm")

DEFAULTS = {
    "generator": "shapes-dcgan", "space": "", "options": "", "weights": "", "positions": 3, "share": 0.5, "seed": 0
}  # fmt: skip
RUN = "shapes-dcgan--z--st-lpips-alex--quick"


def lines_of_run(root: Path, *names: str, **options: object) -> list[str]:
    lines: list[str] = []
    runner.run(names or ("toy",), root=root, say=lines.append, **options)  # type: ignore[arg-type]
    return lines


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_unknown_parameter_is_refused_with_the_known_ones(toy: Path) -> None:
    with pytest.raises(
        ValueError,
        match="unknown parameter 'position'; known: generator, space, options, weights, positions, share, seed$",
    ):
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
    assert plan.parameters == DEFAULTS | {"positions": 5, "share": 0.25, "seed": 4}
    assert plan.injected == {"positions": 5, "share": 0.25, "seed": 4}
    assert plan.folder == Path("results/shapes-dcgan--z--mse--paper/toy")
    assert runner.make_plan(toy, "toy", {"profile": "paper"}, {"positions": 7}).parameters["positions"] == 7


def test_run_leaves_everything_and_a_second_one_does_nothing(toy: Path) -> None:
    assert [line.split(" in ")[0] for line in lines_of_run(toy)] == ["toy: running", "toy: done"]
    folder = toy / "results" / RUN / "toy"
    first = contents(folder)
    assert sorted(first) == ["arrays.npz", "line.csv", "line.png", "manifest.json", "summary.json", "toy.ipynb"]
    manifest = json.loads(first["manifest.json"])
    assert manifest["parameters"] == DEFAULTS
    assert manifest["seed"] == 0
    assert set(manifest["versions"]) == {"python", "geomlib", "torch", "numpy", "scipy", "matplotlib"}
    assert manifest["seconds"] > 0
    assert os.name == "nt" or manifest["peak_memory"] > 50e6
    assert {"commit", "dirty", "device", "processor", "threads", "sources", "fingerprint"} <= set(manifest)
    assert set(manifest["files"]) == set(first) - {"manifest.json"}
    cell = notebook.read(folder / "toy.ipynb")["cells"][5]
    assert cell["metadata"]["mystnb"]["figure"]["name"] == "fig-toy-line"
    caption = cell["metadata"]["mystnb"]["figure"]["caption"]
    assert re.fullmatch(
        r"The top is \*\*0\.\d\d\*\*\. \[\{download\}`data \(CSV\) <toy/line.csv>`\]\{.figure-data\}", caption
    )
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


def test_source_and_not_outputs_decides_the_fingerprint(toy: Path) -> None:
    plan = runner.make_plan(toy, "toy", {}, {})
    first = plan.fingerprint()
    executed = notebook.read(toy / plan.source)
    executed["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    (toy / plan.source).write_text(json.dumps(executed))
    assert plan.fingerprint() == first, "outputs are not source"
    executed["cells"][2]["source"] += "\n# changed"
    (toy / plan.source).write_text(json.dumps(executed))
    assert plan.fingerprint() != first


@pytest.mark.parametrize(
    ("edited", "stale"),
    [
        ("book/plan.py", False),
        ("check/report.py", False),
        ("cli.py", False),
        ("operators/pullback.py", True),
        ("figures/lines.py", True),
        ("findings/results.py", True),
        ("metric.py", True),
    ],
)
def test_an_edit_of_the_package_makes_a_run_stale_by_its_folder(
    toy: Path, monkeypatch: pytest.MonkeyPatch, edited: str, stale: bool
) -> None:
    package = toy / "package"
    shutil.copytree(provenance.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    monkeypatch.setattr(provenance, "PACKAGE", package)
    plan = runner.make_plan(toy, "toy", {}, {})
    before = plan.fingerprint()
    with (package / edited).open("a", encoding="utf-8") as module:
        module.write("# edited\n")
    assert (plan.fingerprint() != before) == stale


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


def test_a_cell_may_show_an_error_on_purpose(toy: Path) -> None:
    """With MyST-NB's tag the run goes on; an error in any other cell is still one."""
    for last, fails in (("out.number(after=1)", False), ("int('y')", True)):
        path = write_notebook(toy, "toy", SETUP, "int('x')", last)
        content = json.loads(path.read_text())
        content["cells"][3]["metadata"] = {"tags": ["raises-exception"]}
        path.write_text(json.dumps(content))
        if fails:
            with pytest.raises(runner.NotebookError, match="toy: cell 5 failed with ValueError: .*'y'"):
                runner.run(["toy"])
            continue
        [folder] = runner.run(["toy"])
        assert json.loads((folder / "summary.json").read_text())["numbers"]["after"] == 1
        executed = notebook.read(folder / "toy.ipynb")
        assert not notebook.errors(executed) and len(notebook.errors(executed, on_purpose=True)) == 1


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
    executed = (toy / "results" / RUN / "toy/toy.ipynb").read_text()
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
    for folder in runner.run(["first", "second"], threads=2, kernels=None, say=lambda line: None):
        assert json.loads((folder / "summary.json").read_text())["numbers"]["threads"] == "2"
        assert json.loads((folder / "manifest.json").read_text())["threads"] == 2


def test_a_notebook_that_shows_benchmarks_follows_them(toy: Path) -> None:
    write_notebook(toy, "shows", SETUP, reads=["benchmarks/results/*.json"])
    plan = runner.make_plan(toy, "shows", {}, {})
    other = runner.make_plan(toy, "toy", {}, {})
    before = plan.fingerprint(), other.fingerprint()
    (toy / "benchmarks" / "results").mkdir(parents=True)
    (toy / "benchmarks" / "results" / "new.json").write_text("{}", encoding="utf-8")
    assert plan.fingerprint() != before[0]
    assert other.fingerprint() == before[1]


READ = """import json
from geomlib.book.run import finished
counts = {}
for name in NAMES:
    for run, place in finished("results", "quick", name):
        numbers = json.loads((place / "summary.json").read_text())["numbers"]
        counts[f"{name} {run.label}"] = numbers.get("top", numbers.get("found"))
out.number(found=len(counts), top=max(counts.values()))"""


def write_readers(root: Path) -> None:
    """The toy is read by ``summary``, both by ``all``, whose name comes first."""
    write_notebook(root, "summary", SETUP, READ.replace("NAMES", "['toy']"), reads=["toy"])
    write_notebook(root, "all", SETUP, READ.replace("NAMES", "['toy', 'summary']"), reads=["*"])


def test_notebooks_come_after_what_they_read(toy: Path) -> None:
    write_readers(toy)
    names = ("all", "summary", "toy")
    started = [line for line in lines_of_run(toy, *names) if line.endswith("running")]
    assert started == ["toy: running", "summary: running", "all: running"]
    found = json.loads((toy / "results" / RUN / "all/summary.json").read_text())
    assert found["numbers"]["found"] == 2
    (toy / "results/.failed").mkdir()
    (toy / "results/.failed/summary.json").write_text("{}")
    other = toy / "results" / RUN.replace("quick", "paper") / "toy"
    other.mkdir(parents=True)
    (other / "summary.json").write_text("{}")
    assert lines_of_run(toy, *names) == ["toy: unchanged", "summary: unchanged", "all: unchanged"]
    write_notebook(toy, "toy", SETUP.replace("random(positions)", "random(positions) + 1"), *REST)
    assert [line.split(" in ")[0] for line in lines_of_run(toy, *names)][1::2] == [
        "toy: done",
        "summary: done",
        "all: done",
    ]


def test_a_run_of_another_generator_is_read_too(toy: Path) -> None:
    write_readers(toy)
    runner.run(["toy"], settings={"generator": "shapes-biggan", "space": "noise", "options": "class_index=2"})
    lines_of_run(toy, "toy", "summary")
    numbers = json.loads((toy / "results" / RUN / "summary/summary.json").read_text())
    assert numbers["numbers"]["found"] == 2
    assert lines_of_run(toy, "summary") == ["summary: unchanged"]


def test_a_circle_is_refused_by_name(toy: Path) -> None:
    write_notebook(toy, "first", SETUP, reads=["second", "toy"])
    write_notebook(toy, "second", SETUP, reads=["*"])
    with pytest.raises(ValueError, match="^these read each other in a circle: (first, second|second, first)$"):
        runner.run(["toy", "first", "second"])
    assert not (toy / "results").exists()
    write_notebook(toy, "first", SETUP, reads="toy")
    with pytest.raises(ValueError, match="^first: metadata.geomlib.reads: expected a list of names, got 'toy'"):
        runner.run(["first"])


def test_what_changes_the_generator_is_not_dropped(toy: Path) -> None:
    only = 'generator: str = "shapes-dcgan"  # which\nresults: str = "r"  # where'
    write_notebook(toy, "toy", parameters=only)
    for settings in ({"options": "size=32"}, {"space": "z"}, {"weights": "notebooks/toy.ipynb"}):
        with pytest.raises(ValueError, match="^toy: takes a generator but no (options|space|weights); declare"):
            runner.run(["toy"], settings=settings)


def test_options_are_handed_on_and_recorded(toy: Path) -> None:
    read = "import geomlib\nout.number(size=geomlib.generator_options(options)['size'])"
    write_notebook(toy, "toy", SETUP, read)
    settings = {"options": {"size": 32}}
    plan = runner.make_plan(toy, "toy", settings, {})
    assert plan.label == "toy (size=32)"
    assert runner.make_plan(toy, "toy", {}, {"options": " size=32 "}).run == plan.run
    [folder] = runner.run(["toy"], settings=settings)
    assert folder == toy / "results/shapes-dcgan--z--size=32--st-lpips-alex--quick/toy"
    assert json.loads((folder / "summary.json").read_text())["numbers"] == {"size": 32}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["parameters"]["options"] == manifest["about"]["options"] == "size=32"
    assert plan.is_current() and not runner.make_plan(toy, "toy", {"options": "size=16"}, {}).is_current()


def test_of_two_plans_with_one_folder_the_first_counts(toy: Path) -> None:
    one, two = runner.make_plan(toy, "toy", {}, {}), runner.make_plan(toy, "toy", {}, {"positions": 2})
    assert one.folder == two.folder
    [folder, same] = runner.run_plans(toy, [one, two], say=lambda line: None)
    assert json.loads((folder / "manifest.json").read_text())["parameters"]["positions"] == 3 and folder == same


def test_the_default_generator_stands_in_one_place(toy: Path) -> None:
    settings = {"default_generator": "torus"}
    assert plans.run_of({}).network == plans.DEFAULT_GENERATOR and plans.run_of(settings).network == "torus"
    write_notebook(toy, "toy", SETUP, parameters=PARAMETERS.replace("shapes-dcgan", plans.DEFAULT_GENERATOR))
    plan = runner.make_plan(toy, "toy", settings, {})
    assert plan.parameters["generator"] == "torus" and plan.run.network == "torus"
    own = PARAMETERS.replace("shapes-dcgan", "sphere")
    write_notebook(toy, "other", SETUP, parameters=own)
    assert runner.make_plan(toy, "other", settings, {}).run.network == "sphere", "its own generator stays"
    chosen = runner.make_plan(toy, "other", settings | {"generator": "linear"}, {})
    assert chosen.parameters["generator"] == chosen.run.network == "linear"


def test_comparisons_are_planned_from_the_project(toy: Path) -> None:
    assert plans.comparisons(toy, "quick") == []
    (toy / "notebooks/runs.json").write_text(
        '{"experiments": ["toy"], '
        '"runs": [{"generator": "torus", "space": "z"}, {"generator": "linear", "experiments": ["toy"], "share": 0.1}]}'
    )
    first, second = plans.comparisons(toy, "paper")
    assert first.folder == Path("results/torus--z--mse--paper/toy")
    assert first.parameters["positions"] == 5 and first.parameters["generator"] == "torus"
    assert second.parameters["share"] == 0.1 and second.parameters["positions"] == 5
    assert (first.label, second.label) == ("toy (torus, z)", "toy (linear)")
