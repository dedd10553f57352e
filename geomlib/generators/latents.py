"""One sequence of latents for all pages, in ranges that do not overlap: what is judged was not used to tune or to find.

A page asks for latents by what they are for.  So two pages that take metrics take them at the same latents, and a
picture shows the first latents of its range, never chosen ones.
"""

import torch
from torch import Tensor

from geomlib._checks import check_choice
from geomlib.generators.interface import Generator

SEED = 2101  # fixed before anything was looked at: the number of the paper's preprint begins with it
# First place in the sequence of what each use takes, and the first place after it; the last range has no end.
RANGES: dict[str, tuple[int, int | None]] = {
    "metrics": (0, 40),  # metrics, and their averages
    "judging": (100, 200),  # where axes and directions are judged
    "targets": (200, 300),  # targets of inversion and search
    "tuning": (300, 400),  # targets on which settings are tuned
    "samples": (400, None),  # starts, and statistics of samples
}


def latents_for(use: str, generator: Generator, count: int, seed: int = SEED, skip: int = 0) -> Tensor:
    """Latents `(count, n)` of a use, the first of its range after `skip` others, in the sequence of a seed.

    Where more are asked for than the range holds, the rest comes from a sequence of the use's own, with the seed
    `seed + 1` for "metrics", `seed + 2` for "judging" and so on: ranges never overlap.

    Raises:
        ValueError: an unknown use, a `count` that is not positive, or a negative `skip`.
    """
    check_choice("use", use, RANGES)
    if count < 1 or skip < 0:
        raise ValueError(f"count and skip: expected a positive and a non-negative integer, got {count} and {skip}")
    first, end = RANGES[use]
    wanted = skip + count
    held = wanted if end is None else min(wanted, end - first)
    parts = [generator.sample(first + held, seed)[first:]]
    if wanted > held:
        parts.append(generator.sample(wanted - held, seed + 1 + list(RANGES).index(use)))
    return torch.cat(parts)[skip:]
