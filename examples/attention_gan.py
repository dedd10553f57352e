"""A GAN with self-attention, through PyTorch's own `scaled_dot_product_attention`.

    geomlib check examples/attention_gan.py:attention_gan

The fused kernels of attention have no forward-mode rule; geomlib switches to the plain one where it differentiates, so
that nothing need be changed in your network.
"""

import torch
from torch import nn
from torch.nn import functional

import geomlib


class SelfAttention(nn.Module):
    """Self-attention over positions, two heads, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.to_parts = nn.Conv2d(channels, 3 * channels, 1)
        self.to_output = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Feature maps `(B, C, H, W)` to maps of the same shape."""
        parts = self.to_parts(self.norm(maps)).flatten(2).unflatten(1, (3, 2, -1))
        query, key, value = parts.transpose(-1, -2).unbind(1)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return maps + self.to_output(mixed.transpose(-1, -2).reshape(maps.shape))


def attention_gan(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names: 16 latents to a 32x32 image."""
    network = nn.Sequential(
        nn.Linear(16, 32 * 8 * 8), nn.Unflatten(1, (32, 8, 8)), SelfAttention(32), nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # random weights of unit-scale activations, so that the example runs anywhere
        random = torch.Generator().manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 1.0, generator=random)
                nn.init.zeros_(layer.bias)
        network[-2].weight.data *= 0.5  # so that the last tanh is not saturated
    return geomlib.Generator(
        network.eval(), latent_dim=16, output_range=(-1, 1), name="attention", default_distance="mse"
    )
