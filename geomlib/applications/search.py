"""Search without gradients: CMA-ES in coordinates of one's choice, and units of networks that it drives.

Wang & Ponce 2021, Figure 5.  The optimiser is pycma, with its own constants; the authors' Cholesky variant has others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geomlib._checks import as_count, check_choice, check_finite, check_returned
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.applications.coordinates import Coordinates
from geomlib.applications.evolution import Evolution
from geomlib.generators.interface import Generator
from geomlib.layers import captured

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Search:
    """The result of `maximise`, on the CPU; without the leading `R` for a single start.

    `best` `(R, n)` is the best latent of all that were scored, `best_score` `(R)` its score, and `scores`
    `(R, generations, population)` are all of them.  `means` `(R, generations + 1, n)` lead from the start to the mean
    of the distribution after the last generation.  `calls` is the number of latents scored for each start.
    """

    best: Tensor
    best_score: Tensor
    scores: Tensor
    means: Tensor
    calls: int


@isolated(shapes={"start": "m | R m"})
def maximise(
    score: Score,
    coordinates: Coordinates,
    start: Tensor,
    *,
    sigma: float,
    generations: int,
    population: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Search:
    """Maximise `score` by CMA-ES from a latent `start` `(n,)`, or from `R` of them `(R, n)` side by side.

    `R` searches cost one forward pass a generation, and each may have a score of its own.  Each makes
    `generations × population` calls, whatever it finds; the one from `start[r]` is that of seed `seed + r` alone.  No
    global random state is used or changed.

    Args:
        score: takes the latents of one generation, `(population, n)` or `(R, population, n)` in the dtype and on the
            device of `start`, to one number each.
        coordinates: in which the search moves; with fewer axes than latents, it stays in their plane through `start`.
        start: the mean of the first generation.
        sigma: its deviation in `coordinates`.
        generations: how many there are.
        population: latents in each; 0 is pycma's `4 + ⌊3 ln k⌋`.
        seed: of the random numbers.
        progress: called after each generation.

    Raises:
        ValueError: a start or scores of the wrong shape, fewer than two axes, or settings that are not positive.
        TypeError: a start of integers.
        FloatingPointError: scores that are not finite.
    """
    n, k = coordinates.frame.shape
    starts = start if start.ndim == 2 else start[None]
    if starts.shape[1] != n:
        raise ValueError(f"start: expected shape ({n},) or (R, {n}), as coordinates have, got {tuple(start.shape)}")
    if k < 2:
        raise ValueError(f"coordinates: expected at least two axes, got {k}")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma: expected a positive number, got {sigma}")
    if generations < 1:
        raise ValueError(f"generations: expected a positive integer, got {generations}")
    if population != 0 and population < 4:
        raise ValueError(f"population: expected 0 or at least 4, got {population}")
    seeds = [seed + run for run in range(len(starts))]
    evolution = Evolution(torch.zeros(len(starts), k).double(), sigma, seeds, population)
    # Each search moves in a plane of its own, where 0 is its start.
    origin = (starts.detach().to("cpu", torch.float64) - coordinates.origin)[:, None]
    means = [origin + coordinates.latents(evolution.means[:, None])]
    candidates, scores = [], []
    for generation in range(generations):
        points = evolution.ask()
        latents = (origin + coordinates.latents(points)).to(starts)
        with torch.no_grad():
            values = score(latents if start.ndim == 2 else latents[0])
        check_returned("score", values)
        values = values if start.ndim == 2 else values[None]
        if values.shape != latents.shape[:2]:
            raise ValueError(
                f"score: expected one number a latent, {tuple(latents.shape[:2])}, got {tuple(values.shape)}"
            )
        values = values.detach().to("cpu", torch.float64)
        check_finite(f"scores of generation {generation}", values)
        evolution.tell(points, -values)
        means.append(origin + coordinates.latents(evolution.means[:, None]))
        candidates.append(latents.cpu())
        scores.append(values)
        if progress:
            progress(generation + 1, generations)
    every, trace = torch.stack(scores, 1), torch.cat(means, 1)
    calls = generations * evolution.population
    best_score, index = every.flatten(1).max(1)
    best = torch.cat(candidates, 1)[torch.arange(len(starts)), index]
    if start.ndim == 1:
        return Search(best[0], best_score[0], every[0], trace[0], calls)
    return Search(best, best_score, every, trace, calls)


@isolated(shapes={"latents": "B n"})
@torch.no_grad()
def activations(
    generator: Generator, network: nn.Module, latents: Tensor, layers: Sequence[str], batch: int = 64
) -> dict[str, Tensor]:
    """What the units of each of the `layers` answer to the images of `latents` `(B, n)`: `(B, units)` a layer.

    A layer is a submodule's name; of its maps `(B, C, ...)` every channel is a unit, read at the centre, `size // 2`.
    `batch` images are made at a time.

    Raises:
        ValueError: a layer that the network does not have, or whose output is no tensor `(B, C, ...)`.
    """
    batch = as_count("batch", batch)
    for layer in layers:
        check_choice("layers", layer, [name for name, _ in network.named_modules() if name])
    answers: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    first = next(network.parameters(), latents)
    for part in latents.split(batch):
        images = generator(part).to(first)
        with captured(network, list(answers)) as outputs:
            try:
                network(images)
            except (RuntimeError, TypeError) as error:
                what = f"images {tuple(images.shape)} ({str(error).partition(chr(10))[0]})"
                raise ValueError(f"generator, network: the network does not take {what}") from error
        for layer, parts in answers.items():
            maps = outputs.get(layer, [torch.empty(0)])[-1]
            if maps.ndim < 2:
                raise ValueError(f"layers: expected outputs (B, C, ...), and {layer!r} has none")
            for size in maps.shape[2:]:
                maps = maps.select(2, size // 2)
            check_finite(f"answers of layers {layer!r}", maps)
            parts.append(maps)
    return {layer: torch.cat(parts) for layer, parts in answers.items()}


@isolated()
def unit_scores(generator: Generator, network: nn.Module, units: Sequence[tuple[str, int]], batch: int = 64) -> Score:
    """A score for `maximise` from `R` starts: latents `(R, B, n)` to the answers `(R, B)`, of `units[r]` in row `r`.

    A unit is a layer's name and a channel, read as in `activations`; one forward pass serves all units.

    Raises:
        ValueError: no units.  The score raises it for latents of another number of rows, and what `activations` raises.
    """
    if not units:
        raise ValueError("units: expected at least one, got none")
    batch = as_count("batch", batch)
    layers = list(dict.fromkeys(layer for layer, _ in units))

    def score(latents: Tensor) -> Tensor:
        if latents.ndim != 3 or len(latents) != len(units):
            raise ValueError(f"latents: expected ({len(units)}, B, n), a row for each unit, got {tuple(latents.shape)}")
        answers = activations(generator, network, latents.flatten(0, 1), layers, batch)
        rows = {layer: answer.unflatten(0, latents.shape[:2]) for layer, answer in answers.items()}
        for layer, index in units:
            check_choice(f"units of {layer}", index, range(rows[layer].shape[2]))
        return torch.stack([rows[layer][row, :, index] for row, (layer, index) in enumerate(units)])

    return score
