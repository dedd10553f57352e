"""BigGAN-deep with the layer names of pytorch-pretrained-BigGAN (Hugging Face)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import batch_moments, double_size, normalise, pooled_attention
from geomlib.generators.architectures.spectral import StoredSpectral

Layers = Sequence[tuple[bool, int, int]]

_FIRST = ((False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8))
_LAST = ((True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1))
_MORE = ((True, 8, 8), (False, 8, 8))
PUBLISHED_LAYERS: dict[int, Layers] = {
    128: (*_FIRST, *_LAST),
    256: (*_FIRST, *_MORE, *_LAST),
    512: (*_FIRST, *_MORE, *_LAST, (False, 1, 1), (True, 1, 1)),
}


def at_truncation(statistics: Tensor, truncation: float) -> Tensor:
    """Row of `statistics` `(S, C)` for a truncation in (0, 1], by the reference's rule.

    Between two rows it weighs them the wrong way round: `row * w + next * (1 - w)` with w the distance from `row`.
    The published networks are used that way, and the division must stay as it is: 0.58 / 0.02 is just below 29.
    """
    steps = len(statistics) - 1
    weight, position = math.modf(truncation / (1.0 / steps))
    row = int(position)
    if weight == 0.0:
        return statistics[row]
    return statistics[row] * weight + statistics[min(row + 1, steps)] * (1.0 - weight)


class TruncatedNorm(nn.Module):
    """Batch norm whose stored statistics `(S, C)` depend on the truncation.

    Scale and offset are linear in the condition vector, or constants if `condition` is 0. In training mode the batch's
    statistics are used and every stored row moves towards them.
    """

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, channels: int, steps: int, eps: float, condition: int = 0) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_means", torch.zeros(steps, channels))
        self.register_buffer("running_vars", torch.ones(steps, channels))
        self.conditional = condition > 0
        if self.conditional:
            self.scale = StoredSpectral(condition, channels, bias=False)
            self.offset = StoredSpectral(condition, channels, bias=False)
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """Normalise `(B, C, H, W)` given the condition vectors `(B, condition)`."""
        if self.training:
            mean, variance = batch_moments(features, self.running_means, self.running_vars)
        else:
            mean, variance = (at_truncation(rows, truncation) for rows in (self.running_means, self.running_vars))
        if self.conditional:
            scale, offset = 1.0 + self.scale(condition), self.offset(condition)
        else:
            scale, offset = self.weight, self.bias
        return normalise(features, mean, variance, scale, offset, self.eps)


class Block(nn.Module):
    """Bottleneck residual block, a quarter as wide inside; the skip drops the channels that the output lacks."""

    def __init__(self, inputs: int, outputs: int, condition: int, up_sample: bool, steps: int, eps: float) -> None:
        super().__init__()
        self.outputs = outputs
        self.up_sample = up_sample
        middle = inputs // 4
        self.bn_0 = TruncatedNorm(inputs, steps, eps, condition)
        self.conv_0 = StoredSpectral(inputs, middle, 1)
        self.bn_1 = TruncatedNorm(middle, steps, eps, condition)
        self.conv_1 = StoredSpectral(middle, middle, 3)
        self.bn_2 = TruncatedNorm(middle, steps, eps, condition)
        self.conv_2 = StoredSpectral(middle, middle, 3)
        self.bn_3 = TruncatedNorm(middle, steps, eps, condition)
        self.conv_3 = StoredSpectral(middle, outputs, 1)

    def forward(self, features: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H, W)`, twice as large where it upsamples."""
        skip = features[:, : self.outputs]
        inner = self.conv_0(functional.relu(self.bn_0(features, condition, truncation)))
        inner = functional.relu(self.bn_1(inner, condition, truncation))
        if self.up_sample:
            inner, skip = double_size(inner), double_size(skip)
        inner = self.conv_1(inner)
        inner = self.conv_2(functional.relu(self.bn_2(inner, condition, truncation)))
        inner = self.conv_3(functional.relu(self.bn_3(inner, condition, truncation)))
        output: Tensor = skip + inner
        return output


