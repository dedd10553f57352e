"""How much of each known factor the axes of a latent space carry, and how nearly one axis is one factor.

The paper names axes by eye; here the factors are known, and a network that shares nothing with the distances reads
them off an output as codes.  Two questions are asked, each by drawing part of a latent `z` anew from an independent
one, `z̃`.  (Where components depend on each other, as in W, such a latent leaves the distribution a little, and the
answers describe that redraw.)

*What do the first `k` axes carry together?*  With the projection `Π_k = B_k B_kᵀ` on them, the mixture
`z' = Π_k z + (I − Π_k) z̃` keeps the components inside.  The share of a factor `f` that the axes carry is

    S_k = Cov(f(G(z)), f(G(z'))) / Var f(G(z)) = Var E[f | Π_k z] / Var f,

the closed Sobol index of the first `k` components (Sobol 2001): 0 for k = 0, 1 for k = n, never falling in between.
Likewise the covariance with `f(G(z̃))` gives the share of the other `n − k` axes; what the two leave over is due to
interactions.  Setting the other components to zero instead would ask the generator for images of latents that it never
draws: for normal ones `z'` is as likely as `z`.  Both shares are estimated at once, as the coefficients of a regression
of `f(G(z'))` on `f(G(z))` and `f(G(z̃))`: so chance correlation of the two, which is as large as `1 / √pairs`, counts
for neither, and both ends are exact.

*What does one axis change?*  The move `z' = z + a aᵀ (z̃ − z)` along a unit vector `a` draws one component anew and
leaves the others.  How much of a factor with the code `c` changes with it is

    T_a = E‖c(G(z)) − c(G(z'))‖² / (2 Var c(G(z))),

the total Sobol index of that component by Jansen's estimator (Jansen 1999; Saltelli et al. 2010): 0 where the axis does
nothing to the factor, 1 where it decides it alone or through interactions.  Because a factor that depends on several
components at once is counted with each, the indices of all axes may sum to more than 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._arguments import checked
from geomlib._checks import as_count, check_finite, shown
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.generators.interface import Generator
from geomlib.homogeneity import bootstrap_interval, check_bases
from geomlib.worlds.quality import confident
from geomlib.worlds.reader import Readings
from geomlib.worlds.shapes import networks as shapes
from geomlib.worlds.shapes.data import FACTOR_NAMES as SHAPE_FACTORS
from geomlib.worlds.shapes.data import SHAPES
from geomlib.worlds.tones import networks as tones
from geomlib.worlds.tones.data import FACTOR_NAMES as TONE_FACTORS
from geomlib.worlds.tones.data import NOTES

# Name of a factor to its codes (N, d); NaN where the factor, or one coordinate of its code, has no meaning.
Reading = Mapping[str, Tensor]
_BATCH = 250
# Codes of networks in float32 that vary less than this share of their square do not vary.
_ROUNDING = 1e-10


@checked()
def read_shapes(reader: shapes.FactorReader) -> Callable[[Tensor], Reading]:
    """A reading of images `(N, 3, 64, 64)` in [0, 1] by `reader`: the eight factors of the shapes data as codes.

    Indicators of the three shapes; place, size and brightness as numbers; hues as cosine and sine.  The angle has two
    coordinates for a square and two for a triangle, NaN for every other shape: it is compared only where two images
    show the same one.
    """
    return lambda images: _shape_codes(reader.read(images, _BATCH))


def _shape_codes(readings: Readings) -> Reading:
    shape = functional.one_hot(readings.factors[:, 0].long(), len(SHAPES)).to(readings.factors)
    numbers, hues, angles = shapes.encode_factors(readings.factors).split([4, 4, 4], 1)
    has_angle = shape[:, [SHAPES.index("square"), SHAPES.index("triangle")]].bool().repeat_interleave(2, 1)
    x, y, size, brightness = numbers.split(1, 1)
    codes = (shape, x, y, size, angles.where(has_angle, torch.nan), hues[:, :2], hues[:, 2:], brightness)
    return dict(zip(SHAPE_FACTORS, codes, strict=True))


@checked()
def read_tones(reader: tones.ToneReader) -> Callable[[Tensor], Reading]:
    """A reading of sounds `(N, 1, L)` in [-1, 1] by `reader`: indicators of the notes, the other factors as numbers."""

    def read(sounds: Tensor) -> Reading:
        factors = reader.read(sounds, _BATCH).factors
        note = functional.one_hot(factors[:, 0].long(), len(NOTES)).to(factors)
        return dict(zip(TONE_FACTORS, (note, *tones.encode_factors(factors).split(1, 1)), strict=True))

    return read


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


@isolated(shapes={"latents": "N n"})
def factor_shares(
    generator: Generator,
    axes: Mapping[str, Tensor],
    counts: Sequence[int],
    reader: shapes.FactorReader,
    *,
    pairs: int = 1000,
    seed: int = 0,
    latents: Tensor | None = None,
    resamples: int = 200,
    level: float = 0.95,
    progress: Progress | None = None,
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

    Raises:
        ValueError: no axes or counts, a basis of another shape or not orthonormal to 1e-3, a count that it has not, or
            fewer than two pairs.
    """
    resamples = as_count("resamples", resamples)
    check_bases(axes, counts, generator.latent_dim)
    if pairs < 2:
        raise ValueError(f"pairs: expected at least two, got {pairs}")
    z, other = _pairs(generator, pairs, seed, latents)

    def see(latents: Tensor) -> tuple[dict[str, Tensor], float]:
        """Codes of the images, and the share that is read as one clean shape."""
        parts = []

        def read(images: Tensor) -> Reading:
            readings = reader.read(images)
            parts.append(confident(readings).cpu())
            return _shape_codes(readings)

        return _codes(generator, latents, read), float(torch.cat(parts).double().mean())

    (first, first_clean), (second, second_clean) = see(z), see(other)
    rows, clean = [], []
    for basis in axes.values():
        for count in counts:
            inside = basis[:, :count].cpu().double()
            mixture, share = see(other + (z - other) @ inside @ inside.T)
            triples = (torch.stack([first[name], second[name], mixture[name]], 1) for name in SHAPE_FACTORS)
            products = torch.stack([_products(codes) for codes in triples], 1)
            low, high = bootstrap_interval(_shares, products, seed=seed, count=resamples, level=level)
            rows.append(torch.stack([*_shares(products), low[0], high[0]]))
            clean.append(share)
            if progress:
                progress(len(rows), len(axes) * len(counts))
    shape = (len(axes), len(counts))
    shares, rest, low, high = torch.stack(rows, 1).unflatten(1, shape)
    return FactorShares(
        tuple(axes),
        tuple(counts),
        SHAPE_FACTORS,
        shares,
        low,
        high,
        rest,
        torch.tensor(clean, dtype=torch.float64).reshape(shape),
        (first_clean + second_clean) / 2,
    )


