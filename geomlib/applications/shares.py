"""Shares of any factors that can be read, carried by the first axes, and the scores of axes together."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from geomlib._state import isolated
from geomlib.applications.factors import Reading, completeness, disentanglement, gap, principal_axes
from geomlib.distances import Distance, load_distance
from geomlib.generators.interface import Generator
from geomlib.homogeneity import check_bases
from geomlib.spectrum import participation_ratio

_BATCH = 250
SCORES = ("disentanglement", "completeness", "gap")


def scores(importance: Tensor) -> Tensor:
    """The three scores named in `SCORES`, `(3, ...)`, of importances `(..., m, F)`.

    Raises:
        ValueError: as `disentanglement`.
    """
    return torch.stack([score(importance) for score in (disentanglement, completeness, gap)])


def vary_alike(latents: Tensor) -> bool:
    """Whether `latents` `(N, n)` vary alike in all directions, as those of a normal Z do and those of W do not.

    The participation ratio of the eigenvalues of their covariance, over `n`, is then about `1 / (1 + n / N)`; here it
    must exceed 0.8 of that.
    """
    count, n = latents.shape
    variances = torch.linalg.eigvalsh(latents.cpu().double().T.cov())
    return bool(participation_ratio(variances) / n > 0.8 / (1 + n / count))


@isolated()
def principal(generator: Generator, latents: Tensor) -> tuple[str, Tensor]:
    """Principal axes `(n, n)`, and of what: "images" where `latents` `(N, n)` vary alike, else the latents ("codes").

    Raises:
        ValueError: as `factors.principal_axes`.
    """
    if vary_alike(latents):
        return "images", principal_axes(generator, latents)
    return "codes", torch.linalg.eigh(latents.cpu().double().T.cov()).eigenvectors.flip(1)


def other_distances(own: Distance, device: str | torch.device = "cpu") -> dict[str, Distance]:
    """Distances that were never trained on shapes, to hold `own` against; itself is left out.

    Learned from photographs and people's judgements, plain, and of an untrained trunk.
    """
    made = {name: load_distance(name, device) for name in ("st-lpips-alex", "mse")}
    made["untrained trunk"] = load_distance("st-lpips-alex", device, pretrained=False)
    return {label: distance for label, distance in made.items() if distance.name != own.name}


@isolated()
def rest_effects(
    generator: Generator,
    axes: Mapping[str, Tensor],
    counts: Sequence[int],
    read: Callable[[Tensor], Reading],
    *,
    latents: Tensor,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Terms `(pairs, A, 2, K, F)` of the total effect of all components but the first `k` axes, for `k` in `counts`.

    One minus `factors.total_effects` of the terms, `(A, K, F)`, is the share of each factor that the first `k`
    axes carry, the closed Sobol index; of resampled rows it is its bootstrap.  (`factors.factor_shares` has another
    estimator of it, for the shapes data.)  The variation is that of both halves of the latents about their mean.  A
    factor whose codes hold NaN has NaN.

    Args:
        generator: makes what is read.
        axes: orthonormal bases `(n, m)` by name, all of at least as many columns as the largest count.
        counts: how many first axes are kept.
        read: reads codes `(N, d)` of each factor off outputs.
        latents: `(2 * pairs, n)`, the `z` and then the `z̃` of `z' = z̃ + B_k B_kᵀ (z − z̃)`.
        progress: called with `(done, total)` after each set of axes.

    Raises:
        ValueError: an odd number of latents, or axes and counts as in `factor_shares`.
    """
    check_bases(axes, counts, generator.latent_dim)

    @torch.no_grad()
    def codes(batch: Tensor) -> list[Tensor]:
        readings = [read(generator(part)) for part in batch.split(_BATCH)]
        return [torch.cat([reading[factor] for reading in readings]).cpu().double() for factor in readings[0]]

    pairs, odd = divmod(len(latents), 2)
    if odd or not pairs:
        raise ValueError(f"latents: expected an even number, got {len(latents)}")
    z, other = latents.cpu().double().chunk(2)
    both = codes(torch.cat([z, other]))
    variation = [(code - code.mean(0)).square().sum(1).unflatten(0, (2, pairs)).mean(0) for code in both]
    sets = []
    for basis in axes.values():
        terms = []
        for count in counts:
            kept = basis[:, :count].cpu().double()
            moved = codes(other + (z - other) @ kept @ kept.mT)
            changes = [(one[:pairs] - two).square().sum(1) / 2 for one, two in zip(both, moved, strict=True)]
            terms.append(torch.stack([torch.stack(changes, -1), torch.stack(variation, -1)], 1))
        sets.append(torch.stack(terms, 2))
        if progress:
            progress(len(sets), len(axes))
    return torch.stack(sets, 1)
