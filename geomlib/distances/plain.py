"""The two distances that need nothing beside geomlib: mean squared error, and the one trained on the shapes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from geomlib.distances.distance import Distance
from geomlib.distances.trunks import untrained
from geomlib.shapes.networks import PerceptualTrunk, load_perceptual_trunk


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


def mse() -> Distance:
    """Mean squared difference over all but the batch, of images or sounds of any shape."""
    return Distance("mse", lambda x: x.flatten(1) / math.sqrt(x[0].numel()))


def perceptual_shapes(
    device: str | torch.device, dtype: torch.dtype, pretrained: bool = True, seed: int = 0
) -> Distance:
    """Channel-normalised features of a network trained on the shapes, for images `(B, 3, 64, 64)` in [0, 1].

    `pretrained=False` leaves the network untrained, with random weights from `seed`: the control that tells what the
    training adds to the architecture.
    """
    trunk = load_perceptual_trunk() if pretrained else untrained(PerceptualTrunk, seed)
    trunk = trunk.to(device=device, dtype=dtype)
    return Distance("perceptual-shapes", lambda x: normalised_features(trunk(x)))
