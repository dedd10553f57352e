"""Train `shapes-dcgan-rewarded`, which was told of the factors: hours on two CPU cores, minutes on a GPU.

    python training/shapes_dcgan_rewarded.py --out build/shapes-dcgan-rewarded

A run that was stopped goes on from its last state when it is started again.
"""

import torch
from shapes_gan import Recipe, main, refresh_batch_norm
from torch import Tensor, nn

from geomlib.generators.architectures.base import to_unit_range

LATENT_DIM = 64


def initialise(model: nn.Module) -> None:
    """Small normal weights, as DCGAN has them."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            nn.init.normal_(parameter, 0.0, 0.02)


def draw(model: nn.Module, count: int, random: torch.Generator) -> Tensor:
    """Normal latents where the network is."""
    return torch.randn(count, LATENT_DIM, generator=random).to(next(model.parameters()).device)


def imagine(model: nn.Module, count: int, random: torch.Generator) -> tuple[Tensor, None]:
    """Samples, of no class in particular."""
    return model(draw(model, count, random)), None


def refresh(model: nn.Module) -> None:
    """Batch statistics of the averaged weights."""
    refresh_batch_norm(model, draw(model, 5000, torch.Generator().manual_seed(1)))


@torch.no_grad()
def render(model: nn.Module, count: int, seed: int) -> Tensor:
    """Finished images."""
    return to_unit_range(model(draw(model, count, torch.Generator().manual_seed(seed))))


RECIPE = Recipe(
    name="shapes-dcgan-rewarded",
    what="64 latents to 64x64 images of one coloured shape on a plain ground",
    architecture="dcgan",
    config={"latent_dim": LATENT_DIM, "dim_g": 32},
    initialise=initialise,
    imagine=imagine,
    refresh=refresh,
    render=render,
    rates=(3e-4, 6e-4),
    steps=25_000,
    notes={"reward": "confident naming by the frozen network, weight 0.5"},
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
