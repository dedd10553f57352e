"""Train the embedded generator `shapes-biggan`, with the kind of shape as its class: hours on two CPU cores.

    python training/shapes_biggan.py --out build/shapes-biggan

A run that was stopped goes on from its last state when it is started again.
"""

import torch
from shapes_gan import Recipe, main
from torch import Tensor, nn
from torch.nn import functional

from geomlib.generators.architectures.base import to_unit_range
from geomlib.generators.architectures.biggan_deep import BigGANDeep, TruncatedNorm
from geomlib.worlds import shapes

NOISE_DIM, CLASSES, STATISTICS, BATCHES = 48, len(shapes.SHAPES), 6, 2
CONFIG = {
    "output_dim": 64,
    "z_dim": NOISE_DIM,
    "class_embed_dim": 16,
    "channel_width": 8,
    "num_classes": CLASSES,
    "layers": [[True, 16, 16], [True, 16, 8], [True, 8, 4], [True, 4, 2]],
    "attention_layer_position": 2,
    "n_stats": STATISTICS,
}


def initialise(model: nn.Module) -> None:
    """Orthogonal weights, as BigGAN has them; gains of the norms start at one."""
    for name, parameter in model.named_parameters():
        if name.endswith("weight_orig"):
            nn.init.orthogonal_(parameter)
    assert isinstance(model, BigGANDeep)
    nn.init.normal_(model.embeddings.weight, 0.0, 1.0)


def draw(count: int, random: torch.Generator, truncation: float = 1.0) -> tuple[Tensor, Tensor]:
    """Normal noise cut at two standard deviations and scaled by `truncation`, and classes."""
    noise = torch.nn.init.trunc_normal_(torch.empty(count, NOISE_DIM), a=-2.0, b=2.0, generator=random) * truncation
    return noise, torch.randint(CLASSES, (count,), generator=random)


def imagine(model: nn.Module, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples of classes drawn at random, with the classes."""
    assert isinstance(model, BigGANDeep)
    device = model.embeddings.weight.device
    noise, classes = (part.to(device) for part in draw(count, random))
    return model(noise, class_vector=functional.one_hot(classes, CLASSES).to(noise), truncation=1.0), classes


@torch.no_grad()
def refresh(model: nn.Module) -> None:
    """Norms of the averaged weights, then batch statistics for each truncation.

    The row of truncation 1 belongs to the training's noise, the others to less of it.
    """
    assert isinstance(model, BigGANDeep)
    norms = [layer for layer in model.modules() if isinstance(layer, TruncatedNorm)]
    model.train()

    def moments(count: int, truncation: float, random: torch.Generator) -> list[Tensor]:
        for norm in norms:  # a pass moves them a tenth of the way from nought, so ten times that is the batch's moment
            norm.running_means.zero_()
            norm.running_vars.zero_()
        noise, classes = draw(count, random, truncation)
        vectors = functional.one_hot(classes, CLASSES).to(noise)
        model(noise.to(model.embeddings.weight), class_vector=vectors.to(model.embeddings.weight), truncation=1.0)
        return [10 * torch.stack([norm.running_means[0], norm.running_vars[0]]) for norm in norms]

    for _ in range(50):  # steps of the power iteration, which the average of the weights has not had
        moments(2, 1.0, torch.Generator().manual_seed(0))
    rows = []
    for row in range(STATISTICS):
        random = torch.Generator().manual_seed(row)
        truncation = max(row, 0.05) / (STATISTICS - 1)
        batches = [moments(250, truncation, random) for _ in range(BATCHES)]
        rows.append([torch.stack(parts).mean(0) for parts in zip(*batches, strict=True)])
    for index, norm in enumerate(norms):
        for row in range(STATISTICS):
            norm.running_means[row], norm.running_vars[row] = rows[row][index]
    model.eval()


@torch.no_grad()
def render(model: nn.Module, count: int, seed: int) -> Tensor:
    """Finished images of all classes at truncation 1."""
    assert isinstance(model, BigGANDeep)
    noise, classes = draw(count, torch.Generator().manual_seed(seed))
    device = model.embeddings.weight.device
    vectors = functional.one_hot(classes, CLASSES).to(noise)
    return to_unit_range(model(noise.to(device), class_vector=vectors.to(device), truncation=1.0))


RECIPE = Recipe(
    name="shapes-biggan",
    what="48 noise and 16 class dimensions to 64x64 images of one coloured shape, disc, square or triangle by class",
    architecture="biggan_deep",
    config=CONFIG,
    initialise=initialise,
    imagine=imagine,
    refresh=refresh,
    render=render,
    rates=(3e-4, 6e-4),
    steps=7000,
    notes={"reward": "named as its class by the frozen network, weight 0.5"},
)

if __name__ == "__main__":
    main(RECIPE, __doc__)
