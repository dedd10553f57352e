"""Train `shapes-factors`, the network that reads the factors off an image: some 15 minutes on one CPU thread.

python training/shapes_factors.py
python training/shapes_factors.py --strict --steps 4000
"""

import torch
from shapes_images import NEGATIVES, STRICT_NEGATIVES, Kinds, degrade, negatives, quantise, real
from supervised import factor_errors, factor_loss, fit, options, outputs, save
from torch import Tensor
from torch.nn import functional

from geomlib.worlds.shapes.networks import CLASSES, FactorReader

REAL_SEED, NEGATIVES_SEED, HELD_OUT_SEED, HELD_OUT_NEGATIVES_SEED = 1000, 1100, 2000, 2100
NEGATIVES_PER_KIND = 4000


def seed_of(kind: str, first: int, kinds: Kinds) -> int:
    return first + 10 * list(kinds).index(kind)


def seen(logits: Tensor) -> dict[str, float]:
    """Share of images read as none, and as one of the three shapes with confidence above 0.9."""
    probabilities = logits.softmax(1)
    confident = probabilities[:, :3].amax(1) > 0.9
    none = logits.argmax(1) == CLASSES.index("none")
    shares = {"none": none, "confident shape": confident}
    return {name: round(float(part.double().mean()), 5) for name, part in shares.items()}


def main() -> None:
    flags = {"--strict": "also refuse outlines between two shapes and slight distortions: shapes-factors-strict"}
    chosen = options(__doc__, "shapes-factors", steps=4200, seed=11, flags=flags)
    kinds, share = (STRICT_NEGATIVES, 0.35) if chosen.strict else (NEGATIVES, 0.3)
    if chosen.strict and chosen.out.stem == "shapes-factors":
        chosen.out = chosen.out.with_stem("shapes-factors-strict")
    images, factors = real(chosen.images, REAL_SEED)
    others = torch.cat([
        quantise(negatives(kind, NEGATIVES_PER_KIND, seed_of(kind, NEGATIVES_SEED, kinds), kinds)) for kind in kinds
    ])  # fmt: skip
    reader = FactorReader().to(chosen.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    random = torch.Generator().manual_seed(chosen.seed)
    refused = round(chosen.batch_size * share)
    accepted = chosen.batch_size - refused

    def loss_of_step(step: int) -> Tensor:
        real_index = torch.randint(len(images), (accepted,), generator=random)
        none_index = torch.randint(len(others), (refused,), generator=random)
        batch = degrade(torch.cat([images[real_index], others[none_index]]) / 255, random)
        raw = reader(batch.to(chosen.device, memory_format=torch.channels_last)).float()
        true = factors[real_index].to(chosen.device)
        classes = functional.pad(true[:, 0].long(), (0, refused), value=CLASSES.index("none"))
        classified = functional.cross_entropy(raw[:, : len(CLASSES)], classes)
        return classified + 5.0 * factor_loss(raw[:accepted, len(CLASSES) :], true)

    # Group norm takes back what bfloat16 would save here.
    curve, seconds = fit(reader, loss_of_step, chosen.steps, 2e-3, chosen.device, low_precision=False)
    reader = reader.cpu().eval()

    clean, held_out_factors = real(chosen.held_out, HELD_OUT_SEED)
    clean_outputs = outputs(reader, clean / 255)
    degraded_outputs = outputs(reader, degrade(clean / 255, torch.Generator().manual_seed(HELD_OUT_SEED)))
    accuracy: dict[str, object] = {
        "real": {**seen(clean_outputs[0]), **factor_errors(*clean_outputs, held_out_factors)},
        "real, degraded": {**seen(degraded_outputs[0]), **factor_errors(*degraded_outputs, held_out_factors)},
    }
    for kind, among in ({"hybrid": STRICT_NEGATIVES} | dict.fromkeys(kinds, kinds)).items():
        made = negatives(kind, chosen.held_out // 4, seed_of(kind, HELD_OUT_NEGATIVES_SEED, among), among)
        accuracy[kind if kind in kinds else f"{kind} (never seen in training)"] = seen(outputs(reader, made)[0])

    def seeds_of(count: int, first: int) -> dict[str, dict[str, int]]:
        return {kind: {"count": count, "seed": seed_of(kind, first, kinds)} for kind in kinds}

    card = {
        "name": chosen.out.stem,
        "what": "reads class (disc, square, triangle, none) and factors off a 64x64 image; only for measuring",
        "architecture": "worlds.shapes.networks.FactorReader: 5x5 convolution, 3 residual blocks, group norm, ReLU",
        "data": {
            "real": {"count": chosen.images, "seed": REAL_SEED},
            "none": seeds_of(NEGATIVES_PER_KIND, NEGATIVES_SEED),
            "held out": {"count": chosen.held_out, "seed": HELD_OUT_SEED},
            "held out, none": seeds_of(chosen.held_out // 4, HELD_OUT_NEGATIVES_SEED),
            "note": "a kind of none uses its seed and the next two; all training images are mildly degraded at random",
        },
        "seconds": round(seconds, 1),
        "loss_curve": curve,
        "held_out": accuracy,
    }  # fmt: skip
    save(reader, chosen.out, card, chosen)


if __name__ == "__main__":
    main()