def _pairs(generator: Generator, pairs: int, seed: int, latents: Tensor | None) -> tuple[Tensor, Tensor]:
    """Two sets of latents `(pairs, n)`, float64: halves of the given ones, or drawn from a seed.

    Raises:
        ValueError: given latents of another number or length.
    """
    both = generator.sample(2 * pairs, seed) if latents is None else latents
    if both.shape != (2 * pairs, generator.latent_dim):
        raise ValueError(f"latents: expected shape {(2 * pairs, generator.latent_dim)}, got {tuple(both.shape)}")
    first, second = both.cpu().double().chunk(2)
    return first, second


def _products(codes: Tensor) -> Tensor:
    """For each pair, products `(N, 3, 3)` of the codes `(N, 3, d)` of `z`, `z̃` and `z'` about their mean.

    A coordinate counts where it is known for `z` and `z'`; one of `z̃` that is not is as good as the mean.
    """
    known = codes.isfinite()
    known &= (known[:, 0] & known[:, 2])[:, None]
    codes = (codes - codes.where(known, torch.nan).nanmean((0, 1))).where(known, 0.0)
    return codes @ codes.mT


def _shares(products: Tensor) -> Tensor:
    """Shares of the first axes and of the rest, `(2, F)`: coefficients of the regression of `z'` on `z` and `z̃`."""
    (a, b, p), (_, c, q), _ = products.sum(0).permute(1, 2, 0)
    determinant = a * c - b * b
    shares: Tensor = torch.stack([c * p - b * q, a * q - b * p]) / determinant
    return shares


@isolated(shapes={"latents": "N n"})
def principal_axes(generator: Generator, latents: Tensor) -> Tensor:
    """Orthonormal axes `(n, n)`, float64, by the variance of the image that they explain linearly, largest first.

    Images of `latents` `(N, n)` are regressed on the latents, and the axes are the principal ones of the fitted linear
    map: principal components of the images, carried to the latents by regression as in GANSpace (Härkönen et al. 2020),
    here all at once, which makes them orthogonal.  Meant for latents whose components are uncorrelated and of equal
    variance.

    Raises:
        ValueError: `N <= n`.
    """
    if len(latents) <= generator.latent_dim:
        raise ValueError(f"latents: expected more than {generator.latent_dim}, the dimensions, got {len(latents)}")
    with torch.no_grad():
        images = torch.cat([generator(part).flatten(1).cpu() for part in latents.split(_BATCH)])
    latents = latents.cpu().double()
    centred = latents - latents.mean(0)
    check_finite("images", images)
    try:
        # The mean image does not matter: the latents are centred.
        slopes = torch.linalg.solve(centred.T @ centred, (centred.to(images).T @ images).double())
    except RuntimeError as error:
        raise ValueError("latents: expected ones that differ in every direction, got fewer") from error
    check_finite("linear map of the latents", slopes)
    axes: Tensor = torch.linalg.eigh(slopes @ slopes.T).eigenvectors.flip(1)
    return axes