class Attention(nn.Module):
    """Self-attention over the pixels, added with the weight `gamma`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = StoredSpectral(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = StoredSpectral(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = StoredSpectral(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = StoredSpectral(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """Map `(B, C, H, W)` to the same shape; the other arguments only keep the signature of a block."""
        query, key, value = self.snconv1x1_theta(features), self.snconv1x1_phi(features), self.snconv1x1_g(features)
        attended: Tensor = self.snconv1x1_o_conv(pooled_attention(query, key, value))
        return features + self.gamma * attended


class Network(nn.Module):
    """Condition vectors `(B, condition)` to images in [-1, 1]; the whole vector enters every norm."""

    def __init__(
        self, layers: Layers, width: int, condition: int, attention_layer_position: int, steps: int, eps: float
    ) -> None:
        super().__init__()
        self.gen_z = StoredSpectral(condition, 16 * layers[0][1] * width)
        self.layers = nn.ModuleList()
        for index, (up_sample, inputs, outputs) in enumerate(layers):
            if index == attention_layer_position:
                self.layers.append(Attention(inputs * width))
            self.layers.append(Block(inputs * width, outputs * width, condition, up_sample, steps, eps))
        self.bn = TruncatedNorm(layers[-1][2] * width, steps, eps)
        self.conv_to_rgb = StoredSpectral(layers[-1][2] * width, width, 3)

    def forward(self, condition: Tensor, truncation: float) -> Tensor:
        """Return the images; of the last convolution's channels only three are used."""
        # Here the linear layer's output has the channels last.
        features = self.gen_z(condition).reshape(len(condition), 4, 4, -1).permute(0, 3, 1, 2)
        for layer in self.layers:
            features = layer(features, condition, truncation)
        features = self.conv_to_rgb(functional.relu(self.bn(features, condition, truncation)))
        return torch.tanh(features[:, :3])


class BigGANDeep(Architecture):
    """Condition vectors, or noise and class vectors, to images `(B, 3, output_dim, output_dim)` in [-1, 1].

    A condition vector `(B, z_dim + class_embed_dim)` is the noise followed by the embedding of the class vector.
    `layers` lists (upsample?, input width, output width), widths in units of `channel_width` (None: the published list
    for `output_dim`); the attention stands before the entry at `attention_layer_position`.
    """

    def __init__(
        self,
        output_dim: int = 256,
        z_dim: int = 128,
        class_embed_dim: int = 128,
        channel_width: int = 128,
        num_classes: int = 1000,
        layers: Layers | None = None,
        attention_layer_position: int = 8,
        eps: float = 1e-4,
        n_stats: int = 51,
    ) -> None:
        super().__init__()
        layers = _checked_layers(layers, output_dim)
        self.z_dim = z_dim
        self.num_classes = num_classes
        self.latent_dim = z_dim + class_embed_dim
        self.embeddings = nn.Linear(num_classes, class_embed_dim, bias=False)
        self.generator = Network(layers, channel_width, self.latent_dim, attention_layer_position, n_stats, eps)

    def condition_vector(self, noise: Tensor, class_vector: Tensor) -> Tensor:
        """Noise `(B, z_dim)` and class vectors `(B or 1, num_classes)` to condition vectors `(B, latent_dim)`."""
        check_matrix("latents", noise, self.z_dim)
        check_matrix("class_vector", class_vector, self.num_classes)
        if len(class_vector) not in (1, len(noise)):
            raise ValueError(f"class_vector: expected 1 or {len(noise)} rows, got {len(class_vector)}")
        return torch.cat([noise, self.embeddings(class_vector).expand(len(noise), -1)], 1)

    def forward(self, latents: Tensor, *, class_vector: Tensor | None = None, truncation: float = 0.7) -> Tensor:
        """Return the images.

        Latents are condition vectors `(B, latent_dim)`, or with `class_vector` `(B or 1, num_classes)` noise
        `(B, z_dim)`. `truncation` in (0, 1] picks the norms' statistics and does not rescale the noise.

        Raises:
            ValueError: a `truncation` out of range, or latents of another shape.
        """
        if not 0.0 < truncation <= 1.0:
            raise ValueError(f"truncation: expected a number in (0, 1], got {truncation!r}")
        if class_vector is not None:
            latents = self.condition_vector(latents, class_vector)
        check_matrix("latents", latents, self.latent_dim)
        images: Tensor = self.generator(latents, truncation)
        return images


def _checked_layers(layers: Layers | None, output_dim: int) -> Layers:
    if layers is None:
        if output_dim not in PUBLISHED_LAYERS:
            raise ValueError(f"output_dim: without layers, expected one of {list(PUBLISHED_LAYERS)}, got {output_dim}")
        layers = PUBLISHED_LAYERS[output_dim]
    size = 4 * 2 ** sum(up_sample for up_sample, _, _ in layers)
    if size != output_dim:
        raise ValueError(f"layers: expected upsampling to output_dim {output_dim}, got {size}")
    for (_, _, outputs), (_, inputs, _) in zip(layers[:-1], layers[1:], strict=True):
        if inputs != outputs:
            raise ValueError(f"layers: expected each input width to be the output width before it, got {layers}")
    return layers
