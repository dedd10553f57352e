"""Makes what the live page loads: one script for each network, the list of them, still pictures."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from geomlib._files import name_beside, put_in_place
from geomlib.distances import load_distance
from geomlib.generators import Generator, card, load_generator
from geomlib.generators.latents import latents_for
from geomlib.generators.published import PUBLISHED
from geomlib.live import stills
from geomlib.live.axes import families
from geomlib.live.folding import fold
from geomlib.live.script import list_script, network_script

CODES = 8  # latents to begin with
LIST = "networks.js"
_OWN = {"licence": "MIT, as all of geomlib", "training_data": "images that the project rendered itself"}
_YOURS = {"title": "a generator from outside the catalogue", "licence": "not stated", "training_data": "not stated"}


def make(
    names: Sequence[str], place: Path, *, positions: int = 25, seal: str = "", say: Callable[[str], None] = print
) -> None:
    """Write the scripts and pictures of some generators into a folder, which is replaced when all are made.

    Args:
        names: sources for `load_generator`, each of a DCGAN; the first is the one that the page begins with.
        place: the folder.
        positions: latents over which the metric is averaged.
        seal: what all was made from, for the first line of the list.
        say: takes one line at a time.

    Raises:
        ValueError: no names, one twice, or a generator that is no DCGAN of images.
        FileNotFoundError: weights that are not here.
    """
    if not names or len(set(names)) < len(names):
        raise ValueError(f"live: expected names of different generators, got {', '.join(names) or 'none'}")
    generators = [load_generator(name) for name in names]
    folded = [fold(generator) for generator in generators]  # all, before anything takes time
    place.parent.mkdir(parents=True, exist_ok=True)
    staging = name_beside(place)
    staging.mkdir()
    try:
        listed = []
        for index, (generator, weights) in enumerate(zip(generators, folded, strict=True)):
            say(f"live: {generator.name}")
            told, file = _told(generator), f"network-{index + 1}.js"
            codes = latents_for("judging", generator, CODES)
            axes = families(
                generator, load_distance(generator.default_distance), positions, partial(_tell, say, generator.name)
            )
            text = network_script(told, weights, codes, axes)
            (staging / file).write_text(text, encoding="utf-8", newline="\n")
            if not index:
                stills.draw(generator, codes[0], axes[0], staging)
            listed.append(told | {"file": file, "bytes": len(text)})
        (staging / LIST).write_text(f"// {seal}\n{list_script(listed)}", encoding="utf-8", newline="\n")
        put_in_place(staging, place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _tell(say: Callable[[str], None], name: str, done: int, total: int) -> None:
    if done % 5 == 0:
        say(f"live: {name}, metric {done} of {total}")


def _told(generator: Generator) -> dict[str, Any]:
    """What the page says of a network."""
    source = str((generator.spec or {}).get("source"))
    try:
        known = _OWN | card(source)
    except FileNotFoundError:
        known = _YOURS | ({"title": PUBLISHED[source].title} if source in PUBLISHED else {})
    found = known.get("licence_found")
    return {
        "name": generator.name,
        "title": known.get("title") or known.get("what") or generator.name,
        "licence": known["licence"] + (f" ({found})" if found else ""),
        "training": known["training_data"],
    }
