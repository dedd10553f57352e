"""How far the metric at one position speaks for the metric at another (Wang & Ponce 2021, section 3.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import as_count, check_returned, check_up_to
from geomlib._progress import Progress
from geomlib._state import seeded
from geomlib.metric import Metric

# Top eigenpairs of each position: eigenvalues (P, k), descending, and eigenvectors (P, n, k) in columns.
Eigenpairs = tuple[Tensor, Tensor]
# Numbers held at a time beside the metrics, unless one pair of positions needs more.
_TILE = 2**22


@dataclass(frozen=True)
class Consistency:
    """`linear` and `log` `(P, P)`, row = source, column = target, diagonal nan; `left_out` `(P, P)` counts ranks.

    `entries` `(P, P)`, diagonal nan, is the Pearson correlation of all entries of the two metric tensors (`C_vec` of
    the authors).  It is high also where both are near a multiple of the identity, whatever their axes: `rotated` tells.
    """

    linear: Tensor
    log: Tensor
    left_out: Tensor
    entries: Tensor


@dataclass(frozen=True)
class OverlapNull:
    """Overlap of random subspaces: its expectation, and the ends of its central interval."""

    mean: float
    low: float
    high: float


class Agreement(NamedTuple):
    """How strengths follow eigenvalues: Pearson correlation of the values and of their log10, and the line of log10."""

    linear: Tensor
    log: Tensor
    slope: Tensor
    intercept: Tensor


@checked(shapes={"values": "any * k", "strengths": "any * k", "use": "bool * k"})
def agreement(values: Tensor, strengths: Tensor, use: Tensor | None = None) -> Agreement:
    """Compare strengths with eigenvalues over the ranks, `(..., n)` each, to four statistics `(...)`.

    Of the logarithms, the correlation, and slope and intercept of `log10 strengths` on `log10 values`, take only the
    ranks marked in `use` `(..., n)`, which must be positive; they are nan where fewer than two are left.

    Raises:
        ValueError: shapes that differ.
    """
    for name, other in (("strengths", strengths), ("use", values if use is None else use)):
        if other.shape != values.shape:
            raise ValueError(f"{name}: expected shape {tuple(values.shape)} as values, got {tuple(other.shape)}")
    use = torch.ones_like(values, dtype=torch.bool) if use is None else use
    tiny = torch.finfo(torch.float64).tiny
    x, y = (part.double().clamp(min=tiny).log10() for part in (values, strengths))
    log, slope, intercept = _line(x, y, use)
    return Agreement(_line(values.double(), strengths.double(), torch.ones_like(use))[0], log, slope, intercept)


def _line(x: Tensor, y: Tensor, use: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pearson correlation along the last dimension over the entries marked in `use`, slope and intercept of `y(x)`."""
    count = use.sum(-1, keepdim=True)
    means = [part.where(use, 0.0).sum(-1, keepdim=True) / count for part in (x, y)]
    dx, dy = ((part - mean).where(use, 0.0) for part, mean in zip((x, y), means, strict=True))
    products, squares = (dx * dy).sum(-1), dx.square().sum(-1)
    slope = products / squares
    return products / (squares * dy.square().sum(-1)).sqrt(), slope, means[1][..., 0] - slope * means[0][..., 0]


def _eigenpairs(metrics: Metric | Eigenpairs, least: int = 2) -> Eigenpairs:
    values, vectors = (metrics.eigenvalues, metrics.eigenvectors) if isinstance(metrics, Metric) else metrics
    if vectors.ndim != 3 or len(vectors) < least:
        words = "two positions" if least == 2 else "one position"
        raise ValueError(f"metrics: expected at least {words} (P, n, k), got {tuple(vectors.shape)}")
    expected = (len(vectors), vectors.shape[2])
    if values.shape != expected:
        raise ValueError(
            f"metrics: expected eigenvalues {expected} beside eigenvectors {tuple(vectors.shape)}, "
            f"got {tuple(values.shape)}"
        )
    return values.double(), vectors


