"""A network that `check` must refuse: one layer draws fresh noise at each call, in evaluation mode too.

    geomlib check examples/random_layer.py:random_layer

The same latent then gives other images, and no distance between two images tells what the latent did.  The cure is to
draw the noise once and keep it in a buffer: `random_layer(fixed=True)` passes.
"""

import torch
from torch import nn

import geomlib


class Noise(nn.Module):
    """Adds normal noise to feature maps `(B, C, H, W)`: drawn at each call, or once where it is `fixed`."""

    def __init__(self, size: int, fixed: bool) -> None:
        super().__init__()
        drawn = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
        self.register_buffer("noise", drawn if fixed else None)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps with noise."""
        return maps + 0.2 * (torch.randn_like(maps[:, :1]) if self.noise is None else self.noise)


def random_layer(fixed: bool = False) -> geomlib.Generator:
    """The factory that the command line names: 16 latents to a 16x16 image."""
    network = nn.Sequential(
        nn.Linear(16, 16 * 8 * 8), nn.Unflatten(1, (16, 8, 8)), Noise(8, fixed), nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip
    random = torch.Generator().manual_seed(0)  # random weights of unit-scale activations
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, 1.0, generator=random)
            nn.init.zeros_(layer.bias)
    return geomlib.Generator(
        network.eval(), latent_dim=16, output_range=(-1, 1), name="random-layer", default_distance="mse"
    )
