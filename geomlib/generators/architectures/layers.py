"""Layers and operations that several architectures share."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def double_size(features: Tensor) -> Tensor:
    """Nearest-neighbour upsampling of `(B, C, H, W)` by two."""
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def pixel_norm(features: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide `(B, C, ...)` by the root of its mean square over the channels."""
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + eps)


def equalised_scale(weight: Tensor, gain: float = 2.0) -> float:
    """The equalised learning rate's constant `sqrt(gain / fan_in)` for a weight `(out, in, ...)`."""
    return math.sqrt(gain / math.prod(weight.shape[1:]))


def affine(features: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """`features * scale + offset`, with features `(B, C, H, W)` and the others `(C,)` or `(B, C)`."""
    return features * scale[..., None, None] + offset[..., None, None]


def normalise(features: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, offset: Tensor, eps: float) -> Tensor:
    """`(features - mean) / sqrt(variance + eps) * scale + offset` per channel, in one pass over `(B, C, H, W)`."""
    multiplier = scale * torch.rsqrt(variance + eps)
    return affine(features, multiplier, offset - mean * multiplier)


def batch_moments(features: Tensor, stored_mean: Tensor, stored_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance `(C,)` of a training batch `(B, C, H, W)`; the stored `(..., C)` move a tenth towards them."""
    # in the precision of what is stored, also where a training runs its convolutions in less
    variance, mean = torch.var_mean(features.to(stored_mean.dtype), dim=(0, 2, 3), correction=0)
    with torch.no_grad():
        stored_mean.lerp_(mean.expand_as(stored_mean), 0.1)
        stored_variance.lerp_(variance.expand_as(stored_variance), 0.1)
    return mean, variance


def low_pass(features: Tensor, taps: Tensor) -> Tensor:
    """Each channel of `(B, C, H, W)` filtered by `taps`, `(k,)` in either direction or `(k, k)`; no padding."""
    channels = features.shape[1]
    taps = taps.flip(tuple(range(taps.ndim)))
    if taps.ndim == 2:
        return functional.conv2d(features, taps.expand(channels, 1, -1, -1), groups=channels)
    features = functional.conv2d(features, taps[:, None].expand(channels, 1, -1, -1), groups=channels)
    return functional.conv2d(features, taps.expand(channels, 1, 1, -1), groups=channels)


def spread(features: Tensor, factor: int) -> Tensor:
    """Zeros between the pixels, and after the last: `(B, C, H, W)` to `(B, C, factor * H, factor * W)`."""
    if factor == 1:
        return features
    size = [factor * side for side in features.shape[-2:]]
    rows = functional.pad(features[..., None], (0, factor - 1)).flatten(-2)
    return functional.pad(rows[..., None, :], (0, 0, 0, factor - 1)).reshape(*features.shape[:2], *size)


def double_filtered(features: Tensor, kernel: Tensor) -> Tensor:
    """Upsampling by two of `(B, C, H, W)`: zeros between the pixels, then a filter."""
    size = len(kernel)
    before, after = (size + 1) // 2, (size - 2) // 2
    return low_pass(functional.pad(spread(features, 2), (before, after, before, after)), kernel * 4.0)


def pooled_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Self-attention over pixels, as in SAGAN: softmax over 2 x 2 max-pooled keys, no scaling of the scores.

    Query and key are `(B, K, H, W)`, value and result `(B, V, H, W)`. Plain matrix products and softmax, which have
    forward-mode derivatives under vmap where fused kernels have none.
    """
    key = functional.max_pool2d(key, 2).flatten(2)
    pooled = functional.max_pool2d(value, 2).flatten(2)
    weights = torch.softmax(query.flatten(2).transpose(1, 2) @ key, -1)
    return (pooled @ weights.transpose(1, 2)).reshape(*value.shape)
