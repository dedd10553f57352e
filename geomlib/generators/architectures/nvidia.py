"""What NVIDIA's PyTorch networks share, StyleGAN2-ADA and StyleGAN3, with the layer names of their files."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import pixel_norm
from geomlib.generators.architectures.styles import leaky, truncate

MAPPING_RATE = 0.01  # by which weights and biases of the mapping network are multiplied


class FullyConnected(nn.Module):
    """Linear layer: weight times `rate / sqrt(fan_in)`, bias times `rate`; if `active`, a leaky ReLU times sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0, active: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.rate, self.active, self.start = rate, active, bias
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.weight, std=1.0 / self.rate)
        nn.init.constant_(self.bias, self.start)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`."""
        weight = self.weight * (self.rate / math.sqrt(self.weight.shape[1]))
        output = functional.linear(features, weight, self.bias * self.rate)
        return leaky(output) * math.sqrt(2.0) if self.active else output


class Mapping(nn.Module):
    """Latents `(B, z_dim)` and class vectors `(B or 1, c_dim)` to styles `(B, w_dim)`; `w_avg` is the mean style."""

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layers: int, widths: Sequence[int] | None = None) -> None:
        super().__init__()
        self.c_dim, self.depth = c_dim, layers
        if c_dim:
            self.embed = FullyConnected(c_dim, w_dim)
        inner = list(widths or [w_dim] * (layers - 1))
        sizes = [z_dim + w_dim * bool(c_dim), *inner, w_dim]
        for index, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            self.add_module(f"fc{index}", FullyConnected(inputs, outputs, MAPPING_RATE, active=True))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the styles."""
        features = pixel_norm(latents)
        if self.c_dim:
            if classes is None:
                raise ValueError(f"class_vector: expected (B or 1, {self.c_dim}) for a conditional network, got None")
            check_matrix("class_vector", classes, self.c_dim)
            embedded = pixel_norm(self.embed(classes)).expand(len(latents), -1)
            features = torch.cat([features, embedded], 1)
        for index in range(self.depth):
            features = self.get_submodule(f"fc{index}")(features)
        return features


def clamped(features: Tensor, bound: float | None) -> Tensor:
    """Cut at `bound` on both sides, where there is one."""
    return features if bound is None else features.clamp(-bound, bound)


class NvidiaStyleGAN(Architecture):
    """Latents `(B, z_dim)` or styles to images `(B, img_channels, s, s)`, about [-1, 1].

    Styles are `(B, w_dim)`, one for all layers ("w"), or one for each of `style_count` ("w+").
    """

    style_count: int

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, mapping_layers: int) -> None:
        super().__init__()
        self.latent_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.mapping = Mapping(z_dim, c_dim, w_dim, mapping_layers)

    @abstractmethod
    def images(self, styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        """Styles `(B, style_count, w_dim)` to images."""

    def noise_sizes(self) -> list[int]:
        """Sizes of the noise maps; none where a network has no noise."""
        return []

    def forward(
        self,
        latents: Tensor,
        *,
        class_vector: Tensor | None = None,
        space: str = "z",
        truncation: float = 1.0,
        mean_style: Tensor | None = None,
        noise: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return the images of latents (`space` "z"), with `class_vector` `(B or 1, c_dim)`, or of styles ("w", "w+").

        W+ latents are `(B, style_count, w_dim)` or flat. Below 1, `truncation` moves the styles towards `mean_style`
        (None: that of the training). `noise` is one map for each of `noise_sizes()` (None: those of the state dict).
        """
        check_choice("space", space, ("z", "w", "w+"))
        if space == "w+":
            flat = latents.flatten(1)
            check_matrix("latents (flat)", flat, self.style_count * self.w_dim)
            styles = flat.reshape(len(flat), self.style_count, self.w_dim)
        else:
            check_matrix("latents", latents, self.latent_dim if space == "z" else self.w_dim)
            styles = self.mapping(latents, class_vector) if space == "z" else latents
            styles = styles[:, None].expand(-1, self.style_count, -1)
        mean = self.mapping.w_avg if mean_style is None else mean_style
        return self.images(truncate(styles, truncation, mean), noise)
