"""Intervals of statistics over positions, by resampling the positions (percentile bootstrap, Efron 1979)."""

from collections.abc import Callable

import torch
from torch import Tensor


def bootstrap_interval(
    statistic: Callable[[Tensor], Tensor],
    values: Tensor,
    *,
    seed: int,
    count: int = 1000,
    level: float = 0.95,
    pairs: bool = False,
) -> tuple[Tensor, Tensor]:
    """Lower and upper end, float64, of the central `level` of a statistic over `count` resamples of the positions.

    `values` `(P, ...)` has one row a position; `statistic` takes as many rows, drawn with replacement, and returns a
    tensor of any one shape, which is the shape of both ends.

    With `pairs`, `values` `(P, P)` compares positions, and its entries are not independent.  Resampled are positions,
    and `statistic` takes the entries `(m,)` of all ordered pairs of the drawn ones that are different positions; the
    diagonal is never used.  A draw of one position alone has no pair and is drawn again.  For `P` below about ten such
    intervals are too narrow.

    An end is nan where a resample's statistic is.  Raises `ValueError` for fewer than two positions, a matrix of pairs
    that is not square, a `level` outside (0, 1), or a `count` below one.
    """
    size = values.shape[0] if values.ndim else 0
    if size < 2:
        raise ValueError(f"values: expected at least two positions, got shape {tuple(values.shape)}")
    if pairs and values.shape != (size, size):
        raise ValueError(f"values: expected a matrix of pairs (P, P), got shape {tuple(values.shape)}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number in (0, 1), got {level}")
    if count < 1:
        raise ValueError(f"count: expected a positive integer, got {count}")
    random = torch.Generator().manual_seed(seed)
    draws = [statistic(_resample(values, random, pairs)).detach().to("cpu", torch.float64) for _ in range(count)]
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.quantile(torch.stack(draws), ends, dim=0)
    return low, high


def _resample(values: Tensor, random: torch.Generator, pairs: bool) -> Tensor:
    chosen = torch.randint(len(values), (len(values),), generator=random)
    if not pairs:
        return values[chosen]
    while (chosen == chosen[0]).all():
        chosen = torch.randint(len(values), (len(values),), generator=random)
    return values[chosen[:, None], chosen][chosen[:, None] != chosen]
