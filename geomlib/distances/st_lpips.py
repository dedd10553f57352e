"""Shift-tolerant LPIPS (Ghildyal & Liu 2022, ECCV): LPIPS with a trunk that blurs before it samples."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib.distances.distance import Distance
from geomlib.distances.lpips import LpipsFeatures, check_options
from geomlib.distances.trunks import Trunk, packaged_tensors, untrained


class Blur(nn.Module):
    """The binomial filter [1 2 1]² / 16 with stride 2, over maps reflected at their edges by 2."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps `(B, C, H, W)` to `(B, C, (H + 1) // 2 + 1, (W + 1) // 2 + 1)`; sides of at least 3."""
        maps = functional.pad(maps, (2, 2, 2, 2), mode="reflect")
        # As fast as a convolution in groups, without a filter in some precision on some device.
        for axis in (2, 3):
            count = (maps.shape[axis] - 1) // 2
            left, middle, right = (_every_second(maps, axis, start, count) for start in range(3))
            maps = (left + right) * 0.25 + middle * 0.5
        return maps


def _every_second(maps: Tensor, axis: int, start: int, count: int) -> Tensor:
    stop = start + 2 * count - 1
    return maps[:, :, start:stop:2] if axis == 2 else maps[:, :, :, start:stop:2]


def _alex() -> nn.Sequential:
    # The first blur stands before its ReLU: the convolution has the stride 1 where AlexNet's has 4.
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, padding=2), Blur(), nn.ReLU(),
        nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def _vgg() -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers += [nn.MaxPool2d(2, 1), Blur()]
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers)


# How to build the layers, where maps are taken, and the side of the smallest image that reflects at every blur.
_TRUNKS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...], int]] = {
    "alex": (_alex, (3, 7, 11, 13, 15), 21),
    "vgg": (_vgg, (4, 10, 18, 26, 34), 18),
}


def st_lpips(
    name: str,
    device: str | torch.device,
    dtype: torch.dtype,
    input_range: tuple[float, float] = (-1.0, 1.0),
    size: int | None = None,
    pretrained: bool = True,
    seed: int = 0,
) -> Distance:
    """Shift-tolerant LPIPS 0.0 with the trunk `alex` or `vgg`, for images in [0, 1], grey or in colour.

    Trunk and linear weights both come from the package `stlpips-pytorch`: nothing is downloaded.  `input_range` is
    what [0, 1] is mapped to before the trunk; `size` resizes images to that many pixels a side first.
    `pretrained=False` takes an untrained trunk from `seed`, with the same linear weights.  Raises `ValueError` for a
    wrong option, and `FileNotFoundError` where the package or its file is missing.
    """
    build, ends, smallest = _TRUNKS[name]
    check_options(name, input_range, size, smallest)
    state = packaged_tensors("stlpips-pytorch", f"weights/vST0.0/{name}_shift_tolerant.pth")
    layers = untrained(build, seed)
    if pretrained:
        # As `net.slice3.9.weight`: the number counts layers through all slices
        kept = (key for key in state if key.startswith("net.") and not key.endswith(".filt"))
        layers.load_state_dict({key.split(".", 2)[2]: state[key] for key in kept})
    weights = [state[f"lin{index}.model.1.weight"].flatten() for index in range(len(ends))]
    features = LpipsFeatures(Trunk(layers, ends), weights, input_range, size, smallest)
    features = features.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return Distance(f"st-lpips-{name}", features)
