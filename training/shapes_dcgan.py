"""Train the embedded generator `shapes-dcgan`: hours on two CPU cores, minutes on a GPU.

    python training/shapes_dcgan.py --out build/shapes-dcgan

A run that was stopped goes on from its last state when it is started again.
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

import torch
from adversarial import train
from PIL import Image
from safetensors.torch import save_file
from shapes_images import degrade, real
from supervised import fit, reading_loss, save
from torch import Tensor, nn

from geomlib import shapes
from geomlib.generators.dcgan import DCGAN
from geomlib.shapes.networks import PerceptualTrunk, load_factor_reader
from geomlib.shapes.quality import Quality, measure

LATENT_DIM, WIDTH, IMAGES = 64, 32, 100_000


def train_eyes(images: Tensor, factors: Tensor, steps: int, seed: int, device: str) -> PerceptualTrunk:
    """The network through which the critic looks: it reads the factors of the generator's own training images."""
    torch.manual_seed(seed)
    eyes = PerceptualTrunk().to(device, memory_format=torch.channels_last).train()
    random = torch.Generator().manual_seed(seed)

    def loss_of_step(step: int) -> Tensor:
        index = torch.randint(len(images), (64,), generator=random)
        raw = eyes.predict(degrade(images[index].float() / 255, random).to(device)).float()
        return reading_loss(raw, factors[index].to(device))

    fit(eyes, loss_of_step, steps, 2e-3, device, low_precision=True)
    return eyes


@torch.no_grad()
def judge(model: nn.Module, samples: int = 5000) -> Quality:
    """Quality by the reader that no training has seen, beside real images of other seeds."""
    latents = torch.randn(samples, LATENT_DIM, generator=torch.Generator().manual_seed(5000))
    images = torch.cat([model(part).add(1).div(2).clamp(0, 1) for part in latents.split(500)])
    return measure(images, load_factor_reader(), shapes.dataset(2 * samples, 6000)[0])


def montage(model: nn.Module, path: Path) -> None:
    latents = torch.randn(100, LATENT_DIM, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        grid = model(latents.to(next(model.parameters()).device)).add(1).mul(127.5).clamp(0, 255).byte().cpu()
    rows = grid.reshape(10, 10, *grid.shape[1:]).permute(0, 3, 1, 4, 2).reshape(640, 640, 3)
    Image.fromarray(rows.numpy()).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the state, the samples and the weights")
    parser.add_argument("--steps", type=int, default=25_000)
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
    generator = DCGAN(latent_dim=LATENT_DIM, dim_g=WIDTH)
    for parameter in generator.parameters():
        if parameter.ndim == 4:
            nn.init.normal_(parameter, 0.0, 0.02)

    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "eyes.pt"
    eyes = PerceptualTrunk()
    if kept.exists():
        eyes.load_state_dict(torch.load(kept, weights_only=True))
    else:
        eyes = train_eyes(images, factors, options.eyes_steps, options.seed + 100, options.device)
        torch.save(eyes.state_dict(), kept)

    def on_save(model: nn.Module, step: int) -> None:
        save_file(
            {key: value.contiguous() for key, value in model.state_dict().items()}, options.out / "weights.safetensors"
        )
        montage(model, options.out / f"samples-{step:06d}.png")

    published, curve, seconds = train(
        generator, images, eyes, latent_dim=LATENT_DIM, steps=options.steps, folder=options.out, seed=options.seed,
        batch_size=options.batch_size, device=options.device, on_save=on_save,
    )  # fmt: skip
    card = {
        "name": "shapes-dcgan",
        "what": "64 latents to 64x64 images of one coloured shape on a plain ground",
        "architecture": f"geomlib.generators.dcgan.DCGAN(latent_dim={LATENT_DIM}, dim_g={WIDTH})",
        "data": {"real": {"count": IMAGES, "seed": options.seed}},
        "recipe": {
            "critic": "heads on the frozen features of a network that reads factors, and on pixels; hinge loss",
            "reward": "confident naming by the frozen network, weight 0.5",
            "steps of that network": options.eyes_steps,
            "moving average": 0.999,
        },
        "seconds": round(seconds),
        "loss_curve": curve[:: max(1, len(curve) // 50)],
        "quality": asdict(judge(published.cpu())),
    }
    save(published, options.out / "shapes-dcgan.safetensors", card, options)


if __name__ == "__main__":
    main()
