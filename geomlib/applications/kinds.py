"""The kinds of control that a network is held against, by name: the ones of rule 1, and those with its contrast."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from geomlib._progress import Progress
from geomlib.applications import controls
from geomlib.applications.contrast import with_contrast
from geomlib.distances import Distance
from geomlib.generators.architectures.dcgan import DCGAN
from geomlib.generators.architectures.tutorial_dcgan import TutorialDCGAN
from geomlib.generators.interface import Generator
from geomlib.metric import Metric
from geomlib.sweep import metrics

Make = Callable[[int], Generator]
MATCHED = "contrast matched"  # in the name of a kind whose contrast is made that of the network


def kinds_of_control(generator: Generator, seed: int) -> dict[str, Make]:
    """How to make a network of each kind, from its seed; none where the generator has no weights.

    "shuffled" and "untrained"; for a DCGAN also "untrained, N(0, 0.02)"; and the first two "contrast matched", with the
    contrast of the trained network at the sequence of latents of `seed`.  A network of these last can fail to be made,
    with a `ValueError` that says why.
    """
    if not generator.weights_hash:
        return {}
    kinds: dict[str, Make] = {
        # Made once, for two kinds: to estimate the statistics of batch norms takes many passes.
        "shuffled": cache(lambda number: controls.shuffled(generator, number)),
        "untrained": cache(lambda number: controls.reinitialised(generator, number)),
    }
    wanted = controls.contrast(generator, seed)
    plain = dict(kinds)
    if isinstance(generator.network, DCGAN | TutorialDCGAN):
        kinds["untrained, N(0, 0.02)"] = lambda number: controls.initialised_as_dcgan(generator, number)
    for kind, make in plain.items():
        kinds[f"{kind}, {MATCHED}"] = lambda number, make=make: with_contrast(make(number), wanted, seed)  # type: ignore[misc]
    return kinds


@dataclass(frozen=True)
class Controls:
    """Networks of each kind that were measured, and why others were not.

    Attributes:
        networks: by kind, by seed.
        metrics: likewise, each at the same latents.
        left_out: by kind and seed, why there is no network or no metric.
    """

    networks: dict[str, dict[int, Generator]]
    metrics: dict[str, dict[int, Metric]]
    left_out: dict[tuple[str, int], str]

    def of(self, seeds: Sequence[int]) -> dict[str, list[Metric]]:
        """The metrics of each kind with these seeds, as `findings.controlled.judge` takes them."""
        return {kind: [each[seed] for seed in seeds if seed in each] for kind, each in self.metrics.items()}


def measure_controls(
    kinds: Mapping[str, Make],
    seeds: Sequence[int],
    latents: Tensor,
    distance: Distance,
    *,
    store: str | Path | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> Controls:
    """The metric of a network of each kind and seed at `latents` `(P, n)`, each computed once (`sweep.metrics`).

    What cannot be made, or has no metric as it draws one flat picture, is left out and says why.  `progress(label)`
    gives what `sweep.metrics` takes.
    """
    found = Controls({kind: {} for kind in kinds}, {kind: {} for kind in kinds}, {})
    for kind, make in kinds.items():
        for seed in seeds:
            try:
                network = make(seed)
                report = progress(f"{kind} {seed}") if progress else None
                metric = metrics(network, latents, distance, store=store, progress=report)
            except (ValueError, FloatingPointError) as error:
                found.left_out[kind, seed] = str(error)
                continue
            found.networks[kind][seed], found.metrics[kind][seed] = network, metric
    return found
