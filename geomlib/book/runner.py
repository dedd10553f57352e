"""Runs experiments: notebooks with parameters, executed by papermill, several at a time.

A run is a folder ``results/<run>/<experiment>/`` (see `run.Run.name`) with the executed notebook, its figures,
``summary.json``, ``arrays.npz`` and ``manifest.json``. What is stale is decided by content: see `Plan.fingerprint`.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from geomlib.book.kernels import Kernels
from geomlib.book.plan import PROFILES, SHARED, Plan, experiments, make_plan, stages
from geomlib.book.process import NotebookError, Say, execute
from geomlib.book.run import Answers

__all__ = [
    "PROFILES",
    "SHARED",
    "NotebookError",
    "Plan",
    "Say",
    "experiments",
    "find_project",
    "make_plan",
    "run",
    "run_plans",
]


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


def run(
    names: Sequence[str],
    *,
    root: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    force: bool = False,
    threads: int = 1,
    kernels: Kernels | None = None,
    say: Say = print,
) -> list[Path]:
    """Run those of the named experiments that are stale; returns their folders. See `run_plans`.

    Args:
        names: names of notebooks.
        root: the project; default: the one around the working directory. Paths in parameters are relative to it.
        settings: see `make_plan`.
        given: see `make_plan`.
        force: run also what is not stale.
        threads: see `run_plans`.
        kernels: see `run_plans`.
        say: takes one line at the start and the end of each notebook, and some between.

    Raises:
        ValueError: see `make_plan` and `run_plans`; nothing has run then.
        FileNotFoundError: a file that the parameters name.
        NotebookError: a notebook failed; earlier results are as they were.
    """
    root = root or find_project()
    with contextlib.chdir(root):
        answers: Answers = {}
        plans = [make_plan(root, name, settings or {}, given or {}, answers) for name in names]
    return run_plans(root, plans, force=force, threads=threads, kernels=kernels, say=say)


def run_plans(
    root: Path,
    plans: Sequence[Plan],
    *,
    force: bool = False,
    threads: int = 1,
    kernels: Kernels | None = None,
    say: Say = print,
    finished: Callable[[Path], None] = lambda folder: None,
) -> list[Path]:
    """Run the stale ones of several plans, as many at a time as there are cores for; returns their folders.

    Each notebook computes with `threads` threads whatever runs beside it, so that its numbers do not depend on that; on
    a GPU one notebook runs at a time. Notebooks that read the results of others come after these. Of plans with one
    folder the first counts. `finished` is told the folder of each plan whose results are there, as soon as they are.
    With `kernels` that are open the notebooks begin there, with the threads of those, and they stay open.

    Raises:
        ValueError: notebooks that read each other in a circle; nothing has run then.
        FileNotFoundError: a file that the parameters name.
        NotebookError: a notebook failed; none is started after it.
    """
    if threads < 1:
        raise ValueError(f"threads: expected a positive integer, got {threads}")
    once = {plan.folder: plan for plan in reversed(plans)}
    with contextlib.chdir(root), contextlib.nullcontext(kernels) if kernels else Kernels(threads) as opened:
        for stage in stages([once[folder] for folder in dict.fromkeys(plan.folder for plan in plans)]):
            current = [plan.is_current() and not force for plan in stage]
            for plan, skip in zip(stage, current, strict=True):
                if skip:
                    say(f"{plan.label}: unchanged")
                    finished(plan.folder)
            stale = [plan for plan, skip in zip(stage, current, strict=True) if not skip]
            on_processor = all(str(plan.parameters.get("device", "cpu")) == "cpu" for plan in stale)
            at_once = (os.cpu_count() or 1) // opened.threads if on_processor else 1
            _run_stage(root, stale, opened, at_once, say, finished)
    return [root / plan.folder for plan in plans]


def _run_stage(
    root: Path,
    plans: Sequence[Plan],
    kernels: Kernels,
    at_once: int,
    say: Say,
    finished: Callable[[Path], None],
) -> None:
    if plans:  # the list of fonts is made here where it is missing: in a notebook, its warning would stand on the page
        import matplotlib.font_manager  # noqa: F401

    def one(plan: Plan) -> None:
        say(f"{plan.label}: running")
        say(f"{plan.label}: done in {execute(root, plan, kernels, say, stop):.1f} s")
        finished(plan.folder)

    stop = threading.Event()
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        started = [pool.submit(one, plan) for plan in plans]
        try:
            done, waiting = wait(started, return_when=FIRST_EXCEPTION)
        except BaseException:  # Ctrl-C, SIGTERM: nothing begins any more, what runs ends
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        for future in waiting:
            future.cancel()
        for future in done:
            future.result()