@dataclass(frozen=True)
class AxisEffects:
    """Result of `axis_effects`, for `m` axes and the `F` factors named in `factors`.

    `terms` `(pairs, 2, m, F)` holds, for each pair of latents, `‖c(z) − c(z')‖² / 2` and `‖c(z) − mean‖²`:
    `total_effects` of resampled rows gives the bootstrap of anything that follows from the effects.  Equal `pairs` and
    `seed` mean equal pairs, so that two sets of axes can be resampled together (`torch.stack([a, b], 1)`).
    """

    factors: tuple[str, ...]
    terms: Tensor

    @property
    def effects(self) -> Tensor:
        """Total effects `(m, F)`, 0 or more; NaN for a factor that never varies."""
        return total_effects(self.terms)


@isolated(shapes={"axes": "n m", "latents": "N n"})
def axis_effects(
    generator: Generator,
    axes: Tensor,
    read: Callable[[Tensor], Reading],
    *,
    pairs: int = 200,
    seed: int = 0,
    latents: Tensor | None = None,
    progress: Progress | None = None,
) -> AxisEffects:
    """The total effect of the component along each of `axes` `(n, m)` on each factor that `read` finds in an output.

    The columns are unit vectors and need not be orthogonal; each is redrawn alone, on the same `pairs` of latents (from
    `seed`, or halves of the given `latents` `(2 * pairs, n)`), so that one network sees `pairs (m + 1)` outputs.  A
    squared difference is summed over those coordinates of the code that are known for both outputs, and compared with
    the variation of the same coordinates of the same outputs about their mean over all pairs.  `progress(done, total)`
    is called after each axis.

    Raises:
        ValueError: axes of another shape or length, fewer than two pairs, or codes that are not `(N, d)`.
        FloatingPointError: outputs that are not finite.
    """
    axes = axes.detach().cpu().double()
    wrong = float((axes.norm(dim=0) - 1).abs().max())
    if not wrong < 1e-3:
        raise ValueError(f"axes: expected unit vectors in columns, got lengths that are wrong by {wrong:.1e}")
    if pairs < 2:
        raise ValueError(f"pairs: expected at least two, got {pairs}")
    z, other = _pairs(generator, pairs, seed, latents)
    codes = _codes(generator, z, read)
    means = {name: code.nanmean(0) for name, code in codes.items()}
    parts = []
    for axis in axes.T:
        moved = _codes(generator, z + torch.outer((other - z) @ axis, axis), read)
        terms = [_pair_terms(codes[name], moved[name], mean) for name, mean in means.items()]
        parts.append(torch.stack(terms, -1))
        if progress:
            progress(len(parts), axes.shape[1])
    every = torch.stack(parts, 2)
    # The mean of a constant is rounded; without this a factor that never varies would have one rounding over another.
    scale = torch.stack([code.square().nansum() for code in codes.values()])
    still = every[:, 1].sum(0) <= _ROUNDING * scale
    every[:, 1] = every[:, 1].where(~still, 0.0)
    return AxisEffects(tuple(codes), every)


