"""Squared image distances, each as a feature map where it has one.

A distance `d(x, y) = ‖φ(x) − φ(y)‖²` is known by its features `φ` alone, and its pullback metric is `2 JᵀJ` with `J`
the Jacobian of `φ` after the generator: positive semi-definite by construction.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from geomlib._checks import check_choice
from geomlib.generators.catalogue import load_factory
from geomlib.shapes.networks import load_perceptual_trunk


class Distance:
    """`d(x, y)`, `(B,)`, of two batches of images, and `features(x)`, `(B, m)`, or None where there is no such form."""

    def __init__(self, name: str, features: Callable[[Tensor], Tensor], spec: str = "") -> None:
        """A distance that is the squared Euclidean distance between `features`."""
        self.name, self.features, self.spec = name, features, spec or name

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Squared distance of each pair; raises `ValueError` where the shapes of one image differ."""
        if x.shape[1:] != y.shape[1:]:
            raise ValueError(f"y: expected images of shape {tuple(x.shape[1:])} as x, got {tuple(y.shape[1:])}")
        return (self.features(x) - self.features(y)).square().sum(1)

    def __repr__(self) -> str:
        return f"Distance({self.name!r})"


def normalised_features(maps: Sequence[Tensor]) -> Tensor:
    """Feature maps `(B, C, H, W)` to one vector `(B, m)`: unit length over channels, mean over positions, sum of maps.

    The form of LPIPS (Zhang et al. 2018, eq. 1).  The small constant stands under the root, so that the derivative is
    finite where all channels are zero.
    """
    parts = []
    for values in maps:
        length = (values.square().sum(1, keepdim=True) + 1e-10).sqrt()
        parts.append((values / length / math.sqrt(values.shape[2] * values.shape[3])).flatten(1))
    return torch.cat(parts, 1)


def _mse(device: str | torch.device, dtype: torch.dtype) -> Distance:
    return Distance("mse", lambda x: x.flatten(1) / math.sqrt(x[0].numel()))


def _perceptual_shapes(device: str | torch.device, dtype: torch.dtype) -> Distance:
    trunk = load_perceptual_trunk(device, dtype)
    return Distance("perceptual-shapes", lambda x: normalised_features(trunk(x)))


_KNOWN = {"mse": _mse, "perceptual-shapes": _perceptual_shapes}


def load_distance(
    source: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Distance:  # fmt: skip
    """A distance by name, or from `"file.py:factory"` that returns a `Distance` or a feature map `(B, …) -> (B, m)`.

    `mse` is the mean over all but the batch; `perceptual-shapes` compares channel-normalised features of a network
    trained on the shapes.  Raises `ValueError` for an unknown name, `FileNotFoundError` for a missing file.
    """
    if not source:
        raise ValueError(f"distance: none was given and the generator names none; pass one of {', '.join(_KNOWN)}")
    if ":" not in source:
        check_choice("distance", source, _KNOWN)
        return _KNOWN[source](device, dtype)
    made = load_factory(source, "distance")()
    if isinstance(made, Distance):
        made.spec = source
        return made
    if not callable(made):
        raise TypeError(f"distance: {source} returned {type(made).__name__}, expected a Distance or a feature map")
    return Distance(source, made)
