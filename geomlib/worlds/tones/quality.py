"""How well sounds imitate the tones data: are they notes, do they cover every factor, how clean is the waveform.

What is read is read by a `ToneReader`, from the data as well as from the imitation, so that its bias cancels; what is
measured on the waveform needs no network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib.worlds.shapes.data import Factor
from geomlib.worlds.shapes.quality import Coverage, coverage, frechet_distance
from geomlib.worlds.tones.data import FACTORS, NOTES, PERIOD, SAMPLE_RATE
from geomlib.worlds.tones.networks import Readings, ToneReader, check_sounds

CONFIDENCE = 0.9
_LEAKAGE = 2  # bins of a Hann window that a steady harmonic fills beside its own
_FULL_SCALE = 0.999


@dataclass(frozen=True)
class Waveform:
    """What is measured on waveforms themselves; means over the sounds."""

    harmonicity: float  # share of the energy, in [0, 1], at the harmonics of the note that is read
    level: float  # root mean square, in [0, 1]
    clipped: float  # share of samples at full scale, in [0, 1]


@dataclass(frozen=True)
class Quality:
    """Result of `measure`."""

    confident: float  # share of all sounds read as one of the notes with more than 0.9 confidence
    confident_real: float  # the same of the real sounds
    per_note: list[float]  # the same for each note, in the order of `NOTES`; adds up to `confident`
    coverage: dict[str, Coverage]  # by factor, over the confident sounds; for the note, its classes are the bins
    frechet: float  # Fréchet distance of the reader's features to those of real sounds
    frechet_real: float  # the same between two halves of the real sounds, of the same sizes: the least to expect
    waveform: Waveform  # of all sounds, confident or not
    waveform_real: Waveform


def confident_notes(readings: Readings) -> Tensor:
    """Which sounds, `(N,)` bool, are read as one of the notes with more than `CONFIDENCE`."""
    return readings.probabilities[:, : len(NOTES)].amax(1) > CONFIDENCE


def harmonicity(sounds: Tensor, notes: Tensor) -> Tensor:
    """Share of the energy of `sounds` `(N, 1, LENGTH)` at the harmonics of `notes` `(N,)`, indices into `NOTES`.

    In [0, 1], `(N,)`: over Hann windows of one common period, hopping by half of it, the energy within two bins (31 Hz)
    of a multiple of the note's frequency, over all but that at 0 Hz.  White noise has 5 / 32 to 5 / 56; silence is nan.
    Raises `ValueError` for sounds of another shape.
    """
    check_sounds(sounds)
    frames = sounds[:, 0].double().unfold(1, PERIOD, PERIOD // 2) * torch.hann_window(PERIOD, dtype=torch.float64)
    energy = torch.fft.rfft(frames).abs().square().sum(1)
    energy[:, : _LEAKAGE + 1] = 0
    bins, turns = torch.arange(energy.shape[1]), torch.tensor(NOTES)[notes.long()][:, None]
    beside = bins % turns
    near = torch.minimum(beside, turns - beside) <= _LEAKAGE
    share: Tensor = (energy * near).sum(1) / energy.sum(1)
    return share


def _waveform(sounds: Tensor, notes: Tensor) -> Waveform:
    parts = zip(sounds.split(500), notes.split(500), strict=True)
    return Waveform(
        harmonicity=float(torch.cat([harmonicity(*part) for part in parts]).nanmean()),
        level=float(sounds.square().mean((1, 2)).sqrt().mean()),
        clipped=float((sounds.abs() > _FULL_SCALE).double().mean()),
    )


def measure(sounds: Tensor, reader: ToneReader, real: Tensor) -> Quality:
    """Quality of `sounds` `(N, 1, LENGTH)` beside `real` ones `(M, 1, LENGTH)`, all in [-1, 1].

    The Fréchet distances use the first `min(N, M // 2)` sounds, as many from the first half of the real ones and as
    many from their second half, so M should be at least 2 N.  Raises `ValueError` for sounds of another shape, or for
    fewer than 2 sounds or 4 real ones.
    """
    size = min(len(sounds), len(real) // 2)
    if size < 2:
        raise ValueError(f"sounds, real: expected at least 2 and 4, got {len(sounds)} and {len(real)}")
    heard, data = reader.read(sounds), reader.read(real)
    good, good_data = confident_notes(heard), confident_notes(data)
    covered = {}
    for index, factor in enumerate(FACTORS):
        # Notes are the numbers 0 to 3: bins of width 1 that begin at these numbers.
        bins, spread = (len(NOTES), Factor(factor.name, 0, len(NOTES))) if factor.name == "note" else (10, factor)
        covered[factor.name] = coverage(heard.factors[good, index], data.factors[good_data, index], spread, bins)
    return Quality(
        confident=float(good.double().mean()),
        confident_real=float(good_data.double().mean()),
        per_note=[float((good & (heard.factors[:, 0] == index)).double().mean()) for index in range(len(NOTES))],
        coverage=covered,
        frechet=frechet_distance(heard.features[:size], data.features[:size]),
        frechet_real=frechet_distance(data.features[-size:], data.features[:size]),
        waveform=_waveform(sounds, heard.factors[:, 0]),
        waveform_real=_waveform(real, data.factors[:, 0]),
    )


def in_words(readings: Readings) -> list[str]:
    """What is read of each sound, factor by factor; "no clean note" where none is read with confidence."""
    texts = []
    for clean, factors in zip(confident_notes(readings), readings.factors.tolist(), strict=True):
        note, brightness, even, attack, decay = factors
        texts.append(
            f"{NOTES[int(note)] * SAMPLE_RATE // PERIOD} Hz, brightness {brightness:.2f}, even harmonics {even:.2f}, "
            f"attack {10**attack:.2f} s, decay {10**decay:.2f} s"
            if clean
            else "no clean note"
        )
    return texts
