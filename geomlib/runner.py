"""Runs experiments: notebooks with parameters, executed by papermill, whose results appear whole or not at all.

A run is a folder ``results/<generator>--<space>--<distance>--<profile>/<experiment>/`` with the executed notebook, its
figures, ``summary.json``, ``arrays.npz`` and ``manifest.json``. What is stale is decided by content: see
`Plan.fingerprint`.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomlib import notebook, parameters, provenance
from geomlib.results import PROGRESS_FILE

SHARED = ("generator", "space", "weights", "distance", "device", "seed", "profile")
PROFILES = ("quick", "paper", "smallest")
NOT_NUMERICS = ("runner.py", "cli.py", "book.py", "execute.py")
Say = Callable[[str], None]


class NotebookError(RuntimeError):
    """A notebook failed; the message shows the cell and the error."""


@dataclass(frozen=True)
class Plan:
    """One notebook with all its parameters, and where its results go (both paths relative to the project)."""

    experiment: str
    given: dict[str, Any]  # what differs from the notebook's own defaults
    parameters: dict[str, Any]  # all but `results`
    settings: dict[str, Any]  # the shared ones, whether or not the notebook has them
    folder: Path

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
        parts += [json.dumps(part, sort_keys=True) for part in (self.parameters, self.sources(), provenance.versions())]
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


def find_project(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` that has ``notebooks/`` and ``_config.yml``.

    Raises:
        FileNotFoundError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(f"no project at or above {here}: expected a folder with notebooks/ and _config.yml")


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


def run(
    names: Sequence[str],
    *,
    root: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    force: bool = False,
    say: Say = print,
) -> list[Path]:
    """Run those of the named experiments that are stale, one after the other; returns their folders.

    Args:
        names: names of notebooks.
        root: the project; default: the one around the working directory. Paths in parameters are relative to it.
        settings: see `make_plan`.
        given: see `make_plan`.
        force: run also what is not stale.
        say: takes one line at the start and the end of each notebook, and some between.

    Raises:
        ValueError: see `make_plan`; nothing has run then.
        FileNotFoundError: a file that the parameters name.
        NotebookError: a notebook failed; earlier results are as they were.
    """
    root = root or find_project()
    with contextlib.chdir(root):
        plans = [make_plan(root, name, settings or {}, given or {}) for name in names]
        current = [plan.is_current() and not force for plan in plans]
        for plan, skip in zip(plans, current, strict=True):
            if skip:
                say(f"{plan.experiment}: unchanged")
            else:
                say(f"{plan.experiment}: running")
                seconds = _execute(root, plan, say)
                say(f"{plan.experiment}: done in {seconds:.1f} s")
    return [root / plan.folder for plan in plans]


def _execute(root: Path, plan: Plan, say: Say) -> float:
    """Run one notebook into a folder beside the final one and swap it in; returns seconds."""
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    fingerprint, sources = plan.fingerprint(), plan.sources()  # before the run: what is edited meanwhile counts as new
    with tempfile.TemporaryDirectory() as scratch, _staging(plan.folder) as staging:
        request: dict[str, Any] = {
            "notebook": str(root / plan.source),
            "output": str(Path(scratch) / "executed.ipynb"),
            "record": str(Path(scratch) / "record.json"),
            "parameters": plan.given | {"results": staging.as_posix()},
            "root": str(root),
        }
        log = _in_own_process(request, Path(scratch), plan.experiment, say)
        output, record_file = Path(request["output"]), Path(request["record"])
        if not record_file.is_file():
            raise NotebookError(f"{plan.experiment}: its process ended without a result\n{log[-3000:]}")
        record = json.loads(record_file.read_text(encoding="utf-8"))
        executed = notebook.read(output)
        failures = [one for one in notebook.errors(executed) if one[2]["ename"] != notebook.NOT_APPLICABLE]
        if failures or (record.pop("failed") and not notebook.errors(executed)):
            kept = Path("results/.failed") / plan.source.name
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(output, kept)
            shown = [notebook.describe(plan.experiment, *one) for one in failures[:1]] or [log[-3000:]]
            raise NotebookError(f"{shown[0]}\n\n  the notebook as it stopped: {kept}")
        here = json.dumps(str(root) + os.sep)[1:-1]
        paths = {staging.as_posix(): plan.folder.as_posix(), here: ""}
        text = notebook.normalise(executed, plan.experiment, paths)
        (staging / plan.source.name).write_text(text, encoding="utf-8", newline="\n")
        manifest = _manifest(root, plan, record) | {"fingerprint": fingerprint, "sources": sources}
        manifest["files"] = {path.name: provenance.sha256(path) for path in sorted(staging.iterdir())}
        (staging / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return float(record["seconds"])


@contextlib.contextmanager
def _staging(final: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``final`` when the block ends well, and vanishes when it does not."""
    staging = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    staging.chmod(0o755)
    try:
        yield staging
        earlier = staging.with_name(staging.name + "-earlier")
        if final.exists():
            final.rename(earlier)
        staging.rename(final)
        shutil.rmtree(earlier, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _in_own_process(request: dict[str, Any], scratch: Path, experiment: str, say: Say) -> str:
    """Execute a request, passing on the notebook's progress; returns what the process printed."""
    request_file, log, progress = scratch / "request.json", scratch / "log", scratch / "progress"
    request_file.write_text(json.dumps(request), encoding="utf-8")
    environment = os.environ | {
        PROGRESS_FILE: str(progress),
        "IPYTHONDIR": str(scratch / "ipython"),  # no one's start-up files
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one that a user registered
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning that would land in the notebook
        "PYTHONHASHSEED": "0",
    }
    with log.open("wb") as stream:
        command = [sys.executable, "-P", str(provenance.PACKAGE / "execute.py"), str(request_file)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, cwd=request["root"])
        told, last = "", 0.0
        try:
            while process.poll() is None:
                time.sleep(0.1)
                text = progress.read_text(encoding="utf-8") if progress.is_file() else ""
                if text and text != told and time.monotonic() - last > 5:
                    told, last = text, time.monotonic()
                    say(f"{experiment}:   {text}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return log.read_text(encoding="utf-8", errors="replace")


def _manifest(root: Path, plan: Plan, record: dict[str, Any]) -> dict[str, Any]:
    import torch

    revision, dirty = provenance.commit(root)
    processor, device = provenance.processor(), plan.parameters.get("device", "cpu")
    return record | {
        "experiment": plan.experiment,
        "run": plan.folder.parent.name,
        "parameters": plan.parameters,
        "seed": plan.parameters.get("seed"),
        "commit": revision,
        "dirty": dirty,
        "versions": provenance.versions(),
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else processor,
    }
