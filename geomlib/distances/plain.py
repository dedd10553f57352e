"""The mean squared error, and the form that perceptual distances of one's own can take."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib.distances.distance import Distance


@checked()
def normalised_features(maps: Sequence[Tensor]) -> Tensor:
    """Feature maps `(B, C, H, W)` to one vector `(B, m)`: unit length over channels, mean over positions, sum of maps.

    The form of LPIPS (Zhang et al. 2018, eq. 1).  The small constant stands under the root, so that the derivative is
    finite where all channels are zero.

    Raises:
        ValueError: no maps, or one of another shape.
    """
    for values in maps:
        if values.ndim != 4:
            raise ValueError(f"maps: expected shape (B, C, H, W), got {tuple(values.shape)}")
    if not len(maps):
        raise ValueError("maps: expected at least one, got none")
    parts = []
    for values in maps:
        length = (values.square().sum(1, keepdim=True) + 1e-10).sqrt()
        parts.append((values / length / math.sqrt(values.shape[2] * values.shape[3])).flatten(1))
    return torch.cat(parts, 1)


def mse() -> Distance:
    """Mean squared difference over all but the batch, of images or sounds of any shape."""
    return Distance("mse", lambda x: x.flatten(1) / math.sqrt(x[0].numel()))
