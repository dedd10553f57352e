"""Trunks of shift-tolerant LPIPS (Ghildyal & Liu 2022, ECCV), which blur before they sample."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from geomlib.distances.trunks import Trunk, linear_weights, packaged_tensors, untrained


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
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, padding=2), Blur(), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()]
    layers += [nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


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


@dataclass(frozen=True)
class Layout:
    """How a trunk is built, and where it is cut."""

    build: Callable[[], nn.Sequential]
    ends: tuple[int, ...]  # a feature map is taken before each of these layers
    smallest: int  # side of the smallest image that reflects at every blur, in pixels


LAYOUTS = {
    "alex": Layout(_alex, (3, 7, 11, 13, 15), 21),
    "vgg": Layout(_vgg, (4, 10, 18, 26, 34), 18),
}


def load_parts(name: str, pretrained: bool, seed: int) -> tuple[Trunk, list[Tensor]]:
    """The trunk and the linear weights of shift-tolerant LPIPS 0.0, both from the package `stlpips-pytorch`.

    Raises:
        FileNotFoundError: the package or its file is missing.
    """
    state = packaged_tensors("stlpips-pytorch", f"weights/vST0.0/{name}_shift_tolerant.pth")
    layers = untrained(LAYOUTS[name].build, seed)
    if pretrained:
        # As `net.slice3.9.weight`: the number counts layers through all slices
        keys = [key for key in state if key.startswith("net.") and not key.endswith(".filt")]
        layers.load_state_dict({key.split(".", 2)[2]: state[key] for key in keys})
    return Trunk(layers, LAYOUTS[name].ends), linear_weights(state)
