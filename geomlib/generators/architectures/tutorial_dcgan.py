"""DCGAN with the layer names of PyTorch's tutorial, and the same with a label beside the noise."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture

EYE_COLOURS = ("amber", "blue", "brown", "gray", "grayscale", "green", "hazel", "red")


class TutorialDCGAN(Architecture):
    """Latents `(B, latent_dim)` to images `(B, dim_output, 4 * 2 ** (depth + 1), ...)` in [-1, 1].

    `dim_g` is the width before the last layer; each earlier layer has twice the channels of the next. `dropout`, its
    probability after the first ReLU, acts in training mode alone.
    """

    def __init__(
        self, latent_dim: int = 100, dim_g: int = 64, dim_output: int = 3, depth: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        width = dim_g * 2**depth
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, width, 4, bias=False), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.ReLU()]
        for _ in range(depth):
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width // 2)]
            layers += [nn.ReLU()]
            width //= 2
        layers += [nn.ConvTranspose2d(width, dim_output, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images' tanh values."""
        check_matrix("latents", latents, self.latent_dim)
        images: Tensor = self.main(latents[:, :, None, None])
        return images


class ConditionalDCGAN(TutorialDCGAN):
    """Noise `(B, noise_dim)` with a label beside it, one-hot or between labels: latents `(B, noise_dim + labels)`.

    `labels` are the names of the classes, in the order of the inputs.
    """

    def __init__(
        self,
        noise_dim: int = 100,
        labels: Sequence[str] = EYE_COLOURS,
        dim_g: int = 64,
        dim_output: int = 3,
        depth: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(noise_dim + len(labels), dim_g, dim_output, depth, dropout)
        self.noise_dim, self.labels = noise_dim, tuple(labels)

    def one_hot(self, classes: Tensor) -> Tensor:
        """Labels `(B, labels)` of class numbers `(B,)`."""
        return torch.eye(len(self.labels))[classes]
