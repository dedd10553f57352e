"""LPIPS, the learned perceptual image patch similarity (Zhang et al. 2018), as a feature map."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_place
from geomlib.distances import st_lpips, trunks
from geomlib.distances.distance import Distance
from geomlib.distances.trunks import Trunk

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
        check_place("distance", images, self.scale)
        if self.size is None and min(images.shape[2:]) < self.smallest:
            raise ValueError(
                f"images: expected at least {self.smallest} pixels a side, got {tuple(images.shape[2:])}; "
                "the option size=64 enlarges them"
            )


def _lengths(maps: Tensor) -> Tensor:
    # Below the bound, where the reference has an infinite derivative of the root and so nan, the length is constant;
    # the values differ there by less than 1e-4 of unit length.
    return maps.square().sum(1, keepdim=True).clamp(min=1e-24).sqrt() + 1e-10


# By name: the side of the smallest image, and what loads the trunk with its linear weights.
LOADERS: dict[str, tuple[int, Callable[[bool, int], tuple[Trunk, list[Tensor]]]]] = {
    f"{family}-{name}": (layout.smallest, partial(module.load_parts, name))
    for family, module in (("lpips", trunks), ("st-lpips", st_lpips))
    for name, layout in module.LAYOUTS.items()
}


def lpips(
    name: str,
    device: str | torch.device,
    dtype: torch.dtype,
    input_range: tuple[float, float] = (-1.0, 1.0),
    size: int | None = None,
    pretrained: bool = True,
    seed: int = 0,
) -> Distance:
    """LPIPS 0.1, or shift-tolerant LPIPS 0.0, for images in [0, 1], grey or in colour.

    Args:
        name: `lpips-squeeze`, `lpips-alex` or `lpips-vgg`, whose trunk torchvision downloads on first use;
            `st-lpips-alex` or `st-lpips-vgg`, for which nothing is downloaded.
        device: where the network is.
        dtype: its precision, and that of the images.
        input_range: what [0, 1] is mapped to before the trunk: (-1, 1) is what LPIPS was made for, (0, 1) what the
            paper's authors fed it.
        size: to that many pixels a side images are resized first.
        pretrained: whether the trunk is trained; the linear weights are the same.
        seed: of an untrained trunk.

    Raises:
        ValueError: a wrong option.
        FileNotFoundError: a file or a package is missing.
    """
    smallest, load = LOADERS[name]
    low, high = input_range
    if not low < high:
        raise ValueError(f"input_range: expected (low, high) with low < high, got {input_range}")
    if size is not None and size < smallest:
        raise ValueError(f"size: expected at least {smallest} pixels for {name}, got {size}")
    features = LpipsFeatures(*load(pretrained, seed), input_range, size, smallest)
    return Distance(name, features.to(device=device, dtype=dtype).eval().requires_grad_(False))
