"""The rules by which a claim is judged: the words, what has to be beaten, and how networks are counted.

Every verdict of the book comes from here.  A rule could have gone against the claim: its tests hold a list of control
networks that it must refuse.

1. *Homogeneity and anisotropy* (`against_controls`): the network against at least three networks of each kind of
   control, at the same latents.
2. *Axes* (`axes_against_random`): the largest effect of each axis against that of random directions.
3. *Search, inversion, geodesics, compression* (`arms_beaten`): every arm named must be beaten, unit by unit.
4. *Identities* (`identity`): no verdict, but an error, a tolerance, and the name of a test.

Networks are counted by `count_networks`, never runs, spaces, classes or seeds.  Latents come from the ranges `RANGES`
of one sequence, which do not overlap (`geomlib.generators.latents`); how many there are at least is said here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geomlib._checks import check_choice, check_finite
from geomlib.findings.intervals import Interval
from geomlib.generators.known import EMBEDDED, OTHER_SEEDS, card
from geomlib.generators.latents import RANGES, SEED
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED
from geomlib.homogeneity import bootstrap_interval

__all__ = [
    "FEWEST_SEEDS",
    "FEWEST_UNITS",
    "LATENTS",
    "LEVEL",
    "RANDOM_DIRECTIONS",
    "RANGES",
    "WORDS",
    "AxesJudged",
    "Count",
    "Counted",
    "Judgement",
    "Row",
    "against_controls",
    "all_above",
    "arms_beaten",
    "axes_against_random",
    "claimed_side",
    "count_networks",
    "identity",
    "is_optional",
    "kin",
    "missed_by_chance",
    "verdict",
]

WORDS = {
    "same direction": "the interval lies on the claimed side",
    "contradicted": "the interval lies on the other side",
    "undecided": "the interval holds both",
    "not comparable": "no control, another quantity, or fewer than ten units",
    "not run": "nothing was computed",
    "tested": "an identity: the test that holds it is named",
}
# From the worst to the best: what a network is worth by its worst row.
_FROM_THE_WORST = ("contradicted", "undecided", "not comparable", "not run", "same direction")

LEVEL = 0.95  # of every interval
FEWEST_UNITS = 10  # latents, targets, or units searched for
FEWEST_SEEDS = 3  # networks of each kind of control
RANDOM_DIRECTIONS = 100  # against which the effects of axes are held
# How many latents, at least; what does not take latents as its unit (methods, curvature, layers) has its own numbers.
LATENTS = {"main network": 40, "average": 25, "other network": 10, "effects of axes": 60, "targets of inversion": 20}
_SEED = SEED  # of all resamples here: one draw of latents for all networks
_RESAMPLES = 1000

# Distances that compare pixels or samples, and no features: what is judged under them is counted apart.
PLAIN = ("mse",)
# Architectures that are one family, whose controls are also initialised as its authors do.
DCGANS = ("dcgan", "tutorial_dcgan", "conditional_dcgan")


@dataclass(frozen=True)
class Judgement:
    """A word with all that it follows from.

    Attributes:
        word: one of `WORDS`.
        intervals: by what had to be beaten, positive on the claimed side.
        units: how many latents, targets or units the intervals rest on.
        rule: what had to hold, in words.
        note: what a reader has to know beside it, as what was left out.
    """

    word: str
    intervals: Mapping[str, Interval]
    units: int
    rule: str
    note: str = ""

    @property
    def worst(self) -> tuple[str, Interval] | None:
        """The name and interval that decide the word; None where nothing was compared."""
        if not self.intervals:
            return None
        end = 2 if self.word == "contradicted" else 1
        return min(self.intervals.items(), key=lambda entry: entry[1][end])

    def __str__(self) -> str:
        if self.worst is None:
            return self.note or "nothing to compare with"
        name, interval = self.worst
        return f"{interval} against {name}"


def in_words(
    judged: Mapping[str, Judgement], form: str, change: Callable[[Interval], Interval] | None = None
) -> list[str]:
    """Judgements by their names, a phrase each: a `form` of `name`, `gap`, `other` and `word`.

    The gap is the interval that decides, to the other; `change` shows it as another number.  What was compared with
    nothing is left out.
    """
    told = []
    for name, one in judged.items():
        if one.worst:
            other, gap = one.worst
            told.append(form.format(name=name, gap=change(gap) if change else gap, other=other, word=one.word))
    return told


def counted(judged: Iterable[Judgement]) -> str:
    """How many judgements have each word."""
    words = [one.word for one in judged]
    return ", ".join(f"{words.count(word)} *{word}*" for word in WORDS if word in words)


def verdict(
    *, ours: Any = None, above: float | None = None, below: float | None = None, units: int | None = None
) -> str:
    """The word for a claim by an interval and the side that it should lie on.

    `above` and `below` are the values on the other side of which the claim is contradicted; without either of them it
    is not comparable, and so are fewer than ten `units`.

    Raises:
        TypeError: a side without an `Interval`.
    """
    if (units is not None and units < FEWEST_UNITS) or (above is None and below is None):
        return "not comparable"
    if not isinstance(ours, Interval):
        raise TypeError(f"ours: expected an Interval beside above or below, got {type(ours).__name__}")
    return _word([claimed_side(ours, above, below)])


def claimed_side(ours: Interval, above: float | None, below: float | None) -> Interval:
    """How far an interval lies above, or below, the value that it should: positive on the claimed side."""
    if above is not None:
        return Interval(*(end - above for end in ours))
    bound = below or 0.0
    return Interval(bound - ours.value, bound - ours.high, bound - ours.low)


def identity(error: float, tolerance: float) -> str:
    """The word for an identity: "tested" within its tolerance, "contradicted" beyond it or where it is not finite.

    Raises:
        ValueError: a tolerance that is not positive and finite.
    """
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance}")
    return "tested" if abs(error) <= tolerance else "contradicted"


def against_controls(differences: Mapping[str, Tensor], *, claimed: str = "more", note: str = "") -> Judgement:
    """Whether a network has more, or less, of a statistic than every kind of control.

    With `D` the mean over all latents (or pairs of different latents) and all `S` seeds of a kind, `h` the half width
    of the bootstrap of `D` over latents, and `s` the standard deviation over seeds, the interval is

        D ± √(h² + (t s √(1 + 1/S))²),

    `t` the 97.5 % point of Student's distribution with `S − 1` degrees of freedom: what a further network of the kind
    would give at other latents.  All lower ends above 0: same direction; an upper end below 0: contradicted.

    Args:
        differences: by kind of control, trained minus control: `(S, P)` of a statistic of each latent, or `(S, P, P)`
            of one of pairs, whose diagonal is not used.  All are of the same `P` latents, drawn alike.
        claimed: "more", or "less", which turns the sign of every difference.
        note: for a reader.

    Raises:
        ValueError: another shape or another number of latents than the others.
        FloatingPointError: a difference off the diagonal that is not finite.
    """
    check_choice("claimed", claimed, ("more", "less"))
    sign = 1.0 if claimed == "more" else -1.0
    intervals, units, few = {}, 0, []
    for kind, values in differences.items():
        if values.ndim not in (2, 3) or values.shape[1] != values.shape[-1]:
            raise ValueError(f"differences: expected (S, P) or (S, P, P) for {kind!r}, got {tuple(values.shape)}")
        if units not in (0, values.shape[1]):
            raise ValueError(f"differences: expected {units} latents for {kind!r} as before, got {values.shape[1]}")
        units = values.shape[1]
        if len(values) < FEWEST_SEEDS or units < 2:
            few.append(kind)
        else:
            intervals[kind] = _seeded(sign * values.detach().cpu().double(), kind)
    rule = f"{claimed} than every kind of control, by the whole interval over latents and networks of the kind"
    if few:
        note = "; ".join(filter(None, [note, f"fewer than {FEWEST_SEEDS} networks: {', '.join(few)}"]))
    comparable = intervals and not few and units >= FEWEST_UNITS
    word = _word(intervals.values()) if comparable else "not comparable"
    return Judgement(word, intervals, units, rule, note)


def _seeded(values: Tensor, kind: str) -> Interval:
    """The interval of `against_controls` for one kind."""
    pairs = values.ndim == 3
    off = ~torch.eye(values.shape[1], dtype=torch.bool) if pairs else torch.ones(values.shape[1], dtype=torch.bool)
    check_finite(f"differences from {kind!r}", values[:, off])
    seeds = values[:, off].mean(1)
    low, high = bootstrap_interval(torch.mean, values.mean(0), seed=_SEED, count=_RESAMPLES, level=LEVEL, pairs=pairs)
    half = float(high - low) / 2
    among = _student(len(seeds) - 1) * float(seeds.std()) * math.sqrt(1 + 1 / len(seeds))
    reach, middle = math.hypot(half, among), float(seeds.mean())
    return Interval(middle, middle - reach, middle + reach)


def _student(degrees: int) -> float:
    """The point that Student's distribution exceeds with half of what `LEVEL` leaves."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + LEVEL) / 2))


