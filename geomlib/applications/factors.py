"""How much of each known factor of the shapes data the first k axes of a latent space carry.

The paper names axes by eye; here the factors are known, and a network that shares nothing with the distances reads
them.  For a latent `z`, an independent one `z̃` and the projection `Π_k = B_k B_kᵀ` on the first `k` axes, the mixture

    z' = Π_k z + (I − Π_k) z̃

has the components of `z` inside and is drawn anew outside.  The share of a factor `f` that the axes carry is

    S_k = Cov(f(G(z)), f(G(z'))) / Var f(G(z)) = Var E[f | Π_k z] / Var f,

the closed Sobol index of the first `k` components (Sobol 2001): 0 for k = 0, 1 for k = n, never falling in between.
Likewise the covariance with `f(G(z̃))` gives the share of the other `n − k` axes; what the two leave over is due to
interactions.  Setting the other components to zero instead would ask the generator for images of latents that it never
draws: for normal ones `z'` is as likely as `z`.  (Where components depend on each other, as in W, `z'` leaves the
distribution a little, and the shares describe that mixture.)

Both shares are estimated at once, as the coefficients of a regression of `f(G(z'))` on `f(G(z))` and `f(G(z̃))`: so
chance correlation of the two, which is as large as `1 / √pairs`, counts for neither, and both ends are exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._state import isolated
from geomlib.generators.interface import Generator
from geomlib.homogeneity import bootstrap_interval, check_orthonormal
from geomlib.worlds.shapes.data import FACTOR_NAMES, SHAPES
from geomlib.worlds.shapes.networks import FactorReader, encode_factors
from geomlib.worlds.shapes.quality import confident_shapes

_BATCH = 250


@dataclass(frozen=True)
class FactorShares:
    """Result of `factor_shares`: `shares` with the ends `low` and `high`, `(A, K, F)` for `axes`, `counts`, `factors`.

    `rest` `(A, K, F)` is the share of the axes after the first `k`; `1 − shares − rest` is due to interactions.
    `confident` `(A, K)` is the share of the images `G(z')` that are read as one clean shape (readings of others say
    little), `reference` that of the generator's own images.
    """

    axes: tuple[str, ...]
    counts: tuple[int, ...]
    factors: tuple[str, ...]
    shares: Tensor
    low: Tensor
    high: Tensor
    rest: Tensor
    confident: Tensor
    reference: float


@isolated()
def factor_shares(
    generator: Generator,
    axes: Mapping[str, Tensor],
    counts: Sequence[int],
    reader: FactorReader,
    *,
    pairs: int = 1000,
    seed: int = 0,
    latents: Tensor | None = None,
    resamples: int = 200,
    level: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> FactorShares:
    """The share `S_k` of each factor that the first `k` of each set of axes carry, for each `k` in `counts`.

    `axes` names orthonormal bases `(n, m)`, first column first: eigenvectors of the average metric tensor under several
    distances or of a shuffled network, `principal_axes`, `homogeneity.random_frame`.  All see the same `pairs` of
    latents, drawn from `seed`, or halves of the `latents` `(2 * pairs, n)` where these are given.

    Factors are compared as codes: numbers; cosine and sine of a hue; one indicator for each shape; a share is then that
    of the summed variances.  The angle, whose period differs between shapes, is compared where `G(z)` and `G(z')` show
    the same one, a square or a triangle, and about the mean of that shape; nan where there is no such pair.  `low` and
    `high` are the ends of the bootstrap interval of `level` over pairs, from `resamples` resamples.  Estimates can
    stray below 0 by sampling; a factor that never varies has nan.  `progress(done, total)` is called after each set of
    axes and count.

    Raises `ValueError` for no axes or counts, a basis of another shape or not orthonormal to 1e-3, a count that it has
    not, or fewer than two pairs.
    """
    if not axes or not counts or min(counts) < 0 or pairs < 2:
        raise ValueError(
            f"axes, counts, pairs: expected at least one, one of 0 or more, and two, got {list(axes)}, {list(counts)} "
            f"and {pairs}"
        )
    for name, basis in axes.items():
        n = generator.latent_dim
        if basis.ndim != 2 or len(basis) != n or not max(counts) <= basis.shape[1] <= n:
            raise ValueError(
                f"axes {name!r}: expected shape ({n}, m), m from {max(counts)} to {n}, got {tuple(basis.shape)}"
            )
        check_orthonormal(f"axes {name!r}", basis)
    kept, drawn = pairs_of(generator, pairs, seed, latents)
    (first, confident_first), (second, confident_second) = (_read(generator, z, reader) for z in (kept, drawn))
    rows, confident = [], []
    for basis in axes.values():
        for count in counts:
            chosen = basis[:, :count].cpu().double()
            mixture, clean = _read(generator, drawn + (kept - drawn) @ chosen @ chosen.T, reader)
            products = _products(torch.stack([first, second, mixture], 1))
            low, high = bootstrap_interval(_shares, products, seed=seed, count=resamples, level=level)
            rows.append(torch.stack([*_shares(products), low[0], high[0]]))
            confident.append(clean)
            if progress:
                progress(len(rows), len(axes) * len(counts))
    shape = (len(axes), len(counts))
    shares, rest, low, high = torch.stack(rows, 1).unflatten(1, shape)
    return FactorShares(
        tuple(axes),
        tuple(counts),
        FACTOR_NAMES,
        shares,
        low,
        high,
        rest,
        torch.tensor(confident, dtype=torch.float64).reshape(shape),
        (confident_first + confident_second) / 2,
    )


def pairs_of(generator: Generator, pairs: int, seed: int, latents: Tensor | None) -> tuple[Tensor, Tensor]:
    """Two sets of latents `(pairs, n)`, float64: halves of the given ones, or drawn from a seed.

    Raises `ValueError` for given latents of another number or length.
    """
    both = generator.sample(2 * pairs, seed) if latents is None else latents
    if both.shape != (2 * pairs, generator.latent_dim):
        raise ValueError(f"latents: expected shape {(2 * pairs, generator.latent_dim)}, got {tuple(both.shape)}")
    first, second = both.cpu().double().chunk(2)
    return first, second


@isolated()
def principal_axes(generator: Generator, latents: Tensor) -> Tensor:
    """Orthonormal axes `(n, n)`, float64, by the variance of the image that they explain linearly, largest first.

    Images of `latents` `(N, n)` are regressed on the latents, and the axes are the principal ones of the fitted linear
    map: principal components of the images, carried to the latents by regression as in GANSpace (Härkönen et al. 2020),
    here all at once, which makes them orthogonal.  Meant for latents whose components are uncorrelated and of equal
    variance.  Raises `ValueError` for `N <= n`.
    """
    if len(latents) <= generator.latent_dim:
        raise ValueError(f"latents: expected more than {generator.latent_dim}, the dimensions, got {len(latents)}")
    with torch.no_grad():
        images = torch.cat([generator(part).flatten(1).cpu() for part in latents.split(_BATCH)])
    latents = latents.cpu().double()
    centred = latents - latents.mean(0)
    # The mean image does not matter: the latents are centred.
    slopes = torch.linalg.solve(centred.T @ centred, (centred.to(images).T @ images).double())
    axes: Tensor = torch.linalg.eigh(slopes @ slopes.T).eigenvectors.flip(1)
    return axes


@torch.no_grad()
def _read(generator: Generator, latents: Tensor, reader: FactorReader) -> tuple[Tensor, float]:
    """Codes `(N, 15)` of the images, the shape's indicators and then `encode_factors`; the share of clean shapes."""
    codes, clean = [], 0
    for part in latents.split(_BATCH):
        readings = reader.read(generator(part))
        shape = functional.one_hot(readings.factors[:, 0].long(), len(SHAPES))
        codes.append(torch.cat([shape, encode_factors(readings.factors)], 1).cpu().double())
        clean += int(confident_shapes(readings).sum())
    return torch.cat(codes), clean / len(latents)


