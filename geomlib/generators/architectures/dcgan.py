"""DCGAN with the layer names of the pytorch_GAN_zoo checkpoint."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture


class DCGAN(Architecture):
    """Latents `(B, latent_dim)` to images `(B, dim_output, 4 * 2 ** (depth + 1), ...)` in [-1, 1].

    `dim_g` is the width before the last layer; each earlier layer has twice the channels of the next.
    """

    def __init__(self, latent_dim: int = 120, dim_g: int = 64, dim_output: int = 3, depth: int = 3) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        width = dim_g * 2**depth
        self.formatLayer = nn.ConvTranspose2d(latent_dim, width, 4, bias=False)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["batchNorm0"] = nn.BatchNorm2d(width)
        layers["relu0"] = nn.ReLU()
        for index in range(1, depth + 1):
            layers[f"convTranspose{index}"] = nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)
            width //= 2
            layers[f"batchNorm{index}"] = nn.BatchNorm2d(width)
            layers[f"relu{index}"] = nn.ReLU()
        layers["outlayer"] = nn.ConvTranspose2d(width, dim_output, 4, 2, 1, bias=False)
        self.main = nn.Sequential(layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images' tanh values."""
        check_matrix("latents", latents, self.latent_dim)
        return torch.tanh(self.main(self.formatLayer(latents[:, :, None, None])))
