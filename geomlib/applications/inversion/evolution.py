"""Search without gradients, CMA-ES, and BasinCMA, which refines each candidate by Adam."""

import torch
from torch import Tensor

from geomlib.applications.coordinates import Coordinates
from geomlib.applications.evolution import Evolution
from geomlib.applications.inversion.gradient import adam
from geomlib.applications.inversion.problem import Problem


def cma_es(
    problem: Problem, coordinates: Coordinates, start: Tensor, sigma: float, seed: int, population: int | None = None
) -> None:
    """CMA-ES from the best of the latents `start` `(T, R, n)`, with the usual population, to the end of the budget."""
    if not problem.affords(start.shape[1]):
        return
    best = _nearest(problem, start)
    evolution = _evolution(coordinates.coordinates(best.double()), sigma, seed, population or 0)
    while problem.affords(evolution.population):
        points = evolution.ask()
        evolution.tell(points, problem.values(coordinates.latents(points)))


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
    final_rate: float | None = None,
    rebuilt: Coordinates | None = None,
) -> None:
    """BasinCMA (Huh et al. 2020): CMA-ES searches for a start, Adam refines each candidate and the finalists.

    CMA-ES begins at the best of the latents `start` `(T, R, n)`.  Half of the budget searches, the other half refines
    the best `finalists` of all refined candidates.  CMA-ES works on latents, Adam in `coordinates`; a refined candidate
    goes back to CMA-ES as a latent.  `final_rate` is the rate of the second half, by default `learning_rate`.
    `rebuilt` are other coordinates by which that latent is computed, the fault of the published script.
    """
    if not problem.affords(start.shape[1]):
        return
    first = start[:, 0] if start.shape[1] == 1 else _nearest(problem, start)
    evolution = _evolution(first.double(), sigma, seed, population)
    whole, problem.budget = problem.budget, problem.budget // 2
    pool, scores = start[:, :0].double(), torch.zeros(len(start), 0).double()
    while problem.affords(population * inner_steps, population * inner_steps):
        refined, values = adam(problem, coordinates, evolution.ask(), learning_rate, steps=inner_steps)
        if rebuilt is not None:
            refined = rebuilt.latents(coordinates.coordinates(refined))
        evolution.tell(refined, values)
        pool, scores = torch.cat([pool, refined], 1), torch.cat([scores, values], 1)
    problem.budget = whole
    if not pool.shape[1]:
        return
    lowest = scores.argsort(dim=1)[:, :finalists]
    best = pool.gather(1, lowest[..., None].expand(-1, -1, pool.shape[2]))
    adam(problem, coordinates, best, learning_rate if final_rate is None else final_rate)


def _nearest(problem: Problem, start: Tensor) -> Tensor:
    """The best of each target's latents `(T, R, n)`: `(T, n)`."""
    return start[torch.arange(len(start)), problem.values(start).argmin(1)]


def _evolution(starts: Tensor, sigma: float, seed: int, population: int) -> Evolution:
    """One search for each target's start `(T, k)`."""
    return Evolution(starts, sigma, [(seed, target) for target in range(len(starts))], population)
