"""Names that people gave to axes after looking at pictures, shown beside no other axes than those they looked at."""

import json
from collections.abc import Sequence
from pathlib import Path

from geomlib.distances import Distance
from geomlib.generators.interface import Generator

NAMES = Path(__file__).parents[1] / "weights" / "axis-names.json"


def axis_names(generator: Generator, distance: Distance, positions: int, seed: int, count: int) -> list[str]:
    """Names of the first `count` axes of the average metric at `positions` latents of the book's sequence; "" for none.

    A name is found only where weights, space, distance, number of latents and seed are those of the pictures.
    """
    key = [generator.weights_hash, generator.space, distance.name, positions, seed]
    names: Sequence[str] = ()
    for entry in json.loads(NAMES.read_text(encoding="utf-8")):
        if [entry[part] for part in ("weights", "space", "distance", "positions", "seed")] == key:
            names = entry["names"]
    return [*names[:count], *[""] * (count - len(names))]
