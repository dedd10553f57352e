"""What every published architecture has: a latent width, and a raw output with a range that is shown as [0, 1]."""

import torch
from torch import Tensor, nn
from torch.nn import functional

Bound = float | tuple[float, ...]
OutputRange = tuple[Bound, Bound]


class Architecture(nn.Module):
    """A generator: latents `(B, latent_dim)` to a raw output of which `output_range` is shown as [0, 1].

    A bound of `output_range` is one number, or a tuple with one number per channel.
    """

    latent_dim: int
    output_range: OutputRange = (-1.0, 1.0)


def to_unit_range(
    raw: Tensor, output_range: OutputRange = (-1.0, 1.0), size: int | None = None, clamp: bool = True
) -> Tensor:
    """Raw output `(B, C, ...)` to images in [0, 1]: `(raw - low) / (high - low)`, then a clamp unless told otherwise.

    With `size`, images `(B, C, H, W)` are resized to `(B, C, size, size)` before the clamp, bilinearly and with aligned
    corners, as the wrappers of the paper do for BigBiGAN and StyleGAN2.
    """
    if size is not None:
        raw = functional.interpolate(raw, size=(size, size), mode="bilinear", align_corners=True)
    low, high = (
        torch.tensor(bound, dtype=raw.dtype, device=raw.device).reshape(-1, *[1] * (raw.ndim - 2))
        for bound in output_range
    )
    unit: Tensor = (raw - low) / (high - low)
    return unit.clamp(0.0, 1.0) if clamp else unit
