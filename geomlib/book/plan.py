"""What one run of a notebook is: its parameters, what it reads, and the fingerprint that tells whether it is stale."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomlib import course
from geomlib._files import sha256
from geomlib._literals import generator_options, options_text
from geomlib.book import notebook, parameters, provenance
from geomlib.book.run import Answers, Run, describe, finished
from geomlib.generators.packaged import is_here

SHARED = ("generator", "space", "options", "weights", "distance", "device", "seed", "profile")
PROFILES = ("quick", "paper", "smallest")
DEFAULT_GENERATOR = "dcgan-portraits"
FALLBACK = "shapes-dcgan"  # comes with the package
# Folders that decide how notebooks are run and checked, and not what they compute, draw or say.
MACHINE = ("book", "check", "cli.py", "course", "live")


@dataclass(frozen=True)
class Plan:
    """One notebook with all its parameters, and the run that it is part of.

    Attributes:
        experiment: Name of the notebook.
        parameters: All that it has, but for `results`.
        injected: Those of them that differ from the notebook's own defaults.
        settings: The shared ones, whether or not the notebook has them.
        reads: What it declares to read: experiments, "*" for all others, patterns of files (with a /).
        run: Which generator and distance it is about.
    """

    experiment: str
    parameters: dict[str, Any]
    injected: dict[str, Any]
    settings: dict[str, Any]
    reads: tuple[str, ...]
    run: Run

    @property
    def folder(self) -> Path:
        """Where its results go, relative to the project."""
        return Path("results") / self.run.name / self.experiment

    @property
    def label(self) -> str:
        """How messages call the plan: its experiment, and what the settings say of its run."""
        keys = ("generator", "weights", "space", "options", "distance")
        words = ", ".join(str(self.settings[key]) for key in keys if self.settings.get(key))
        return f"{self.experiment} ({words})" if words else self.experiment

    @property
    def source(self) -> Path:
        """The notebook."""
        return source_of(Path(), self.experiment)

    def reads_from(self, experiment: str) -> bool:
        """Whether the notebook reads what this experiment left, and so has to run after it."""
        return experiment != self.experiment and ("*" in self.reads or experiment in self.reads)

    def sources(self) -> dict[str, str]:
        """Hashes of the files outside the package that the run depends on."""
        return provenance.source_files(*self.run.sources)

    def fingerprint(self) -> str:
        """Hash of the notebook's source, parameters, what it reads, numerics of geomlib, sources, and versions.

        A space or distance that is not given counts as the one that it is resolved to.
        """
        package = provenance.PACKAGE
        modules = sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in MACHINE)
        parts: list[str | bytes] = [notebook.source_text(notebook.read(self.source))]
        for pattern in self.reads:
            for path in sorted(Path().glob(pattern)) if "/" in pattern else ():
                parts += [path.as_posix(), sha256(path)]
        for name in filter(self.reads_from, experiments(Path())):
            for run, folder in finished("results", self.run.profile, name):
                files = sorted({*folder.glob("summary.json"), *folder.glob("arrays.npz")})
                parts += [run.name, name, *map(sha256, files)]
        resolved = {key: getattr(self.run, key) for key in ("space", "distance") if not self.parameters.get(key)}
        named = self.parameters | {key: value for key, value in resolved.items() if key in self.parameters}
        parts += [json.dumps(part, sort_keys=True) for part in (named, self.sources(), provenance.versions())]
        parts.append(self.run.evidence)
        for module in modules:
            parts += [module.relative_to(package).as_posix(), module.read_bytes()]
        return provenance.digest(parts)

    def is_current(self) -> bool:
        """Whether the results are there, as they were written, and from this very fingerprint."""
        try:
            manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
            whole = all(sha256(self.folder / name) == sha for name, sha in manifest["files"].items())
        except (OSError, ValueError, KeyError):
            return False
        return bool(whole and manifest["fingerprint"] == self.fingerprint())


def experiments(root: Path) -> list[str]:
    """Names of the notebooks of a project."""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def source_of(root: Path, experiment: str) -> Path:
    """Where the notebook of an experiment, or of a chapter of the course, is or would be."""
    place = root / "notebooks" / f"{experiment}.ipynb"
    return next((one for one in course.chapters(root) if one.stem == experiment), place)


def run_of(settings: Mapping[str, Any], answers: Answers | None = None) -> Run:
    """The run that settings ask for; see `run.describe`, which tells what is raised."""
    weights, space, distance = (str(settings.get(key) or "") for key in ("weights", "space", "distance"))
    generator = str(settings.get("generator") or default_generator(settings))
    options, profile = _options_line(settings.get("options") or ""), str(settings.get("profile") or "quick")
    return describe(generator, weights, space, options, distance, profile, {} if answers is None else answers)


def default_generator(settings: Mapping[str, Any], declared: str = DEFAULT_GENERATOR) -> str:
    """The generator where settings name none: the one that a notebook declares.

    In the place of ``DEFAULT_GENERATOR`` stands the setting ``default_generator``, if any.
    """
    return str(settings.get("default_generator", declared)) if declared == DEFAULT_GENERATOR else declared


def make_plan(
    root: Path, experiment: str, settings: Mapping[str, Any], given: Mapping[str, Any], answers: Answers | None = None
) -> Plan:
    """Check and complete the parameters of one experiment; explicit ones win over settings, settings over the profile.

    A chapter of the course is about the networks that it names, whatever the settings say: of these it takes the
    profile alone.  Its run is that of ``DEFAULT_GENERATOR``, or of ``FALLBACK`` where the other is not here.

    Args:
        root: the project, which is the working directory.
        experiment: name of a notebook.
        settings: values of ``SHARED``; a notebook takes those that it has. Options are one line or a dictionary.
        given: parameters of this experiment, each of which it must have.
        answers: see `run.describe`.

    Raises:
        ValueError: an unknown experiment, profile or parameter, a value that cannot be of its declared type, a setting
            that changes the generator and that the notebook would not hand on, or see `run.describe`.
        FileNotFoundError: see `run.describe`.
    """
    source = source_of(root, experiment)
    if source.parent.name == course.FOLDER:
        first = DEFAULT_GENERATOR if is_here(DEFAULT_GENERATOR) else FALLBACK
        settings = {"profile": settings.get("profile"), "default_generator": first}
    if not source.is_file():
        raise ValueError(f"no experiment {experiment!r}; there are: {', '.join(experiments(root))}")
    profile = str(settings.get("profile") or "quick")
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are: {', '.join(PROFILES)}")
    known = parameters.inspect(source)
    if "results" not in known:
        raise ValueError(f"{experiment}: its cell tagged 'parameters' does not declare `results: str`")
    settings = {key: value for key, value in settings.items() if value not in (None, "")} | {"profile": profile}
    if "options" in settings:
        settings["options"] = _options_line(settings["options"])
    if "generator" in known:
        for key in ("space", "options", "weights"):
            if settings.get(key) and key not in known:
                raise ValueError(f"{experiment}: takes a generator but no {key}; declare `{key}: str` beside it")
    declared = notebook.read(source)["metadata"].get("geomlib", {})
    reads = declared.get("reads", [])
    if not isinstance(reads, list):
        raise ValueError(f"{experiment}: metadata.geomlib.reads: expected a list of names, got {reads!r}")
    of_profile = declared.get(profile, {})
    shared = {key: value for key, value in settings.items() if key in known}
    values = {key: one.default for key, one in known.items()}
    if "generator" in known:
        values["generator"] = default_generator(settings, str(known["generator"].default))
    values |= parameters.check(experiment, known, {**of_profile, **shared, **given})
    if "options" in values and "generator" in values:
        values["options"] = _options_line(values["options"])
    del values["results"]
    injected = {key: value for key, value in values.items() if value != known[key].default}
    named = {key: values[key] for key in SHARED if key in values}
    run = run_of(settings | named, answers)
    settings |= {key: value for key, value in named.items() if key in given}
    return Plan(experiment, values, injected, settings, tuple(reads), run)


def _options_line(options: str | Mapping[str, Any]) -> str:
    """Options in the one form in which equal ones are equal."""
    return options_text(generator_options(options) if isinstance(options, str) else options)


def comparisons(root: Path, profile: str, answers: Answers | None = None) -> list[Plan]:
    """The further runs that the book compares, from `notebooks/runs.json`: each experiment there on each generator.

    A run may name experiments of its own, and parameters of these.

    Raises:
        ValueError: see `make_plan`.
    """
    source = root / "notebooks" / "runs.json"
    if not source.is_file():
        return []
    listed = json.loads(source.read_text(encoding="utf-8"))
    plans = []
    for run in listed["runs"]:
        settings = {key: value for key, value in run.items() if key in SHARED} | {"profile": profile}
        given = {key: value for key, value in run.items() if key not in (*SHARED, "experiments")}
        names = run.get("experiments", listed["experiments"])
        plans += [make_plan(root, name, settings, given, answers) for name in names]
    return plans


def stages(plans: Sequence[Plan]) -> list[list[Plan]]:
    """The plans in groups, each of which reads only what earlier ones leave.

    Raises:
        ValueError: some read each other in a circle.
    """
    left, ordered = list(plans), []
    while left:
        names = {plan.experiment for plan in left}
        ready = [plan for plan in left if not any(map(plan.reads_from, names))]
        if not ready:
            raise ValueError(f"these read each other in a circle: {', '.join(_circle(left))}")
        ordered.append(ready)
        left = [plan for plan in left if plan not in ready]
    return ordered


def _circle(plans: Sequence[Plan]) -> list[str]:
    """Names along a circle among plans, none of which is ready."""
    walked = [plans[0]]
    while True:
        following = next(plan for plan in plans if walked[-1].reads_from(plan.experiment))
        if following in walked:
            return [plan.experiment for plan in walked[walked.index(following) :]]
        walked.append(following)
