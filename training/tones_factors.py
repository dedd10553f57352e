"""Train `tones-factors`, the network that reads the factors off a sound: some ten minutes on one CPU thread.

python training/tones_factors.py
"""

import torch
from supervised import fit, options, save
from tones_sounds import NEGATIVES, degrade, reading_loss
from torch import Tensor

from geomlib.worlds import tones
from geomlib.worlds.tones.data import render
from geomlib.worlds.tones.networks import CLASSES, ToneReader, decode_factors

REAL_SEED, NEGATIVES_SEED, HELD_OUT_SEED, HELD_OUT_NEGATIVES_SEED = 1000, 1100, 2000, 2100
NEGATIVES_PER_KIND, NONE_SHARE = 1000, 0.4
NEVER_SEEN = "unsteady pitch"


def negatives(kind: str, count: int, first: int) -> Tensor:
    """Sounds `(count, 1, LENGTH)` that are no note, as int16."""
    seed = first + list(NEGATIVES).index(kind)
    noise = torch.Generator().manual_seed(seed)
    parts = (NEGATIVES[kind](part, noise) for part in tones.sample_factors(count, seed).split(100))
    return torch.cat([part.clamp(-1, 1).mul(32767).round().to(torch.int16) for part in parts])


def faults(sounds: Tensor, noise: torch.Generator) -> Tensor:
    """`degrade`, and a trace of another sound of the batch: at most a tenth of its amplitude, often nearly none."""
    trace = 0.1 * torch.rand(len(sounds), 1, 1, generator=noise) ** 2
    return degrade(sounds + trace * sounds[torch.randperm(len(sounds), generator=noise)], noise)


def seen(logits: Tensor) -> dict[str, float]:
    """Share of sounds read as none, and as one of the notes with confidence above 0.9."""
    confident = logits.softmax(1)[:, :-1].amax(1) > 0.9
    shares = {"none": logits.argmax(1) == CLASSES - 1, "confident note": confident}
    return {name: round(float(part.double().mean()), 5) for name, part in shares.items()}


def errors(raw: Tensor, factors: Tensor) -> dict[str, object]:
    """Share of right notes; mean and 95th percentile of each other factor's absolute error, in the factor's unit."""
    note = raw[:, : CLASSES - 1].argmax(1)
    difference = (decode_factors(raw[:, CLASSES:].double(), note) - factors.double()).abs()
    result: dict[str, object] = {"note accuracy": float((difference[:, 0] == 0).double().mean())}
    for name, column in zip(tones.FACTOR_NAMES[1:], difference.unbind(1)[1:], strict=True):
        result[name] = {"mean": round(float(column.mean()), 5), "95 %": round(float(column.quantile(0.95)), 5)}
    return result


def main() -> None:
    chosen = options(__doc__, "tones-factors", steps=2000, seed=11)
    kinds = [kind for kind in NEGATIVES if kind != NEVER_SEEN]
    factors = tones.sample_factors(chosen.images, REAL_SEED)
    others = torch.cat([negatives(kind, NEGATIVES_PER_KIND, NEGATIVES_SEED) for kind in kinds])
    reader = ToneReader().to(chosen.device).train()
    random = torch.Generator().manual_seed(chosen.seed)
    refused = round(chosen.batch_size * NONE_SHARE)

    def loss_of_step(step: int) -> Tensor:
        notes = factors[torch.randint(len(factors), (chosen.batch_size - refused,), generator=random)]
        none = others[torch.randint(len(others), (refused,), generator=random)] / 32767
        sounds = faults(torch.cat([render(notes), none]), random)
        true = torch.cat([notes, notes[:1].expand(refused, -1)])  # the factors of none do not count
        classes = torch.cat([notes[:, 0].long(), torch.full((refused,), CLASSES - 1)])
        return reading_loss(reader(sounds.to(chosen.device)), true.to(chosen.device), classes.to(chosen.device))

    curve, seconds = fit(reader, loss_of_step, chosen.steps, 2e-3, chosen.device, low_precision=False)
    reader = reader.cpu().eval()

    @torch.no_grad()
    def listen(sounds: Tensor) -> Tensor:
        return torch.cat([reader(part) for part in sounds.split(250)])

    clean, held_out = tones.dataset(chosen.held_out, HELD_OUT_SEED)
    faulty = faults(clean, torch.Generator().manual_seed(HELD_OUT_SEED))
    accuracy: dict[str, object] = {}
    for name, sounds in (("real", clean), ("real, degraded", faulty)):
        raw = listen(sounds)
        accuracy[name] = {**seen(raw[:, :CLASSES]), **errors(raw, held_out)}
    for kind in NEGATIVES:
        raw = listen(negatives(kind, chosen.held_out // 4, HELD_OUT_NEGATIVES_SEED) / 32767)
        accuracy[f"{kind} (never heard in training)" if kind == NEVER_SEEN else kind] = seen(raw[:, :CLASSES])

    card = {
        "name": chosen.out.stem,
        "what": "reads the note (four, or none) and four factors off 1.024 s of sound at 16 kHz; only for measuring",
        "architecture": "geomlib.worlds.tones.networks.ToneReader: log spectrogram, four convolutions over time, SiLU",
        "data": {
            "real": {"count": chosen.images, "seed": REAL_SEED},
            "none": {"count": NEGATIVES_PER_KIND, "kinds": kinds, "first seed": NEGATIVES_SEED},
            "held out": {"count": chosen.held_out, "seed": HELD_OUT_SEED},
            "held out, none": {"count": chosen.held_out // 4, "first seed": HELD_OUT_NEGATIVES_SEED},
            "note": "all training sounds are mildly degraded at random",
        },
        "seconds": round(seconds, 1),
        "loss_curve": curve,
        "held_out": accuracy,
    }
    save(reader, chosen.out, card, chosen)


if __name__ == "__main__":
    main()
