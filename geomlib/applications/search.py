"""Search without gradients: CMA-ES in coordinates of one's choice, and units of networks that it drives.

Wang & Ponce 2021, Figure 5.  The optimiser is pycma, by the author of CMA-ES (Hansen 2016), with its own constants;
the authors' Cholesky variant has others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geomlib._checks import check_choice, check_finite, check_matrix
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.applications.coordinates import Coordinates
from geomlib.generators.interface import Generator

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Search:
    """What `maximise` found, on the CPU; without the leading `R` for a single start.

    `best` `(R, n)` is the best latent of all that were scored, `best_score` `(R)` its score, and `scores`
    `(R, generations, population)` are all of them.  `means` `(R, generations + 1, n)` lead from the start to the mean
    of the distribution after the last generation.  `calls` is the number of latents scored for each start.
    """

    best: Tensor
    best_score: Tensor
    scores: Tensor
    means: Tensor
    calls: int


@isolated()
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

    `score` takes the latents of one generation, `(population, n)` or `(R, population, n)` in the dtype and on the
    device of `start`, to one number each: `R` searches cost one forward pass a generation, and each may have a score of
    its own.  The first generation is normal about `start` with deviation `sigma` in `coordinates`; with fewer axes
    than latents, the search stays in their plane through `start`.  `population=0` is pycma's `4 + ⌊3 ln k⌋`.  Each
    search makes `generations × population` calls, whatever it finds; the one from `start[r]` is that of seed
    `seed + r` alone.  No global random state is used or changed.

    Raises `ValueError` for a start or scores of the wrong shape, fewer than two axes, or settings that are not
    positive, `TypeError` for a start of integers, and `FloatingPointError` for scores that are not finite.
    """
    import cma

    n, k = coordinates.frame.shape
    starts = start if start.ndim == 2 else start[None]
    check_matrix("start", starts, n)
    if k < 2:
        raise ValueError(f"coordinates: expected at least two axes, got {k}")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ValueError(f"sigma: expected a positive number, got {sigma}")
    if generations < 1:
        raise ValueError(f"generations: expected a positive integer, got {generations}")
    population = population or 4 + int(3 * math.log(k))
    if population < 4:
        raise ValueError(f"population: expected 0 or at least 4, got {population}")
    searches = [
        cma.CMAEvolutionStrategy(np.zeros(k), sigma, _options(population, seed + run)) for run in range(len(starts))
    ]
    origin = (starts.detach().to("cpu", torch.float64) - coordinates.origin)[:, None]

    def latents(points: list[Any]) -> Tensor:
        """Of points `(R, B, k)` in each search's own plane, where 0 is its start."""
        return origin + coordinates.latents(torch.from_numpy(np.array(points)))

    means, scored, scores = [latents([[search.mean] for search in searches])], [], []
    for generation in range(generations):
        asked = [search.ask() for search in searches]
        batch = latents(asked).to(starts)
        with torch.no_grad():
            values = score(batch) if start.ndim == 2 else score(batch[0])[None]
        if values.shape != batch.shape[:2]:
            raise ValueError(
                f"score: expected one number a latent, {tuple(batch.shape[:2])}, got {tuple(values.shape)}"
            )
        values = values.detach().to("cpu", torch.float64)
        check_finite(f"scores of generation {generation}", values)
        for search, points, found in zip(searches, asked, values, strict=True):
            search.tell(points, (-found).tolist())
        means.append(latents([[search.mean] for search in searches]))
        scored.append(batch.cpu())
        scores.append(values)
        if progress:
            progress(generation + 1, generations)
    every = torch.stack(scores, 1)
    best_score, index = every.flatten(1).max(1)
    best = torch.cat(scored, 1)[torch.arange(len(starts)), index]
    trace, calls = torch.cat(means, 1), generations * population
    if start.ndim == 1:
        return Search(best[0], best_score[0], every[0], trace[0], calls)
    return Search(best, best_score, every, trace, calls)


def _options(population: int, seed: int) -> dict[str, Any]:
    """Silent, without files, and with random numbers of its own: pycma's `seed` is numpy's global one."""
    random = np.random.default_rng(seed)
    return {
        "popsize": population, "verbose": -9, "verb_log": 0, "seed": math.nan,
        "randn": lambda *shape: random.standard_normal(shape),
    }  # fmt: skip


@isolated()
@torch.no_grad()
def activations(
    generator: Generator, network: nn.Module, latents: Tensor, layers: Sequence[str], batch: int = 64
) -> dict[str, Tensor]:
    """What the units of each of the `layers` answer to the images of `latents` `(B, n)`: `(B, units)` a layer.

    A layer is a submodule's name; of its maps `(B, C, ...)` every channel is a unit, read at the centre, `size // 2`.
    `batch` images are made at a time.  Raises `ValueError` for a layer that the network does not have, or whose
    output is no tensor `(B, C, ...)`.
    """
    modules = {name: module for name, module in network.named_modules() if name}
    for layer in layers:
        check_choice("layers", layer, modules)
    found: dict[str, list[Tensor]] = {layer: [] for layer in layers}

    def keep(layer: str, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim < 2:
            raise ValueError(f"layers: expected outputs (B, C, ...), {layer!r} has {type(output).__name__}")
        for size in output.shape[2:]:
            output = output.select(2, size // 2)
        found[layer].append(output.clone())  # a view would keep the whole map

    hooks = [
        modules[layer].register_forward_hook(lambda module, inputs, output, layer=layer: keep(layer, output))
        for layer in found
    ]
    first = next(network.parameters(), latents)
    try:
        for part in latents.split(batch):
            network(generator(part).to(first))
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: torch.cat(parts) for layer, parts in found.items()}


@isolated()
def unit_scores(generator: Generator, network: nn.Module, units: Sequence[tuple[str, int]], batch: int = 64) -> Score:
    """A score for `maximise` from `R` starts: latents `(R, B, n)` to the answers `(R, B)`, of `units[r]` in row `r`.

    A unit is a layer's name and a channel, read as in `activations`; one forward pass serves all units.  The score
    raises what `activations` raises, and `ValueError` for latents of another number of rows.  Raises `ValueError`
    without units.
    """
    if not units:
        raise ValueError("units: expected at least one, got none")
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
