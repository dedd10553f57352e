"""A data set of single notes whose every factor of variation is known.

The notes are those of a just seventh chord, 500 Hz times 4:5:6:7 / 4.  Each of their frequencies is a whole multiple
of 16000 / 128 Hz: a WaveGAN, whose coarsest step is 1024 samples, can hold every one of them by repeating itself,
without beating.  (Notes that repeat only every 1024 samples, as most of a scale would, it learns far more slowly.)  All
harmonics begin at phase zero, so that a waveform is a smooth function of the factors but for the note.
"""

import math

import torch
from torch import Tensor

from geomlib.worlds.factors import Factor, sample_uniform

SAMPLE_RATE = 16_000  # Hz
LENGTH = 16_384  # samples, 1.024 s
PERIOD = 1024  # samples, a whole number of turns of every note
NOTES = (32, 40, 48, 56)  # turns in one period: 500, 625, 750, 875 Hz
HARMONICS = 8  # the highest of all is at 7 kHz, below half the sample rate
PEAK = 0.9  # no waveform goes beyond

FACTORS = (
    Factor("note", 0, len(NOTES) - 1),
    Factor("brightness", 0.3, 0.75),
    Factor("even", 0.0, 1.0),
    Factor("attack", -1.7, -0.6),
    Factor("decay", -0.9, 0.1),
)
FACTOR_NAMES = tuple(factor.name for factor in FACTORS)


def sample_factors(count: int, seed: int) -> Tensor:
    """Independent uniform factors, `(count, 5)`, columns as in `FACTOR_NAMES`.

    The note column holds the index into `NOTES`.  `brightness` is the amplitude of a harmonic relative to the one
    before it, `even` scales the even harmonics (0: hollow), `attack` is the decimal logarithm of the time to the peak,
    and `decay` that of the time constant of the fall after it, both times in seconds.
    """
    return sample_uniform(FACTORS, count, seed)


def amplitudes(factors: Tensor) -> Tensor:
    """Amplitudes of the harmonics, `(N, HARMONICS)`; each row adds up to `PEAK`."""
    order = torch.arange(HARMONICS, device=factors.device)
    strength = factors[:, 1:2] ** order
    strength = torch.where(order % 2 == 1, strength * factors[:, 2:3], strength)
    return PEAK * strength / strength.sum(1, keepdim=True)


def envelope(factors: Tensor) -> Tensor:
    """Loudness over time, `(N, LENGTH)` in [0, 1]: up along a squared sine, then down exponentially."""
    time = torch.arange(LENGTH, device=factors.device) / SAMPLE_RATE
    attack, decay = 10.0 ** factors[:, 3:4], 10.0 ** factors[:, 4:5]
    rise = torch.sin(math.pi / 2 * (time / attack).clamp(max=1.0)) ** 2
    return rise * torch.exp(-(time - attack).clamp(min=0.0) / decay)


def render(factors: Tensor) -> Tensor:
    """Waveforms `(N, 1, LENGTH)` in [-PEAK, PEAK] of `factors` `(N, 5)`.

    Raises:
        ValueError: `factors` has another number of columns.
    """
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS):
        raise ValueError(f"factors: expected shape (N, {len(FACTORS)}), got {tuple(factors.shape)}")
    turns = torch.tensor(NOTES, device=factors.device)[factors[:, 0].long()]
    # Whole numbers, so that the phase of a high harmonic is as exact as that of the fundamental.
    steps = torch.arange(PERIOD, device=factors.device) * turns[:, None, None]
    steps = steps * torch.arange(1, HARMONICS + 1, device=factors.device)[:, None] % PERIOD
    waves = torch.sin(2 * math.pi / PERIOD * torch.arange(PERIOD, device=factors.device))[steps]
    period = (amplitudes(factors)[:, :, None] * waves).sum(1)
    return (envelope(factors) * period.repeat(1, LENGTH // PERIOD))[:, None]


def dataset(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` waveforms with the factors that made them; the same for a seed on every machine."""
    factors = sample_factors(count, seed)
    return render(factors), factors
