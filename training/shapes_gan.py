"""What the trainings of the embedded generators of shapes share: the critic's eyes, samples, quality, command line."""

import argparse
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from adversarial import Critic, Imagine, PixelCritic, batches, logistic, train
from PIL import Image
from safetensors.torch import save_file
from shapes_images import degrade, real
from supervised import fit, reading_loss, save
from torch import Tensor, nn
from trunk import CriticTrunk

from geomlib.generators import build
from geomlib.worlds import shapes
from geomlib.worlds.shapes.networks import load_factor_reader
from geomlib.worlds.shapes.quality import measure

IMAGES = 100_000
PENALTY = 2.0  # weight of the gradient penalty of a critic on pixels


@dataclass(frozen=True)
class Recipe:
    """How one generator is made: its architecture, how samples are drawn, and how its average is made ready."""

    name: str  # "{seed}" in it becomes the seed
    what: str
    architecture: str
    config: dict[str, Any]
    initialise: Callable[[nn.Module], None]
    imagine: Imagine
    refresh: Callable[[nn.Module], None]
    render: Callable[[nn.Module, int, int], Tensor]  # network, count, seed: finished images in [0, 1]
    rates: tuple[float, float]  # learning rates of generator and critic
    steps: int
    notes: dict[str, Any]
    sees_factors: bool = True  # the critic looks through a network that reads factors, else at pixels alone


def train_eyes(images: Tensor, factors: Tensor, steps: int, seed: int, device: str) -> CriticTrunk:
    """The network through which the critic looks: it reads the factors of the generator's own training images."""
    torch.manual_seed(seed)
    eyes = CriticTrunk().to(device, memory_format=torch.channels_last).train()
    random = torch.Generator().manual_seed(seed)

    def loss_of_step(step: int) -> Tensor:
        index = torch.randint(len(images), (64,), generator=random)
        raw = eyes.predict(degrade(images[index].float() / 255, random).to(device)).float()
        return reading_loss(raw, factors[index].to(device))

    fit(eyes, loss_of_step, steps, 2e-3, device, low_precision=True)
    return eyes


@torch.no_grad()
def refresh_batch_norm(model: nn.Module, latents: Tensor, batch_size: int = 250) -> None:
    """Give the averaged weights batch statistics of their own, in float32 and over many samples."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    model.train()
    for part in latents.split(batch_size):
        model(part)
    model.eval()


def montage(images: Tensor, path: Path) -> None:
    """Write 100 images in [0, 1] as a square."""
    grid = images.mul(255).round().byte()
    rows = grid.reshape(10, 10, *grid.shape[1:]).permute(0, 3, 1, 4, 2).reshape(640, 640, 3)
    Image.fromarray(rows.numpy()).save(path)


@torch.no_grad()
def judge(recipe: Recipe, model: nn.Module, samples: int = 5000) -> dict[str, Any]:
    """Quality by the readers that no training has seen, beside real images of other seeds."""
    images = torch.cat([recipe.render(model, 500, 5000 + index) for index in range(samples // 500)])
    data = shapes.dataset(2 * samples, 6000)[0]
    strict = measure(images, load_factor_reader(strict=True), data)
    quality = measure(images, load_factor_reader(), data)
    found = asdict(quality) | {"per_shape": quality.per_shape, "confident, strict reader": strict.confident}
    return {key: value for key, value in found.items() if key != "per_kind"}


def _kept_eyes(options: argparse.Namespace, images: Tensor, factors: Tensor) -> CriticTrunk:
    """The critic's frozen features, trained once for each folder."""
    kept, eyes = options.out / "eyes.pt", CriticTrunk()
    if kept.exists():
        eyes.load_state_dict(torch.load(kept, weights_only=True))
    else:
        eyes = train_eyes(images, factors, options.eyes_steps, options.seed + 100, options.device)
        torch.save(eyes.state_dict(), kept)
    return eyes


def main(recipe: Recipe, description: str | None) -> None:
    """The command line of one training."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the state, the samples and the weights")
    parser.add_argument("--steps", type=int, default=recipe.steps)
    parser.add_argument("--eyes-steps", type=int, default=1500, help="training of the critic's frozen features")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    images, factors = real(IMAGES, options.seed)
    images = images.to(memory_format=torch.channels_last)
    torch.manual_seed(options.seed)
    generator = build(recipe.architecture, **recipe.config)
    recipe.initialise(generator)

    options.out.mkdir(parents=True, exist_ok=True)
    if recipe.sees_factors:
        critic: nn.Module = Critic(_kept_eyes(options, images, factors))
        settings: dict[str, Any] = {}
        told = {
            "critic": "heads on the frozen features of a network that reads factors, and on pixels; hinge loss",
            "steps of that network": options.eyes_steps,
        }
        what_was_told = (
            "Its critic looks through the frozen features of a network that was trained to read the factors, and it "
            f"was rewarded by that network ({recipe.notes['reward']}). So that its axes carry factors is in part by "
            "construction."
        )
    else:
        critic, settings = PixelCritic(), {"critic_loss": logistic, "penalty": PENALTY}
        told = {
            "critic": "four convolutions on pixels alone, logistic loss, gradient penalty on real images",
            "penalty": PENALTY,
            "reward": "none",
        }
        what_was_told = (
            "Nothing of the factors: its critic sees pixels and has seen no factor, and there was no reward."
        )

    def on_save(model: nn.Module, step: int) -> None:
        save_file(
            {key: value.contiguous() for key, value in model.state_dict().items()}, options.out / "weights.safetensors"
        )
        montage(recipe.render(model, 100, 0).cpu(), options.out / f"samples-{step:06d}.png")

    published, curve, seconds = train(
        generator, critic, batches(images, options.batch_size, options.seed), recipe.imagine, recipe.refresh,
        steps=options.steps, folder=options.out, seed=options.seed, batch_size=options.batch_size,
        rates=recipe.rates, device=options.device, on_save=on_save, **settings,
    )  # fmt: skip
    name = recipe.name.format(seed=options.seed)
    card = {
        "name": name,
        "what": recipe.what,
        "architecture": recipe.architecture,
        "config": recipe.config,
        "latent_dim": generator.latent_dim,
        "output_shape": list(images.shape[1:]),
        "data": {"real": {"count": IMAGES, "seed": options.seed}},
        "recipe": {
            **told,
            "learning rates": recipe.rates,
            "moving average": 0.999,
            **recipe.notes,
        },
        "told": what_was_told,
        "seconds": round(seconds),
        "loss_curve": curve[:: max(1, len(curve) // 50)],
        "quality": judge(recipe, published.cpu()),
    }
    save(published, options.out / f"{name}.safetensors", card, options)
