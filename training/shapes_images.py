"""Images for the two networks that look at shapes: real ones, many ways to be none, and mild faults."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from geomlib.worlds import shapes
from geomlib.worlds.shapes.data import _signed_distance

FOREGROUND_HUE = shapes.FACTOR_NAMES.index("foreground_hue")
BACKGROUND_HUE = shapes.FACTOR_NAMES.index("background_hue")
Candidates = tuple[Tensor, Tensor]


def _uniform(like: Tensor, low: float, high: float, noise: torch.Generator) -> Tensor:
    """One number per image of `like`, `(N, 1, 1, 1)`."""
    return low + (high - low) * torch.rand(len(like), 1, 1, 1, generator=noise)


def _field(count: int, channels: int, cells: int, noise: torch.Generator, resolution: int = 64) -> Tensor:
    """Smooth Gaussian noise of about unit deviation, `(count, channels, resolution, resolution)`."""
    coarse = torch.randn(count, channels, cells, cells, generator=noise)
    return functional.interpolate(coarse, size=resolution, mode="bicubic", align_corners=True)


def _grid(resolution: int = 64) -> tuple[Tensor, Tensor]:
    axis = (torch.arange(resolution) + 0.5) / resolution
    return axis[None, None, None, :], axis[None, None, :, None]


def ground(factors: Tensor) -> Tensor:
    """The same images with their shape moved out of sight."""
    moved = factors.clone()
    moved[:, 1] = -9.0
    return shapes.render(moved)


def cover(factors: Tensor) -> Tensor:
    """How much of each pixel the shape covers, `(N, 1, 64, 64)` in [0, 1]."""
    difference = (shapes.render(factors) - ground(factors)).abs().amax(1, keepdim=True)
    return difference / difference.amax((2, 3), keepdim=True)


def _overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of the two shapes, `(N,)`."""
    one, two = cover(first), cover(second)
    return torch.minimum(one, two).sum((1, 2, 3)) / torch.maximum(one, two).sum((1, 2, 3))


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one `sigma` in pixels per image."""
    count, channels, _, width = images.shape
    radius = int(3 * float(sigma.max())) + 1
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma.reshape(-1, 1).clamp(min=1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    # Each channel of each image is a group of its own, so that each image has its own kernel.
    groups = count * channels
    padded = functional.pad(images, (radius,) * 4, mode="replicate").reshape(1, groups, -1, width + 2 * radius)
    rows = functional.conv2d(padded, kernel[:, None, None, :], groups=groups)
    return functional.conv2d(rows, kernel[:, None, :, None], groups=groups).reshape(images.shape)


def warp(images: Tensor, shift: Tensor) -> Tensor:
    """Take each pixel from where `shift` `(N, 2, 64, 64)`, in pixels, points."""
    x, y = _grid()
    places = torch.stack([2 * x[:, 0] - 1 + shift[:, 0] / 32, 2 * y[:, 0] - 1 + shift[:, 1] / 32], -1)
    return functional.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def _half_plane(factors: Tensor, softness: Tensor, noise: torch.Generator) -> Tensor:
    """A line through about the middle of each shape: 0 on one side, 1 on the other."""
    x, y = _grid()
    direction = _uniform(factors, 0.0, 6.2832, noise)
    offset = _uniform(factors, -0.3, 0.3, noise) * factors[:, 3, None, None, None]
    dx, dy = x - factors[:, 1, None, None, None], y - factors[:, 2, None, None, None]
    across = dx * direction.cos() + dy * direction.sin()
    return torch.sigmoid((across - offset) * 64 / softness)


# Each kind takes factors of two sets of images and returns the images and which of them are what they should be.


def _white_noise(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    images = torch.rand(len(first), 3, 64, 64, generator=noise)
    spread = _uniform(first, 0.15, 1.0, noise)
    return torch.lerp(ground(first), images, spread), torch.ones(len(first), dtype=torch.bool)


def _smooth_noise(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    quarters = zip(first.tensor_split(4), (3, 5, 8, 16), strict=True)
    fields = torch.cat([_field(len(part), 3, cells, noise) for part, cells in quarters])
    images = torch.lerp(ground(first), 0.5 + 0.3 * fields, _uniform(first, 0.4, 1.0, noise))
    return images.clamp(0, 1), torch.ones(len(first), dtype=torch.bool)


def _blend(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    images = torch.lerp(shapes.render(first), shapes.render(second), _uniform(first, 0.25, 0.75, noise))
    return images, _overlap(first, second) < 0.7


def _morph(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    weight = torch.sigmoid(_field(len(first), 1, 6, noise) * _uniform(first, 2.0, 12.0, noise))
    union = torch.maximum(cover(first), cover(second))
    share = (weight * union).sum((1, 2, 3)) / union.sum((1, 2, 3))
    images = torch.lerp(shapes.render(first), shapes.render(second), weight)
    return images, (_overlap(first, second) < 0.7) & (share > 0.25) & (share < 0.75)


def _blurred(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    sigma = _uniform(first, 2.5, 6.0, noise)
    return blur(shapes.render(first), sigma), torch.ones(len(first), dtype=torch.bool)


def _empty(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    faint = _uniform(first, -0.2, 0.2, noise).clamp(min=0.0)
    return torch.lerp(ground(first), shapes.render(first), faint), torch.ones(len(first), dtype=torch.bool)


def _bitten(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    x, y = _grid()
    column = [first[:, index, None, None, None] for index in range(4)]
    direction, far = _uniform(first, 0.0, 6.2832, noise), _uniform(first, 0.3, 0.9, noise) * column[3]
    radius = _uniform(first, 0.5, 0.9, noise) * column[3]
    distance = torch.hypot(x - column[1] - far * direction.cos(), y - column[2] - far * direction.sin())
    hole = (0.5 + 64 * (radius - distance)).clamp(0, 1)
    covered = cover(first)
    lost = (hole * covered).sum((1, 2, 3)) / covered.sum((1, 2, 3))
    return torch.lerp(shapes.render(first), ground(first), hole), (lost > 0.25) & (lost < 0.75)


def _two_colours(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    other = first.clone()
    other[:, FOREGROUND_HUE] = second[:, FOREGROUND_HUE]
    apart = (first[:, FOREGROUND_HUE] - other[:, FOREGROUND_HUE]).abs()
    side = _half_plane(first, _uniform(first, 0.2, 2.5, noise), noise)
    return torch.lerp(shapes.render(first), shapes.render(other), side), torch.minimum(apart, 1 - apart) > 0.15


def _two_shapes(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    other = torch.cat([second[:, :BACKGROUND_HUE], first[:, BACKGROUND_HUE:]], 1)
    overlap = _overlap(first, other)
    return torch.lerp(shapes.render(first), shapes.render(other), cover(other)), overlap < 0.4


def _hybrid(first: Tensor, second: Tensor, noise: torch.Generator) -> Candidates:
    """One crisp outline, midway between those of two shapes: what a continuous generator puts between its classes."""
    x, y = _grid()
    dx, dy = (x - first[:, 1, None, None, None])[:, 0], (y - first[:, 2, None, None, None])[:, 0]
    size, outlines = first[:, 3, None, None], []
    for part in (first, second):
        turn = torch.deg2rad(part[:, 4, None, None])
        along, across = turn.cos() * dx + turn.sin() * dy, turn.cos() * dy - turn.sin() * dx
        outlines.append(_signed_distance(part[:, 0, None, None], along, across, size)[:, None])
    midway = torch.lerp(outlines[0], outlines[1], _uniform(first, 0.4, 0.6, noise))
    inside = (0.5 - 64 * midway).clamp(0, 1)
    far = first.clone()
    far[:, 3] = 9.0
    return torch.lerp(ground(first), shapes.render(far), inside), first[:, 0] != second[:, 0]


def _warped(first: Tensor, second: Tensor, noise: torch.Generator, least: float = 3.0, far: float = 2.5) -> Candidates:
    shift = _field(len(first), 2, 6, noise) * _uniform(first, least, 5.0, noise)
    covered = cover(first)
    mass = covered.sum((2, 3), keepdim=True)
    centred = shift - (shift * covered).sum((2, 3), keepdim=True) / mass
    spread = ((centred**2 * covered).sum((2, 3)) / mass[:, :, 0, 0]).sum(1).sqrt()
    return warp(shapes.render(first), centred), spread > far


def _stretched(first: Tensor, second: Tensor, noise: torch.Generator, least: float = 1.5) -> Candidates:
    x, y = _grid()
    dx, dy = 64 * (x - first[:, 1, None, None, None]), 64 * (y - first[:, 2, None, None, None])
    direction, root = _uniform(first, 0.0, 6.2832, noise), _uniform(first, least, 2.3, noise).sqrt()
    along = dx * direction.cos() + dy * direction.sin()
    across = dy * direction.cos() - dx * direction.sin()
    along, across = along * (1 / root - 1), across * (root - 1)
    right = along * direction.cos() - across * direction.sin()
    down = along * direction.sin() + across * direction.cos()
    return warp(shapes.render(first), torch.cat([right, down], 1)), torch.ones(len(first), dtype=torch.bool)


Kinds = dict[str, Callable[[Tensor, Tensor, torch.Generator], Candidates]]
_PLAIN: Kinds = {
    "white noise": _white_noise,
    "smooth noise": _smooth_noise,
    "blend": _blend,
    "morph": _morph,
    "blurred": _blurred,
    "empty": _empty,
    "bitten": _bitten,
    "two colours": _two_colours,
    "two shapes": _two_shapes,
}
NEGATIVES: Kinds = {**_PLAIN, "warped": _warped, "stretched": _stretched}
STRICT_NEGATIVES: Kinds = {
    **_PLAIN,
    "hybrid": _hybrid,
    "warped": partial(_warped, least=1.5, far=1.5),
    "stretched": partial(_stretched, least=1.3),
}


def negatives(kind: str, count: int, seed: int, kinds: Kinds = NEGATIVES) -> Tensor:
    """`count` images `(count, 3, 64, 64)` in [0, 1] of one of `kinds`; uses the data seeds `seed` and `seed + 1`."""
    noise = torch.Generator().manual_seed(seed + 2)
    first, second = (iter(shapes.sample_factors(4 * count, each).split(500)) for each in (seed, seed + 1))
    kept: list[Tensor] = []
    while sum(map(len, kept)) < count:
        images, right = kinds[kind](next(first), next(second), noise)
        kept.append(images[right])
    return torch.cat(kept)[:count]


def real(count: int, seed: int) -> Candidates:
    """`count` data images as uint8 `(count, 3, 64, 64)` with their factors `(count, 8)`."""
    factors = shapes.sample_factors(count, seed)
    return torch.cat([quantise(shapes.render(part)) for part in factors.split(1000)]), factors


def quantise(images: Tensor) -> Tensor:
    return images.mul(255).round().to(torch.uint8)


def degrade(images: Tensor, noise: torch.Generator) -> Tensor:
    """Mild faults such as a good generator has, which leave an image what it is: `(N, 3, 64, 64)` in [0, 1].

    Blur of at most 0.7 pixels, faint white, smooth and checkered texture, a slight shift of colour, a slight warp.
    Every strength is drawn per image, and is often near zero.
    """
    count = len(images)

    def strength(most: float) -> Tensor:
        return most * _uniform(images, 0.0, 1.0, noise) ** 2

    images = warp(images, _field(count, 2, 5, noise) * strength(0.5))
    # Three taps are enough for so little blur: a second difference of weight w has deviation sqrt(2 w).
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    images = images + strength(0.25) * (padded[:, :, 1:-1, 2:] + padded[:, :, 1:-1, :-2] - 2 * images)
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    images = images + strength(0.25) * (padded[:, :, 2:, 1:-1] + padded[:, :, :-2, 1:-1] - 2 * images)
    sign = 1.0 - 2.0 * (torch.arange(64) % 2)
    checks = sign * sign[:, None] * torch.randn(count, 3, 1, 1, generator=noise)
    stripes = sign * torch.randn(count, 3, 1, 1, generator=noise)
    stripes = stripes + sign[:, None] * torch.randn(count, 3, 1, 1, generator=noise)
    texture = checks * _field(count, 1, 5, noise) * strength(0.04) + stripes * strength(0.02)
    texture = texture + _field(count, 3, 8, noise) * strength(0.04) + _field(count, 3, 24, noise) * strength(0.03)
    texture = texture + torch.randn(images.shape, generator=noise) * strength(0.04)
    colour = torch.randn(count, 3, 1, 1, generator=noise) * strength(0.04)
    return (images + texture + colour).clamp(0, 1)
