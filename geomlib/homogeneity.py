"""How far the metric at one position speaks for the metric at another (Wang & Ponce 2021, section 3.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib.metric import Metric


@dataclass(frozen=True)
class Consistency:
    """`linear` and `log` `(P, P)`, row = source, column = target, diagonal nan; `left_out` `(P, P)` counts ranks."""

    linear: Tensor
    log: Tensor
    left_out: Tensor


def _pearson(x: Tensor, y: Tensor, use: Tensor) -> Tensor:
    """Correlation along the last dimension over the entries marked in `use`."""
    count = use.sum(-1, keepdim=True)
    dx, dy = (
        (part - part.where(use, 0.0).sum(-1, keepdim=True) / count).where(use, 0.0) for part in (x, y)
    )  # fmt: skip
    return (dx * dy).sum(-1) / (dx.square().sum(-1) * dy.square().sum(-1)).sqrt()


def transfer(metrics: Metric) -> Tensor:
    """`L[i, j, k] = v_k(i)ᵀ H_j v_k(i)`, `(P, P, n)`: what position `i`'s axes do at position `j`, in `i`'s order."""
    if metrics.matrix.ndim != 3 or len(metrics.matrix) < 2:
        raise ValueError(f"metrics: expected at least two positions (P, n, n), got {tuple(metrics.matrix.shape)}")
    return torch.stack([
        ((metrics.matrix @ vectors) * vectors).sum(1) for vectors in metrics.eigenvectors
    ])  # fmt: skip


def consistency(metrics: Metric, shuffle_seed: int | None = None) -> Consistency:
    """Pearson correlation over ranks of `L_ij` with the target's eigenvalues, of the values and of their log10.

    The logarithm leaves out, and counts, ranks where either is below the target's noise floor.  Both sequences
    descend, so part of the correlation is the shape of the spectrum: compare with `rotated`, and with
    `shuffle_seed`, which pairs ranks at random.  Raises `ValueError` for fewer than two positions.
    """
    source = transfer(metrics)
    target = metrics.eigenvalues[None].expand_as(source)
    if shuffle_seed is not None:
        order = torch.rand(source.shape, generator=torch.Generator().manual_seed(shuffle_seed)).argsort(-1)
        source = source.gather(-1, order)
    floor = metrics.noise_floor[None, :, None]
    use = (source > floor) & (target > floor)
    tiny = torch.finfo(torch.float64).tiny
    linear = _pearson(source, target, torch.ones_like(use))
    logarithmic = _pearson(source.clamp(min=tiny).log10(), target.clamp(min=tiny).log10(), use)
    for matrix in (linear, logarithmic):
        matrix.fill_diagonal_(torch.nan)
    return Consistency(linear, logarithmic, (~use).sum(-1))


def rotated(metrics: Metric, seed: int) -> Metric:
    """The null model of homogeneity: each metric keeps its spectrum and gets a random frame of its own."""
    random = torch.Generator().manual_seed(seed)
    frames, triangular = torch.linalg.qr(torch.randn(metrics.matrix.shape, generator=random, dtype=torch.float64))
    # The sign makes the frame uniform over rotations (Mezzadri 2007).
    frames = frames * triangular.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    matrix = (frames * metrics.eigenvalues[..., None, :]) @ frames.mT
    return Metric.from_matrix(matrix, metrics.noise_floor)


def off_diagonal(matrix: Tensor) -> Tensor:
    """The `P (P − 1)` entries of `(P, P)` that compare two different positions."""
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]
