"""The experiment of inversion by Adam, in full: its settings, its arms, its judges, and a slice of it.

`evidence/inversion.py` runs it; a page shows what it found and repeats the first steps of two targets.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geomlib._progress import Progress
from geomlib.applications.inversion import Inversion, invert
from geomlib.distances import Distance, load_distance
from geomlib.findings.recording import relative_error
from geomlib.findings.rules import Judgement, arms_beaten
from geomlib.generators import Generator
from geomlib.generators.latents import SEED, latents_for
from geomlib.homogeneity import rotated
from geomlib.metric import Metric
from geomlib.readers import load_classifier


class Arm(NamedTuple):
    """A method of `invert`, whose metric it has, and around which learning rate its own one is looked for."""

    method: str
    axes: str  # "own", or "random": the same eigenvalues along random axes
    rate: float  # in standard deviations of the latents


ARMS = {
    "standard": Arm("adam", "own", 0.2),
    "eigenvectors": Arm("adam-eigen", "own", 0.1),
    "random axes": Arm("adam-eigen", "random", 0.2),
    "scaled": Arm("adam-scaled", "own", 0.06),
    "random axes, scaled": Arm("adam-scaled", "random", 0.02),
}
STAGES = {
    "standard": Arm("basincma", "own", 0.2),
    "eigenvectors": Arm("basincma-eigen", "own", 0.1),
    "random axes": Arm("basincma-eigen", "random", 0.2),
}
# The standard search, at its own rates, with the calls that the metric has cost, spread over the targets.
LONGER = "standard, calls of the metric added"
# With as many calls; and once more with that search for an opponent, which the authors do not ask.
AGAINST: dict[str, tuple[str, ...]] = {
    "eigenvectors": ("standard", "random axes"),
    "eigenvectors (metric paid for)": ("standard", LONGER, "random axes"),
    "scaled": ("standard", "random axes, scaled"),
    "scaled (metric paid for)": ("standard", LONGER, "random axes, scaled"),
}
_AWAY = 1000  # starts come after so many samples, which other pages take statistics of
_MOST = 8  # learning rates tried for an arm
_BATCH = 4  # images at a time, as the classifier is fastest

Judge = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class InversionSettings:
    """All that a record of inversions was made with.

    Attributes:
        stages: in two stages (BasinCMA), else by Adam alone.
        targets: generated images that are inverted.
        tuning: how many others learning rates are chosen on.
        starts: of each target, of whose results the nearest counts; two stages begin at the first.
        steps: of Adam from each start; a step is three calls.
        runs: seeds; each has starts and random axes of its own.
        positions: latents whose metrics are averaged.
        population: candidates of a generation of the first stage.
        inner_steps: of Adam for each candidate.
        seed: of the sequence of latents.
    """

    stages: bool = False
    targets: int = 20
    tuning: int = 5
    starts: int = 3
    steps: int = 40
    runs: int = 3
    positions: int = 25
    population: int = 6
    inner_steps: int = 5
    seed: int = SEED

    @property
    def budget(self) -> int:
        """Calls for a target; two stages have twice as many; `Inversions.budget` has what an arm is given."""
        return 3 * self.starts * self.steps * (2 if self.stages else 1)

    @property
    def arms(self) -> dict[str, Arm]:
        """The arms by name."""
        return STAGES if self.stages else ARMS

    @property
    def against(self) -> dict[str, tuple[str, ...]]:
        """What each arm that is judged has to beat."""
        return {claim: others for claim, others in AGAINST.items() if arm_of(claim) in self.arms}

    @property
    def compared(self) -> list[str]:
        """The arms, with the standard one a second time, with more calls."""
        first, *others = self.arms
        return [first, LONGER, *others]


@dataclass(frozen=True)
class Inversions:
    """The experiment on one generator: what every arm and run shares; `metric` is an average under `distance`."""

    generator: Generator
    distance: Distance
    metric: Metric
    settings: InversionSettings

    @property
    def metric_calls(self) -> int:
        """Jacobian-vector products that the average metric has cost, once for all targets."""
        return self.settings.positions * self.generator.latent_dim

    def images(self, use: str = "targets") -> Tensor:
        """Generated targets, or those for "tuning"."""
        count = self.settings.targets if use == "targets" else self.settings.tuning
        with torch.no_grad():
            return self.generator(latents_for(use, self.generator, count, self.settings.seed))

    def starts(self, count: int, run: int) -> Tensor:
        """First latents `(count, starts, n)` of a run."""
        each = self.settings.starts
        skip = _AWAY + run * count * each
        latents = latents_for("samples", self.generator, count * each, self.settings.seed, skip=skip)
        return latents.view(count, each, -1)

    def axes(self, arm: str, run: int) -> Metric:
        """The metric that an arm steps by; each run has random axes of its own."""
        if self.settings.arms[arm].axes == "own":
            return self.metric
        one = Metric.from_matrix(self.metric.matrix[None], self.metric.noise_floor[None])
        return rotated(one, self.settings.seed + run)[0]

    def invert(
        self,
        images: Tensor,
        arm: str,
        run: int,
        rates: Mapping[str, float],
        *,
        starts: Tensor | None = None,
        budget: int = 0,
        progress: Progress | None = None,
    ) -> Inversion:
        """Invert `images` `(T, ...)` by one arm, `budget` calls each or as many as the arm is given.

        `rates` are in standard deviations of the latents, by their option.
        """
        settings, budget = self.settings, budget or self.budget(arm)
        starts = self.starts(len(images), run) if starts is None else starts
        arm = "standard" if arm == LONGER else arm
        spread = self.spread
        options: dict[str, Any] = {name: rate * spread for name, rate in rates.items()}
        if settings.stages:
            options |= {"population": settings.population, "inner_steps": settings.inner_steps, "sigma": 0.4 * spread}
        return invert(
            self.generator,
            images,
            self.distance,
            settings.arms[arm].method,
            budget=budget,
            seed=settings.seed + run,
            metric=self.axes(arm, run),
            start=starts[:, :1] if settings.stages else starts,
            progress=progress,
            **options,
        )

    @property
    def spread(self) -> float:
        """Standard deviation of the latents."""
        return float(latents_for("samples", self.generator, 500, self.settings.seed).std())

    def budget(self, arm: str) -> int:
        """Calls of an arm for a target: those of all, and `LONGER` has those of the metric as well."""
        return self.settings.budget + (-(-self.metric_calls // self.settings.targets) if arm == LONGER else 0)

    def first_steps(self, arm: str, rates: Mapping[str, float], steps: int = 10, targets: int = 2) -> Tensor:
        """The best distances so far `(steps, targets)`, in the first steps of the first targets of the first run."""
        settings = self.settings
        starts = self.starts(settings.targets, 0)[:targets]
        images = self.images()[:targets]
        found = self.invert(images, arm, 0, rates, starts=starts, budget=3 * settings.starts * steps)
        return found.trace.distances


def tune(first: float, cost: Callable[[float], float]) -> dict[float, float]:
    """Costs of rates around a first one, each twice the one before, until the best is not at an end, or eight."""
    costs = {rate: cost(rate) for rate in (first / 2, first, first * 2)}
    while (best := min(costs, key=lambda rate: costs[rate])) in (min(costs), max(costs)) and len(costs) < _MOST:
        further = best / 2 if best == min(costs) else best * 2
        costs[further] = cost(further)
    return dict(sorted(costs.items()))


def geometric_mean(distances: Tensor) -> float:
    """Of distances `(T,)`, those of zero counted as 1e-12."""
    return float(logarithms(distances).mean().exp())


def logarithms(distances: Tensor) -> Tensor:
    """Of distances, those of zero counted as 1e-12; float64."""
    return distances.double().clamp(min=1e-12).log()


def judges(distance: Distance, device: str | torch.device = "cpu") -> dict[str, Judge]:
    """Two measures of how far images are from targets, neither of which shares a network with the distance lowered.

    Pixels, or ST-LPIPS where pixels are lowered; and the mean squared difference of the features of efficientnet-lite0.

    Raises:
        FileNotFoundError: its weights are not here.
    """
    classifier = load_classifier(device)

    def by_features(images: Tensor, targets: Tensor) -> Tensor:
        here, there = (classifier.features(side.expand(-1, 3, -1, -1)) for side in (images, targets))
        return (here - there).square().mean(1)

    other = load_distance("mse" if distance.name != "mse" else "st-lpips-alex", device)
    return {other.name: other, "efficientnet-lite0": by_features}


@torch.no_grad()
def judged_by(judge: Judge, generator: Generator, latents: Tensor, images: Tensor) -> Tensor:
    """What a judge says of the images of `latents` `(T, n)` beside their targets: `(T,)`, float64 on the CPU."""
    parts = zip(latents.split(_BATCH), images.split(_BATCH), strict=True)
    return torch.cat([judge(generator(some), targets) for some, targets in parts]).cpu().double()


def judgement(values: Mapping[str, Tensor], claim: str, against: Mapping[str, tuple[str, ...]]) -> Judgement:
    """Whether an arm ends nearer than all that it has to beat: logarithms of what a judge says, `(runs, T)` an arm."""
    logs = {name: logarithms(one) for name, one in values.items()}
    others = {other: logs[other] for other in against[claim]}
    return arms_beaten(logs[arm_of(claim)], others, better="less", units="targets")


def arm_of(claim: str) -> str:
    """The arm that a claim of `AGAINST` is about."""
    return claim.partition(" (")[0]


def settings_of(part: Mapping[str, Any]) -> InversionSettings:
    """The settings that a part of the record was made with."""
    return InversionSettings(**part["settings"])


def settings_told(settings: InversionSettings) -> dict[str, Any]:
    """The settings, as JSON keeps them."""
    return asdict(settings)


def repeated(inversions: Inversions, part: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> dict[str, float]:
    """The relative error of a slice, made anew: the average metric, and the first ten steps of two targets by each arm.

    The steps are made by the metric of `inversions`; its own error is that against the recorded one.
    """
    first, errors = arrays["first steps"], {}
    for row, arm in enumerate(inversions.settings.arms):
        here = inversions.first_steps(arm, part["rates"][arm], *first.shape[1:])
        errors[arm] = relative_error(here, first[row])
    return errors | {"metric": relative_error(inversions.metric.matrix, arrays["metric"])}
