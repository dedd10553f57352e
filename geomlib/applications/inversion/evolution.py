"""Search without gradients, CMA-ES, and BasinCMA, which refines each candidate by Adam."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geomlib.applications.coordinates import Coordinates
from geomlib.applications.inversion.gradient import adam
from geomlib.applications.inversion.problem import Problem


def _strategies(points: Tensor, sigma: float, seed: int, population: int | None) -> list[Any]:
    """One CMA-ES (Hansen 2016, by pycma) for each row `(T, k)`, each with random numbers of its own."""
    import cma

    def normal(index: int) -> Any:
        random = np.random.default_rng([seed, index])
        return lambda *shape: random.standard_normal(shape)

    size = {} if population is None else {"popsize": population}
    quiet = {"verbose": -9, "seed": np.nan}  # nan: the global random numbers are left alone
    return [
        cma.CMAEvolutionStrategy(row.numpy(), sigma, {**quiet, **size, "randn": normal(index)})
        for index, row in enumerate(points)
    ]


def _asked(strategies: list[Any]) -> Tensor:
    return torch.from_numpy(np.stack([np.stack(one.ask()) for one in strategies]))


def _tell(strategies: list[Any], points: Tensor, values: Tensor) -> None:
    import cma

    with warnings.catch_warnings():
        # Refined candidates are not those that were asked for.
        warnings.simplefilter("ignore", cma.evolution_strategy.InjectionWarning)
        for one, rows, found in zip(strategies, points, values, strict=True):
            one.tell(list(rows.numpy()), found.tolist())


def cma_es(
    problem: Problem, coordinates: Coordinates, start: Tensor, sigma: float, seed: int, population: int | None = None
) -> None:
    """CMA-ES from the best of the latents `start` `(T, R, n)`, with the usual population, to the end of the budget."""
    if not problem.affords(start.shape[1]):
        return
    values = problem.values(start)
    best = start[torch.arange(len(start)), values.argmin(1)]
    strategies = _strategies(coordinates.coordinates(best.double()), sigma, seed, population)
    while problem.affords(strategies[0].popsize):
        points = _asked(strategies)
        _tell(strategies, points, problem.values(coordinates.latents(points)))


def basin_cma(
    problem: Problem,
    coordinates: Coordinates,
    start: Tensor,
    learning_rate: float,
    sigma: float,
    seed: int,
    population: int,
    inner_steps: int,
    finalists: int,
    rebuilt: Coordinates | None = None,
) -> None:
    """BasinCMA (Huh et al. 2020): CMA-ES searches for a start, Adam refines each candidate and the finalists.

    Half of the budget searches, the other half refines the best `finalists` of all refined candidates.  CMA-ES works on
    latents, Adam in `coordinates`; a refined candidate goes back to CMA-ES as a latent.  `rebuilt` are other
    coordinates by which that latent is computed, the fault of the published script.
    """
    strategies = _strategies(start[:, 0].double(), sigma, seed, population)
    whole, problem.budget = problem.budget, problem.budget // 2
    pool, scores = start[:, :0].double(), torch.zeros(len(start), 0).double()
    while problem.affords(population * inner_steps, population * inner_steps):
        points = _asked(strategies)
        refined, values = adam(problem, coordinates, points, learning_rate, steps=inner_steps)
        if rebuilt is not None:
            refined = rebuilt.latents(coordinates.coordinates(refined))
        _tell(strategies, refined, values)
        pool, scores = torch.cat([pool, refined], 1), torch.cat([scores, values], 1)
    problem.budget = whole
    if not pool.shape[1]:
        return
    first = scores.argsort(dim=1)[:, :finalists]
    chosen = pool.gather(1, first[..., None].expand(-1, -1, pool.shape[2]))
    adam(problem, coordinates, chosen, learning_rate)
