"""Every notebook of the project: its parameters explain themselves, nothing is committed but source, and it runs."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PAGES, ROOT

from geomlib.book import notebook, parameters, runner
from geomlib.book.extension import LEAD
from geomlib.book.kernels import Kernels

NAMES = runner.experiments(ROOT)
every_notebook = pytest.mark.parametrize("name", NAMES)


def path_of(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


def code_cells(name: str) -> list[dict[str, Any]]:
    """Cells with code; one that only holds comments (how to install) may come first."""
    cells = [cell for cell in notebook.read(path_of(name))["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in cells if ast.parse("".join(cell["source"])).body]


@every_notebook
def test_only_source_is_committed(name: str) -> None:
    for cell in code_cells(name):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@every_notebook
def test_parameters_come_first_and_explain_themselves(name: str) -> None:
    first, *others = code_cells(name)
    assert first["metadata"].get("tags") == ["parameters", "hide-input"], "folded: the finding is to be seen first"
    declared = ast.parse("".join(first["source"])).body
    assert all(isinstance(one, ast.AnnAssign) for one in declared), "each parameter has a type"
    names = [one.target.id for one in declared if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
    seen = parameters.inspect(path_of(name))
    assert list(seen) == names
    assert all(one.help for one in seen.values()), "each parameter has a comment"
    shared = [key for key in ("generator", "space", "options", "weights") if key in seen]
    assert len(shared) in (0, 4), f"a generator comes with space, options and weights, not with {shared} alone"
    rest = ast.parse("\n".join("".join(cell["source"]) for cell in others))
    read = {node.id for node in ast.walk(rest) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert set(names) <= read, f"never read: {set(names) - read}"


@every_notebook
def test_profiles_name_parameters_and_fit_their_types(name: str) -> None:
    known = parameters.inspect(path_of(name))
    profiles = notebook.read(path_of(name))["metadata"].get("geomlib", {})
    for reads in profiles.pop("reads", []):
        later = reads.startswith("results/")  # what a reader's own commands leave
        assert reads == "*" or reads in NAMES or later or list(ROOT.glob(reads)), f"there is no {reads}"
    assert set(profiles) <= set(runner.PROFILES)
    for overrides in profiles.values():
        assert parameters.check(name, known, overrides) == overrides


@every_notebook
def test_a_page_that_claims_says_what_was_found(name: str) -> None:
    """It comes before its picture, and before the method."""
    sources = {"".join(cell["source"]): cell["metadata"].get("tags", []) for cell in code_cells(name)}
    found = [tags for source, tags in sources.items() if "out.finding(" in source]
    assert found or not any("out.claims()" in source for source in sources)
    leading = [source for source, tags in sources.items() if LEAD in tags]
    assert all(LEAD in tags for tags in found)
    assert not found or "out.finding(" in leading[0]


def check_results(name: str, folder: Path) -> None:
    executed = notebook.read(folder / f"{name}.ipynb")
    assert not notebook.errors(executed)
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    shown = "".join("".join(output["text"]) for output in outputs if output.get("name") == "stderr")
    assert not shown, f"a warning would stand on the page: {shown}"
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert "provenance" in summary or "does_not_apply" in summary
    assert len(summary.get("finding", "").split()) <= 55, "what was found is one sentence; the rest stands beside it"
    assert {f"{figure}.png" for figure in summary["figures"]} == {path.name for path in folder.glob("*.png")}
    labelled = [cell for cell in executed["cells"] if "figure" in cell["metadata"].get("mystnb", {})]
    assert len(labelled) == len(summary["figures"]), "one figure per cell"


@pytest.mark.notebooks
@pytest.mark.parametrize("name", PAGES)
def test_runs_at_its_smallest_parameters(name: str, run_smallest: Callable[[str], Path]) -> None:
    check_results(name, run_smallest(name))


# Pages that do something of their own where there are few latents, known factors, or nothing that applies.
FEW_LATENTS = (
    "anisotropy",
    "compression",
    "face_axes",
    "ground_truth",
    "homogeneity",
    "interpretable_axes",
    "inversion",
)
FEW_LATENTS += ("known_axes", "labels", "shuffled_control")


@pytest.mark.notebooks
@pytest.mark.parametrize("name", FEW_LATENTS)
def test_runs_on_another_generator(name: str, shared: Path, kernels: Kernels) -> None:
    """On three classes: a small space with few latents, and none of the defaults."""
    settings = {"profile": "smallest", "generator": "shapes-biggan", "space": "class", "distance": "mse"}
    check_results(name, runner.run([name], root=shared, settings=settings, kernels=kernels)[0])


@pytest.mark.notebooks
def test_runs_where_one_kind_of_control_cannot_be_had(shared: Path, kernels: Kernels) -> None:
    """The shuffled tones have no derivative; the page computes the first control that there is again."""
    record = "evidence/homogeneity.json"
    settings = {"profile": "smallest", "generator": "tones-wavegan", "distance": "mse", "record": record}
    [folder] = runner.run(["shuffled_control"], root=shared, settings=settings, kernels=kernels)
    check_results("shuffled_control", folder)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert "shuffled (" in summary["numbers"]["networks_left_out"]
    [again] = [one for one in summary["comparison"] if one["claim"].startswith("a control of the record")]
    assert again["verdict"] == "tested"


@pytest.mark.notebooks
@pytest.mark.parametrize("name", ["metric_tensor", "layers", "your_gan"])
def test_runs_on_a_file_of_weights(name: str, shared: Path, kernels: Kernels) -> None:
    """NVIDIA's own form, in styles; the folder is named by the file."""
    file = Path(__file__).parent / "golden" / "nvidia" / "stylegan2_ada.pkl"
    settings = {"profile": "smallest", "generator": str(file), "space": "w", "distance": "mse"}
    [folder] = runner.run([name], root=shared, settings=settings, kernels=kernels)
    check_results(name, folder)
    assert "stylegan2_ada.pkl" in folder.parent.name


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_figure_has_its_cell_for_itself(path: Path) -> None:
    """The book gives a cell's caption and label to all that the cell shows."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        shows = [verb in source for verb in ("out.figure(", "recorded.draw(")]
        assert not (any(shows) and re.search(r"out\.(table|records)\(|recorded\.list\(", source)), source
