"""How far a step along an axis moves what a reader sees in a picture, in standard deviations of the samples.

The reader defines no distance and was trained on photographs, so that it judges axes from outside.  A reading is one
number a picture; `factors` asks of codes what share of a known factor an axis carries.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.applications.factors import read_outputs
from geomlib.generators.interface import Generator
from geomlib.readers import FaceReader
from geomlib.readers.checks import FACE, LANDMARKS

# Name of a reading to its values (N,), NaN where it has no meaning.
Read = Callable[[Tensor], Mapping[str, Tensor]]
ANGLES = ("hue",)  # readings in radians, that turn
_BATCH = 250


def read_faces(reader: FaceReader) -> Read:
    """A reading of portraits `(N, 3, 64, 64)` in [0, 1]: yaw, pitch, mouth, background, light and hue.

    The first three are NaN where the reader sees no face (a probability of at most 0.7).
    """

    def read(images: Tensor) -> dict[str, Tensor]:
        seen = reader(images)
        known = seen.probability > FACE
        by_landmarks = {name: getattr(seen, name).where(known, torch.nan) for name in LANDMARKS}
        return by_landmarks | {"background": seen.background, "light": seen.light, "hue": seen.hue}

    return read


@dataclass(frozen=True)
class AxisReadings:
    """Result of `move_readings`, for `A` axes, `P` latents and the `R` readings in `names`.

    Attributes:
        names: of the readings.
        changes: `(A, P, R)`, in standard deviations of the samples; NaN where a reading has no meaning at one end.
        spread: `(R,)`, those standard deviations, in the units of each reading.
    """

    names: tuple[str, ...]
    changes: Tensor
    spread: Tensor

    @property
    def effects(self) -> Tensor:
        """Mean changes over latents, `(A, R)`, with a sign."""
        return self.changes.nanmean(1)

    @property
    def left_out(self) -> Tensor:
        """How many latents have no change, `(A, R)`."""
        return self.changes.isnan().sum(1)


def turned(change: Tensor) -> Tensor:
    """Angles in radians, taken into [−π, π)."""
    return (change + math.pi).remainder(2 * math.pi) - math.pi


def spread_of(values: Tensor, angle: bool = False) -> Tensor:
    """Standard deviation of `values` `(N,)` but NaN; of angles, the root mean square turn from the circular mean."""
    known = values[~values.isnan()].double()
    if not angle:
        return known.std(correction=0)
    mean = torch.atan2(known.sin().mean(), known.cos().mean())
    return turned(known - mean).square().mean().sqrt()


@isolated()
@torch.no_grad()
def move_readings(
    generator: Generator,
    axes: Tensor,
    read: Read,
    *,
    latents: Tensor,
    samples: Tensor,
    step: float = 1.0,
    progress: Progress | None = None,
) -> AxisReadings:
    """Readings at `z + step a` minus those at `z − step a`, in standard deviations of the readings of samples.

    Args:
        generator: makes what is read.
        axes: unit vectors in columns `(n, A)`, not always orthogonal.
        read: see `read_faces`.
        latents: `(P, n)`, where axes are judged.
        samples: `(N, n)`, of whose readings the standard deviations are; others than `latents`.
        step: in latent units, to each side.
        progress: called with `(done, total)` after each axis.

    Raises:
        ValueError: axes of another shape or length, latents of another shape, or a reading that does not vary.
        FloatingPointError: outputs that are not finite.
    """
    n = generator.latent_dim
    check_matrix("latents", latents, n)
    check_matrix("samples", samples, n)
    if axes.ndim != 2 or len(axes) != n or not axes.shape[1]:
        raise ValueError(f"axes: expected shape ({n}, A), got {tuple(axes.shape)}")
    axes = axes.detach().cpu().double()
    wrong = float((axes.norm(dim=0) - 1).abs().max())
    if not wrong < 1e-3:
        raise ValueError(f"axes: expected unit vectors in columns, got lengths that are wrong by {wrong:.1e}")
    usual = _read(generator, samples, read)
    names = tuple(usual)
    spread = torch.stack([spread_of(values, name in ANGLES) for name, values in usual.items()])
    for name, deviation in zip(names, spread.tolist(), strict=True):
        if not deviation > 0:
            raise ValueError(f"samples: the reading {name} does not vary over {len(samples)} samples")
    changes = []
    for axis in axes.T:
        move = step * axis.to(latents.dtype).to(latents.device)
        both = _read(generator, torch.cat([latents + move, latents - move]), read)
        gaps = {name: ahead - behind for name, (ahead, behind) in ((name, both[name].chunk(2)) for name in names)}
        changes.append(
            torch.stack([turned(gaps[name]) if name in ANGLES else gaps[name] for name in names], 1) / spread
        )
        if progress:
            progress(len(changes), axes.shape[1])
    return AxisReadings(names, torch.stack(changes), spread)


def _read(generator: Generator, latents: Tensor, read: Read) -> dict[str, Tensor]:
    readings = read_outputs(generator, latents, read)
    for name, values in readings.items():
        if values.shape != (len(latents),):
            raise ValueError(f"read: expected ({len(latents)},) values of {name!r}, got {tuple(values.shape)}")
    return readings


def one_thing(effects: Tensor) -> Tensor:
    """How far each axis moves one thing alone, `(..., R)` to `(...)`: the largest squared effect over the sum of all.

    1: a single reading moves; `1 / R`: all move alike, in standard deviations.  NaN where nothing moves.
    """
    squares = effects.double().square()
    return squares.amax(-1) / squares.sum(-1)


@isolated()
def edit_direction(generator: Generator, read: Read, name: str, *, latents: Tensor, keep: Sequence[str] = ()) -> Tensor:
    """A unit vector `(n,)` along which a reading grows: the mean of its gradient over latents.

    An edit that a person asks for, as to turn the head.  With `keep`, the part of it along the mean gradients of those
    readings is left out, so that to first order they stay, on average.

    Args:
        generator: makes what is read.
        read: see `read_faces`.
        name: of the reading.
        latents: `(P, n)`, others than those at which the direction is judged.
        keep: readings that are to stay.

    Raises:
        ValueError: an unknown reading, or no gradient that is left.
    """
    check_matrix("latents", latents, generator.latent_dim)
    totals = {one: torch.zeros(generator.latent_dim, dtype=torch.float64) for one in (name, *keep)}
    for part in latents.split(_BATCH):
        moving = part.detach().to(generator.device, generator.dtype).requires_grad_()
        readings = read(generator(moving))
        for one, total in totals.items():
            check_choice("name, keep", one, readings)
            values = readings[one]
            (gradient,) = torch.autograd.grad(values[~values.isnan()].sum(), moving, retain_graph=True)
            total += gradient.nan_to_num(0.0).sum(0).cpu().double()
    wanted = totals[name]
    if keep:
        gradients = torch.stack([totals[one] for one in keep], 1)
        spans, sizes, _ = torch.linalg.svd(gradients, full_matrices=False)
        others = spans[:, sizes > 1e-9 * sizes[0]]  # some may be alike, or zero
        wanted = wanted - others @ (others.T @ wanted)
    if not wanted.norm() > 1e-9 * totals[name].norm():
        raise ValueError(f"name: no direction is left that moves {name} and keeps {', '.join(keep) or 'nothing'}")
    return functional.normalize(wanted, dim=0)
