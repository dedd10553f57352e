"""The tones are what their factors say, the network hears it, and the generator is what its card says."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import geomlib
from geomlib.generators import build
from geomlib.worlds import tones
from geomlib.worlds.reader import Readings
from geomlib.worlds.tones import networks, quality
from geomlib.worlds.tones.data import HARMONICS, PEAK, PERIOD

WEIGHTS = Path(geomlib.__file__).parent / "weights"
TIME = torch.arange(tones.LENGTH, dtype=torch.float64) / tones.SAMPLE_RATE


def single(**values: float) -> torch.Tensor:
    """One row of factors: a bright full note with a short attack, unless told otherwise."""
    defaults = {"brightness": 0.5, "even": 1.0, "attack": -1.5, "decay": 0.0}
    return torch.tensor([[{**defaults, **values}.get(name, 0.0) for name in tones.FACTOR_NAMES]])


def by_formula(row: torch.Tensor) -> torch.Tensor:
    """A second rendering, in float64, sine by sine."""
    note, brightness, even, attack, decay = row.double().tolist()
    frequency = 15.625 * tones.NOTES[int(note)]
    strengths = [brightness**order * (even if order % 2 else 1.0) for order in range(HARMONICS)]
    wave = torch.zeros_like(TIME)
    for order, strength in enumerate(strengths, start=1):
        wave += PEAK * strength / sum(strengths) * torch.sin(2 * math.pi * order * frequency * TIME)
    peak, fall = 10**attack, 10**decay
    up = torch.sin(math.pi / 2 * TIME / peak) ** 2
    return wave * torch.where(peak > TIME, up, torch.exp(-(TIME - peak) / fall))


@pytest.fixture(scope="module")
def reader() -> networks.ToneReader:
    return networks.load_tone_reader()


@pytest.fixture(scope="module")
def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    """Sounds of a seed that neither training nor a card used, with their factors."""
    return tones.dataset(400, seed=987)


@pytest.fixture(scope="module")
def readings(reader: networks.ToneReader, held_out: tuple[torch.Tensor, torch.Tensor]) -> Readings:
    return reader.read(held_out[0])


def other_note(sounds: torch.Tensor) -> torch.Tensor:
    """The same factors one note further, for sounds of seed 987."""
    factors = tones.sample_factors(400, seed=987)[: len(sounds)]
    factors[:, 0] = (factors[:, 0] + 1) % len(tones.NOTES)
    return tones.render(factors)


def white_noise(sounds: torch.Tensor) -> torch.Tensor:
    return 0.2 * torch.randn(sounds.shape, generator=torch.Generator().manual_seed(0))


def silent(sounds: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(sounds)


def two_at_once(sounds: torch.Tensor) -> torch.Tensor:
    return (sounds + other_note(sounds)) / 2


def sharp(sounds: torch.Tensor) -> torch.Tensor:
    """Half a semitone up: the same waveform, read faster."""
    places = torch.arange(tones.LENGTH) * 2 ** (0.5 / 12)
    before = places.long().clamp(max=tones.LENGTH - 2)
    weight = (places - before).clamp(0, 1)
    return torch.lerp(sounds[..., before], sounds[..., before + 1], weight)


def test_factors_fill_their_ranges_uniformly_and_independently() -> None:
    factors = tones.sample_factors(5000, seed=3)
    assert factors.shape == (5000, len(tones.FACTORS))
    for factor, column in zip(tones.FACTORS, factors.unbind(1), strict=True):
        assert column.min() >= factor.low and column.max() <= factor.high
        assert abs(column.mean() - (factor.low + factor.high) / 2) < 0.03 * (factor.high - factor.low), factor.name
    assert factors[:, 0].unique().tolist() == list(range(len(tones.NOTES)))
    assert (torch.corrcoef(factors.T) - torch.eye(len(tones.FACTORS))).abs().max() < 0.06


def test_a_seed_means_the_same_sounds_whatever_the_global_state() -> None:
    torch.manual_seed(1)
    first, factors = tones.dataset(3, seed=7)
    torch.manual_seed(2)
    second, again = tones.dataset(3, seed=7)
    assert torch.equal(first, second) and torch.equal(factors, again)
    assert not torch.equal(first, tones.dataset(3, seed=8)[0])


def test_waveforms_are_those_of_the_formula() -> None:
    sounds, factors = tones.dataset(20, seed=0)
    assert sounds.shape == (20, 1, tones.LENGTH) and sounds.abs().max() <= PEAK
    expected = torch.stack([by_formula(row) for row in factors])[:, None]
    torch.testing.assert_close(sounds.double(), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("note", range(4))
def test_pitch_and_harmonics_are_where_the_factors_say(note: int) -> None:
    factors = single(note=note, brightness=0.6, even=0.5, decay=0.1)
    middle = tones.render(factors)[0, 0, 8 * PERIOD : 12 * PERIOD].double()
    spectrum = torch.fft.rfft(middle * torch.hann_window(4 * PERIOD, dtype=torch.float64)).abs()
    frequency = 125 * (4 + note)
    assert spectrum.argmax().item() * tones.SAMPLE_RATE / (4 * PERIOD) == frequency
    peaks = spectrum[4 * tones.NOTES[note] :: 4 * tones.NOTES[note]][:HARMONICS]
    ratios = [0.6**order * (0.5 if order % 2 else 1.0) for order in range(HARMONICS)]
    assert (peaks / peaks[0]).tolist() == pytest.approx(ratios, rel=1e-3)
    assert frequency * HARMONICS < tones.SAMPLE_RATE / 2


def test_attack_and_decay_are_times() -> None:
    sounds = tones.render(single(attack=-1.0, decay=-0.5))[0, 0]
    loud = sounds.unfold(0, PERIOD // 8, PERIOD // 8).abs().amax(1)  # four periods of the note in each
    times = (torch.arange(len(loud)) + 0.5) * (PERIOD // 8) / tones.SAMPLE_RATE
    assert times[loud.argmax()].item() == pytest.approx(0.1, abs=0.01)
    late = times > 0.15
    slope = torch.linalg.lstsq(
        torch.stack([times[late], torch.ones(int(late.sum()))], 1), loud[late].log()[:, None]
    ).solution[0, 0]
    assert -1 / slope.item() == pytest.approx(10**-0.5, rel=0.01)


@pytest.mark.parametrize("factors", [torch.zeros(3, 4), torch.zeros(5), torch.zeros(2, 6)])
def test_another_number_of_columns_is_refused(factors: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"factors: expected shape \(N, 5\)"):
        tones.render(factors)


def test_code_of_factors_is_inverted() -> None:
    factors = tones.sample_factors(300, seed=1)
    code = networks.encode_factors(factors)
    assert code.shape == (300, networks.CODE_SIZE) and code.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(networks.decode_factors(code, factors[:, 0].long()), factors, atol=1e-5, rtol=0)


def test_log_spectrogram_of_a_full_sine_and_of_silence() -> None:
    sine = torch.sin(2 * math.pi * 500 * TIME).float()[None, None]
    picture = networks.log_spectrogram(sine, 512, 256)
    assert picture.shape == (1, 257, 64)
    assert picture[0, 16, 10:-10].tolist() == pytest.approx([1.0] * 44, abs=1e-3)
    assert picture[0, 100:, 10:-10].max() < -0.99
    assert networks.log_spectrogram(torch.zeros_like(sine), 512, 256).unique().tolist() == pytest.approx([-1.0])


@pytest.mark.parametrize("name", ["tones-factors", "tones-wavegan"])
def test_card_belongs_to_the_weights(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size < 6e6 and len(card["loss_curve"]) <= 50
    assert card["parameters"] < path.stat().st_size / 4


def test_reader_reads_the_factors_of_fresh_sounds(
    readings: Readings, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assert readings.probabilities.shape == (400, 5) and readings.features.shape == (400, 128)
    error = (readings.factors - held_out[1]).abs()
    assert (error[:, 0] == 0).double().mean() >= 0.99
    for factor, mean in zip(tones.FACTORS[1:], error[:, 1:].mean(0).tolist(), strict=True):
        assert mean < 0.05 * (factor.high - factor.low), factor.name


def test_reader_accepts_real_sounds_and_refuses_others(
    reader: networks.ToneReader, readings: Readings, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assert quality.confident_notes(readings).double().mean() > 0.97
    sounds = held_out[0][:100]
    assert quality.confident_notes(reader.read(sounds + 0.005 * white_noise(sounds))).double().mean() > 0.95
    for spoil in (white_noise, silent, two_at_once, sharp):
        assert quality.confident_notes(reader.read(spoil(sounds))).double().mean() < 0.04, spoil.__name__


def test_other_shapes_are_refused(reader: networks.ToneReader) -> None:
    for sounds in (torch.zeros(1, 1, 8192), torch.zeros(1, 2, tones.LENGTH), torch.zeros(1, tones.LENGTH)):
        with pytest.raises(ValueError, match=r"sounds: expected shape \(N, 1, 16384\)"):
            reader.read(sounds)
        with pytest.raises(ValueError, match=r"sounds: expected shape \(N, 1, 16384\)"):
            quality.harmonicity(sounds, torch.zeros(1))


def test_harmonicity_of_notes_noise_and_mixtures_known_by_hand() -> None:
    sounds = tones.render(torch.cat([single(note=note) for note in range(4)]))
    own = quality.harmonicity(sounds, torch.arange(4))
    assert own.min() > 0.99
    # 0.6 and 0.8 of two pure tones that share no harmonic: the energy of one is 0.36 of all.
    pure = [torch.sin(2 * math.pi * frequency * TIME)[None, None] for frequency in (500.0, 625.0)]
    mixed = quality.harmonicity(0.6 * pure[0] + 0.8 * pure[1], torch.tensor([0]))
    assert mixed.item() == pytest.approx(0.36, abs=2e-3)
    white = quality.harmonicity(white_noise(sounds), torch.arange(4))
    assert white.tolist() == pytest.approx([5 / turns for turns in tones.NOTES], abs=0.03)


def test_quality_of_real_sounds_is_near_perfect_and_of_noise_bad(
    reader: networks.ToneReader, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    real = tones.dataset(600, seed=654)[0]
    good = quality.measure(held_out[0][:300], reader, real)
    assert good.confident > 0.97 and good.confident_real > 0.97
    assert sum(good.per_note) == pytest.approx(good.confident)
    for name, covered in good.coverage.items():
        assert covered.quarter == 1 and covered.distance < 0.15, name
    assert good.frechet < 2 * good.frechet_real
    assert good.waveform.harmonicity > 0.99 and good.waveform.clipped == 0
    assert good.waveform.level == pytest.approx(good.waveform_real.level, rel=0.1)
    bad = quality.measure(10 * white_noise(real[:100]), reader, real)
    assert bad.confident < 0.02 and bad.frechet > 20 * bad.frechet_real
    assert bad.waveform.harmonicity < 0.25 and bad.waveform.clipped > 0.3 and bad.coverage["note"].half == 0
    with pytest.raises(ValueError, match="sounds, real"):
        quality.measure(real[:1], reader, real)


def test_the_generator_is_built_by_its_card_and_makes_notes(reader: networks.ToneReader) -> None:
    card = json.loads((WEIGHTS / "tones-wavegan.json").read_text())
    network = build(card["architecture"], **card["config"])
    network.load_state_dict(load_file(WEIGHTS / "tones-wavegan.safetensors"), strict=True)
    latents = torch.randn(200, card["config"]["latent_dim"], generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        sounds = network.eval()(latents)
    assert sounds.shape == (200, 1, tones.LENGTH) and sounds.abs().max() <= 1
    seen = quality.measure(sounds, reader, tones.dataset(400, seed=655)[0])
    # 200 shares of about this size deviate by 0.03.
    assert seen.confident == pytest.approx(card["quality"]["confident"], abs=0.12)
    assert seen.waveform.harmonicity == pytest.approx(card["quality"]["waveform"]["harmonicity"], abs=0.06)
    assert min(seen.per_note) > 0.02


def test_what_is_read_stands_in_words() -> None:
    factors = torch.tensor([[1.0, 0.5, 0.25, -2.0, -1.0]])
    sure, unsure = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]), torch.full((1, 5), 0.2)
    readings = Readings(torch.cat([sure, unsure]), factors.repeat(2, 1), torch.zeros(2, 128))
    clean, unclear = quality.in_words(readings)
    frequency = tones.NOTES[1] * tones.SAMPLE_RATE // PERIOD
    assert clean == f"{frequency} Hz, brightness 0.50, even harmonics 0.25, attack 0.01 s, decay 0.10 s"
    assert unclear == "no clean note"