def arms_beaten(own: Tensor, others: Mapping[str, Tensor], *, better: str, units: str = "units") -> Judgement:
    """Whether one arm of an experiment beats every other, at the same starts, targets and budget.

    Values `(seeds, U)` of each unit (or target) are averaged over seeds; the interval is the bootstrap over units of
    the mean paired difference.

    Args:
        own: of the arm that the claim is about.
        others: of every arm that the claim names, random axes among them.
        better: "less" where the smaller value wins (an error), "more" where the larger one does (an activation).
        units: what they are called.

    Raises:
        ValueError: no other arms, or shapes that differ.
        FloatingPointError: values that are not finite.
    """
    check_choice("better", better, ("more", "less"))
    if own.ndim != 2 or not others:
        raise ValueError(f"own, others: expected (seeds, U) and other arms, got {tuple(own.shape)} and {len(others)}")
    intervals = {}
    count = own.shape[1]
    for name, other in others.items():
        if other.ndim != 2 or other.shape[1] != count:
            raise ValueError(f"others: expected (seeds, {count}) for {name!r}, got {tuple(other.shape)}")
        gaps = own.detach().cpu().double().mean(0) - other.detach().cpu().double().mean(0)
        check_finite(f"differences from {name!r}", gaps)
        if count > 1:
            side = gaps if better == "more" else -gaps
            intervals[name] = Interval.bootstrap(torch.mean, side, seed=_SEED, count=_RESAMPLES, level=LEVEL)
    rule = f"{better} than every other arm in the same {units}, by the whole interval"
    return all_above(intervals, units=count, rule=rule, note=f"{count} {units}, {len(own)} seeds")


