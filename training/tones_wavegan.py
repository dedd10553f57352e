"""Train the embedded generator `tones-wavegan`: half an hour on one CPU core.

    python training/tones_wavegan.py --out build/tones-wavegan

A run that was stopped goes on from its last state when it is started again.
"""

import argparse
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from adversarial import _Deviation, train
from PIL import Image
from safetensors.torch import save_file
from supervised import fit, save
from tones_sounds import degrade, mix, reading_loss
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from geomlib.generators import build
from geomlib.worlds import tones
from geomlib.worlds.tones.networks import FLOOR, ToneReader, load_tone_reader, log_spectrogram, spectrogram
from geomlib.worlds.tones.quality import measure

LATENT_DIM = 32
CONFIG = {"latent_dim": LATENT_DIM, "model_size": 16, "upsample": False, "slice_len": tones.LENGTH}
RATES = (1e-3, 4e-4)
EYES = {"window": 512, "hop": 256, "width": 64}
SPECTROGRAMS = ((256, 128), (1024, 512))


class Critic(nn.Module):
    """Sounds `(B, 1, LENGTH)` to scores of each map of the frozen `eyes`, and of two plain spectrograms.

    The eyes know notes but hardly hear fine structure; without the other heads a generator leaves noise there.
    """

    def __init__(self, eyes: ToneReader, width: int = 64) -> None:
        super().__init__()
        self.eyes = eyes.eval().requires_grad_(False)
        frames = [64, 32, 16, 8] + [tones.LENGTH // hop for _, hop in SPECTROGRAMS]
        inputs = [EYES["width"]] * 4 + [window // 2 + 1 for window, _ in SPECTROGRAMS]
        self.heads = nn.ModuleList(_head(one, width, length) for one, length in zip(inputs, frames, strict=True))

    def forward(self, sounds: Tensor) -> tuple[list[Tensor], Tensor]:
        """The maps of scores, and the logits `(B, 4)` of the note that the frozen network hears."""
        with torch.autocast("cpu", enabled=False):  # these small convolutions gain nothing from bfloat16
            return self._score(sounds)

    def _score(self, sounds: Tensor) -> tuple[list[Tensor], Tensor]:
        maps = self.eyes.maps(sounds)
        inputs = [*maps, *(_compressed(sounds, *sizes) for sizes in SPECTROGRAMS)]
        scores = [head(part) for head, part in zip(self.heads, inputs, strict=True)]
        hidden = nn.functional.silu(self.eyes.hidden(maps[-1].flatten(1)))
        return scores, self.eyes.output(hidden)[:, : len(tones.NOTES)]


def _compressed(sounds: Tensor, window: int, hop: int) -> Tensor:
    """The square root of the amplitudes: beside a logarithm it weighs strong harmonics more and faint hiss less."""
    return 4.0 * (spectrogram(sounds, window, hop) + FLOOR**2) ** 0.25


def _head(inputs: int, width: int, length: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    while length > 8:
        layers += [spectral_norm(nn.Conv1d(inputs, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        inputs, length = width, length // 2
    return nn.Sequential(
        *layers, _Deviation(),
        spectral_norm(nn.Conv1d(inputs + 1, width, 3, 1, 1)), nn.LeakyReLU(0.2), spectral_norm(nn.Conv1d(width, 1, 8)),
    )  # fmt: skip


def train_eyes(steps: int, seed: int) -> ToneReader:
    """The network through which the critic listens; it hears in a mixture of two notes a share of each."""
    torch.manual_seed(seed)
    eyes = ToneReader(**EYES).train()
    random = torch.Generator().manual_seed(seed)

    def loss_of_step(step: int) -> Tensor:
        factors = tones.sample_factors(64, seed + 1 + step)
        sounds, shares = mix(factors, random)
        return reading_loss(eyes(degrade(sounds, random)), factors, shares)

    fit(eyes, loss_of_step, steps, 2e-3, "cpu", low_precision=False)
    return eyes


def sounds_of_seed(seed: int, batch_size: int) -> Iterator[Tensor]:
    """Endless fresh notes."""
    while True:
        for part in tones.sample_factors(64 * batch_size, seed).split(batch_size):
            yield tones.render(part)
        seed += 1


def initialise(model: nn.Module) -> None:
    """Weights that keep the size of the signal through every ReLU, as there is no norm; each output has 25 / 4 taps."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 3:
            nn.init.normal_(parameter, 0.0, (2 / (parameter.shape[0] * 25 / 4)) ** 0.5)
        elif name == "fc1.weight":
            nn.init.normal_(parameter, 0.0, parameter.shape[1] ** -0.5)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def imagine(model: nn.Module, count: int, random: torch.Generator) -> tuple[Tensor, None]:
    """Waveforms in full precision: bfloat16 would hiss."""
    with torch.autocast("cpu", enabled=False):
        return model(torch.randn(count, LATENT_DIM, generator=random)), None


def refresh(model: nn.Module) -> None:
    """Nothing but evaluation mode: there are no batch statistics in use."""
    model.eval()


@torch.no_grad()
def render(model: nn.Module, count: int, seed: int) -> Tensor:
    latents = torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(seed))
    return torch.cat([model(part) for part in latents.split(250)])


def montage(sounds: Tensor, path: Path) -> None:
    """Write the log spectrograms of 32 sounds, low frequencies below."""
    pictures = log_spectrogram(sounds[:32], 1024, 256).flip(1).add(1).div(2).clamp(0, 1)
    rows = pictures.reshape(2, 16, 513, 64).permute(0, 2, 1, 3).reshape(2 * 513, 16 * 64)
    Image.fromarray(rows.mul(255).byte().numpy()).save(path)


def judge(model: nn.Module, samples: int = 5000) -> dict[str, Any]:
    """Quality by the reader that no training has heard, beside real sounds of other seeds."""
    sounds = torch.cat([render(model, 500, 5000 + index) for index in range(samples // 500)])
    return asdict(measure(sounds, load_tone_reader(), tones.dataset(2 * samples, 6_000_000)[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the state, the samples and the weights")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--eyes-steps", type=int, default=800, help="training of the critic's frozen features")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--naming", type=float, default=0.5, help="weight of the reward for confident naming")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    options = parser.parse_args()
    options.device = "cpu"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = build("wavegan", **CONFIG)
    initialise(generator)

    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "eyes.pt"
    if kept.exists():
        eyes = ToneReader(**EYES)
        eyes.load_state_dict(torch.load(kept, weights_only=True))
    else:
        eyes = train_eyes(options.eyes_steps, 3_000_000 + options.seed)
        torch.save(eyes.state_dict(), kept)

    def on_save(model: nn.Module, step: int) -> None:
        save_file(model.state_dict(), options.out / "weights.safetensors")
        montage(render(model, 32, 0), options.out / f"samples-{step:06d}.png")

    published, curve, seconds = train(
        generator, Critic(eyes), sounds_of_seed(options.seed, options.batch_size), imagine, refresh,
        steps=options.steps, folder=options.out, seed=options.seed, batch_size=options.batch_size, rates=RATES,
        naming=options.naming, save_every=500, on_save=on_save,
    )  # fmt: skip
    card = {
        "name": "tones-wavegan",
        "what": f"{LATENT_DIM} latents to a note of 1.024 s at 16 kHz",
        "architecture": "wavegan",
        "config": CONFIG,
        "latent_dim": LATENT_DIM,
        "output_shape": [1, tones.LENGTH],
        "data": {"real": {"count": options.steps * options.batch_size, "seed": options.seed}},
        "recipe": {
            "critic": "heads on the features of a frozen network that reads factors, and on spectrograms; hinge loss",
            "reward": f"confident naming by the frozen network, weight {options.naming}",
            "steps of that network": options.eyes_steps,
            "learning rates": RATES,
            "moving average": 0.999,
        },
        "told": "Its critic listens through the frozen features of a network that was trained to read the factors, and "
        f"it was rewarded by that network (confident naming, weight {options.naming}). So that its axes carry factors "
        "is in part by construction. The critic also listens to spectrograms, at windows of the distance stft: that "
        "distance is no stranger to it.",
        "seconds": round(seconds),
        "loss_curve": curve[:: max(1, len(curve) // 50)],
        "quality": judge(published),
    }
    save(published, options.out / "tones-wavegan.safetensors", card, options)


if __name__ == "__main__":
    main()