def _products(codes: Tensor) -> Tensor:
    """For each pair, products `(N, F, 3, 3)` of the three codes `(N, 3, 15)` of `z`, `z̃`, `z'` about their mean."""
    shapes, numbers, hues, angles = codes.split([3, 4, 4, 4], 2)
    seen = shapes.bool()
    # An angle counts where z and z' show its shape; where z̃ does not, its own is unknown, and as good as the mean.
    turned = []
    for part, name in zip(angles.split(2, 2), ("square", "triangle"), strict=True):
        shown = seen[..., SHAPES.index(name)]
        turned.append(_centred_products(part, shown & (shown[:, 0] & shown[:, 2])[:, None]))
    whole = torch.ones_like(seen[..., 0])
    x, y, size, brightness = (_centred_products(number[..., None], whole) for number in numbers.unbind(2))
    foreground, background = (_centred_products(hue, whole) for hue in hues.split(2, 2))
    return torch.stack(
        [_centred_products(shapes, whole), x, y, size, turned[0] + turned[1], foreground, background, brightness], 1
    )


def _centred_products(codes: Tensor, known: Tensor) -> Tensor:
    """Products `(N, 3, 3)`, summed over coordinates, of codes `(N, 3, d)` about the mean of those `(N, 3)` known."""
    codes = codes - codes[known].mean(0)
    codes = codes.where(known[..., None], 0.0)
    return codes @ codes.mT


def _shares(products: Tensor) -> Tensor:
    """Shares of the first axes and of the rest, `(2, F)`: coefficients of the regression of `z'` on `z` and `z̃`."""
    (a, b, p), (_, c, q), _ = products.sum(0).permute(1, 2, 0)
    determinant = a * c - b * b
    shares: Tensor = torch.stack([c * p - b * q, a * q - b * p]) / determinant
    return shares
