"""Claims: what the paper says, what a run finds, and what follows, in one set of words.

The words are the same on every page.  Until the rules of evidence stand in a file of their own, `verdict` is where
those of today are applied.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geomlib.generators.known import EMBEDDED
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED
from geomlib.homogeneity import bootstrap_interval

WORDS = {
    "same direction": "the interval lies on the claimed side, or a rule without an interval is met",
    "contradicted": "the interval lies on the other side",
    "undecided": "the interval holds both, or a rule without an interval is not met",
    "not comparable": "no control, another quantity, or fewer than ten units",
    "not run": "nothing was computed",
    "tested": "an identity: the test that holds it is named",
    "not yet judged": "today's rule is passed by most control networks: a network of others waits for a better one",
}


class Interval(NamedTuple):
    """A value with the two ends of its interval, 95 % unless said; ``f"{interval:.2f}"`` is ``0.67 (0.64 to 0.71)``."""

    value: float
    low: float
    high: float

    @classmethod
    def bootstrap(
        cls, statistic: Callable[[Tensor], Tensor], values: Tensor, *, seed: int, **options: Any
    ) -> "Interval":
        """A statistic with its bootstrap interval over the rows of `values`; see `bootstrap_interval`."""
        return cls.several(lambda rows: statistic(rows)[None], values, seed=seed, **options)[0]

    @classmethod
    def several(
        cls, statistic: Callable[[Tensor], Tensor], values: Tensor, *, seed: int, **options: Any
    ) -> list["Interval"]:
        """One interval for each entry of a statistic `(k,)`, all from the same resamples."""
        kept = values[~torch.eye(len(values), dtype=torch.bool)] if options.get("pairs") else values
        ends = bootstrap_interval(statistic, values, seed=seed, **options)
        return [cls(*map(float, entry)) for entry in zip(statistic(kept), *ends, strict=True)]

    def __format__(self, spec: str) -> str:
        value, low, high = (format(number, spec or ".3g") for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"

    def __str__(self) -> str:
        return format(self, "")


def verdict(
    holds: bool | None = None, *, ours: Any = None, above: float | None = None, below: float | None = None
) -> str:
    """The word for a claim: by an interval and the side that it should lie on, or by a rule that holds or does not.

    `above` and `below` are the values on the other side of which the claim is contradicted; `holds=None`, and neither
    of them, is not comparable.

    Raises:
        TypeError: a side without an `Interval`.
    """
    if above is None and below is None:
        return "not comparable" if holds is None else "same direction" if holds else "undecided"
    if not isinstance(ours, Interval):
        raise TypeError(f"ours: expected an Interval beside above or below, got {type(ours).__name__}")
    low, high = (ours.low, ours.high) if above is not None else (-ours.high, -ours.low)
    bound = above if above is not None else -(below or 0.0)
    return "same direction" if low > bound else "contradicted" if high < bound else "undecided"


def kind_of(name: str) -> str:
    """Whose network a generator is: "of others" (packaged or published), "own" (embedded), or "yours"."""
    return "of others" if name in {*PACKAGED, *PUBLISHED} else "own" if name in EMBEDDED else "yours"
