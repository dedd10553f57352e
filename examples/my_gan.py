"""A generator of your own, as geomlib wants it: a function that returns a `geomlib.Generator`.

Put your network in the place of `Decoder`, load your weights in `my_gan`, and every experiment runs on it:

    geomlib run anisotropy homogeneity --generator examples/my_gan.py:my_gan --distance mse
"""

import torch
from torch import nn

import geomlib


class Decoder(nn.Module):
    """A stand-in for your network: 32 latents to a 64x64 image in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(32, 64 * 8 * 8)
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents `(B, 32)`."""
        return self.layers(self.project(latents).unflatten(1, (64, 8, 8)))


def my_gan(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names: `weights` is what the option `--weights` gives, if any."""
    network = Decoder()
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # no training here, so that the example runs anywhere: random weights of unit-scale activations
        random = torch.Generator().manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 0.2, generator=random)
                nn.init.zeros_(layer.bias)
        network.layers[-2].weight.data *= 0.3  # so that the last tanh is not saturated
    return geomlib.Generator(network.eval(), latent_dim=32, output_range=(-1, 1), default_distance="mse")
