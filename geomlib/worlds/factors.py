"""Factors of variation: their ranges, independent samples of them, and their codes in [-1, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib._state import seeded


@dataclass(frozen=True)
class Factor:
    """One factor of variation: its name, range, and whether the range closes to a circle."""

    name: str
    low: float
    high: float
    circular: bool = False


def sample_uniform(factors: Sequence[Factor], count: int, seed: int) -> Tensor:
    """Independent uniform factors `(count, F)`, float32; the first is a kind, an integer from 0 to its `high`."""
    uniform = torch.rand(count, len(factors), generator=seeded(seed), dtype=torch.float64)
    low, high = torch.tensor([(factor.low, factor.high) for factor in factors], dtype=torch.float64).T
    values: Tensor = low + uniform * (high - low)
    values[:, 0] = (uniform[:, 0] * (factors[0].high + 1)).floor()
    return values.float()


def to_code(values: Tensor, factors: Sequence[Factor]) -> Tensor:
    """Each column of `values` `(N, F)` from the range of its factor to [-1, 1]."""
    low, high = values.new_tensor([(factor.low, factor.high) for factor in factors]).T
    code: Tensor = 2.0 * (values - low) / (high - low) - 1.0
    return code


def from_code(code: Tensor, factors: Sequence[Factor]) -> Tensor:
    """Invert `to_code`."""
    low, width = code.new_tensor([(factor.low, factor.high - factor.low) for factor in factors]).T
    values: Tensor = low + (code + 1.0) / 2.0 * width
    return values
