"""The trained network that reads the factors off an image of shapes; it is used only to measure."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from geomlib.worlds.shapes.data import FACTORS, SHAPES

RESOLUTION = 64
CLASSES = (*SHAPES, "none")
# A square repeats under 90 degrees and a triangle under 120, so their angles are circles of different length.
_FOLDS = {"square": 4, "triangle": 3}
_LINEAR = (1, 2, 3, 7)
_HUES = (5, 6)
CODE_SIZE = len(_LINEAR) + 2 * len(_HUES) + 2 * len(_FOLDS)
_WEIGHTS = Path(__file__).parents[2] / "weights"


def encode_factors(factors: Tensor) -> Tensor:
    """What a reader learns to predict: `factors` `(N, 8)` without jumps, as `(N, CODE_SIZE)` values in [-1, 1].

    Columns: x, y, size and brightness (their range to [-1, 1]); cosine and sine of the foreground and of the background
    hue; cosine and sine of 4 times the angle (squares), then of 3 times the angle (triangles).
    """
    low = factors.new_tensor([FACTORS[index].low for index in _LINEAR])
    high = factors.new_tensor([FACTORS[index].high for index in _LINEAR])
    linear = 2.0 * (factors[:, _LINEAR] - low) / (high - low) - 1.0
    turns = [2.0 * math.pi * factors[:, index] for index in _HUES]
    turns += [fold * torch.deg2rad(factors[:, 4]) for fold in _FOLDS.values()]
    points = [function(turn) for turn in turns for function in (torch.cos, torch.sin)]
    return torch.cat([linear, torch.stack(points, 1)], 1)


def decode_factors(code: Tensor, shape: Tensor) -> Tensor:
    """Invert `encode_factors`: `code` `(N, CODE_SIZE)` and `shape` `(N,)`, indices into `SHAPES`, to factors `(N, 8)`.

    Hues are in [0, 1); the angle is in [-45, 45] degrees for a square, [-60, 60] for a triangle, nan for a disc.
    """
    factors = code.new_full((len(code), len(FACTORS)), math.nan)
    factors[:, 0] = shape.to(code.dtype)
    for column, index in enumerate(_LINEAR):
        low, high = FACTORS[index].low, FACTORS[index].high
        factors[:, index] = low + (code[:, column] + 1.0) / 2.0 * (high - low)
    points = code[:, len(_LINEAR) :].unflatten(1, (-1, 2))
    radians = torch.atan2(points[..., 1], points[..., 0])
    hues = radians[:, : len(_HUES)] / (2.0 * math.pi) % 1.0
    # The remainder of a tiny negative number rounds to exactly 1.
    factors[:, _HUES] = torch.where(hues < 1.0, hues, torch.zeros_like(hues))
    for column, (name, fold) in enumerate(_FOLDS.items(), start=len(_HUES)):
        is_shape = shape == SHAPES.index(name)
        factors[is_shape, 4] = torch.rad2deg(radians[is_shape, column]) / fold
    return factors


def _check_images(images: Tensor) -> None:
    expected = (3, RESOLUTION, RESOLUTION)
    if images.ndim != 4 or tuple(images.shape[1:]) != expected:
        raise ValueError(f"images: expected shape (N, {', '.join(map(str, expected))}), got {tuple(images.shape)}")


@dataclass(frozen=True)
class Readings:
    """What `FactorReader.read` sees in N images."""

    probabilities: Tensor  # (N, 4), over CLASSES: disc, square, triangle, none
    factors: Tensor  # (N, 8), columns as in FACTOR_NAMES; the angle of a disc is nan
    features: Tensor  # (N, 128), for a Fréchet distance


class _Residual(nn.Module):
    """Halves the resolution; the shortcut is not normalised, so that absolute colour passes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.first_norm = nn.GroupNorm(8, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(8, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, maps: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(maps)))
        return functional.relu(self.shortcut(maps) + self.second_norm(self.second(inner)))


class FactorReader(nn.Module):
    """Reads class and factors: a 5x5 convolution and three residual blocks with group norm and ReLU.

    The fourth class, "none", is for images that show no single clean shape: noise, blends, blur, empty ground.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2, 2)
        self.blocks = nn.Sequential(_Residual(24, 48), _Residual(48, 64), _Residual(64, 96))
        self.hidden = nn.Linear(96 * 16, 128)
        self.output = nn.Linear(128, len(CLASSES) + CODE_SIZE)

    def features(self, images: Tensor) -> Tensor:
        """Images `(N, 3, 64, 64)` in [0, 1] to the last hidden layer, `(N, 128)`, non-negative.

        Raises `ValueError` for images of another shape.
        """
        _check_images(images)
        maps = self.blocks(functional.relu(self.stem(2.0 * images - 1.0)))
        return functional.relu(self.hidden(maps.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """Raw outputs `(N, 4 + CODE_SIZE)`: logits over `CLASSES`, then the code of `encode_factors`."""
        raw: Tensor = self.output(self.features(images))
        return raw

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 250) -> Readings:
        """Class probabilities, factors and features of `images` `(N, 3, 64, 64)` in [0, 1], without gradient.

        The shape column is the likeliest of the three shapes even where "none" is likelier still.  Raises `ValueError`
        for images of another shape.
        """
        parts = [self.features(part.to(self.stem.weight)) for part in images.split(batch_size)]
        features = torch.cat(parts)
        raw: Tensor = self.output(features)
        logits, code = raw.split([len(CLASSES), CODE_SIZE], 1)
        factors = decode_factors(code, logits[:, : len(SHAPES)].argmax(1))
        return Readings(logits.softmax(1), factors, features)


def load_factor_reader(
    device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, strict: bool = False
) -> FactorReader:
    """The trained reader `shapes-factors`, in eval mode, its parameters without gradient.

    With `strict`, `shapes-factors-strict`, which has learned to call also outlines between two shapes, and slightly
    distorted ones, "none".
    """
    reader, name = FactorReader(), "shapes-factors-strict" if strict else "shapes-factors"
    reader.load_state_dict(load_file(_WEIGHTS / f"{name}.safetensors"))
    return reader.to(device=device, dtype=dtype).eval().requires_grad_(False)
