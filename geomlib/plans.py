"""What one run of a notebook is: its parameters, its folder, and the fingerprint that tells whether it is stale."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomlib import notebook, parameters, provenance

SHARED = ("generator", "space", "weights", "distance", "device", "seed", "profile")
PROFILES = ("quick", "paper", "smallest")
BENCHMARKS = Path("benchmarks") / "results"  # committed measurements, which some notebooks show
NOT_NUMERICS = (
    "runner.py", "plans.py", "process.py", "cli.py", "options.py", "invert_command.py", "book.py", "execute.py"
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One notebook with all its parameters, and where its results go (both paths relative to the project)."""

    experiment: str
    given: dict[str, Any]  # what differs from the notebook's own defaults
    parameters: dict[str, Any]  # all but `results`
    settings: dict[str, Any]  # the shared ones, whether or not the notebook has them
    folder: Path

    @property
    def label(self) -> str:
        """How messages call the run: its experiment, and its generator and space where they are not the default."""
        which = [str(self.settings.get(key) or "") for key in ("generator", "space", "distance")]
        return f"{self.experiment} ({', '.join(filter(None, which))})" if any(which) else self.experiment

    @property
    def reads_results(self) -> bool:
        """Whether the notebook reads what the others left, and so has to run after them."""
        return bool(notebook.read(self.source)["metadata"].get("geomlib", {}).get("reads_results"))

    @property
    def source(self) -> Path:
        """The notebook."""
        return Path("notebooks") / f"{self.experiment}.ipynb"

    def sources(self) -> dict[str, str]:
        """Hashes of the files outside the package that the run depends on."""
        chosen = [str(self.settings.get(key) or self.parameters.get(key, "")) for key in SHARED[:4]]
        return provenance.source_files(chosen[0] or provenance.DEFAULT_GENERATOR, chosen[2], chosen[3])

    def fingerprint(self) -> str:
        """Hash of the notebook's source, parameters, numerics of geomlib, weights and factories, and versions."""
        package = provenance.PACKAGE
        modules = sorted(path for path in package.rglob("*.py") if path.name not in NOT_NUMERICS)
        parts: list[str | bytes] = [notebook.source_text(notebook.read(self.source))]
        if BENCHMARKS.as_posix() in str(parts[0]):
            parts += [provenance.sha256(path) for path in sorted(BENCHMARKS.glob("*.json"))]
        parts += [json.dumps(part, sort_keys=True) for part in (self.parameters, self.sources(), provenance.versions())]
        if self.reads_results:
            summaries = sorted(Path("results").glob(f"*--{self.settings['profile']}/*/summary.json"))
            parts += [provenance.sha256(path) for path in summaries if path.parent.name != self.experiment]
        for module in modules:
            parts += [module.relative_to(package).as_posix(), module.read_bytes()]
        return provenance.digest(parts)

    def is_current(self) -> bool:
        """Whether the results are there, as they were written, and from this very fingerprint."""
        try:
            manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
            whole = all(provenance.sha256(self.folder / name) == sha for name, sha in manifest["files"].items())
        except (OSError, ValueError, KeyError):
            return False
        return bool(whole and manifest["fingerprint"] == self.fingerprint())


def experiments(root: Path) -> list[str]:
    """Names of the notebooks of a project."""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def make_plan(root: Path, experiment: str, settings: Mapping[str, Any], given: Mapping[str, Any]) -> Plan:
    """Check and complete the parameters of one experiment; explicit ones win over settings, settings over the profile.

    Args:
        root: the project.
        experiment: name of a notebook.
        settings: values of ``SHARED``; a notebook takes those that it has.
        given: parameters of this experiment, each of which it must have.

    Raises:
        ValueError: an unknown experiment, profile or parameter, or a value that cannot be of its declared type.
    """
    source = root / "notebooks" / f"{experiment}.ipynb"
    if not source.is_file():
        raise ValueError(f"no experiment {experiment!r}; there are: {', '.join(experiments(root))}")
    profile = str(settings.get("profile") or "quick")
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are: {', '.join(PROFILES)}")
    known = parameters.inspect(source)
    if "results" not in known:
        raise ValueError(f"{experiment}: its cell tagged 'parameters' does not declare `results: str`")
    overrides = notebook.read(source)["metadata"].get("geomlib", {}).get(profile, {})
    shared = {key: value for key, value in settings.items() if key in known}
    values = {key: one.default for key, one in known.items()}
    values |= parameters.check(experiment, known, {**overrides, **shared, **given})
    del values["results"]
    changed = {key: value for key, value in values.items() if value != known[key].default}
    chosen = {**settings, **{key: value for key, value in given.items() if key in SHARED}, "profile": profile}
    name = provenance.run_name(*(str(chosen.get(key) or "") for key in ("generator", "space", "distance", "profile")))
    return Plan(experiment, changed, values, chosen, Path("results") / name / experiment)


def comparisons(root: Path, profile: str) -> list[Plan]:
    """The further runs that the book compares, from `notebooks/runs.json`: each experiment there on each generator.

    A run may name experiments of its own, and parameters of these.

    Raises:
        ValueError: see `make_plan`.
    """
    source = root / "notebooks" / "runs.json"
    if not source.is_file():
        return []
    wanted = json.loads(source.read_text(encoding="utf-8"))
    plans = []
    for run in wanted["runs"]:
        settings = {key: value for key, value in run.items() if key in SHARED} | {"profile": profile}
        given = {key: value for key, value in run.items() if key not in (*SHARED, "experiments")}
        plans += [make_plan(root, name, settings, given) for name in run.get("experiments", wanted["experiments"])]
    return plans