@isolated(shapes={"latents": "N n"})
@torch.no_grad()
def read_outputs(
    generator: Generator, latents: Tensor, read: Callable[[Tensor], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """What is read of the outputs of all latents, by name, in float64 on the CPU.

    Raises:
        TypeError: what is read is no mapping of tensors.
        FloatingPointError: an output that is not finite.
    """
    readings = []
    for part in latents.split(_BATCH):
        outputs = generator(part)
        check_finite(f"outputs of {generator.name}", outputs)
        reading = read(outputs)
        if not isinstance(reading, Mapping) or not all(isinstance(one, Tensor) for one in reading.values()):
            raise TypeError(f"read: expected a function to a mapping of tensors, got {shown(reading)} from it")
        readings.append(reading)
    return {name: torch.cat([reading[name] for reading in readings]).cpu().double() for name in readings[0]}


def _codes(generator: Generator, latents: Tensor, read: Callable[[Tensor], Reading]) -> dict[str, Tensor]:
    codes = read_outputs(generator, latents, read)
    for name, code in codes.items():
        if code.ndim != 2 or len(code) != len(latents):
            raise ValueError(f"read: expected codes ({len(latents)}, d) of {name!r}, got {tuple(code.shape)}")
    return codes


def _pair_terms(code: Tensor, moved: Tensor, mean: Tensor) -> Tensor:
    """`(pairs, 2)`: half the squared difference, and the squared distance from the mean, over known coordinates."""
    known = code.isfinite() & moved.isfinite()
    changes, deviations = (part.where(known, 0.0).square().sum(1) for part in (code - moved, code - mean))
    return torch.stack([changes / 2, deviations], 1)


@checked(gaps=("terms",), shapes={"terms": "P * 2 m F"})
def total_effects(terms: Tensor) -> Tensor:
    """Total effects `(..., m, F)` from terms `(pairs, ..., 2, m, F)`; NaN for a factor that never varies."""
    changes, deviations = terms.sum(0).unbind(-3)
    return (changes / deviations).where(deviations > 0, torch.nan)


@checked(gaps=("effects",), shapes={"effects": "m F"})
def axis_names(effects: Tensor, factors: Sequence[str], threshold: float = 0.1) -> list[str]:
    """A name for each axis from its effects `(m, F)`: the factors that it changes, the strongest first.

    Counted is a factor with an effect of at least `threshold` and at least half of the axis' largest; "mixed" where
    there are more than three, "nothing" where there is none.

    Raises:
        ValueError: another number of factors than of columns.
    """
    if len(factors) != effects.shape[1]:
        raise ValueError(f"effects, factors: expected one name a column, got {effects.shape[1]} and {len(factors)}")
    names = []
    for row in effects.nan_to_num(0.0):
        order = row.argsort(descending=True).tolist()
        counted = [factors[index] for index in order if row[index] >= max(threshold, float(row.max()) / 2)]
        joined = " + ".join(counted).replace("_", " ")
        names.append("nothing" if not counted else joined if len(counted) <= 3 else "mixed")
    return names


@checked(gaps=("importance",))
def disentanglement(importance: Tensor) -> Tensor:
    """How nearly each axis changes one factor alone: 0 where all change all factors alike, 1 where each changes one.

    `importance` `(..., m, F)`, 0 or more.  An axis scores `1 − H_F(P)`, `H_F` the entropy to base `F` of its row `P`
    divided by its sum; the mean weighs each axis by its share of the sum of the matrix (Eastwood & Williams 2018, who
    take importances from regressors; here they are total effects).  Factors with a NaN are left out.  Returns `(...)`.

    Raises:
        ValueError: negative entries or fewer than two axes or known factors.
    """
    importance = _known_factors(importance)
    weights = importance.sum(-1) / importance.sum((-2, -1))[..., None]
    return (weights * _concentration(importance, -1)).sum(-1)


@checked(gaps=("importance",))
def completeness(importance: Tensor) -> Tensor:
    """How nearly each factor is changed by one axis alone: 0 where all axes change it alike, 1 where one does.

    `importance` as in `disentanglement`.  A factor scores `1 − H_m(P)`, `P` its column divided by its sum (Eastwood &
    Williams 2018); this is the plain mean over factors, and the more axes there are, the more a tail of small effects
    costs.  Returns `(...)`; raises as `disentanglement` does.
    """
    return _concentration(_known_factors(importance), -2).mean(-1)


@checked(gaps=("importance",))
def gap(importance: Tensor) -> Tensor:
    """How far the first axis of a factor is ahead of its second: the mean over factors of largest minus second largest.

    In the manner of the mutual information gap (Chen et al. 2018), but not equal to it: that one takes the mutual
    information of each latent with the factor and divides by the factor's entropy; `importance` `(..., m, F)` holds
    total effects, shares of the factor's variance.  1: one axis decides a factor and no other touches it; 0: two share
    it alike.  Unlike the other two scores it depends on the scale of `importance`.  Returns `(...)`; raises as
    `disentanglement` does.
    """
    first, second = _known_factors(importance).topk(2, dim=-2).values.unbind(-2)
    return (first - second).mean(-1)


def _known_factors(importance: Tensor) -> Tensor:
    if importance.ndim < 2:
        raise ValueError(f"importance: expected shape (..., m, F), got {tuple(importance.shape)}")
    if importance.isinf().any():
        raise ValueError("importance: expected finite numbers or NaN, got infinite ones")
    known = ~importance.isnan().flatten(0, -2).any(0)
    importance = importance[..., known].double()
    if min(importance.shape[-2:]) < 2 or (importance < 0).any():
        raise ValueError(
            "importance: expected at least two axes and two factors, entries of 0 or more, got "
            f"{importance.shape[-2]} axes, {importance.shape[-1]} factors without NaN"
            + (f" and {float(importance.min()):.3g}" if importance.numel() else "")
        )
    return importance


def _concentration(importance: Tensor, dim: int) -> Tensor:
    """One minus the entropy of the parts along `dim`, to the base of their number; 0 where all parts are zero."""
    total = importance.sum(dim, keepdim=True)
    count = importance.shape[dim]
    parts = (importance / total).where(total > 0, 1 / count)
    return 1 + torch.xlogy(parts, parts).sum(dim) / torch.tensor(count, dtype=torch.float64).log()
