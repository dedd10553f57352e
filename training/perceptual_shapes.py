"""Train the trunk of the distance `perceptual-shapes` to predict factors: some 12 minutes on one CPU thread.

python training/perceptual_shapes.py
"""

import torch
from shapes_images import degrade, real
from supervised import factor_errors, fit, options, outputs, reading_loss, save
from torch import Tensor

from geomlib.shapes.networks import PerceptualTrunk

REAL_SEED, HELD_OUT_SEED = 3000, 4000


def main() -> None:
    chosen = options(__doc__, "perceptual-shapes", steps=5000, seed=23)
    images, factors = real(chosen.images, REAL_SEED)
    trunk = PerceptualTrunk().to(chosen.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    random = torch.Generator().manual_seed(chosen.seed)

    def loss_of_step(step: int) -> Tensor:
        index = torch.randint(len(images), (chosen.batch_size,), generator=random)
        batch = degrade(images[index] / 255, random)
        raw = trunk.predict(batch.to(chosen.device, memory_format=torch.channels_last)).float()
        return reading_loss(raw, factors[index].to(chosen.device))

    curve, seconds = fit(trunk, loss_of_step, chosen.steps, 2e-3, chosen.device, low_precision=True)
    trunk = trunk.cpu().eval()

    clean, held_out_factors = real(chosen.held_out, HELD_OUT_SEED)
    degraded = degrade(clean / 255, torch.Generator().manual_seed(HELD_OUT_SEED))
    card = {
        "name": "perceptual-shapes",
        "what": "features of an LPIPS-form distance between 64x64 images of shapes; the head was used only in training",
        "architecture": "geomlib.shapes.networks.PerceptualTrunk: five 3x3 convolutions (24, 48, 48, 96, 96), SiLU",
        "multiply_adds_per_image": 16_588_800,
        "data": {
            "real": {"count": chosen.images, "seed": REAL_SEED},
            "held out": {"count": chosen.held_out, "seed": HELD_OUT_SEED},
            "note": "all training images are mildly degraded at random (blur, texture, colour, warp)",
        },
        "seconds": round(seconds, 1),
        "loss_curve": curve,
        "held_out": {
            "real": factor_errors(*outputs(trunk.predict, clean / 255), held_out_factors),
            "real, degraded": factor_errors(*outputs(trunk.predict, degraded), held_out_factors),
        },
    }
    save(trunk, chosen.out, card, chosen)


if __name__ == "__main__":
    main()
