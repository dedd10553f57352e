"""Sounds for the networks that listen to tones: many ways to be no note, and mild faults."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from geomlib.worlds.tones.data import HARMONICS, LENGTH, NOTES, PERIOD, SAMPLE_RATE, amplitudes, envelope, render
from geomlib.worlds.tones.networks import CLASSES, encode_factors


def uniform(count: int, low: float, high: float, noise: torch.Generator) -> Tensor:
    """One number per sound, `(count, 1)`."""
    return low + (high - low) * torch.rand(count, 1, generator=noise)


def synthesise(factors: Tensor, turns: Tensor, strengths: Tensor) -> Tensor:
    """Notes `(N, 1, LENGTH)` of a frequency and of strengths that may vary, in turns and amplitudes per sample.

    `turns` `(N, LENGTH)` is the phase of the fundamental; `strengths` `(N, HARMONICS)` or `(N, HARMONICS, LENGTH)`.
    """
    strengths = strengths if strengths.ndim == 3 else strengths[:, :, None]
    total = torch.zeros(len(factors), LENGTH)
    for order in range(HARMONICS):
        total += strengths[:, order] * torch.sin(2 * math.pi * ((order + 1) * turns % 1.0))
    return (total * envelope(factors))[:, None]


def phase(frequency: Tensor) -> Tensor:
    """Turns `(N, LENGTH)` at each sample, from hertz `(N, 1)` or `(N, LENGTH)`."""
    return (frequency.double().expand(-1, LENGTH) / SAMPLE_RATE).cumsum(1).remainder(1.0).float()


def pitch(factors: Tensor) -> Tensor:
    """Hertz, `(N, 1)`."""
    return torch.tensor(NOTES)[factors[:, 0].long()][:, None] * (SAMPLE_RATE / PERIOD)


def slow(count: int, points: int, noise: torch.Generator) -> Tensor:
    """Gaussian noise that changes slowly, `(count, LENGTH)`."""
    coarse = torch.randn(count, 1, points, generator=noise)
    return functional.interpolate(coarse, size=LENGTH, mode="linear", align_corners=True)[:, 0]


def other_note(factors: Tensor, noise: torch.Generator) -> Tensor:
    """The same factors with another note."""
    changed = factors.clone()
    away = torch.randint(1, len(NOTES), (len(factors),), generator=noise)
    changed[:, 0] = (factors[:, 0] + away) % len(NOTES)
    return changed


def coloured_noise(count: int, noise: torch.Generator) -> Tensor:
    """White to dark noise of deviation 1, `(count, 1, LENGTH)`."""
    spectrum = torch.fft.rfft(torch.randn(count, LENGTH, generator=noise))
    tilt = torch.arange(1, spectrum.shape[1] + 1) ** -uniform(count, 0.0, 1.0, noise)
    sounds = torch.fft.irfft(spectrum * tilt)
    even: Tensor = sounds / sounds.std(1, keepdim=True)
    return even[:, None]


def _noise(factors: Tensor, noise: torch.Generator) -> Tensor:
    sounds = coloured_noise(len(factors), noise) * 10 ** uniform(len(factors), -3.0, -0.7, noise)[:, None]
    shaped = torch.rand(len(factors), 1, 1, generator=noise) < 0.5
    return torch.where(shaped, sounds * envelope(factors)[:, None], sounds)


def _hiss(factors: Tensor, noise: torch.Generator) -> Tensor:
    hiss = coloured_noise(len(factors), noise)
    return render(factors) + hiss * 10 ** uniform(len(factors), -1.4, -0.7, noise)[:, None]


def _faint(factors: Tensor, noise: torch.Generator) -> Tensor:
    return render(factors) * 10 ** uniform(len(factors), -4.0, -1.2, noise)[:, None]


def _two(factors: Tensor, noise: torch.Generator) -> Tensor:
    other = render(other_note(factors, noise))
    return torch.lerp(render(factors), other, uniform(len(factors), 0.2, 0.5, noise)[:, None])


def _two_in_turn(factors: Tensor, noise: torch.Generator) -> Tensor:
    time = torch.arange(LENGTH) / LENGTH
    edge = uniform(len(factors), 0.15, 0.6, noise)
    share = torch.sigmoid((time - edge) * 10 ** uniform(len(factors), 0.8, 2.5, noise))
    return torch.lerp(render(factors), render(other_note(factors, noise)), share[:, None])


def _two_by_harmonic(factors: Tensor, noise: torch.Generator) -> Tensor:
    """Some harmonics of one note, the others of another; the first three never all of one."""
    strengths = amplitudes(factors)
    share = 0.2 + 0.6 * torch.rand(len(factors), 1, generator=noise)
    mask = (torch.rand(strengths.shape, generator=noise) < share).float()
    mask[:, 0] = (torch.rand(len(factors), generator=noise) < 0.5).float()
    mask[:, 1], mask[:, 2] = 1 - mask[:, 0], 1 - mask[:, 0]
    other = other_note(factors, noise)
    one = synthesise(factors, phase(pitch(factors)), strengths * mask)
    return one + synthesise(factors, phase(pitch(other)), strengths.clamp(min=0.05) * (1 - mask))


def _detuned(factors: Tensor, noise: torch.Generator) -> Tensor:
    # Any pitch but those within 1.2 % (a fifth of a semitone) of a note; what is too near moves on, twice if need be.
    low, high = NOTES[0] * 0.8, NOTES[-1] * 1.2
    multiple = uniform(len(factors), low, high, noise)
    multiple = torch.where(torch.rand(len(factors), 1, generator=noise) < 0.1, multiple * 2, multiple)
    for _ in range(2):
        nearest = (multiple / torch.tensor(NOTES) - 1).abs().amin(1, keepdim=True)
        multiple = torch.where(nearest < 0.012, multiple * 1.02, multiple)
    return synthesise(factors, phase(multiple * SAMPLE_RATE / PERIOD), amplitudes(factors))


def _glide(factors: Tensor, noise: torch.Generator) -> Tensor:
    time = torch.arange(LENGTH) / LENGTH - 0.3
    sign = torch.randint(0, 2, (len(factors), 1), generator=noise) * 2 - 1
    bend = sign * uniform(len(factors), 0.06, 0.5, noise) * time
    return synthesise(factors, phase(pitch(factors) * (1 + bend)), amplitudes(factors))


def _vibrato(factors: Tensor, noise: torch.Generator) -> Tensor:
    bend = 10 ** uniform(len(factors), -1.7, -1.0, noise) * slow(len(factors), 12, noise)
    return synthesise(factors, phase(pitch(factors) * (1 + bend)), amplitudes(factors))


def _beating(factors: Tensor, noise: torch.Generator) -> Tensor:
    second = pitch(factors) + uniform(len(factors), 3.0, 20.0, noise)
    share = uniform(len(factors), 0.3, 0.5, noise)[:, None]
    one = synthesise(factors, phase(pitch(factors)), amplitudes(factors))
    return torch.lerp(one, synthesise(factors, phase(second), amplitudes(factors)), share)


def _broken(factors: Tensor, noise: torch.Generator) -> Tensor:
    """Each harmonic comes and goes by itself."""
    count = len(factors)
    rate = slow(count * HARMONICS, 9, noise).reshape(count, HARMONICS, LENGTH)
    return synthesise(factors, phase(pitch(factors)), 1.5 * amplitudes(factors)[:, :, None] * (2.5 * rate).sigmoid())


def _inharmonic(factors: Tensor, noise: torch.Generator) -> Tensor:
    """Harmonics off their places, as in a bell."""
    strengths = amplitudes(factors).clamp(min=0.1)
    total = torch.zeros(len(factors), 1, LENGTH)
    for order in range(HARMONICS):
        alone = torch.zeros(len(factors), HARMONICS)
        alone[:, 0] = strengths[:, order]
        shift = 1 + 0.1 * torch.randn(len(factors), 1, generator=noise) * (order > 0)
        total += synthesise(factors, phase(pitch(factors) * (order + 1) * shift), alone)
    return 0.7 * total


def _other_envelope(factors: Tensor, noise: torch.Generator) -> Tensor:
    """A clean note that comes again, or stutters."""
    gate = torch.sigmoid(6 * slow(len(factors), 10, noise) + 1)
    sounds = render(factors)
    repeated = torch.rand(len(factors), 1, 1, generator=noise) < 0.3
    return torch.where(repeated, (sounds + sounds.roll(LENGTH // 2, 2)) / 1.3, sounds * gate[:, None])


Maker = Callable[[Tensor, torch.Generator], Tensor]
NEGATIVES: dict[str, Maker] = {
    "noise": _noise,
    "note under hiss": _hiss,
    "faint": _faint,
    "two notes": _two,
    "two notes in turn": _two_in_turn,
    "two notes by harmonic": _two_by_harmonic,
    "detuned": _detuned,
    "glide": _glide,
    "unsteady pitch": _vibrato,
    "beating": _beating,
    "broken harmonics": _broken,
    "inharmonic": _inharmonic,
    "broken envelope": _other_envelope,
}


def degrade(sounds: Tensor, noise: torch.Generator) -> Tensor:
    """Mild faults such as a good generator has, which leave a note what it is: hiss, level, colour, slow wobble."""
    count = len(sounds)
    hiss = 10 ** uniform(count, -5.0, -2.6, noise)[:, None] * coloured_noise(count, noise)
    level = 10 ** uniform(count, -0.08, 0.06, noise)[:, None]
    wobble = 1 + 0.06 * uniform(count, 0.0, 1.0, noise)[:, None] * slow(count, 8, noise)[:, None]
    return (sounds * level * wobble + hiss).clamp(-1, 1)


def reading_loss(raw: Tensor, factors: Tensor, classes: Tensor) -> Tensor:
    """Of the logits and the code; `classes` is `(N,)`, or shares `(N, 5)`; for none and mixtures no factor counts."""
    is_note = (classes < CLASSES - 1) if classes.ndim == 1 else classes.amax(1) == 1
    named = functional.cross_entropy(raw[:, :CLASSES], classes)
    error = functional.smooth_l1_loss(raw[:, CLASSES:], encode_factors(factors), reduction="none", beta=0.05)
    return named + 5.0 * (error.mean(1) * is_note).sum() / is_note.sum().clamp(min=1)


def mix(factors: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the notes as they are, half mixed with another one; and the shares of the classes, `(N, 5)`."""
    other = other_note(factors, noise)
    share = 0.5 * torch.rand(len(factors), 1, generator=noise)
    share[: len(factors) // 2] = 0.0
    one, two = (functional.one_hot(part[:, 0].long(), CLASSES).float() for part in (factors, other))
    return torch.lerp(render(factors), render(other), share[:, None]), torch.lerp(one, two, share)
