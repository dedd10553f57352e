"""The trained network that reads the factors off an image of shapes; it is used only to measure."""

import math

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from geomlib._files import WEIGHTS
from geomlib.generators.checkpoints import trained
from geomlib.worlds.factors import from_code, to_code
from geomlib.worlds.reader import Reader
from geomlib.worlds.shapes.data import FACTORS, SHAPES

RESOLUTION = 64
CLASSES = (*SHAPES, "none")
# A square repeats under 90 degrees and a triangle under 120, so their angles are circles of different length.
_FOLDS = {"square": 4, "triangle": 3}
_LINEAR = (1, 2, 3, 7)
_HUES = (5, 6)
CODE_SIZE = len(_LINEAR) + 2 * len(_HUES) + 2 * len(_FOLDS)
_LINEAR_FACTORS = tuple(FACTORS[index] for index in _LINEAR)


def encode_factors(factors: Tensor) -> Tensor:
    """What a reader learns to predict: `factors` `(N, 8)` without jumps, as `(N, CODE_SIZE)` values in [-1, 1].

    Columns: x, y, size and brightness (their range to [-1, 1]); cosine and sine of the foreground and of the background
    hue; cosine and sine of 4 times the angle (squares), then of 3 times the angle (triangles).
    """
    turns = [2.0 * math.pi * factors[:, index] for index in _HUES]
    turns += [fold * torch.deg2rad(factors[:, 4]) for fold in _FOLDS.values()]
    points = [function(turn) for turn in turns for function in (torch.cos, torch.sin)]
    return torch.cat([to_code(factors[:, _LINEAR], _LINEAR_FACTORS), torch.stack(points, 1)], 1)


def decode_factors(code: Tensor, shape: Tensor) -> Tensor:
    """Invert `encode_factors`: `code` `(N, CODE_SIZE)` and `shape` `(N,)`, indices into `SHAPES`, to factors `(N, 8)`.

    Hues are in [0, 1); the angle is in [-45, 45] degrees for a square, [-60, 60] for a triangle, nan for a disc.
    """
    factors = code.new_full((len(code), len(FACTORS)), math.nan)
    factors[:, 0] = shape.to(code.dtype)
    factors[:, _LINEAR] = from_code(code[:, : len(_LINEAR)], _LINEAR_FACTORS)
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


class FactorReader(Reader):
    """Reads class and factors: a 5x5 convolution and three residual blocks with group norm and ReLU.

    The fourth class, "none", is for images that show no single clean shape: noise, blends, blur, empty ground.
    """

    kinds = len(SHAPES)
    decode = staticmethod(decode_factors)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2, 2)
        self.blocks = nn.Sequential(_Residual(24, 48), _Residual(48, 64), _Residual(64, 96))
        self.hidden = nn.Linear(96 * 16, 128)
        self.output = nn.Linear(128, len(CLASSES) + CODE_SIZE)

    def features(self, images: Tensor) -> Tensor:
        """Images `(N, 3, 64, 64)` in [0, 1] to the last hidden layer, `(N, 128)`, non-negative.

        Raises:
            ValueError: images of another shape.
        """
        _check_images(images)
        maps = self.blocks(functional.relu(self.stem(2.0 * images - 1.0)))
        return functional.relu(self.hidden(maps.flatten(1)))


def load_factor_reader(
    device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, strict: bool = False
) -> FactorReader:
    """The trained reader `shapes-factors`, in eval mode, its parameters without gradient.

    With `strict`, `shapes-factors-strict`, which has learned to call also outlines between two shapes, and slightly
    distorted ones, "none".
    """
    name = "shapes-factors-strict" if strict else "shapes-factors"
    return trained(FactorReader(), load_file(WEIGHTS / f"{name}.safetensors"), device, dtype)
