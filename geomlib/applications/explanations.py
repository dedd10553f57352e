"""What could lie behind homogeneity: axes from elsewhere tried at each latent, and axes shared in blocks alone.

Neither is a control and nothing here is judged.  An explanation says how far one gets with less: with the axes of the
first layer's weights (`directions.sefa`), which know no image and no distance; with those of the average metric at
other latents; with subspaces that all latents share and axes that are free inside them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib._progress import Progress
from geomlib._state import seeded
from geomlib.homogeneity import agreement, check_orthonormal, consistency, off_diagonal, random_frame
from geomlib.metric import Metric, average


@dataclass(frozen=True)
class Tried:
    """How axes from elsewhere do at each latent: `linear` and `log` `(P,)`, and `left_out` `(P,)`, ranks not taken."""

    linear: Tensor
    log: Tensor
    left_out: Tensor


def try_axes(metrics: Metric, axes: Tensor) -> Tried:
    """Consistency of axes with the metric at each latent: as in `homogeneity.consistency`, with them as the source.

    `a_kᵀ H_j a_k`, in the order of the axes, is correlated with the eigenvalues `λ_k(j)`; the logarithm leaves out
    ranks where either is below the latent's noise floor.

    Args:
        metrics: at several latents, `(P, n, n)`.
        axes: orthonormal columns, most important first: `(n, n)`, or of each latent its own `(P, n, n)`.

    Raises:
        ValueError: another shape, or columns that are not orthonormal.
    """
    shape = metrics.matrix.shape
    if len(shape) != 3 or axes.shape not in (shape, shape[1:]):
        raise ValueError(f"axes: expected {tuple(shape[1:])} or {tuple(shape)}, got {tuple(axes.shape)}")
    check_orthonormal("axes", axes)
    axes = axes.detach().cpu().double()
    strengths = (axes * (metrics.matrix @ axes)).sum(-2)
    floor = metrics.noise_floor[:, None]
    use = (strengths > floor) & (metrics.eigenvalues > floor)
    found = agreement(metrics.eigenvalues, strengths, use)
    return Tried(found.linear, found.log, (~use).sum(-1))


def axes_of_others(metrics: Metric) -> Tensor:
    """Axes `(P, n, n)` of the average metric over all latents but each one.

    Raises:
        ValueError: fewer than two latents.
    """
    count = len(metrics.matrix) if metrics.matrix.ndim == 3 else 1
    if count < 2:
        raise ValueError(f"metrics: expected at least two latents, got {count}")
    total = metrics.matrix.sum(0)
    floor = metrics.noise_floor.mean()
    parts = [Metric.from_matrix((total - one) / (count - 1), floor).eigenvectors for one in metrics.matrix]
    return torch.stack(parts)


@dataclass(frozen=True)
class BlockCurve:
    """Result of `block_curve`.

    Attributes:
        boundaries: after which ranks a block may end: 1, 2, 4, 8, ... below `n`.
        linear: `(K, draws)`, the mean consistency of each draw where the first `k` boundaries hold, `k` from 0.
        log: likewise.
    """

    boundaries: tuple[int, ...]
    linear: Tensor
    log: Tensor


def block_curve(
    metrics: Metric, *, seed: int, draws: int = 20, latents: int | None = None, progress: Progress | None = None
) -> BlockCurve:
    """How consistent metrics would be that share subspaces alone, the finer the blocks the more.

    Partition `k` keeps the first `k` of the boundaries 1, 2, 4, 8, ... between ranks.  In a draw, each latent has its
    own eigenvalues, and for axes those of the average metric, turned at random inside each block, for each latent
    anew.  So `k = 0` is `homogeneity.rotated`, random axes; at the last `k` only the widest blocks are free.

    Args:
        metrics: at several latents, `(P, n, n)`.
        seed: of the turns.
        draws: how many of each partition.
        latents: how many a draw takes, at random where there are more; None: all.  Pairs grow with their square, and
            frames are random in each draw, so that the mean over draws stays what it was.
        progress: called with `(done, total)` after each draw.

    Raises:
        ValueError: fewer than two latents, in all or in a draw, or no draws.
    """
    if draws < 1:
        raise ValueError(f"draws: expected a positive integer, got {draws}")
    if latents is not None and latents < 2:
        raise ValueError(f"latents: expected at least two, got {latents}")
    axes, n, count = average(metrics).eigenvectors, metrics.matrix.shape[-1], len(metrics.matrix)
    sampled = latents is not None and latents < count
    boundaries = tuple(2**power for power in range(n.bit_length()) if 2**power < n)
    random = seeded(seed)
    linear, log = (torch.zeros(len(boundaries) + 1, draws, dtype=torch.float64) for _ in range(2))
    for kept in range(len(boundaries) + 1):
        ends = [0, *boundaries[:kept], n]
        for draw in range(draws):
            some = torch.randperm(count, generator=random)[:latents] if sampled else slice(None)
            values, floor = metrics.eigenvalues[some], metrics.noise_floor[some]
            frames = axes.repeat(len(values), 1, 1)
            for first, last in zip(ends, ends[1:], strict=False):
                for frame in frames:
                    seed = int(torch.randint(2**62, (), generator=random))
                    frame[:, first:last] = axes[:, first:last] @ random_frame(last - first, last - first, seed)
            matrix = (frames * values[:, None, :]) @ frames.mT
            drawn = consistency(Metric(matrix, values, frames, floor))
            linear[kept, draw] = off_diagonal(drawn.linear).mean()
            log[kept, draw] = off_diagonal(drawn.log).nanmean()
            if progress:
                progress(kept * draws + draw + 1, linear.numel())
    return BlockCurve(boundaries, linear, log)
