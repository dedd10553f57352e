"""A data set of coloured shapes whose every factor of variation is known.

A generator that is trained on it can be asked what each latent axis does to each factor, and answered by measurement
instead of by eye.  The problem is well posed: the shape and its ground always differ by at least
`MINIMUM_CONTRAST` in one colour channel, and within +-40 degrees a square (symmetric under 90) and a triangle (120)
have exactly one angle.  A disc has none.  Hues are points on a circle.
"""

import math

import torch
from torch import Tensor

from geomlib.worlds.factors import Factor, sample_uniform

SHAPES = ("disc", "square", "triangle")
MINIMUM_CONTRAST = 0.4
_FOREGROUND_VALUE, _FOREGROUND_SATURATION, _BACKGROUND_SATURATION = 1.0, 0.8, 0.6


FACTORS = (
    Factor("shape", 0, len(SHAPES) - 1),
    Factor("x", 0.35, 0.65),
    Factor("y", 0.35, 0.65),
    Factor("size", 0.14, 0.22),
    Factor("angle", -40.0, 40.0),
    Factor("foreground_hue", 0.0, 1.0, circular=True),
    Factor("background_hue", 0.0, 1.0, circular=True),
    Factor("background_brightness", 0.2, _FOREGROUND_VALUE - MINIMUM_CONTRAST),
)
FACTOR_NAMES = tuple(factor.name for factor in FACTORS)


def sample_factors(count: int, seed: int) -> Tensor:
    """Independent uniform factors, `(count, 8)`, columns as in `FACTOR_NAMES`.

    The shape column holds the index into `SHAPES`; `x`, `y` and `size` are fractions of the image's width (`size` is
    the radius of the disc of the same area), the angle is in degrees, hues and brightness are those of HSV in [0, 1].
    """
    return sample_uniform(FACTORS, count, seed)


def _to_rgb(hue: Tensor, saturation: float, value: Tensor) -> Tensor:
    """HSV to RGB, `(N,)` to `(N, 3)`; the largest channel equals `value`."""
    offsets = torch.tensor([5.0, 3.0, 1.0], device=hue.device)
    k = (offsets + 6.0 * hue[:, None]) % 6.0
    return value[:, None] * (1.0 - saturation * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0))


def _signed_distance(shape: Tensor, u: Tensor, v: Tensor, size: Tensor) -> Tensor:
    """Distance to the outline, negative inside; the three shapes of one `size` have the same area."""
    disc = torch.hypot(u, v) - size
    half_side = size * math.sqrt(math.pi) / 2
    square = torch.maximum(u.abs(), v.abs()) - half_side
    inradius = size * math.sqrt(math.pi / (3 * math.sqrt(3)))
    slanted = math.sqrt(3) / 2 * u.abs() - v / 2
    triangle = torch.maximum(slanted, v) - inradius
    return torch.where(shape == 0, disc, torch.where(shape == 1, square, triangle))


def render(factors: Tensor, resolution: int = 64) -> Tensor:
    """Images `(N, 3, resolution, resolution)` in [0, 1] of `factors` `(N, 8)`; edges are anti-aliased over one pixel.

    Raises:
        ValueError: `factors` has another number of columns.
    """
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS):
        raise ValueError(f"factors: expected shape (N, {len(FACTORS)}), got {tuple(factors.shape)}")
    shape, x, y, size, angle = (column[:, None, None] for column in factors[:, :5].unbind(1))
    grid = (torch.arange(resolution, device=factors.device) + 0.5) / resolution
    dx, dy = grid[None, None, :] - x, grid[None, :, None] - y
    cosine, sine = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    distance = _signed_distance(shape, cosine * dx + sine * dy, cosine * dy - sine * dx, size)
    inside = (0.5 - distance * resolution).clamp(0.0, 1.0)[:, None]
    foreground_hue, background_hue, brightness = factors[:, 5:].unbind(1)
    foreground = _to_rgb(foreground_hue, _FOREGROUND_SATURATION, torch.full_like(foreground_hue, _FOREGROUND_VALUE))
    background = _to_rgb(background_hue, _BACKGROUND_SATURATION, brightness)
    return torch.lerp(background[:, :, None, None], foreground[:, :, None, None], inside)


def dataset(count: int, seed: int, resolution: int = 64) -> tuple[Tensor, Tensor]:
    """`count` images with the factors that made them; the same for a seed on every machine."""
    factors = sample_factors(count, seed)
    return render(factors, resolution), factors
