"""Paired comparisons: the same units under two conditions."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_finite
from geomlib.findings.intervals import Interval


class Paired(NamedTuple):
    """Result of `paired_test`: the mean difference with its 95 % interval, Student's `t`, and two p-values.

    `p` is that of the paired t test, `p_ranks` that of Wilcoxon's signed-rank test (1945); both are two-sided.
    """

    difference: Interval
    t: float
    p: float
    p_ranks: float

    @property
    def ratio(self) -> Interval:
        """Of geometric means, where the values are logarithms: `exp` of the difference."""
        return Interval(*map(math.exp, self.difference))


@checked(shapes={"values": "any P", "others": "any P"})
def paired_test(values: Tensor, others: Tensor, *, seed: int) -> Paired:
    """Whether `values` `(P,)` differ from `others` `(P,)` of the same units; the interval resamples units.

    Where no unit differs, `t` is 0 and both p-values are 1.

    Raises:
        ValueError: fewer than two units, or another number of them on each side.
        FloatingPointError: differences that are too large.
    """
    from scipy import stats  # takes a second to import

    gaps = values.detach().cpu().double() - others.detach().cpu().double()
    difference = Interval.bootstrap(torch.mean, gaps, seed=seed)
    if not gaps.any():
        return Paired(difference, 0.0, 1.0, 1.0)
    check_finite("sum of the squared differences of values and others", gaps.square().sum())
    t, ranks = stats.ttest_1samp(gaps.numpy(), 0), stats.wilcoxon(gaps.numpy())
    return Paired(difference, float(t.statistic), float(t.pvalue), float(ranks.pvalue))
