"""Statistics of one spectrum, or of one spectrum a row."""

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import as_count
from geomlib._state import seeded


def _shares(eigenvalues: Tensor) -> Tensor:
    """Magnitudes as shares of their sum, descending."""
    magnitudes = eigenvalues.double().abs().sort(dim=-1, descending=True).values
    return magnitudes / magnitudes.sum(-1, keepdim=True)


@checked(shapes={"eigenvalues": "any * m"})
def dimensions_for(eigenvalues: Tensor, share: float) -> Tensor:
    """The smallest `k` for which the `k` largest of `|λ|` reach `share` of their sum, `(..., n)` to `(...)`.

    It is a share of the trace, not of image variance.  The authors' table counts the `k` whose cumulative share is
    still below, which is one less (Wang & Ponce 2021, the table of dimensions).

    Raises:
        ValueError: a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number in (0, 1], got {share}")
    below = _shares(eigenvalues).cumsum(-1) < share - 1e-12
    return (below.sum(-1) + 1).clamp(max=eigenvalues.shape[-1])


@checked(shapes={"eigenvalues": "any * m"})
def participation_ratio(eigenvalues: Tensor) -> Tensor:
    """`(Σλ)² / Σλ²`, `(..., n)` to `(...)`: 1 where one axis holds all, `n` where all are equal; nan for zeros."""
    values = eigenvalues.double()
    return values.sum(-1).square() / values.square().sum(-1)


@checked(shapes={"eigenvalues": "any * m"})
def spectral_entropy(eigenvalues: Tensor) -> Tensor:
    """`−Σ p log p` of the shares `p = |λ| / Σ|λ|`, in nats, `(..., n)` to `(...)`: from 0 to `log n`.

    Its exponential is the effective rank of Roy & Vetterli (2007): 1 where one axis holds all, `n` where all are equal.
    Unlike the participation ratio, it also counts the many small eigenvalues.
    """
    shares = _shares(eigenvalues)
    entropy: Tensor = -torch.special.xlogy(shares, shares).sum(-1)
    return entropy


@checked(shapes={"eigenvalues": "any * m"})
def random_direction_moments(eigenvalues: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of `vᵀHv` over uniform unit vectors `v`, for the spectrum `(..., n)` of `H`.

    `Σλ / n` and `2 (n Σλ² − (Σλ)²) / (n² (n + 2))`, from the moments of the Dirichlet distribution of `v²`.
    """
    values = eigenvalues.double()
    n, first, second = values.shape[-1], values.sum(-1), values.square().sum(-1)
    return first / n, 2 * (n * second - first.square()) / (n**2 * (n + 2))


@checked()
def random_directions(count: int, dimensions: int, seed: int) -> Tensor:
    """Uniform unit vectors, `(count, dimensions)`, float64."""
    count, dimensions, random = as_count("count", count), as_count("dimensions", dimensions), seeded(seed)
    vectors = torch.randn(count, dimensions, generator=random, dtype=torch.float64)
    unit: Tensor = vectors / vectors.norm(dim=1, keepdim=True)
    return unit
