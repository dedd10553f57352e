"""A one-step generator, as flow matching and distillation give them: noise of an image's own shape, one call, an image.

    geomlib check examples/one_step.py:one_step

The network predicts a velocity `v` from the noise and a time; one step from time 1 to 0 is the image, `z - v(z, 1)`.
The latent has the shape of an image (`latent_shape`), the time is given beside it (`condition`), and so would a label.
"""

import torch
from torch import nn

import geomlib


class Velocity(nn.Module):
    """A stand-in for your network: 3 x 16 x 16 noise and a time to a velocity of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 16)
        self.down = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, padding=1))
        self.up = nn.Sequential(
            nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 16, 3, padding=1), nn.SiLU(),
            nn.Conv2d(16, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Velocities of noisy images `(B, 3, 16, 16)` at times `(B,)`."""
        return self.up(self.down(noisy) + self.embed(time[:, None])[:, :, None, None])


class OneStep(nn.Module):
    """The whole way in one step."""

    def __init__(self, velocity: nn.Module) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, noise: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Images `(B, 3, 16, 16)`."""
        return torch.tanh(noise - self.velocity(noise, time))


def one_step(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names."""
    network = OneStep(Velocity())
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # random weights of unit-scale activations, so that the example runs anywhere
        random = torch.Generator().manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, generator=random)
                nn.init.zeros_(layer.bias)
    return geomlib.Generator(
        network.eval(), latent_shape=(3, 16, 16), condition={"time": torch.ones(1)}, name="one-step",
        default_distance="mse",
    )  # fmt: skip
