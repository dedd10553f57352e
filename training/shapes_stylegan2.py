"""Train the embedded generator `shapes-stylegan2`: hours on two CPU cores, minutes on a GPU.

    python training/shapes_stylegan2.py --out build/shapes-stylegan2

A run that was stopped goes on from its last state when it is started again.
"""

import torch
from shapes_gan import Recipe, main
from torch import Tensor, nn

from geomlib.generators.architectures.base import to_unit_range
from geomlib.generators.architectures.stylegan2 import StyleGAN2

LATENT_DIM = 64
CONFIG = {
    "size": 64,
    "style_dim": LATENT_DIM,
    "n_mlp": 4,
    "channel_multiplier": 1,
    "channels": {"4": 64, "8": 64, "16": 64, "32": 32, "64": 16},
    "lr_mlp": 0.1,
}


def initialise(model: nn.Module) -> None:
    """As built; the convolutions' weights are laid out for the processor by the training."""


def imagine(model: nn.Module, count: int, random: torch.Generator) -> tuple[Tensor, None]:
    """Samples with fresh layer noise."""
    assert isinstance(model, StyleGAN2)
    device = model.input.input.device
    latents = torch.randn(count, LATENT_DIM, generator=random).to(device)
    noise = [torch.randn(count, 1, size, size, generator=random).to(device) for size in model.noise_sizes()]
    return model(latents, noise=noise), None


def refresh(model: nn.Module) -> None:
    """Nothing but evaluation mode: there are no batch statistics."""
    model.eval()


@torch.no_grad()
def render(model: nn.Module, count: int, seed: int) -> Tensor:
    """Finished images, with the layer noise of the state dict."""
    assert isinstance(model, StyleGAN2)
    latents = torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(seed))
    return to_unit_range(model(latents.to(model.input.input.device)))


RECIPE = Recipe(
    name="shapes-stylegan2",
    what="64 latents, through styles, to 64x64 images of one coloured shape on a plain ground",
    architecture="stylegan2",
    config=CONFIG,
    initialise=initialise,
    imagine=imagine,
    refresh=refresh,
    render=render,
    rates=(2e-3, 6e-4),  # weights of equalised learning rate are of order one
    steps=9000,
    notes={"reward": "confident naming by the frozen network, weight 0.5", "layer noise": "fresh in training"},
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
