"""StyleGAN2 with the layer names of stylegan2-pytorch (rosinality)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import equalised_scale
from geomlib.generators.architectures.styles import Constant, PixelNorm, check_noise, leaky, truncate

PUBLISHED_CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}


class EqualLinear(nn.Module):
    """Linear layer with weight and bias multiplied by `rate`, the weight also by `1 / sqrt(fan_in)`, at each use."""

    def __init__(self, inputs: int, outputs: int, initial_bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), initial_bias))
        self.rate = rate
        self.scale = equalised_scale(self.weight, 1.0) * rate

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`."""
        return functional.linear(features, self.weight * self.scale, self.bias * self.rate)


class MappingLayer(EqualLinear):
    """Linear layer with the activation of this network, leaky ReLU times sqrt(2)."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`."""
        return leaky(super().forward(features)) * math.sqrt(2.0)


class Filter(nn.Module):
    """A separable filter of unit sum, times the square of the upsampling factor two, under the key `kernel`."""

    kernel: Tensor

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float32)
        self.register_buffer("kernel", torch.outer(line, line) * (4.0 / line.sum().square()))

    def expanded(self, channels: int) -> Tensor:
        """Return the kernel `(C, 1, k, k)` of a depthwise convolution."""
        return self.kernel.expand(channels, 1, -1, -1)


class Blur(Filter):
    """Filter what a transposed 3 x 3 convolution of stride 2 left, one row and one column too many."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, 2 H + 1, 2 W + 1)` to `(B, C, 2 H, 2 W)`."""
        spare = len(self.kernel) - 4
        before, after = (spare + 1) // 2 + 1, spare // 2 + 1
        padded = functional.pad(features, (before, after, before, after))
        channels = features.shape[1]
        return functional.conv2d(padded, self.expanded(channels).flip(2, 3), groups=channels)


