"""StyleGAN2-ADA with the layer names of NVIDIA's files (stylegan2-ada-pytorch): plain, conditional, residual, grey."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice
from geomlib.generators.architectures.layers import double_filtered, equalised_scale, low_pass
from geomlib.generators.architectures.nvidia import FullyConnected, NvidiaStyleGAN, clamped
from geomlib.generators.architectures.styles import check_noise, leaky

WIDTHS = (512, 512, 512, 512, 512, 256, 128, 64, 32)  # of the published networks at 4, 8, ..., 1024 pixels


def taps(line: Sequence[float] = (1, 3, 3, 1)) -> Tensor:
    """A separable filter `(k, k)` of unit sum."""
    values = torch.tensor(line, dtype=torch.float32)
    return torch.outer(values, values) / values.sum().square()


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by the style; `weight` is `(out, in, k, k)`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, style_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = FullyConnected(style_dim, inputs, bias=1.0)

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)


class SynthesisLayer(Modulated):
    """Modulated convolution with demodulation, twice as large or not, then noise, bias and leaky ReLU."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, style_dim: int, side: int, up: bool, clamp: float | None) -> None:
        super().__init__(inputs, outputs, 3, style_dim)
        self.up, self.clamp = up, clamp
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("resample_filter", taps())
        self.register_buffer("noise_const", torch.randn(side, side))

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        super().reset_parameters()
        nn.init.zeros_(self.noise_strength)

    def forward(self, features: Tensor, style: Tensor, noise: Tensor, gain: float = 1.0) -> Tensor:
        """Map `(B, in, H, W)`, styles `(B, w_dim)` and a map `(1 or B, 1, s, s)` to `(B, out, s, s)`."""
        scales: Tensor = self.affine(style)
        features = features * scales[:, :, None, None]
        if self.up:
            features = functional.conv_transpose2d(features, self.weight.transpose(0, 1), stride=2)
            spare = len(self.resample_filter) - 4
            before, after = (spare + 1) // 2 + 1, spare // 2 + 1
            padded = functional.pad(features, (before, after, before, after))
            features = low_pass(padded, self.resample_filter * 4.0)
        else:
            features = functional.conv2d(features, self.weight, padding=1)
        power = scales.square() @ self.weight.square().sum((2, 3)).T
        features = features * torch.rsqrt(power + 1e-8)[:, :, None, None] + self.noise_strength * noise
        gain *= math.sqrt(2.0)
        active = leaky(features + self.bias[:, None, None]) * gain
        return clamped(active, None if self.clamp is None else self.clamp * gain / math.sqrt(2.0))


class ToRGB(Modulated):
    """Modulated 1 x 1 convolution to the channels of the image."""

    def __init__(self, inputs: int, channels: int, style_dim: int, clamp: float | None) -> None:
        super().__init__(inputs, channels, 1, style_dim)
        self.clamp = clamp

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Map `(B, in, H, W)` and styles `(B, w_dim)` to `(B, channels, H, W)`."""
        scales: Tensor = self.affine(style) * equalised_scale(self.weight, 1.0)
        image = functional.conv2d(features * scales[:, :, None, None], self.weight)
        return clamped(image + self.bias[:, None, None], self.clamp)


class Skip(nn.Module):
    """The straight way of a residual block: a 1 x 1 convolution, twice as large."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.register_buffer("resample_filter", taps())

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.weight)

    def forward(self, features: Tensor, gain: float) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, 2 H, 2 W)`."""
        weight = self.weight * equalised_scale(self.weight, 1.0)
        return double_filtered(functional.conv2d(features, weight), self.resample_filter) * gain


class Block(nn.Module):
    """The layers of one size."""

    resample_filter: Tensor

    def __init__(
        self, inputs: int, outputs: int, style_dim: int, side: int, channels: int, residual: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.register_buffer("resample_filter", taps())
        self.first = not inputs
        if self.first:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, style_dim, side, True, clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, style_dim, side, False, clamp)
        if channels:
            self.torgb = ToRGB(outputs, channels, style_dim, clamp)
        if residual and not self.first:
            self.skip = Skip(inputs, outputs)

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        if self.first:
            nn.init.normal_(self.const)

    def forward(self, features: Tensor, styles: Sequence[Tensor], noise: Sequence[Tensor]) -> Tensor:
        """Map `(B, in, H, W)` (of the first block anything of that batch) to `(B, out, s, s)`."""
        if self.first:
            constant = self.const.expand(len(styles[0]), -1, -1, -1)
            only: Tensor = self.conv1(constant, styles[0], noise[0])
            return only
        if hasattr(self, "skip"):
            gain = math.sqrt(0.5)
            straight = self.skip(features, gain)
            inner = self.conv0(features, styles[0], noise[0])
            summed: Tensor = straight + self.conv1(inner, styles[1], noise[1], gain)
            return summed
        output: Tensor = self.conv1(self.conv0(features, styles[0], noise[0]), styles[1], noise[1])
        return output


class StyleGAN2ADA(NvidiaStyleGAN):
    """Latents `(B, z_dim)` or styles to images `(B, img_channels, s, s)`, about [-1, 1].

    `widths` are the channels at 4, 8, ... pixels. `layout` is "skip" (each size adds to the image), "resnet" or
    "orig" (the last size alone makes it). `conv_clamp` cuts activations, as in networks trained in half precision.
    """

    def __init__(
        self,
        img_resolution: int = 256,
        img_channels: int = 3,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        mapping_layers: int = 8,
        widths: Sequence[int] | None = None,
        layout: str = "skip",
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__(z_dim, c_dim, w_dim, mapping_layers)
        check_choice("layout", layout, ("skip", "resnet", "orig"))
        if img_resolution < 4 or img_resolution & (img_resolution - 1):
            raise ValueError(f"img_resolution: expected a power of two from 4 on, got {img_resolution}")
        self.sizes = [2**power for power in range(2, img_resolution.bit_length())]
        widths = list(WIDTHS if widths is None else widths)
        if len(widths) < len(self.sizes):
            raise ValueError(f"widths: expected one for each of {self.sizes}, got {widths}")
        self.skips = layout == "skip"
        self.style_count = 2 * len(self.sizes)
        self.synthesis = nn.Module()
        before = 0
        for side, width in zip(self.sizes, widths, strict=False):
            channels = img_channels if self.skips or side == img_resolution else 0
            block = Block(before, width, w_dim, side, channels, layout == "resnet", conv_clamp)
            self.synthesis.add_module(f"b{side}", block)
            before = width

    def noise_sizes(self) -> list[int]:
        """Sizes of the noise maps, one for each layer but the image layers."""
        return [self.sizes[0], *(size for size in self.sizes[1:] for _ in range(2))]

    def images(self, styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        """Styles `(B, style_count, w_dim)` to images."""
        blocks = [self.synthesis.get_submodule(f"b{side}") for side in self.sizes]
        if noise is None:
            layers = [layer for block in blocks for layer in block.children() if isinstance(layer, SynthesisLayer)]
            noise = [layer.noise_const[None, None] for layer in layers]
        maps = check_noise(noise, self.noise_sizes(), len(styles))
        rows = styles.unbind(1)
        features = image = styles
        for index, block in enumerate(blocks):
            first, count = (0, 1) if not index else (2 * index - 1, 2)
            features = block(features, rows[first : first + count], maps[first : first + count])
            if "torgb" in dict(block.named_children()):
                drawn = block.get_submodule("torgb")(features, rows[first + count])
                before = index and self.skips
                image = double_filtered(image, block.get_buffer("resample_filter")) + drawn if before else drawn
        return image
