"""A value between the two ends of its interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_returned
from geomlib.homogeneity import bootstrap_interval


class Interval(NamedTuple):
    """A value with the two ends of its interval, 95 % unless said; ``f"{interval:.2f}"`` is ``0.67 (0.64 to 0.71)``."""

    value: float
    low: float
    high: float

    @classmethod
    @checked(gaps=("values",))
    def bootstrap(
        cls, statistic: Callable[[Tensor], Tensor], values: Tensor, *, seed: int, **options: Any
    ) -> "Interval":
        """A statistic with its bootstrap interval over the rows of `values`; see `bootstrap_interval`."""

        def one(rows: Tensor) -> Tensor:
            value = statistic(rows)
            check_returned("statistic", value)
            return value[None]

        return cls.several(one, values, seed=seed, **options)[0]

    @classmethod
    @checked(gaps=("values",))
    def several(
        cls, statistic: Callable[[Tensor], Tensor], values: Tensor, *, seed: int, **options: Any
    ) -> list["Interval"]:
        """One interval for each entry of a statistic `(k,)`, all from the same resamples.

        Raises:
            ValueError: a statistic of another shape; and as `bootstrap_interval`.
        """
        kept = values[~torch.eye(len(values), dtype=torch.bool)] if options.get("pairs") else values
        ends = bootstrap_interval(statistic, values, seed=seed, **options)
        if ends[0].ndim != 1:
            raise ValueError(f"statistic: expected a function to shape (k,), got {tuple(ends[0].shape)} from it")
        return [cls(*map(float, entry)) for entry in zip(statistic(kept), *ends, strict=True)]

    @checked()
    def apart_from(self, others: Sequence["Interval"]) -> "Interval":
        """How far the value lies above others, on the strict side: each end against the other end of all of them.

        The value is the difference from their mean.  Wider than the interval of a difference would be.

        Raises:
            ValueError: no others.
        """
        if not len(others):
            raise ValueError("others: expected at least one interval, got none")
        mean = sum(other.value for other in others) / len(others)
        low, high = (edge(other[end] for other in others) for edge, end in ((max, 2), (min, 1)))
        return Interval(self.value - mean, self.low - low, self.high - high)

    def __format__(self, spec: str) -> str:
        value, low, high = (format(number, spec or ".3g") for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"

    def __str__(self) -> str:
        return format(self, "")


@checked()
def listed(values: Mapping[str, Any], form: str = "{} {:.2f}") -> str:
    """Names with their values as one phrase, for a caption; `form` takes name and value.

    Raises:
        ValueError: a form that does not fit name and value.
    """
    try:
        return ", ".join(form.format(name, value) for name, value in values.items())
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"values: they do not fit form: {form!r}: {error}") from error
