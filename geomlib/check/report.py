"""Is a generator fit for its metric tensor?  A list of trials, each with what was found and what to do about it.

The metric tensor needs a generator that is deterministic, treats each sample alone, and is differentiable from the
latent to the image; the paper takes all three for granted (Wang & Ponce 2021, section 2).
"""

import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from geomlib._arguments import checked
from geomlib._checks import as_count
from geomlib._progress import Progress
from geomlib._state import isolated, seed_torch
from geomlib.check import derivative as derivatives
from geomlib.check import output as trials
from geomlib.check.errors import blame, one_line
from geomlib.check.output import Trial, Verdict
from geomlib.distances import Distance
from geomlib.generators.interface import Generator


@dataclass(frozen=True)
class Row:
    """One check: `passed` is True, False or, for a note, None; `advice` says what to do and may be empty."""

    name: str
    passed: bool | None
    finding: str
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """What `check_generator` found: `rows` in the order of the checks; `str(report)` is a table for a terminal."""

    title: str
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each check that failed."""
        return tuple(f"{row.name}: {row.finding}" for row in self.rows if row.passed is False)

    @checked()
    def table(self, width: int = 110) -> str:
        """The rows in aligned columns of at most `width` characters, with advice where there is some."""
        as_count("width", width)
        names = max(len(row.name) for row in self.rows)
        marks = {True: "ok", False: "FAIL", None: "note"}
        lines = [self.title]
        for row in self.rows:
            start, indent = f"{marks[row.passed]:4}  {row.name:{names}}  ", " " * (8 + names)
            lines += textwrap.wrap(row.finding, width, initial_indent=start, subsequent_indent=indent)
            lines += textwrap.wrap(row.advice, width, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   ")
        count = len(self.problems)
        return "\n".join([*lines, "No problem found." if self.ok else f"{count} problem{'s' * (count > 1)} found."])

    def __str__(self) -> str:
        return self.table()


TRIALS: dict[str, tuple[Callable[[Trial], Verdict], tuple[str, ...]]] = {  # each with the trials that it needs
    "latents": (trials.try_latents, ()),
    "training mode": (trials.try_training_mode, ()),
    "output shape": (trials.try_shape, ("latents",)),
    "finite values": (trials.try_finite, ("output shape",)),
    "output range": (trials.try_range, ("finite values",)),
    "determinism": (trials.try_determinism, ("finite values",)),
    "batch of one": (trials.try_batch, ("determinism",)),
    "state unchanged": (trials.try_unchanged, ("output shape",)),
    "gradient": (derivatives.try_gradient, ("finite values",)),
    "samples independent": (derivatives.try_independent, ("gradient",)),
    "distance": (trials.try_distance, ("finite values",)),
    "route": (derivatives.try_route, ("gradient", "determinism", "distance")),
    "derivative": (derivatives.try_derivative, ("route",)),
    "cost": (derivatives.try_cost, ("route",)),
}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Neither Python's warnings nor the package's: the table says what they would."""
    logger = logging.getLogger("geomlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@isolated()
def check_generator(
    generator: Generator,
    distance: Distance | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Try whether a generator is fit for its metric tensor, at two latents.

    Tried are shape, finite values and range of the output, determinism, batches, the module's own state, the
    derivative and how it is obtained, seconds and memory.  What the generator raises is a finding, and is not raised.

    >>> import geomlib
    >>> report = geomlib.check_generator(geomlib.load_generator("torus"), geomlib.load_distance("mse"))
    >>> report.ok
    True
    >>> report.rows[0]
    Row(name='latents', passed=True, finding='2 coordinates, the same for a seed.', advice='')

    Args:
        generator: what is tried.
        distance: image distance under whose features derivatives are taken; None: those of the image itself.
        seed: of the latents.
        progress: called with the checks done and all checks, after each.

    Returns:
        A row for each check; `ok` where none failed.

    Raises:
        TypeError: `generator` is no `Generator`.
    """
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a geomlib.Generator, got {type(generator).__name__}")
    trial, rows, stopped = Trial(generator, distance, seed), list[Row](), set[str]()
    if generator.about:
        rows.append(Row("file", True, generator.about))
    devices = [generator.device] if generator.device.type == "cuda" else []
    # A layer that draws from the global random numbers must neither disturb the caller's nor depend on them.
    with torch.random.fork_rng(devices), torch.enable_grad(), _without_warnings():
        seed_torch(seed, generator.device)
        for name, (check, needs) in TRIALS.items():
            missing = [need for need in needs if need in stopped]
            try:
                row = Row(name, None, f"Not tried: it needs '{missing[0]}'.") if missing else Row(name, *check(trial))
            except FloatingPointError as error:
                row = Row(name, False, one_line(error), "Look at the weights and at divisions and roots near zero.")
            except Exception as error:  # whatever a stranger's network raises is what was found
                row = Row(name, False, f"{type(error).__name__}: {blame(error, trial.modules())}.")
            rows.append(row)
            if row.passed is False or missing:
                stopped.add(name)
            if progress:
                progress(len(rows) - bool(generator.about), len(TRIALS))
    title = f"{generator.name}: {generator.latent_dim} latents, {generator.dtype}, {generator.device}"
    return Report(title, tuple(rows))