def all_above(intervals: Mapping[str, Interval], *, units: int, rule: str, note: str = "") -> Judgement:
    """The word where each of several intervals has to lie above 0.

    Args:
        intervals: by what has to be beaten, positive on the claimed side.
        units: how many latents, targets or pairs they rest on; fewer than ten are not comparable.
        rule: what has to hold, in words.
        note: what a reader has to know beside it.

    Raises:
        ValueError: no intervals.
    """
    if not intervals:
        raise ValueError("intervals: expected at least one")
    word = _word(intervals.values()) if units >= FEWEST_UNITS else "not comparable"
    return Judgement(word, intervals, units, rule, note)


@dataclass(frozen=True)
class AxesJudged:
    """How the effects of axes stand against those of random directions.

    Attributes:
        word: whether more axes lie above the point than chance puts there.
        largest: `(A,)`, the largest magnitude of each axis over the readings.
        point: what 5 of 100 random directions reach or exceed.
        above: how many axes exceed it.
        expected: how many of as many random directions would.
        chance: the number that as many random directions exceed with a probability of at most 2.5 %.
    """

    word: str
    largest: Tensor
    point: float
    above: int
    expected: float
    chance: int

    @property
    def words(self) -> list[str]:
        """A word for each axis alone: "same direction" above the point, else "undecided"."""
        if self.word == "not comparable":
            return [self.word] * len(self.largest)
        return ["same direction" if value > self.point else "undecided" for value in self.largest]

    def __str__(self) -> str:
        return f"{self.above} of {len(self.largest)} axes above {self.point:.3g}, {self.expected:.3g} expected"


