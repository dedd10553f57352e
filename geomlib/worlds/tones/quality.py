"""How well sounds imitate the tones data; see `worlds.quality`.  What is measured on the waveform needs no network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geomlib.worlds.quality import Comparison, compare
from geomlib.worlds.quality import confident as confident_notes
from geomlib.worlds.reader import Readings
from geomlib.worlds.tones.data import FACTORS, NOTES, PERIOD, SAMPLE_RATE
from geomlib.worlds.tones.networks import ToneReader, check_sounds

__all__ = ["Quality", "Waveform", "confident_notes", "harmonicity", "in_words", "measure"]

_LEAKAGE = 2  # bins of a Hann window that a steady harmonic fills beside its own
_FULL_SCALE = 0.999


@dataclass(frozen=True)
class Waveform:
    """What is measured on waveforms themselves; means over the sounds."""

    harmonicity: float  # share of the energy, in [0, 1], at the harmonics of the note that is read
    level: float  # root mean square, in [0, 1]
    clipped: float  # share of samples at full scale, in [0, 1]


@dataclass(frozen=True)
class Quality(Comparison):
    """Result of `measure`; its waveforms are of all sounds, confident or not."""

    waveform: Waveform
    waveform_real: Waveform

    @property
    def per_note(self) -> list[float]:
        """`per_kind`, in the order of `NOTES`."""
        return self.per_kind


def harmonicity(sounds: Tensor, notes: Tensor) -> Tensor:
    """Share of the energy of `sounds` `(N, 1, LENGTH)` at the harmonics of `notes` `(N,)`, indices into `NOTES`.

    In [0, 1], `(N,)`: over Hann windows of one common period, hopping by half of it, the energy within two bins (31 Hz)
    of a multiple of the note's frequency, over all but that at 0 Hz.  White noise has 5 / 32 to 5 / 56; silence is nan.

    Raises:
        ValueError: sounds of another shape.
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


def _waveform(sounds: Tensor, readings: Readings) -> Waveform:
    parts = zip(sounds.split(500), readings.factors[:, 0].split(500), strict=True)
    return Waveform(
        harmonicity=float(torch.cat([harmonicity(*part) for part in parts]).nanmean()),
        level=float(sounds.square().mean((1, 2)).sqrt().mean()),
        clipped=float((sounds.abs() > _FULL_SCALE).double().mean()),
    )


def measure(sounds: Tensor, reader: ToneReader, real: Tensor) -> Quality:
    """Quality of `sounds` `(N, 1, LENGTH)` beside `real` ones `(M, 1, LENGTH)`, in [-1, 1]; as `quality.compare`."""
    heard, data = reader.read(sounds), reader.read(real)
    result = compare(heard, data, FACTORS, "sounds")
    return Quality(**vars(result), waveform=_waveform(sounds, heard), waveform_real=_waveform(real, data))


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
