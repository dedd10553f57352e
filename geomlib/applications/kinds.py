"""The kinds of control that a network is held against, by name: the ones of rule 1, and those with its contrast."""

from collections.abc import Callable

from geomlib.applications import controls
from geomlib.applications.contrast import with_contrast
from geomlib.generators.architectures.dcgan import DCGAN
from geomlib.generators.architectures.tutorial_dcgan import TutorialDCGAN
from geomlib.generators.interface import Generator

Make = Callable[[int], Generator]


def kinds_of_control(generator: Generator, seed: int) -> dict[str, Make]:
    """How to make a network of each kind, from its seed; none where the generator has no weights.

    "shuffled" and "untrained"; for a DCGAN also "untrained, N(0, 0.02)"; and the first two "contrast matched", with the
    contrast of the trained network at the sequence of latents of `seed`.  A network of these last can fail to be made,
    with a `ValueError` that says why.
    """
    if not generator.weights_hash:
        return {}
    kinds: dict[str, Make] = {
        "shuffled": lambda number: controls.shuffled(generator, number),
        "untrained": lambda number: controls.reinitialised(generator, number),
    }
    wanted = controls.contrast(generator, seed)
    plain = dict(kinds)
    if isinstance(generator.network, DCGAN | TutorialDCGAN):
        kinds["untrained, N(0, 0.02)"] = lambda number: controls.initialised_as_dcgan(generator, number)
    for kind, make in plain.items():
        kinds[f"{kind}, contrast matched"] = lambda number, make=make: with_contrast(make(number), wanted, seed)  # type: ignore[misc]
    return kinds
