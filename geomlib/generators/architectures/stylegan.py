"""StyleGAN with the layer names of style-based-gan-pytorch (rosinality)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import affine, double_size, equalised_scale
from geomlib.generators.architectures.styles import Constant, PixelNorm, check_noise, draw_noise, leaky, truncate


class EqualWeight(nn.Module):
    """Key `weight_orig`: a normal weight that is multiplied by `sqrt(2 / fan_in)` at each use; a bias is not."""

    def __init__(self, shape: tuple[int, ...], bias: int = 0) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None
        self.scale = equalised_scale(self.weight_orig)

    def forward(self, features: Tensor) -> Tensor:
        """Apply a linear layer to `(B, in)` or a "same" convolution to `(B, in, H, W)`."""
        weight = self.weight_orig * self.scale
        if weight.ndim == 2:
            return functional.linear(features, weight, self.bias)
        return functional.conv2d(features, weight, self.bias, padding=weight.shape[-1] // 2)


class EqualLinear(nn.Module):
    """Linear layer under the key `linear`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = EqualWeight((outputs, inputs), outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`."""
        output: Tensor = self.linear(features)
        return output


class EqualConvolution(nn.Module):
    """Convolution under the key `conv`."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = EqualWeight((outputs, inputs, kernel, kernel), outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H, W)`."""
        output: Tensor = self.conv(features)
        return output


class Noise(EqualWeight):
    """A noise map, added to all channels, each with its own weight."""

    def __init__(self, channels: int) -> None:
        super().__init__((1, channels, 1, 1))
        nn.init.zeros_(self.weight_orig)

    def add(self, features: Tensor, noise: Tensor) -> Tensor:
        """Add the map `(1 or B, 1, H, W)` to `(B, C, H, W)`."""
        return features + self.weight_orig * self.scale * noise


class AdaptiveInstanceNorm(nn.Module):
    """Instance norm (eps 1e-5), then the gain and the offset that the style gives."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.style = EqualLinear(style_dim, 2 * channels)
        bias = self.style.linear.bias
        if bias is not None:
            nn.init.ones_(bias[:channels])

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)` given the styles `(B, style_dim)`."""
        gain, offset = self.style(style).chunk(2, 1)
        variance, mean = torch.var_mean(features, dim=(2, 3), correction=0)
        multiplier = gain * torch.rsqrt(variance + 1e-5)
        return affine(features, multiplier, offset - mean * multiplier)


class DoubleSize(nn.Module):
    """Nearest-neighbour upsampling by two."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C, 2 H, 2 W)`."""
        return double_size(features)


class FusedUpsampling(nn.Module):
    """Upsampling by two and 3 x 3 convolution in one transposed convolution; the weight is `(in, out, 3, 3)`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = math.sqrt(2.0 / (inputs * 9))

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, 2 H, 2 W)`."""
        # The mean of the weight's four shifts by a pixel, of size 4 x 4.
        weight = functional.avg_pool2d(functional.pad(self.weight * self.scale, (1, 1, 1, 1)), 2, 1)
        return functional.conv_transpose2d(features, weight, self.bias, stride=2, padding=1)


class Blur(nn.Module):
    """Binomial 3 x 3 filter; `weight_flip` is in the state dict and is not used."""

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        kernel = (torch.outer(taps, taps) / 16.0).expand(channels, 1, 3, 3)
        self.register_buffer("weight", kernel.clone())
        self.register_buffer("weight_flip", kernel.flip(2, 3))

    def forward(self, features: Tensor) -> Tensor:
        """Filter `(B, C, H, W)`."""
        return functional.conv2d(features, self.weight, padding=1, groups=features.shape[1])


class Block(nn.Module):
    """The layers of one size; the same noise map enters twice."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, first: bool, fused: bool) -> None:
        super().__init__()
        if first:
            self.conv1: nn.Module = Constant(outputs)
        elif fused:
            self.conv1 = nn.Sequential(FusedUpsampling(inputs, outputs), Blur(outputs))
        else:
            self.conv1 = nn.Sequential(DoubleSize(), EqualConvolution(inputs, outputs, 3), Blur(outputs))
        self.noise1 = Noise(outputs)
        self.adain1 = AdaptiveInstanceNorm(outputs, style_dim)
        self.conv2 = EqualConvolution(outputs, outputs, 3)
        self.noise2 = Noise(outputs)
        self.adain2 = AdaptiveInstanceNorm(outputs, style_dim)

    def forward(self, features: Tensor | int, style: Tensor, noise: Tensor) -> Tensor:
        """Map `(B, in, H, W)`, or the batch size for the first block, to `(B, out, 2 H, 2 W)`."""
        inner = self.adain1(leaky(self.noise1.add(self.conv1(features), noise)), style)
        output: Tensor = self.adain2(leaky(self.noise2.add(self.conv2(inner), noise)), style)
        return output


class Synthesis(nn.Module):
    """Styles to images, one block and one image layer for each size from 4 x 4 on."""

    def __init__(self, widths: Sequence[int], fused: Sequence[bool], style_dim: int) -> None:
        super().__init__()
        self.progression = nn.ModuleList(
            Block(widths[max(index - 1, 0)], width, style_dim, index == 0, fused[index])
            for index, width in enumerate(widths)
        )
        self.to_rgb = nn.ModuleList(EqualConvolution(width, 3, 1) for width in widths)

    def forward(self, style: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Return the images `(B, 3, s, s)` after as many blocks as there are noise maps."""
        features: Tensor | int = len(style)
        for block, values in zip(self.progression, noise, strict=False):
            features = block(features, style, values)
        image: Tensor = self.to_rgb[len(noise) - 1](features)
        return image


class StyleGAN(Architecture):
    """Latents or styles `(B, code_dim)` to images `(B, 3, s, s)`, about [-1, 1], s = 4 * 2 ** step.

    `widths` are the channels of the blocks, `fused` says which of them upsample by a transposed convolution.
    """

    def __init__(
        self,
        code_dim: int = 512,
        n_mlp: int = 8,
        widths: Sequence[int] = (512, 512, 512, 512, 256, 128, 64, 32, 16),
        fused: Sequence[bool] = (False, False, False, False, False, True, True, True, True),
    ) -> None:
        super().__init__()
        if len(fused) != len(widths):
            raise ValueError(f"fused: expected {len(widths)} entries, one for each width, got {len(fused)}")
        self.latent_dim = code_dim
        self.last_step = len(widths) - 1
        self.generator = Synthesis(widths, fused, code_dim)
        mapping: list[nn.Module] = [PixelNorm()]
        for _ in range(n_mlp):
            mapping += [EqualLinear(code_dim, code_dim), nn.LeakyReLU(0.2)]
        self.style = nn.Sequential(*mapping)
        # The file has no noise maps; these fixed ones make the default output a function of the latent alone.
        for index, values in enumerate(draw_noise(self.noise_sizes())):
            self.register_buffer(f"default_noise_{index}", values, persistent=False)

    def noise_sizes(self, step: int | None = None) -> list[int]:
        """Sizes of the noise maps that images of `step` (None: the last one) take."""
        return [4 * 2**index for index in range((self.last_step if step is None else step) + 1)]

    def forward(
        self,
        latents: Tensor,
        *,
        space: str = "z",
        truncation: float = 1.0,
        mean_style: Tensor | None = None,
        noise: Sequence[Tensor] | None = None,
        step: int | None = None,
    ) -> Tensor:
        """Return the images of latents (`space` "z") or of styles ("w").

        Below 1, `truncation` moves the styles, given ones too, towards `mean_style` `(1, code_dim)`. `noise` is one map
        `(1 or B, 1, s, s)` for each size (None: fixed ones). `step` is the block to stop at (None: the last).
        """
        check_matrix("latents", latents, self.latent_dim)
        check_choice("space", space, ("z", "w"))
        if step is not None:
            check_choice("step", step, tuple(range(self.last_step + 1)))
        sizes = self.noise_sizes(step)
        if noise is None:
            noise = [self.get_buffer(f"default_noise_{index}") for index in range(len(sizes))]
        noise = check_noise(noise, sizes, len(latents))
        style = self.style(latents) if space == "z" else latents
        image: Tensor = self.generator(truncate(style, truncation, mean_style), noise)
        return image
