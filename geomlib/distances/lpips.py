"""LPIPS, the learned perceptual image patch similarity (Zhang et al. 2018), as a feature map."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib.distances.distance import Distance
from geomlib.distances.trunks import LAYOUTS, Trunk, load_trunk, packaged_tensors

# Mean and deviation of the classifiers' training images, for images in [-1, 1].
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class LpipsFeatures(nn.Module):
    """Images `(B, 3, H, W)` or `(B, 1, H, W)` in [0, 1] to features `(B, m)` whose squared distance is LPIPS.

    Feature maps of the trunk, of unit length over channels, times the root of the linear weights over the root of the
    number of positions (Zhang et al. 2018, eq. 1).  LPIPS is thus a squared distance already.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, trunk: Trunk, weights: list[Tensor], input_range: tuple[float, float], size: int | None, smallest: int
    ) -> None:
        """`weights` holds one `(C,)` per map of the trunk; raises `ValueError` for a negative one."""
        super().__init__()
        negative = [index for index, weight in enumerate(weights) if bool((weight < 0).any())]
        if negative:
            raise ValueError(
                f"weights: expected none negative, for features need their roots; got some at maps {negative}"
            )
        self.trunk, self.size, self.smallest = trunk, size, smallest
        # A channel without weight is left out: a sixth of the features of `squeeze` at 64 pixels.
        for index, weight in enumerate(weights):
            used = weight.nonzero().flatten()
            self.register_buffer(f"channels{index}", used)
            self.register_buffer(f"roots{index}", weight.double()[used].sqrt()[:, None, None])
        low, high = input_range
        deviation = torch.tensor(_SCALE)[:, None, None]
        self.register_buffer("scale", (high - low) / deviation)
        self.register_buffer("shift", (low - torch.tensor(_SHIFT)[:, None, None]) / deviation)

    def forward(self, images: Tensor) -> Tensor:
        """Features `(B, m)`; raises `ValueError` for another shape, precision or device, or images too small."""
        self._check(images)
        if self.size is not None:
            # Antialiased, for most images are larger than what they are resized to.
            images = functional.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        parts = []
        for index, maps in enumerate(self.trunk(images * self.scale + self.shift)):  # grey becomes three channels here
            roots = self.get_buffer(f"roots{index}") / math.sqrt(maps.shape[2] * maps.shape[3])
            # Times an inverse, not over a length: a quotient of tensors has the dearer tangent.
            weighted = maps[:, self.get_buffer(f"channels{index}")] * roots
            parts.append((weighted * _lengths(maps).reciprocal()).flatten(1))
        return torch.cat(parts, 1)

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images: expected shape (B, 3, H, W) or (B, 1, H, W), got {tuple(images.shape)}")
        if (images.dtype, images.device) != (self.scale.dtype, self.scale.device):
            raise ValueError(
                f"images: expected {self.scale.dtype} on {self.scale.device}, for which the distance was loaded, got "
                f"{images.dtype} on {images.device}"
            )
        if self.size is None and min(images.shape[2:]) < self.smallest:
            raise ValueError(
                f"images: expected at least {self.smallest} pixels a side, got {tuple(images.shape[2:])}; "
                "the option size=64 enlarges them"
            )


def _lengths(maps: Tensor) -> Tensor:
    # Below the bound, where the reference has an infinite derivative of the root and so nan, the length is constant;
    # the values differ there by less than 1e-4 of unit length.
    return maps.square().sum(1, keepdim=True).clamp(min=1e-24).sqrt() + 1e-10


def linear_weights(name: str) -> list[Tensor]:
    """The linear weights of LPIPS 0.1, `(C,)` per feature map; raises what `trunks.packaged_tensors` raises."""
    state = packaged_tensors("lpips", f"weights/v0.1/{name}.pth")
    return [state[f"lin{index}.model.1.weight"].flatten() for index in range(len(state))]


def check_options(name: str, input_range: tuple[float, float], size: int | None, smallest: int) -> None:
    """Raise `ValueError` for a range that is none, or a size below the smallest that the trunk `name` takes."""
    low, high = input_range
    if not low < high:
        raise ValueError(f"input_range: expected (low, high) with low < high, got {input_range}")
    if size is not None and size < smallest:
        raise ValueError(f"size: expected at least {smallest} pixels for the trunk {name}, got {size}")


def lpips(
    name: str,
    device: str | torch.device,
    dtype: torch.dtype,
    input_range: tuple[float, float] = (-1.0, 1.0),
    size: int | None = None,
    pretrained: bool = True,
    seed: int = 0,
) -> Distance:
    """LPIPS 0.1 with the trunk `squeeze`, `alex` or `vgg`, for images in [0, 1], grey or in colour.

    `input_range` is what [0, 1] is mapped to before the trunk: (-1, 1) is what LPIPS was made for, (0, 1) what the
    paper's authors fed it; `size` resizes images to that many pixels a side first.  `pretrained=False` takes an
    untrained trunk from `seed`, with the same linear weights.  Raises `ValueError` for a wrong option, and what
    `trunks.weights_file` and `trunks.packaged_tensors` raise.
    """
    smallest = LAYOUTS[name].smallest
    check_options(name, input_range, size, smallest)
    trunk = load_trunk(name, pretrained, seed)
    features = LpipsFeatures(trunk, linear_weights(name), input_range, size, smallest)
    features = features.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return Distance(f"lpips-{name}", features)
