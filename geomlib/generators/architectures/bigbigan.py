"""BigBiGAN's generator with the layer names of the port in BigGANsAreWatching."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import batch_moments, double_size, normalise, pooled_attention
from geomlib.generators.architectures.spectral import IteratedSpectral

# Widths of the blocks, in units of the channel width: the first block's input, then each block's output.
WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}


class ConditionalNorm(nn.Module):
    """Batch norm with a gain `1 + A y` and a bias `B y`, linear in the condition `y` `(B, condition)`."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, channels: int, condition: int, spectral_eps: float, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.gain = IteratedSpectral(condition, channels, bias=False, eps=spectral_eps)
        self.bias = IteratedSpectral(condition, channels, bias=False, eps=spectral_eps)
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        moments = self.stored_mean, self.stored_var
        mean, variance = batch_moments(features, *moments) if self.training else moments
        return normalise(features, mean, variance, 1.0 + self.gain(condition), self.bias(condition), self.eps)


class OutputNorm(nn.Module):
    """Batch norm with constants; its eps is 1e-5 whatever that of the others."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        moments = self.stored_mean, self.stored_var
        mean, variance = batch_moments(features, *moments) if self.training else moments
        return normalise(features, mean, variance, self.gain, self.bias, 1e-5)


class Block(nn.Module):
    """Residual block that doubles the size."""

    def __init__(self, inputs: int, outputs: int, condition: int, spectral_eps: float, eps: float) -> None:
        super().__init__()
        self.conv1 = IteratedSpectral(inputs, outputs, 3, eps=spectral_eps)
        self.conv2 = IteratedSpectral(outputs, outputs, 3, eps=spectral_eps)
        self.conv_sc = IteratedSpectral(inputs, outputs, 1, eps=spectral_eps)
        self.bn1 = ConditionalNorm(inputs, condition, spectral_eps, eps)
        self.bn2 = ConditionalNorm(outputs, condition, spectral_eps, eps)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, 2 H, 2 W)`."""
        inner = self.conv1(double_size(functional.relu(self.bn1(features, condition))))
        inner = self.conv2(functional.relu(self.bn2(inner, condition)))
        # A 1 x 1 convolution commutes with nearest-neighbour upsampling and costs a quarter before it.
        output: Tensor = inner + double_size(self.conv_sc(features))
        return output


class Attention(nn.Module):
    """Self-attention over the pixels, added with the weight `gamma`."""

    def __init__(self, channels: int, spectral_eps: float) -> None:
        super().__init__()
        self.theta = IteratedSpectral(channels, channels // 8, 1, bias=False, eps=spectral_eps)
        self.phi = IteratedSpectral(channels, channels // 8, 1, bias=False, eps=spectral_eps)
        self.g = IteratedSpectral(channels, channels // 2, 1, bias=False, eps=spectral_eps)
        self.o = IteratedSpectral(channels // 2, channels, 1, bias=False, eps=spectral_eps)
        self.gamma = nn.Parameter(torch.tensor(0.0))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to the same shape; the condition only keeps the signature of a block."""
        attended: Tensor = self.o(pooled_attention(self.theta(features), self.phi(features), self.g(features)))
        return self.gamma * attended + features


class BigBiGAN(Architecture):
    """Latents `(B, latent_dim)` to images `(B, 3, resolution, resolution)` in [-1, 1].

    The latent is cut into equal chunks: the first feeds the linear layer, each other one, after the embedding of
    class 0, the norms of one block. `attention_sizes` are those after which attention stands: "64", "32_64", "0": none.
    """

    def __init__(
        self,
        resolution: int = 128,
        channel_width: int = 96,
        latent_dim: int = 120,
        shared_dim: int = 128,
        class_count: int = 1000,
        attention_sizes: str = "64",
        bottom_width: int = 4,
        spectral_eps: float = 1e-4,
        norm_eps: float = 1e-4,
    ) -> None:
        super().__init__()
        check_choice("resolution", resolution, tuple(WIDTHS))
        widths = [channel_width * width for width in WIDTHS[resolution]]
        if latent_dim % len(widths):
            raise ValueError(f"latent_dim (dim_z): expected a multiple of {len(widths)}, got {latent_dim}")
        self.latent_dim = latent_dim
        self.bottom_width = bottom_width
        self.chunk = latent_dim // len(widths)
        self.shared = nn.Embedding(class_count, shared_dim)
        self.linear = IteratedSpectral(self.chunk, widths[0] * bottom_width**2, eps=spectral_eps)
        self.blocks = nn.ModuleList()
        attention = {int(size) for size in attention_sizes.split("_")}
        for index, (inputs, outputs) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            block = nn.ModuleList([Block(inputs, outputs, shared_dim + self.chunk, spectral_eps, norm_eps)])
            if 8 * 2**index in attention:
                block.append(Attention(outputs, spectral_eps))
            self.blocks.append(block)
        self.output_layer = nn.Sequential(
            OutputNorm(widths[-1]), nn.ReLU(), IteratedSpectral(widths[-1], 3, 3, eps=spectral_eps)
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images."""
        check_matrix("latents", latents, self.latent_dim)
        first, *others = latents.tensor_split(len(self.blocks) + 1, 1)
        shared = self.shared.weight[0].expand(len(latents), -1)
        features = self.linear(first).reshape(len(latents), -1, self.bottom_width, self.bottom_width)
        for layers, chunk in zip(self.blocks, others, strict=True):
            condition = torch.cat([shared, chunk], 1)
            for layer in layers.children():
                features = layer(features, condition)
        return torch.tanh(self.output_layer(features))