class Upsample(Filter):
    """Upsampling by two: zeros between the pixels, then the filter, the same whatever `blur_kernel` says."""

    def __init__(self) -> None:
        super().__init__((1, 3, 3, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C, 2 H, 2 W)`."""
        channels = features.shape[1]
        return functional.conv_transpose2d(features, self.expanded(channels), stride=2, padding=1, groups=channels)


class ModulatedConvolution(nn.Module):
    """Convolution whose input channels are scaled by the style and whose output is rescaled to unit expected variance.

    Scaling input and output equals the published scaling of the weight, and leaves one weight for the whole batch.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_dim: int,
        demodulate: bool = True,
        upsampling_taps: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inputs, initial_bias=1.0)
        self.demodulate = demodulate
        self.scale = equalised_scale(self.weight[0], 1.0)
        self.blur = None if upsampling_taps is None else Blur(upsampling_taps)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Map `(B, in, H, W)` and styles `(B, style_dim)` to `(B, out, H, W)`, twice as large with upsampling."""
        weight = self.weight[0] * self.scale
        modulation: Tensor = self.modulation(style)
        features = features * modulation[:, :, None, None]
        if self.blur is None:
            features = functional.conv2d(features, weight, padding=weight.shape[-1] // 2)
        else:
            features = self.blur(functional.conv_transpose2d(features, weight.transpose(0, 1), stride=2))
        if self.demodulate:
            power = modulation.square() @ weight.square().sum((2, 3)).T
            features = features * torch.rsqrt(power + 1e-8)[:, :, None, None]
        return features


class Noise(nn.Module):
    """A noise map, added to all channels with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Add the map `(1 or B, 1, H, W)` to `(B, C, H, W)`."""
        return features + self.weight * noise


class Activation(nn.Module):
    """Bias, then leaky ReLU times sqrt(2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape."""
        return leaky(features + self.bias[:, None, None]) * math.sqrt(2.0)


class StyledLayer(nn.Module):
    """Modulated 3 x 3 convolution, noise, activation."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, taps: Sequence[float] | None = None) -> None:
        super().__init__()
        self.conv = ModulatedConvolution(inputs, outputs, 3, style_dim, upsampling_taps=taps)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, features: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H, W)`, twice as large with upsampling."""
        output: Tensor = self.activate(self.noise(self.conv(features, style), noise))
        return output


class ToRGB(nn.Module):
    """The image of one size, added to the upsampled image of the size before."""

    def __init__(self, inputs: int, style_dim: int, first: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = None if first else Upsample()
        self.conv = ModulatedConvolution(inputs, 3, 1, style_dim, demodulate=False)

    def forward(self, features: Tensor, style: Tensor, image: Tensor | None = None) -> Tensor:
        """Map `(B, in, H, W)` to `(B, 3, H, W)`; the image before is `(B, 3, H / 2, W / 2)`."""
        output: Tensor = self.conv(features, style) + self.bias
        return output if self.upsample is None else output + self.upsample(image)


class StyleGAN2(Architecture):
    """Latents or styles `(B, style_dim)` to images `(B, 3, size, size)`, about [-1, 1].

    `channels` maps each size to its width, from 64 on in units of `channel_multiplier` (None: the published ones);
    `blur_kernel` follows the upsampling convolutions.
    `style_count` layers take a style each.
    """

    def __init__(
        self,
        size: int = 1024,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: int = 2,
        channels: Mapping[str, int] | None = None,
        lr_mlp: float = 0.01,
        blur_kernel: Sequence[float] = (1, 3, 3, 1),
    ) -> None:
        super().__init__()
        if size < 4 or size & (size - 1):
            raise ValueError(f"size: expected a power of two from 4 on, got {size}")
        sizes = [2**power for power in range(2, size.bit_length())]
        widths = _widths(channels, channel_multiplier, sizes)
        self.latent_dim = style_dim
        self.sizes = sizes
        self.style_count = 2 * len(sizes)
        mapping = [MappingLayer(style_dim, style_dim, rate=lr_mlp) for _ in range(n_mlp)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = Constant(widths[0])
        self.conv1 = StyledLayer(widths[0], widths[0], style_dim)
        self.to_rgb1 = ToRGB(widths[0], style_dim, first=True)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            self.convs.append(StyledLayer(inputs, outputs, style_dim, blur_kernel))
            self.convs.append(StyledLayer(outputs, outputs, style_dim))
            self.to_rgbs.append(ToRGB(outputs, style_dim))
        self.noises = nn.Module()
        for index, side in enumerate(self.noise_sizes()):
            self.noises.register_buffer(f"noise_{index}", torch.randn(1, 1, side, side))

    def noise_sizes(self) -> list[int]:
        """Sizes of the noise maps, one for each layer but the image layers."""
        return [self.sizes[0], *(size for size in self.sizes[1:] for _ in range(2))]

    def layer_styles(self, latents: Tensor, space: str, truncation: float, mean_style: Tensor | None) -> Tensor:
        """Latents of any space to truncated styles of all layers `(B, style_count, style_dim)`."""
        check_choice("space", space, ("z", "w", "w+"))
        if space == "w+":
            layers = latents.flatten(1)
            check_matrix("latents (flat)", layers, self.style_count * self.latent_dim)
            return truncate(layers.reshape(len(layers), self.style_count, -1), truncation, mean_style)
        check_matrix("latents", latents, self.latent_dim)
        styles = self.style(latents) if space == "z" else latents
        return truncate(styles, truncation, mean_style)[:, None].expand(-1, self.style_count, -1)

    def forward(
        self,
        latents: Tensor,
        *,
        space: str = "z",
        truncation: float = 1.0,
        mean_style: Tensor | None = None,
        noise: Sequence[Tensor] | None = None,
        mix_with: Tensor | None = None,
        inject_index: int | None = None,
    ) -> Tensor:
        """Return the images of latents (`space` "z") or styles: one for all layers ("w") or one for each ("w+").

        W+ latents are `(B, style_count, style_dim)` or flat. Below 1, `truncation` moves the styles, given ones too,
        towards `mean_style` `(1, style_dim)`. `noise` is one map `(1 or B, 1, s, s)` for each of `noise_sizes()` (None:
        those of the state dict). Layers from `inject_index` on take the styles of `mix_with`, which is like `latents`.

        Raises:
            ValueError: one of `mix_with` and `inject_index` alone, or a value out of range.
        """
        styles = self.layer_styles(latents, space, truncation, mean_style)
        if (mix_with is None) != (inject_index is None):
            raise ValueError(f"inject_index: expected with mix_with and only with it, got {inject_index!r}")
        if mix_with is not None and inject_index is not None:
            check_choice("inject_index", inject_index, tuple(range(self.style_count + 1)))
            other = self.layer_styles(mix_with, space, truncation, mean_style)
            styles = torch.cat([styles[:, :inject_index], other[:, inject_index:]], 1)
        if noise is None:
            noise = [self.noises.get_buffer(f"noise_{index}") for index in range(len(self.noise_sizes()))]
        return self.synthesis(styles, check_noise(noise, self.noise_sizes(), len(styles)))

    def synthesis(self, styles: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Styles `(B, style_count, style_dim)` and one noise map for each layer to images."""
        features = self.conv1(self.input(len(styles)), styles[:, 0], noise[0])
        image: Tensor = self.to_rgb1(features, styles[:, 1])
        for index, to_rgb in enumerate(self.to_rgbs):
            # An image layer shares its style with the first convolution of the next size.
            first = 2 * index + 1
            for layer in (first, first + 1):
                features = self.convs[layer - 1](features, styles[:, layer], noise[layer])
            image = to_rgb(features, styles[:, first + 2], image)
        return image


def _widths(channels: Mapping[str, int] | None, multiplier: int, sizes: list[int]) -> list[int]:
    table = PUBLISHED_CHANNELS if channels is None else {int(size): width for size, width in channels.items()}
    missing = [size for size in sizes if size not in table]
    if missing:
        raise ValueError(f"channels: expected an entry for each size up to {sizes[-1]}, got none for {missing}")
    return [table[size] * (multiplier if size >= 64 else 1) for size in sizes]