def _transfer_rows(values: Tensor, vectors: Tensor) -> Iterator[Tensor]:
    """`L[i]` `(P, k)` of one source at a time."""
    targets = max(1, _TILE // vectors[0].numel())
    for source in vectors.unbind():
        parts = zip(values.split(targets), vectors.split(targets), strict=True)
        yield torch.cat(
            [((part.double().mT @ source.double()).square() * value[:, :, None]).sum(1) for value, part in parts]
        )


@checked()
def transfer(metrics: Metric | Eigenpairs) -> Tensor:
    """`L[i, j, k] = v_k(i)ᵀ H_j v_k(i)`, `(P, P, k)`: what position `i`'s axes do at position `j`, in `i`'s order.

    Computed as `Σ_r λ_r(j) (v_k(i) · v_r(j))²`.  With `metrics` the top eigenpairs, eigenvalues `(P, k)` and
    eigenvectors `(P, n, k)`, the sum ends at `k`: each entry is too small by a positive amount of at most the target's
    next eigenvalue.

    Raises:
        ValueError: fewer than two positions, or shapes that do not fit.
    """
    return torch.stack(list(_transfer_rows(*_eigenpairs(metrics))))


@checked(shapes={"noise_floor": "any P", "use": "bool P P k"})
def consistency(
    metrics: Metric | Eigenpairs,
    shuffle_seed: int | None = None,
    *,
    noise_floor: Tensor | None = None,
    use: Tensor | None = None,
    progress: Progress | None = None,
) -> Consistency:
    """Pearson correlation over ranks of `L_ij` with the target's eigenvalues, of the values and of their log10.

    The logarithm leaves out, and counts, ranks where either is below the target's noise floor.  Both sequences
    descend, so part of the correlation is the shape of the spectrum: compare with `rotated`, and with `shuffle_seed`.
    One source is treated at a time, so that beside the metrics only `O(n k + P k)` numbers are held.

    Args:
        metrics: a `Metric` of several positions, or the top eigenpairs, eigenvalues `(P, k)` and eigenvectors
            `(P, n, k)` on any device, of metrics too large to be formed.  The correlation then runs over `k` ranks
            instead of `n`, so it is to be compared at equal `k`; `transfer` tells the error of each entry, and
            `entries` compares the truncated tensors.
        shuffle_seed: pairs ranks at random (`entries` stays as it is).
        noise_floor: `(P,)`, in the place of the metrics' own; without one, eigenpairs have the floor 0.
        use: `(P, P, k)`, ranks that the logarithm may take at all, as those that two networks have in common
            (`ranks_above_floor`).
        progress: called with `(done, total)` after each source.

    Raises:
        ValueError: fewer than two positions, or shapes that do not fit.
    """
    values, vectors = _eigenpairs(metrics)
    if noise_floor is None:
        noise_floor = metrics.noise_floor if isinstance(metrics, Metric) else torch.zeros(len(values))
    if noise_floor.shape != (len(values),):
        raise ValueError(f"noise_floor: expected shape ({len(values)},), got {tuple(noise_floor.shape)}")
    if use is not None and use.shape != (len(values), *values.shape):
        raise ValueError(f"use: expected shape {(len(values), *values.shape)}, got {tuple(use.shape)}")
    floor = noise_floor.to(values)[:, None]
    random = None if shuffle_seed is None else seeded(shuffle_seed)
    parts = []
    for index, row in enumerate(_transfer_rows(values, vectors)):
        # The inner product of two tensors is Σ_k λ_k(i) L_ij(k).
        products = row @ values[index]
        if random is not None:
            order = torch.rand(row.shape, generator=random, dtype=torch.float32).argsort(-1)
            row = row.gather(-1, order.to(row.device))
        taken = (row > floor) & (values > floor)
        if use is not None:
            taken &= use[index].to(taken.device)
        statistics = agreement(values, row, taken)
        parts.append((statistics.linear, statistics.log, (~taken).sum(-1), products))
        if progress:
            progress(index + 1, len(values))
    linear, logarithmic, left_out, products = (torch.stack(part).cpu() for part in zip(*parts, strict=True))
    entries = _entry_correlation(products, values.cpu(), vectors)
    for matrix in (linear, logarithmic, entries):
        matrix.fill_diagonal_(torch.nan)
    return Consistency(linear, logarithmic, left_out, entries)


@checked()
def ranks_above_floor(metrics: Metric) -> Tensor:
    """Which ranks the logarithm of `consistency` takes, `(P, P, n)`: `L_ij` and eigenvalue above the target's floor.

    Two networks are compared over the ranks that both have: `consistency(one, use=ranks_above_floor(other))`.
    """
    _eigenpairs(metrics)
    floor = metrics.noise_floor[:, None]
    return (transfer(metrics) > floor) & (metrics.eigenvalues > floor)


def _entry_correlation(products: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
    """Pearson correlation of all entries from the inner products `(P, P)` of the tensors and their sums of entries."""
    # The sum of all entries of λ v vᵀ is λ (Σ v)².
    totals = torch.stack([vector.double().sum(0) for vector in vectors]).cpu()
    sums = (values * totals.square()).sum(1)
    covariance = products - sums[:, None] * sums / vectors.shape[1] ** 2
    scale = covariance.diagonal().sqrt()
    return covariance / scale[:, None] / scale


def _frames(rows: int, columns: int, random: torch.Generator, count: int = 1) -> Tensor:
    frames, triangular = torch.linalg.qr(torch.randn(count, rows, columns, generator=random, dtype=torch.float64))
    # The sign makes the frame uniform over rotations (Mezzadri 2007).
    uniform: Tensor = frames * triangular.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]
    return uniform


@checked()
def random_frame(n: int, k: int, seed: int) -> Tensor:
    """`k` orthonormal columns `(n, k)`, float64, uniform over rotations: random axes to compare others with.

    Raises:
        ValueError: `k` not in 1 to `n`.
    """
    check_up_to("k", k, as_count("n", n))
    return _frames(n, k, seeded(seed))[0]


@checked()
def rotated(metrics: Metric, seed: int) -> Metric:
    """The null model of homogeneity: each metric keeps its spectrum and gets a random frame of its own."""
    _eigenpairs(metrics, least=1)
    n = metrics.matrix.shape[-1]
    frames = _frames(n, n, seeded(seed), len(metrics.matrix))
    matrix = (frames * metrics.eigenvalues[..., None, :]) @ frames.mT
    return Metric.from_matrix(matrix, metrics.noise_floor)


@checked(shapes={"frame": "* n k"})
def check_orthonormal(name: str, frame: Tensor) -> None:
    """Raise `ValueError` unless the columns of `frame` `(..., n, k)` are orthonormal to 1e-3."""
    frame = frame.double()
    error = (frame.mT @ frame - torch.eye(frame.shape[-1]).to(frame)).abs().max()
    if not error < 1e-3:
        raise ValueError(f"{name}: expected orthonormal columns, got products that are wrong by {error:.1e}")


@checked()
def check_bases(axes: Mapping[str, Tensor], counts: Sequence[int], n: int) -> None:
    """Raise `ValueError` unless each basis `(n, m)` is orthonormal and has all of the `counts`, which are 0 or more."""
    n = as_count("n", n)
    if not axes or not len(counts) or min(counts) < 0:
        raise ValueError(
            f"axes, counts: expected at least one, and one of 0 or more, got {list(axes)} and {list(counts)}"
        )
    for name, basis in axes.items():
        if basis.ndim != 2 or len(basis) != n or not max(counts) <= basis.shape[1] <= n:
            raise ValueError(
                f"axes {name!r}: expected shape ({n}, m), m from {max(counts)} to {n}, got {tuple(basis.shape)}"
            )
        check_orthonormal(f"axes {name!r}", basis)


@checked(shapes={"U": "* m k", "V": "* m k"})
def subspace_overlap(U: Tensor, V: Tensor) -> Tensor:
    """Mean squared cosine of the principal angles of two subspaces, `‖UᵀV‖² / k`, in [0, 1].

    `U` and `V` `(..., n, k)` have orthonormal columns; leading dimensions broadcast.  1: the same subspace; 0:
    perpendicular ones; random ones have `k / n` on average (`overlap_null`).

    Raises:
        ValueError: shapes that differ, or columns that are not orthonormal to 1e-3.
    """
    if U.ndim < 2 or U.shape[-2:] != V.shape[-2:]:
        raise ValueError(f"U, V: expected the same shape (..., n, k), got {tuple(U.shape)} and {tuple(V.shape)}")
    check_orthonormal("U", U)
    check_orthonormal("V", V)
    return (U.double().mT @ V.double()).square().sum((-2, -1)) / U.shape[-1]


@checked()
def overlap_null(n: int, k: int, *, seed: int, count: int = 1000, level: float = 0.95) -> OverlapNull:
    """The overlap of two independent uniform `k`-dimensional subspaces of `n` dimensions.

    Its expectation is `k / n`, exactly; the central interval that holds `level` of it is simulated with `count` pairs.

    Raises:
        ValueError: `k` not in 1 to `n`, or a `level` outside (0, 1).
    """
    check_up_to("k", k, as_count("n", n))
    _check_level(level)
    count = as_count("count", count)
    random = seeded(seed)
    # One of the two subspaces may as well be that of the first k coordinates.
    draws = [_frames(n, k, random)[0, :k].square().sum() / k for _ in range(count)]
    low, high = _central(torch.stack(draws), level).tolist()
    return OverlapNull(k / n, low, high)


@checked(gaps=("matrix",), shapes={"matrix": "any P P"})
def off_diagonal(matrix: Tensor) -> Tensor:
    """The `P (P − 1)` entries of `(P, P)` that compare two different positions."""
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


@checked(gaps=("values",))
def bootstrap_interval(
    statistic: Callable[[Tensor], Tensor],
    values: Tensor,
    *,
    seed: int,
    count: int = 1000,
    level: float = 0.95,
    pairs: bool = False,
) -> tuple[Tensor, Tensor]:
    """Ends, float64, of the central `level` of a statistic over resamples of positions (percentiles, Efron 1979).

    With `pairs`, `values` `(P, P)` compares positions, and its entries are not independent.  Resampled are positions,
    and `statistic` takes the entries `(m,)` of all ordered pairs of the drawn ones that are different positions; the
    diagonal is never used.  A draw of one position alone has no pair and is drawn again.  For `P` below about ten such
    intervals are too narrow.

    Args:
        statistic: takes as many rows as `values` has, drawn with replacement, and returns a tensor of any one shape,
            which is the shape of both ends.  An end is nan where a resample's statistic is.
        values: `(P, ...)`, one row a position.
        seed: of the resamples.
        count: how many resamples.
        level: between 0 and 1.
        pairs: whether `values` compares positions.

    Raises:
        ValueError: fewer than two positions, a matrix of pairs that is not square, a `level` outside (0, 1), or a
            `count` below one.
    """
    size = values.shape[0] if values.ndim else 0
    if size < 2 or not values.numel():
        raise ValueError(f"values: expected at least two positions, got shape {tuple(values.shape)}")
    if pairs and values.shape != (size, size):
        raise ValueError(f"values: expected a matrix of pairs (P, P), got shape {tuple(values.shape)}")
    _check_level(level)
    if count < 1:
        raise ValueError(f"count: expected a positive integer, got {count}")
    resamples = _resamples(size, count, seeded(seed), pairs)
    if statistic is torch.mean and (pairs or values.ndim == 1):
        draws = _means(values.detach().cpu().double(), resamples, pairs)
    else:
        found = []
        for places in resamples:
            drawn = values[places[:, None], places][places[:, None] != places] if pairs else values[places]
            drawn = statistic(drawn)
            check_returned("statistic", drawn)
            found.append(drawn.detach().to("cpu", torch.float64))
        draws = torch.stack(found)
    low, high = _central(draws, level)
    return low, high


def _resamples(size: int, count: int, random: torch.Generator, pairs: bool) -> Tensor:
    """Drawn positions, `(count, size)`; with `pairs` no row is of one position alone."""
    drawn = torch.randint(size, (count, size), generator=random)
    while pairs and len(drawn := drawn[(drawn != drawn[:, :1]).any(1)]) < count:
        drawn = torch.cat([drawn, torch.randint(size, (count - len(drawn), size), generator=random)])
    return drawn


def _means(values: Tensor, resamples: Tensor, pairs: bool) -> Tensor:
    """The mean of each resample, all at once: with `pairs` from how often each position was drawn."""
    if not pairs:
        return values[resamples].mean(1)
    count = torch.zeros(len(resamples), len(values), dtype=values.dtype)
    count.scatter_add_(1, resamples, torch.ones_like(resamples, dtype=values.dtype))
    unknown = ~values.isfinite()
    known = values.masked_fill(unknown | torch.eye(len(values), dtype=torch.bool), 0)
    totals = ((count @ known) * count).sum(1)
    unknown.fill_diagonal_(False)
    totals[((count @ unknown.to(values)) * count).sum(1) > 0] = torch.nan
    return totals / (len(values) ** 2 - count.square().sum(1))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number in (0, 1), got {level}")


def _central(draws: Tensor, level: float) -> Tensor:
    """Both ends of the central `level` of what was drawn, `(2, ...)`."""
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    return torch.quantile(draws, ends, dim=0)
