"""What a search reaches at which cost: rows of traces within a budget, and the costs of two methods to one mark."""

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib.applications.inversion.problem import Trace


@checked(shapes={"calls": "any L"})
def rows_within(trace: Trace, calls: Tensor) -> Tensor:
    """Indices `(L,)` of the last row of a trace within each number of `calls` `(L,)`; 0 where there is none."""
    rows: Tensor = torch.searchsorted(trace.calls().to(calls), calls, right=True) - 1
    return rows.clamp(min=0)


@checked(shapes={"costs": "any K", "values": "K T", "other_costs": "any L", "others": "L T"})
def cost_ratio(costs: Tensor, values: Tensor, other_costs: Tensor, others: Tensor) -> Tensor:
    """How many times the cost of another method the first one needs to its own last median: above one, the other saves.

    `values` `(K, T)` of `T` targets are those after `costs` `(K,)`, ascending; so for the other method, of any length.
    The mark is the first method's last median over targets.  The ratio is 0 where the other never comes there.

    Raises:
        ValueError: another number of costs than of rows, or of targets on each side.
    """
    for name, some, rows in (("costs, values", costs, values), ("other_costs, others", other_costs, others)):
        if rows.ndim != 2 or some.shape != rows.shape[:1] or rows.shape[1] != values.shape[1]:
            expected = f"(K,) beside (K, {values.shape[-1]}), as many targets as values have"
            raise ValueError(f"{name}: expected {expected}, got {tuple(some.shape)} and {tuple(rows.shape)}")
    medians, lower = (
        (rows if rows.dtype == torch.float64 else rows.float()).quantile(0.5, dim=1) for rows in (values, others)
    )
    there = lower <= medians[-1]
    if not there.any():
        return torch.zeros((), dtype=torch.float64)
    first = (medians <= medians[-1]).int().argmax()
    return costs[first].double().clamp(min=1) / other_costs[there.int().argmax()].double().clamp(min=1)
