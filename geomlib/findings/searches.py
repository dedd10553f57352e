"""The experiment of searches without gradients, in full: its settings, its arms, its judgement, and a slice of it.

`evidence/search.py` runs it; a page shows what it found and repeats the first generation of two searches.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from geomlib import sweep
from geomlib._progress import Progress
from geomlib.applications.coordinates import Coordinates
from geomlib.applications.driven import Driven, as_shares, drive, search_arms
from geomlib.applications.units import load_network
from geomlib.distances import Distance
from geomlib.findings.recording import relative_error
from geomlib.findings.rules import Judgement, arms_beaten
from geomlib.generators import Generator
from geomlib.generators.latents import SEED, latents_for
from geomlib.homogeneity import random_frame
from geomlib.metric import Metric, average

# The arms that are judged, and what each has to beat: the search that knows no metric, and random axes in place of own.
AGAINST = {"scaled": ("standard", "random axes, scaled"), "cut-off": ("standard", "random cut-off")}
ARMS = ("standard", *(arm for own, others in AGAINST.items() for arm in (own, others[1])))
STATISTICS = ("last generation", "brought back")
FEWEST_CALLS = 720  # of a search; what shorter ones find carries no verdict
_APART = 1000  # between the seeds of runs, so that no two searches have the same random numbers


@dataclass(frozen=True)
class SearchSettings:
    """All that a record of searches was made with.

    Attributes:
        network: whose units are searched for.
        units: how many of them.
        batch: images at a time, as it is fastest.
        tuning: how many other units sigma is chosen on, with starts of their own.
        runs: seeds; each has starts, random numbers and random axes of its own.
        generations: of a search.
        population: latents in each.
        sigmas: the grid.
        cut: a cut-off keeps the first of so many axes.
        exponent: of the scales.
        positions: latents whose metrics are averaged.
        draws: random latents that scores are normalised by.
        seed: of the sequence of latents.
    """

    network: str
    units: int = 20
    batch: int = 64
    tuning: int = 5
    runs: int = 3
    generations: int = 60
    population: int = 12
    sigmas: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    cut: int = 8
    exponent: float = 0.4
    positions: int = 25
    draws: int = 1000
    seed: int = SEED

    @property
    def calls(self) -> int:
        """Latents scored by one search."""
        return self.generations * self.population


@dataclass(frozen=True)
class Searches:
    """The experiment on one generator: what every arm and run shares."""

    driven: Driven
    metric: Metric
    settings: SearchSettings

    @classmethod
    def prepare(
        cls, generator: Generator, distance: Distance, settings: SearchSettings, progress: Progress | None = None
    ) -> "Searches":
        """Average the metrics and read what the units answer to random latents.

        Raises:
            FileNotFoundError: the network's weights are not here.
        """
        latents = latents_for("metrics", generator, settings.positions, settings.seed)
        return cls.around(generator, average(sweep.metrics(generator, latents, distance, progress=progress)), settings)

    @classmethod
    def around(cls, generator: Generator, metric: Metric, settings: SearchSettings) -> "Searches":
        """The same with a metric that is there."""
        network, layers = load_network(settings.network, generator.world, generator.device)
        pool = latents_for("samples", generator, settings.draws, settings.seed)
        driven = drive(generator, network, layers, pool, seed=settings.seed, batch=settings.batch)
        return cls(driven, metric, settings)

    def coordinates(self, arm: str, run: int) -> Coordinates:
        """Of an arm; each run has random axes of its own."""
        n = self.driven.generator.latent_dim
        frame = random_frame(n, n, self.settings.seed + run)
        axes = max(2, n // self.settings.cut)
        return self.driven.wide(search_arms(self.metric, frame, axes=axes, exponent=self.settings.exponent)[arm])

    def units(self, use: str = "targets") -> list[tuple[str, int]]:
        """Those searched for, or those for "tuning"."""
        first, all_units = self.settings.units, self.driven.units
        return all_units[:first] if use == "targets" else all_units[first : first + self.settings.tuning]

    def search(
        self, arm: str, run: int, sigma: float, *, use: str = "targets", few: int = 0, progress: Progress | None = None
    ) -> dict[str, Tensor]:
        """One arm and run, all units side by side; with `few`, the first generation of the first `few` of them alone.

        Returns:
            `scores` `(U, generations, population)`; and, of whole searches, `best` `(U,)`, `returned` `(U,)`, the score
            of the final mean brought back to the usual length, and `length` `(U,)`, its own over that.
        """
        driven, settings, units = self.driven, self.settings, self.units(use)
        starts = latents_for(use, driven.generator, len(units), settings.seed, skip=run * len(units))
        found = driven.search(
            units[: few or None],
            self.coordinates(arm, run),
            starts[: few or None],
            sigma=sigma,
            generations=1 if few else settings.generations,
            population=settings.population,
            seed=settings.seed + _APART * (1 + run + (settings.runs if use == "tuning" else 0)),
            progress=progress,
        )
        if few:
            return {"scores": found.scores}
        mean = found.means[:, -1]
        returned = driven.scores(units, driven.brought_back(mean).to(starts)[:, None])[:, 0]
        length = (mean - driven.centre).norm(dim=1) / driven.length
        return {"scores": found.scores, "best": found.best_score, "returned": returned, "length": length}

    def shares(self, found: Mapping[str, Mapping[str, Tensor]], use: str = "targets") -> dict[str, dict[str, Tensor]]:
        """The scores of searches, each by its name, as shares of the best answer that any of them got from a unit.

        Returns:
            By name: `track` `(U, generations)`, `last generation`, `best` and `brought back` `(U,)`.  "random draws"
            has the `best` of as many as a search makes.
        """
        units = self.units(use)
        random = self.driven.random_answers(units)
        known = torch.stack([one["best"].double() for one in found.values()]).amax(0)

        def share(scores: Tensor) -> Tensor:
            return as_shares(scores, random, known, self.settings.calls)

        told = {}
        for name, one in found.items():
            track = share(one["scores"].double().mean(2))
            told[name] = {
                "track": track,
                "last generation": track[:, -1],
                "best": share(one["best"]),
                "brought back": share(one["returned"]),
            }
        return told | {"random draws": {"best": share(random[:, : self.settings.calls].amax(1))}}

    def told(self) -> dict[str, Any]:
        """The settings, as JSON keeps them."""
        return asdict(self.settings) | {"units searched for": [f"{layer} {index}" for layer, index in self.units()]}


def settings_of(part: Mapping[str, Any]) -> SearchSettings:
    """The settings that a part of the record was made with."""
    kept = {key: one for key, one in part["settings"].items() if key in SearchSettings.__dataclass_fields__}
    return SearchSettings(**kept | {"sigmas": tuple(kept["sigmas"])})


def judged(values: Mapping[str, Tensor], arm: str) -> Judgement:
    """Whether an arm beats all that it has to, by shares `(runs, U)` of each arm."""
    return arms_beaten(values[arm], {other: values[other] for other in AGAINST[arm]}, better="more")


def repeated(searches: Searches, part: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> dict[str, float]:
    """The relative error of a slice, made anew: the average metric, and the first generation of two searches an arm.

    The searches are made by the metric of `searches`; its own error is that against the recorded one.
    """
    first, errors = arrays["first generation"], {}
    for row, arm in enumerate(ARMS):
        here = searches.search(arm, 0, part["sigmas"][arm], few=first.shape[1])["scores"][:, 0]
        errors[arm] = relative_error(here, first[row])
    return errors | {"metric": relative_error(searches.metric.matrix, arrays["metric"])}
