"""The decoder of a VAE: it returns logits, so a sigmoid comes last and the range is (0, 1).

    geomlib check examples/vae_decoder.py:vae_decoder

The sampler draws from the aggregate posterior (a mean and a spread for each latent) where you have it: a VAE's
latents are seldom standard normal in every coordinate.
"""

import torch
from torch import nn

import geomlib

LATENTS = 12
MEAN = torch.linspace(-0.5, 0.5, LATENTS)  # a stand-in for the means and spreads that your encoder gives on its data
SPREAD = torch.linspace(1.0, 0.4, LATENTS)


def vae_decoder(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names."""
    decoder = nn.Sequential(
        nn.Linear(LATENTS, 64), nn.SiLU(), nn.Linear(64, 16 * 7 * 7), nn.SiLU(), nn.Unflatten(1, (16, 7, 7)),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 8, 3, padding=1), nn.SiLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(8, 1, 3, padding=1),
    )  # fmt: skip
    if weights:
        decoder.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # random weights of unit-scale activations, so that the example runs anywhere
        random = torch.Generator().manual_seed(0)
        for layer in decoder.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, generator=random)
                nn.init.zeros_(layer.bias)

    def sampler(count: int, random: torch.Generator) -> torch.Tensor:
        return MEAN + SPREAD * torch.randn(count, LATENTS, generator=random)

    return geomlib.Generator(
        nn.Sequential(decoder, nn.Sigmoid()).eval(), latent_dim=LATENTS, output_range=(0, 1), sampler=sampler,
        name="vae-decoder", default_distance="mse",
    )  # fmt: skip
