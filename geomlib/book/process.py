"""Executes one plan in a process of its own: its results appear whole or not at all."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from geomlib._files import METRICS, name_beside, put_in_place, sha256
from geomlib.book import notebook, provenance
from geomlib.book.kernels import Kernels, Process
from geomlib.book.plan import Plan
from geomlib.findings.results import PROGRESS_FILE

Say = Callable[[str], None]
KEPT = ("results", "metrics")  # where the metrics lie that all notebooks share, unless the environment says otherwise
# Jupyter looks for free ports and its kernel binds them a moment later; on a busy machine one can be gone by then.
TRIES, _PORT_TAKEN = 3, "Address already in use"
PATIENCE = 5  # seconds that a process has to end when it is told to


class NotebookError(RuntimeError):
    """A notebook failed; the message shows the cell and the error."""


class StoppedError(RuntimeError):
    """A notebook was ended because it was asked for."""


def execute(root: Path, plan: Plan, kernels: Kernels, say: Say, stop: threading.Event | None = None) -> float:
    """Run one notebook into a folder beside the final one and swap it in; returns seconds.

    When `stop` is set its process ends, and what it has written goes.

    Raises:
        StoppedError: `stop` was set.
        NotebookError: it failed; earlier results are as they were.
    """
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    fingerprint, sources = plan.fingerprint(), plan.sources()  # before the run: what is edited meanwhile counts as new
    with tempfile.TemporaryDirectory() as scratch, _staging(plan.folder) as staging:
        request: dict[str, Any] = {
            "notebook": str(root / plan.source),
            "output": str(Path(scratch) / "executed.ipynb"),
            "record": str(Path(scratch) / "record.json"),
            "parameters": plan.injected | {"results": staging.as_posix()},
            "root": str(root),
        }

        def tell(text: str) -> None:
            say(f"{plan.label}:   {text}")

        output, record_file = Path(request["output"]), Path(request["record"])
        for _ in range(TRIES):
            log = _in_own_process(request, Path(scratch), kernels, tell, stop or threading.Event())
            if record_file.is_file() or _PORT_TAKEN not in log:
                break
        if not record_file.is_file():
            raise NotebookError(f"{plan.label}: its process ended without a result\n{log[-3000:]}")
        record = json.loads(record_file.read_text(encoding="utf-8"))
        executed = notebook.read(output)
        failures = [one for one in notebook.errors(executed) if one[2]["ename"] != notebook.NOT_APPLICABLE]
        if failures or (record.pop("failed") and not notebook.errors(executed, on_purpose=True)):
            kept = Path("results/.failed") / plan.source.name
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(output, kept)
            shown = [notebook.describe(plan.experiment, *one) for one in failures[:1]] or [log[-3000:]]
            raise NotebookError(f"{shown[0]}\n\n  the notebook as it stopped: {kept}")
        here = json.dumps(str(root) + os.sep)[1:-1]
        paths = {staging.as_posix(): plan.folder.as_posix(), here: ""}
        text = notebook.normalise(executed, plan.experiment, paths)
        (staging / plan.source.name).write_text(text, encoding="utf-8", newline="\n")
        manifest = _manifest(root, plan, kernels.threads, record) | {"fingerprint": fingerprint, "sources": sources}
        manifest["files"] = {path.name: sha256(path) for path in sorted(staging.iterdir())}
        (staging / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return float(record["seconds"])


@contextlib.contextmanager
def _staging(final: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``final`` when the block ends well, and vanishes when it does not."""
    staging = name_beside(final)
    staging.mkdir()
    try:
        yield staging
        put_in_place(staging, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _in_own_process(request: dict[str, Any], scratch: Path, kernels: Kernels, say: Say, stop: threading.Event) -> str:
    """Execute a request, passing on the notebook's progress; returns what the process printed."""
    request_file, log, progress = scratch / "request.json", scratch / "log", scratch / "progress"
    request_file.write_text(json.dumps(request), encoding="utf-8")
    environment = os.environ | {
        PROGRESS_FILE: str(progress),
        METRICS: os.environ.get(METRICS) or str(Path(request["root"], *KEPT)),
        "IPYTHONDIR": str(scratch / "ipython"),  # no one's start-up files
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one that a user registered
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning that would land in the notebook
    }
    shown, last = "", 0.0

    def tell() -> None:
        nonlocal shown, last
        text = progress.read_text(encoding="utf-8") if progress.is_file() else ""
        if text and text != shown and time.monotonic() - last > 5:
            shown, last = text, time.monotonic()
            say(text)

    try:
        process = kernels.begin(request_file, log, environment, request["root"])
    except ChildProcessError as error:
        raise NotebookError(str(error)) from error
    attend(process, stop, tell)
    return log.read_text(encoding="utf-8", errors="replace")


def attend(process: Process, stop: threading.Event, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until a process ends, and end it when `stop` is set or whatever else happens here.

    Raises:
        StoppedError: `stop` was set.
    """
    try:
        while process.poll() is None:
            if stop.wait(0.1):
                raise StoppedError("ended before it was done")
            meanwhile()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _manifest(root: Path, plan: Plan, threads: int, record: dict[str, Any]) -> dict[str, Any]:
    import torch

    revision, dirty = provenance.commit(root)
    processor, device = provenance.processor(), plan.parameters.get("device", "cpu")
    return record | {
        "experiment": plan.experiment,
        "run": plan.run.name,
        "about": dataclasses.asdict(plan.run),
        "parameters": plan.parameters,
        "seed": plan.parameters.get("seed"),
        "commit": revision,
        "dirty": dirty,
        "versions": provenance.versions(),
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else processor,
    }
