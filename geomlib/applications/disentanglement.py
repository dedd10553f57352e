"""What each axis of a latent space does to known factors, and how nearly one axis is one factor.

For a latent `z`, an independent one `z̃` and a unit vector `a`, the move

    z' = z + a aᵀ (z̃ − z)

draws the component of `z` along `a` anew and leaves the others.  How much of a factor, read off an image as a code
`c`, changes with it is

    T_a = E‖c(G(z)) − c(G(z'))‖² / (2 Var c(G(z))),

the total Sobol index of that component by Jansen's estimator (Jansen 1999; Saltelli et al. 2010): 0 where the axis does
nothing to the factor, 1 where it decides it alone or through interactions.  Because a factor that depends on several
components at once is counted with each, the indices of all axes may sum to more than 1.  (Where components depend on
each other, as in W, `z'` leaves the distribution a little, and the index describes that redraw.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._checks import check_finite
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.applications.factors import pairs_of
from geomlib.generators.interface import Generator
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


def read_shapes(reader: shapes.FactorReader) -> Callable[[Tensor], Reading]:
    """A reading of images `(N, 3, 64, 64)` in [0, 1] by `reader`: the eight factors of the shapes data as codes.

    Indicators of the three shapes; place, size and brightness as numbers; hues as cosine and sine.  The angle has two
    coordinates for a square and two for a triangle, NaN for every other shape: it is compared only where two images
    show the same one.
    """

    def read(images: Tensor) -> Reading:
        factors = reader.read(images, _BATCH).factors
        shape = functional.one_hot(factors[:, 0].long(), len(SHAPES)).to(factors)
        numbers, hues, angles = shapes.encode_factors(factors).split([4, 4, 4], 1)
        shown = shape[:, [SHAPES.index("square"), SHAPES.index("triangle")]].bool().repeat_interleave(2, 1)
        x, y, size, brightness = numbers.split(1, 1)
        codes = (shape, x, y, size, angles.where(shown, torch.nan), hues[:, :2], hues[:, 2:], brightness)
        return dict(zip(SHAPE_FACTORS, codes, strict=True))

    return read


def read_tones(reader: tones.ToneReader) -> Callable[[Tensor], Reading]:
    """A reading of sounds `(N, 1, L)` in [-1, 1] by `reader`: indicators of the notes, the other factors as numbers."""

    def read(sounds: Tensor) -> Reading:
        factors = reader.read(sounds, _BATCH).factors
        note = functional.one_hot(factors[:, 0].long(), len(NOTES)).to(factors)
        return dict(zip(TONE_FACTORS, (note, *tones.encode_factors(factors).split(1, 1)), strict=True))

    return read


@isolated()
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

    Raises `ValueError` for axes of another shape or length, fewer than two pairs, or codes that are not `(N, d)`, and
    `FloatingPointError` for outputs that are not finite.
    """
    n = generator.latent_dim
    if axes.ndim != 2 or axes.shape[0] != n or not axes.shape[1]:
        raise ValueError(f"axes: expected shape ({n}, m), got {tuple(axes.shape)}")
    axes = axes.detach().cpu().double()
    wrong = float((axes.norm(dim=0) - 1).abs().max())
    if not wrong < 1e-3:
        raise ValueError(f"axes: expected unit vectors in columns, got lengths that are wrong by {wrong:.1e}")
    if pairs < 2:
        raise ValueError(f"pairs: expected at least two, got {pairs}")
    z, other = pairs_of(generator, pairs, seed, latents)
    codes = _codes(generator, z, read)
    means = {name: code.nanmean(0) for name, code in codes.items()}
    parts = []
    for axis in axes.T:
        moved = _codes(generator, z + torch.outer((other - z) @ axis, axis), read)
        parts.append(
            torch.stack([_pair_terms(codes[name], moved[name], mean) for name, mean in means.items()], -1)
        )  # fmt: skip
        if progress:
            progress(len(parts), axes.shape[1])
    terms = torch.stack(parts, 2)
    # The mean of a constant is rounded; without this a factor that never varies would have one rounding over another.
    scale = torch.stack([code.square().nansum() for code in codes.values()])
    still = terms[:, 1].sum(0) <= _ROUNDING * scale
    terms[:, 1] = terms[:, 1].where(~still, 0.0)
    return AxisEffects(tuple(codes), terms)


@torch.no_grad()
def _codes(generator: Generator, latents: Tensor, read: Callable[[Tensor], Reading]) -> dict[str, Tensor]:
    readings = []
    for part in latents.split(_BATCH):
        outputs = generator(part)
        check_finite(f"outputs of {generator.name}", outputs)
        readings.append(read(outputs))
    codes = {name: torch.cat([reading[name] for reading in readings]).cpu().double() for name in readings[0]}
    for name, code in codes.items():
        if code.ndim != 2 or len(code) != len(latents):
            raise ValueError(f"read: expected codes ({len(latents)}, d) of {name!r}, got {tuple(code.shape)}")
    return codes


def _pair_terms(code: Tensor, moved: Tensor, mean: Tensor) -> Tensor:
    """`(pairs, 2)`: half the squared difference, and the squared distance from the mean, over known coordinates."""
    known = code.isfinite() & moved.isfinite()
    changes, deviations = (part.where(known, 0.0).square().sum(1) for part in (code - moved, code - mean))
    return torch.stack([changes / 2, deviations], 1)


def total_effects(terms: Tensor) -> Tensor:
    """Total effects `(..., m, F)` from terms `(pairs, ..., 2, m, F)`; NaN for a factor that never varies."""
    changes, deviations = terms.sum(0).unbind(-3)
    return (changes / deviations).where(deviations > 0, torch.nan)


def axis_names(effects: Tensor, factors: Sequence[str], threshold: float = 0.1) -> list[str]:
    """A name for each axis from its effects `(m, F)`: the factors that it changes, the strongest first.

    Counted is a factor with an effect of at least `threshold` and at least half of the axis' largest; "mixed" where
    there are more than three, "nothing" where there is none.
    """
    names = []
    for row in effects.nan_to_num(0.0):
        order = row.argsort(descending=True).tolist()
        counted = [factors[index] for index in order if row[index] >= max(threshold, float(row.max()) / 2)]
        joined = " + ".join(counted).replace("_", " ")
        names.append("nothing" if not counted else joined if len(counted) <= 3 else "mixed")
    return names


def disentanglement(importance: Tensor) -> Tensor:
    """How nearly each axis changes one factor alone: 0 where all change all factors alike, 1 where each changes one.

    `importance` `(..., m, F)`, 0 or more.  An axis scores `1 − H_F(P)`, `H_F` the entropy to base `F` of its row `P`
    divided by its sum; the mean weighs each axis by its share of the sum of the matrix (Eastwood & Williams 2018, who
    take importances from regressors; here they are total effects).  Factors with a NaN are left out.  Returns `(...)`.
    Raises `ValueError` for negative entries or fewer than two axes or known factors.
    """
    importance = _known_factors(importance)
    weights = importance.sum(-1) / importance.sum((-2, -1))[..., None]
    return (weights * _concentration(importance, -1)).sum(-1)


def completeness(importance: Tensor) -> Tensor:
    """How nearly each factor is changed by one axis alone: 0 where all axes change it alike, 1 where one does.

    `importance` as in `disentanglement`.  A factor scores `1 − H_m(P)`, `P` its column divided by its sum (Eastwood &
    Williams 2018); this is the plain mean over factors, and the more axes there are, the more a tail of small effects
    costs.  Returns `(...)`; raises as `disentanglement` does.
    """
    return _concentration(_known_factors(importance), -2).mean(-1)


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
