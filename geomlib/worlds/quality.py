"""How well outputs imitate the data of a world: are they clean, do they cover every factor, how far are they from it.

Everything is measured through a `Reader`, the data as well as the imitation, so that its bias cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib.worlds.factors import Factor
from geomlib.worlds.reader import Readings

CONFIDENCE = 0.9
_BINS = 10


@dataclass(frozen=True)
class Coverage:
    """How the values of one factor are spread, against those of the data."""

    half: float  # share of the bins, in [0, 1], that hold at least half of their expected mass
    quarter: float  # the same for a quarter
    distance: float  # Kolmogorov-Smirnov, or Kuiper on a circle, in [0, 1]; 0: the same distribution


@dataclass(frozen=True)
class Comparison:
    """Result of `compare`."""

    confident: float  # share of all outputs read as one of the kinds with more than 0.9 confidence
    confident_real: float  # the same of the real ones
    per_kind: list[float]  # the same for each kind; adds up to `confident`
    coverage: dict[str, Coverage]  # by factor, over the confident outputs; for the kind, each is a bin
    frechet: float  # Fréchet distance of the reader's features to those of the real ones
    frechet_real: float  # the same between two halves of the real ones, of the same sizes: the least to expect


def confident(readings: Readings) -> Tensor:
    """Which outputs, `(N,)` bool, are read as one of the kinds, not as none, with more than `CONFIDENCE`."""
    return readings.probabilities[:, :-1].amax(1) > CONFIDENCE


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to features `(N, m)` and `(M, m)`; non-negative.

    ``|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` in float64, as in Heusel et al. 2017 (FID).  It shrinks with more
    images, so compare only at equal N and M.

    Raises:
        ValueError: fewer than two rows or unequal m.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(f"features: expected (N >= 2, m) twice, got {tuple(first.shape)} and {tuple(second.shape)}")
    one, two = first.double(), second.double()
    covariance_one, covariance_two = (torch.cov(part.T).reshape(2 * part.shape[1:]) for part in (one, two))
    values, vectors = torch.linalg.eigh(covariance_one)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariance_two @ root).clamp(min=0).sqrt().sum()
    shift = (one.mean(0) - two.mean(0)).square().sum()
    return max(0.0, float(shift + covariance_one.trace() + covariance_two.trace() - 2 * cross))


def coverage(values: Tensor, reference: Tensor, factor: Factor, bins: int = _BINS) -> Coverage:
    """Compare `values` `(N,)` of a factor with the data's `reference` `(M,)`; nan is left out.

    The range of the factor is cut into equal `bins`, whose expected mass is that of the reference; a value beyond the
    range counts in the nearest bin.  The distance is the largest difference of the two cumulative distributions
    (Kolmogorov-Smirnov); on a circle, which has no first point, Kuiper's: the largest plus the largest negative one.
    Without any value nothing is covered and the distance is 1.

    Raises:
        ValueError: an empty reference.
    """
    values, reference = (part[~part.isnan()].double().sort().values for part in (values, reference))
    if not len(reference):
        raise ValueError("reference: expected at least one value that is not nan, got none")
    if not len(values):
        return Coverage(0.0, 0.0, 1.0)
    width = (factor.high - factor.low) / bins

    def mass(part: Tensor) -> Tensor:
        index = ((part - factor.low) / width).long().clamp(0, bins - 1)
        return torch.bincount(index, minlength=bins).double() / len(part)

    ours, expected = mass(values), mass(reference)
    points = torch.cat([values, reference])
    difference = torch.searchsorted(values, points, right=True).double() / len(values)
    difference = difference - torch.searchsorted(reference, points, right=True).double() / len(reference)
    above, below = max(0.0, float(difference.max())), max(0.0, -float(difference.min()))
    distance = above + below if factor.circular else max(above, below)
    shares = [float((ours >= part * expected).double().mean()) for part in (0.5, 0.25)]
    return Coverage(shares[0], shares[1], distance)


def compare(seen: Readings, data: Readings, factors: Sequence[Factor], what: str) -> Comparison:
    """Readings of N outputs beside those of M real ones; `what` is the name of the outputs in errors.

    The Fréchet distances use the first `min(N, M // 2)` outputs, as many from the first half of the real ones and as
    many from their second half, so M should be at least 2 N.

    Raises:
        ValueError: fewer than 2 outputs, or fewer than 4 real ones.
    """
    size = min(len(seen.factors), len(data.factors) // 2)
    if size < 2:
        raise ValueError(f"{what}, real: expected at least 2 and 4, got {len(seen.factors)} and {len(data.factors)}")
    good, good_data = confident(seen), confident(data)
    kinds = seen.probabilities.shape[1] - 1
    covered = {}
    for index, factor in enumerate(factors):
        # Kinds are the numbers 0, 1, ...: bins of width 1 that begin at these numbers.
        bins, spread = (_BINS, factor) if index else (kinds, Factor(factor.name, 0, kinds))
        covered[factor.name] = coverage(seen.factors[good, index], data.factors[good_data, index], spread, bins)
    return Comparison(
        confident=float(good.double().mean()),
        confident_real=float(good_data.double().mean()),
        per_kind=[float((good & (seen.factors[:, 0] == kind)).double().mean()) for kind in range(kinds)],
        coverage=covered,
        frechet=frechet_distance(seen.features[:size], data.features[:size]),
        frechet_real=frechet_distance(data.features[-size:], data.features[:size]),
    )
