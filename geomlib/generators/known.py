"""What is known of the generators of the catalogue before any is loaded: names, cards, spaces, default distances."""

import dataclasses
import json
from typing import Any, NamedTuple

from geomlib._arguments import checked
from geomlib._checks import shown
from geomlib._files import WEIGHTS
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED

# Embedded generators, each with its default distance.
EMBEDDED = {
    "shapes-dcgan": "st-lpips-alex",
    "shapes-dcgan-pixels-1": "st-lpips-alex",
    "shapes-dcgan-pixels-2": "st-lpips-alex",
    "shapes-dcgan-rewarded": "st-lpips-alex",
    "shapes-stylegan2": "st-lpips-alex",
    "shapes-biggan": "st-lpips-alex",
    "tones-wavegan": "stft",
}
# The same training from other seeds: no further networks where networks are counted.
OTHER_SEEDS = {"shapes-dcgan-pixels-1": "shapes-dcgan", "shapes-dcgan-pixels-2": "shapes-dcgan"}
# Surfaces with a metric in closed form, the functions of `analytic`.
ANALYTIC = ("linear", "sphere", "torus", "normalised")
# By architecture, the default space first; what is not here has the space "z" alone.
SPACES = {
    "stylegan": ("z", "w", "w+"),
    "stylegan2": ("z", "w", "w+"),
    "stylegan2_ada": ("z", "w", "w+"),
    "stylegan3": ("z", "w", "w+"),
    "biggan_deep": ("all", "noise", "class"),
    "conditional_dcgan": ("noise", "all"),
}
AUDIO = ("wavegan", "ctgan")


@checked()
def card(name: str) -> dict[str, Any]:
    """What is known of an embedded or packaged network: where it is from, data, training, licence, quality.

    Raises:
        FileNotFoundError: any other.
    """
    if name in PACKAGED:
        return dataclasses.asdict(PACKAGED[name])
    cards = {path.stem: path for path in WEIGHTS.glob("*.json")}  # a name never becomes a path
    if name not in cards:
        raise FileNotFoundError(f"name: no card of {shown(name)}")
    content: dict[str, Any] = json.loads(cards[name].read_text(encoding="utf-8"))
    return content


class Defaults(NamedTuple):
    """Spaces of a generator, the default one first, and its default distance."""

    spaces: tuple[str, ...]
    distance: str


def known_defaults(source: str) -> Defaults | None:
    """What the catalogue knows of a network without loading it; None for what is not listed with its weights."""
    if source in EMBEDDED:
        known = card(source)
        architecture, distance = known["architecture"], known.get("default_distance", EMBEDDED[source])
    elif source in PACKAGED or source in PUBLISHED:
        entry = PACKAGED.get(source) or PUBLISHED[source]
        architecture, distance = entry.architecture, entry.distance
    else:
        return None
    return Defaults(SPACES.get(architecture, ("z",)), distance or ("stft" if architecture in AUDIO else ""))
