"""A conditional GAN: the class is an option of the factory, and each class is a generator of its own.

    geomlib check examples/conditional_gan.py:conditional_gan

From Python, `geomlib.load_generator("examples/conditional_gan.py:conditional_gan", label=3)` gives another class.
"""

import torch
from torch import nn

import geomlib

CLASSES = 10


class ConditionalDecoder(nn.Module):
    """A stand-in for your network: 24 latents and a class to a 32x32 image in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(CLASSES, 8)
        self.project = nn.Linear(24 + 8, 32 * 8 * 8)
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images of latents `(B, 24)` and integer labels `(B,)`."""
        joined = torch.cat([latents, self.embed(labels)], dim=1)
        return self.layers(self.project(joined).unflatten(1, (32, 8, 8)))


class OneClass(nn.Module):
    """The network with its class fixed, so that latents are all that is left to vary."""

    def __init__(self, network: ConditionalDecoder, label: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("label", torch.tensor([label]))  # a buffer moves with the module

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents `(B, 24)`."""
        return self.network(latents, self.label.expand(len(latents)))


def conditional_gan(label: int = 0, weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names; `label` is one of the ten classes."""
    if not 0 <= label < CLASSES:
        raise ValueError(f"label: expected 0 to {CLASSES - 1}, got {label}")
    network = ConditionalDecoder()
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # random weights of unit-scale activations, so that the example runs anywhere
        random = torch.Generator().manual_seed(0)
        nn.init.normal_(network.embed.weight, generator=random)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 0.2, generator=random)
                nn.init.zeros_(layer.bias)
        network.layers[-2].weight.data *= 0.3  # so that the last tanh is not saturated
    return geomlib.Generator(
        OneClass(network, label).eval(),
        latent_dim=24,
        output_range=(-1, 1),
        name=f"class {label}",
        default_distance="mse",
    )
