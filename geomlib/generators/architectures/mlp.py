"""A generator of linear layers alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture

SLOPE = 0.2  # of the leaky ReLU


class MLP(Architecture):
    """Latents `(B, latent_dim)` to images `(B, channels, size, size)` in [-1, 1], through layers `fc1`, `fc2`, ..."""

    def __init__(
        self, latent_dim: int = 100, hidden: Sequence[int] = (256, 512, 1024), channels: int = 1, size: int = 64
    ) -> None:
        super().__init__()
        self.latent_dim, self.shape = latent_dim, (channels, size, size)
        widths = [latent_dim, *hidden, channels * size * size]
        self.depth = len(widths) - 1
        for index in range(self.depth):
            self.add_module(f"fc{index + 1}", nn.Linear(widths[index], widths[index + 1]))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images' tanh values."""
        check_matrix("latents", latents, self.latent_dim)
        features = latents
        for index in range(1, self.depth):
            features = functional.leaky_relu(self.get_submodule(f"fc{index}")(features), SLOPE)
        images: Tensor = torch.tanh(self.get_submodule(f"fc{self.depth}")(features))
        return images.reshape(-1, *self.shape)