def axes_against_random(effects: Tensor, random: Tensor, *, latents: int) -> AxesJudged:
    """Whether axes move what is read more than random directions do.

    An axis counts by its largest |effect| over all readings, and so does a random direction, so that many readings do
    not make chance findings.  The point is the fifth largest of 100 such maxima.  Were the axes random themselves, the
    number above it would follow a beta-binomial distribution; above its 97.5 % point the word is "same direction",
    below its 2.5 % point "contradicted".

    Args:
        effects: `(A, R)`, of each axis on each reading, in standard deviations of the samples.
        random: `(100, R)`, of random directions at the same latents with the same step.
        latents: how many both were averaged over.

    Raises:
        ValueError: shapes that do not fit, or fewer than 100 random directions.
        FloatingPointError: effects that are not finite.
    """
    if effects.ndim != 2 or random.ndim != 2 or effects.shape[1] != random.shape[1] or not effects.numel():
        raise ValueError(
            f"effects, random: expected (A, R) and (N, R), got {tuple(effects.shape)} and {tuple(random.shape)}"
        )
    if len(random) < RANDOM_DIRECTIONS:
        raise ValueError(f"random: expected at least {RANDOM_DIRECTIONS} directions, got {len(random)}")
    check_finite("effects", effects)
    check_finite("effects of random directions", random)
    largest = effects.detach().cpu().double().abs().amax(1)
    maxima = random.detach().cpu().double().abs().amax(1).sort().values
    share = 1 - LEVEL
    exceed = round(share * len(maxima))  # 5 of 100 reach the point
    point = float(maxima[-exceed])
    above = int((largest > point).sum())
    from scipy.stats import betabinom

    null = betabinom(len(largest), exceed, len(maxima) + 1 - exceed)
    fewest, most = (int(null.ppf(end)) for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    word = "same direction" if above > most else "contradicted" if above < fewest else "undecided"
    if latents < FEWEST_UNITS:
        word = "not comparable"
    return AxesJudged(word, largest, point, above, float(null.mean()), most)


def _word(intervals: Iterable[Interval]) -> str:
    """The word where every interval must lie above 0."""
    intervals = list(intervals)
    if any(interval.high < 0 for interval in intervals):
        return "contradicted"
    return "same direction" if all(interval.low > 0 for interval in intervals) else "undecided"


def missed_by_chance(intervals: int) -> float:
    """How many of so many intervals of 95 % miss the truth by chance, on average: one in twenty.

    Half of those miss it on the claimed side.  Rows of one network are not independent, so that the number itself
    varies more than that of independent rows would.

    Raises:
        ValueError: a negative number.
    """
    if intervals < 0:
        raise ValueError(f"intervals: expected 0 or more, got {intervals}")
    return (1 - LEVEL) * intervals


@dataclass(frozen=True)
class Row:
    """One statistic of one network under one distance, judged."""

    network: str
    space: str
    distance: str
    statistic: str
    judgement: Judgement


@dataclass(frozen=True)
class Counted:
    """A network by its rows under perceptual distances.

    Attributes:
        network: its name.
        word: that of its worst row.
        worst: that row.
        rows: how many there are.
        author: who trained it.
        architecture: of which family it is.
    """

    network: str
    word: str
    worst: Row
    rows: int
    author: str
    architecture: str


@dataclass(frozen=True)
class Count:
    """What a claim comes to over networks.

    Attributes:
        networks: under perceptual distances, in the order of the rows.
        plain: words of the rows under distances of pixels, counted by row.
        worst_plain: the worst of these rows.
        optional: names of networks that do not count.
    """

    networks: tuple[Counted, ...]
    plain: Mapping[str, int]
    optional: tuple[str, ...]
    worst_plain: Row | None = None

    @property
    def word(self) -> str:
        """The word for the claim that every network is so: that of the worst; "not run" without networks."""
        return min((one.word for one in self.networks), key=_FROM_THE_WORST.index, default="not run")

    @property
    def worst(self) -> Row | None:
        """The row that decides the word for the claim; None without networks."""
        return min((one.worst for one in self.networks), key=_badness, default=None)

    @property
    def words(self) -> dict[str, int]:
        """How many networks have each word, the words in their order."""
        found = [one.word for one in self.networks]
        return {word: found.count(word) for word in WORDS if word in found}

    @property
    def related(self) -> dict[str, list[str]]:
        """Networks that share an author or an architecture, by "author …" or "architecture …": no independent cases."""
        groups: dict[str, list[str]] = {}
        for one in self.networks:
            for label in (f"author {one.author}", f"architecture {one.architecture}"):
                groups.setdefault(label, []).append(one.network)
        return {label: names for label, names in groups.items() if len(names) > 1}

    def __str__(self) -> str:
        total = len(self.networks)
        return "; ".join(f"{word}: {number} of {total} networks" for word, number in self.words.items()) or "not run"


def count_networks(rows: Sequence[Row]) -> Count:
    """Count networks for a claim: one is "same direction" only if all its rows under a perceptual distance are.

    All spaces, classes, statistics and seeds of training of a network are rows of it.  Rows under a distance of pixels
    are counted apart, and a network that is optional is named and never counts.
    """
    optional = tuple(dict.fromkeys(row.network for row in rows if is_optional(row.network)))
    counting = [row for row in rows if row.network not in optional]
    by_pixels = [row for row in counting if row.distance in PLAIN]
    plain = [row.judgement.word for row in by_pixels]
    networks = []
    for name in dict.fromkeys(_recipe(row) for row in counting):
        own = [row for row in counting if _recipe(row) == name and row.distance not in PLAIN]
        if own:
            worst = min(own, key=_badness)
            networks.append(Counted(name, worst.judgement.word, worst, len(own), *kin(name)))
    worst_plain = min(by_pixels, key=_badness, default=None)
    return Count(tuple(networks), {word: plain.count(word) for word in WORDS if word in plain}, optional, worst_plain)


def _recipe(row: Row) -> str:
    """The network that a row counts for."""
    return OTHER_SEEDS.get(row.network, row.network)


def _badness(row: Row) -> tuple[int, float]:
    """Ascending from the worst row: by its word, then by the value in widths of its interval."""
    worst = row.judgement.worst
    margin = worst[1].value / max(worst[1].high - worst[1].low, 1e-300) if worst else 0.0
    return _FROM_THE_WORST.index(row.judgement.word), margin


def is_optional(network: str) -> bool:
    """Whether a network is fetched only on the user's word, so that it enters no count."""
    return network in PACKAGED and PACKAGED[network].runs_code


def kin(network: str) -> tuple[str, str]:
    """Who trained a network, and of which family its architecture is; its own name where that is not known."""
    if network in PACKAGED:
        author, architecture = PACKAGED[network].package, PACKAGED[network].architecture
    elif network in EMBEDDED:
        author, architecture = "this project", str(card(network)["architecture"])
    elif network in PUBLISHED:
        author, architecture = "published", PUBLISHED[network].architecture
    else:
        author = architecture = network
    return author, "DCGAN" if architecture in DCGANS else architecture
