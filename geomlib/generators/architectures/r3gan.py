"""R3GAN (Huang et al. 2024) with the layer names of its files: residual blocks of grouped convolutions, no styles."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import double_filtered
from geomlib.generators.architectures.styles import leaky


class Convolution(nn.Module):
    """A "same" convolution without bias, under the key `Layer`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.Layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H, W)`."""
        output: Tensor = self.Layer(features)
        return output


class BiasedActivation(nn.Module):
    """A bias for each channel, then leaky ReLU of slope 0.2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.zeros_(self.Bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape."""
        return leaky(features + self.Bias[:, None, None])


class ResidualBlock(nn.Module):
    """Three convolutions, the middle one wider and in groups, added to their input."""

    def __init__(self, channels: int, groups: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.LinearLayer1 = Convolution(channels, inner)
        self.LinearLayer2 = Convolution(inner, inner, kernel, groups)
        self.LinearLayer3 = Convolution(inner, channels)
        self.NonLinearity1 = BiasedActivation(inner)
        self.NonLinearity2 = BiasedActivation(inner)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape."""
        inner = self.NonLinearity1(self.LinearLayer1(features))
        inner = self.LinearLayer3(self.NonLinearity2(self.LinearLayer2(inner)))
        output: Tensor = features + inner
        return output


class Basis(nn.Module):
    """Learned patterns of 4 x 4 pixels, one for each channel, each times a number that is linear in the latent."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.Basis = nn.Parameter(torch.randn(channels, 4, 4))
        self.LinearLayer = nn.Linear(inputs, channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.Basis)

    def forward(self, latents: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, C, 4, 4)`."""
        patterns: Tensor = self.Basis * self.LinearLayer(latents)[:, :, None, None]
        return patterns


class Resampler(nn.Module):
    """Upsampling by two with the filter of the state dict."""

    Kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("Kernel", torch.outer(taps, taps) / 64.0)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C, 2 H, 2 W)`."""
        return double_filtered(features, self.Kernel)


class Upsampling(nn.Module):
    """A 1 x 1 convolution where the width changes, then twice the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Resampler = Resampler()
        self.LinearLayer = Convolution(inputs, outputs) if inputs != outputs else None

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, 2 H, 2 W)`."""
        output: Tensor = self.Resampler(features if self.LinearLayer is None else self.LinearLayer(features))
        return output


class Stage(nn.Module):
    """The layers of one size."""

    def __init__(self, first: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.Layers = nn.ModuleList([first, *blocks])

    def forward(self, features: Tensor) -> Tensor:
        """Apply them in turn."""
        for layer in self.Layers:
            features = layer(features)
        return features


class R3GAN(Architecture):
    """Latents `(B, latent_dim)` to images `(B, 3, s, s)`, about [-1, 1], with s = 4 * 2 ** (stages - 1).

    `widths`, `groups` and `blocks` have an entry for each stage; `class_count` classes are embedded in `class_dim`
    numbers beside the latent (0: none).
    """

    def __init__(
        self,
        latent_dim: int = 64,
        widths: Sequence[int] = (768, 768, 768, 768),
        groups: Sequence[int] = (96, 96, 96, 96),
        blocks: Sequence[int] = (2, 2, 2, 2),
        expansion: int = 2,
        kernel: int = 3,
        class_count: int = 0,
        class_dim: int = 0,
    ) -> None:
        super().__init__()
        if not len(widths) == len(groups) == len(blocks):
            raise ValueError(f"widths, groups, blocks: expected as many of each, got {widths}, {groups}, {blocks}")
        self.latent_dim, self.class_count = latent_dim, class_count
        stages = []
        for index, (width, count, depth) in enumerate(zip(widths, groups, blocks, strict=True)):
            first = Upsampling(widths[index - 1], width) if index else Basis(latent_dim + class_dim, width)
            stages.append(Stage(first, [ResidualBlock(width, count, expansion, kernel) for _ in range(depth)]))
        self.MainLayers = nn.ModuleList(stages)
        self.AggregationLayer = Convolution(widths[-1], 3)
        if class_count:
            self.EmbeddingLayer = nn.Linear(class_count, class_dim, bias=False)

    def forward(self, latents: Tensor, *, class_vector: Tensor | None = None) -> Tensor:
        """Return the images; a network with classes takes `class_vector` `(B or 1, class_count)` beside the latents."""
        check_matrix("latents", latents, self.latent_dim)
        features = latents
        if self.class_count:
            if class_vector is None:
                raise ValueError(f"class_vector: expected (B or 1, {self.class_count}), got None")
            check_matrix("class_vector", class_vector, self.class_count)
            features = torch.cat([latents, self.EmbeddingLayer(class_vector).expand(len(latents), -1)], 1)
        for stage in self.MainLayers:
            features = stage(features)
        images: Tensor = self.AggregationLayer(features)
        return images
