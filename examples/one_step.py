"""A one-step generator, as flow matching and distillation give them: noise of an image's own shape, one call, an image.

    geomlib check examples/one_step.py:one_step

The network predicts a velocity `v` from the noise and a time; one step from time 1 to 0 is the image, `z - v(z, 1)`.
The latent has the shape of an image (`latent_shape`), the time is given beside it (`condition`), and so would a label.

The weights beside this file are those of a small student that `training/one_step.py` distils from a flow to the shapes
in a minute: it finds ground and place, and blurs what it cannot decide in one step.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import geomlib

WEIGHTS = Path(__file__).with_suffix(".safetensors")


class Velocity(nn.Module):
    """The student: 3 x 16 x 16 noise and a time to a velocity of the same shape; put your network in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 64)
        self.down = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 64))
        self.up = nn.Sequential(
            nn.SiLU(), nn.Linear(64, 128), nn.SiLU(), nn.Unflatten(1, (8, 4, 4)), nn.Conv2d(8, 32, 3, padding=1),
            nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(32, 24, 3, padding=1), nn.SiLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(24, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Velocities of noisy images `(B, 3, 16, 16)` at times `(B,)`: from the image that is expected to the noise."""
        return (noisy - self.up(self.down(noisy) + self.embed(time[:, None]))) / time[:, None, None, None]


class OneStep(nn.Module):
    """The whole way in one step."""

    def __init__(self, velocity: nn.Module) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, noise: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Images `(B, 3, 16, 16)`."""
        return torch.tanh(noise - time[:, None, None, None] * self.velocity(noise, time))


def one_step(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names; `weights` is a safetensors file, by default the one beside this."""
    network = OneStep(Velocity())
    network.load_state_dict(load_file(weights or WEIGHTS))
    return geomlib.Generator(
        network.eval(), latent_shape=(3, 16, 16), condition={"time": torch.ones(1)}, name="one-step",
        default_distance="mse",
    )  # fmt: skip
