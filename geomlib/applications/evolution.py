"""CMA-ES (Hansen 2016) by its author's package, with its own constants: several searches side by side."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Seed = int | Sequence[int]


class Evolution:
    """One search for a minimum from each row of `starts` `(R, k)`, silent, without files, each with its own `seeds`."""

    def __init__(self, starts: Tensor, sigma: float, seeds: Sequence[Seed], population: int = 0) -> None:
        """`sigma` is the first deviation; `population=0` is pycma's `4 + ⌊3 ln k⌋`.

        Raises:
            ValueError: a negative seed.
        """
        import cma

        for seed in np.hstack(seeds):
            if seed < 0:
                raise ValueError(f"seed: expected an integer of 0 or more, got {seed}")
        # nan: pycma's own seed is that of numpy's global random numbers
        options = {"verbose": -9, "verb_log": 0, "seed": math.nan} | ({"popsize": population} if population else {})
        self._searches = [
            cma.CMAEvolutionStrategy(start.numpy(), sigma, options | {"randn": _normal(seed)})
            for start, seed in zip(starts, seeds, strict=True)
        ]
        self.population: int = self._searches[0].popsize

    @property
    def means(self) -> Tensor:
        """Means of the distributions `(R, k)`, float64."""
        return torch.from_numpy(np.stack([search.mean for search in self._searches]))

    def ask(self) -> Tensor:
        """The next candidates `(R, population, k)`, float64."""
        return torch.from_numpy(np.stack([np.stack(search.ask()) for search in self._searches]))

    def tell(self, candidates: Tensor, values: Tensor) -> None:
        """Go on from `values` `(R, population)`, small ones better, of candidates that need not be those asked for."""
        import cma

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cma.evolution_strategy.InjectionWarning)
            for search, points, costs in zip(self._searches, candidates, values, strict=True):
                search.tell(list(points.numpy()), costs.tolist())


def _normal(seed: Seed) -> Callable[..., Any]:
    random = np.random.default_rng(seed)
    return lambda *shape: random.standard_normal(shape)
