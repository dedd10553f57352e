"""The notebook on sounds: what its players play, what it finds, and for which generators; the figure it draws."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch.nn import functional

import geomlib
from geomlib import figures
from geomlib.book import notebook, runner
from geomlib.book.kernels import Kernels
from geomlib.findings import Results
from geomlib.worlds.tones.data import LENGTH, SAMPLE_RATE
from geomlib.worlds.tones.networks import encode_factors, load_tone_reader, log_spectrogram

SILENCE = round(0.15 * SAMPLE_RATE)
PLAYERS = (
    "equal-length-first", "equal-length-random", "equal-length-last",
    "equal-change-1", "equal-change-2", "equal-change-3",
)  # fmt: skip
PIANO = """
import torch
from torch import nn
from geomlib import Generator

def piano():
    torch.manual_seed(0)
    layers = nn.Linear(6, 64), nn.ReLU(), nn.Unflatten(1, (2, 32)), nn.ConvTranspose1d(2, 2, 600, 600), nn.Tanh()
    return Generator(nn.Sequential(*layers).eval(), 6, output_range=None)
"""


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


def halves(path: Path, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray]:
    """What a player gives before and after the move; the silence between is checked."""
    rate, samples = wavfile.read(path)
    assert rate == SAMPLE_RATE and samples.dtype == np.int16
    assert samples.shape == (2 * length + SILENCE,)
    assert not samples[length : length + SILENCE].any()
    return samples[:length] / 32767, samples[length + SILENCE :] / 32767


@pytest.fixture(scope="module")
def folder(run_smallest: Callable[[str], Path]) -> Path:
    return run_smallest("audio")


@pytest.mark.notebooks
def test_players_give_one_sound_before_and_another_after_each_move(folder: Path) -> None:
    assert {path.stem for path in folder.glob("*.wav")} == set(PLAYERS)
    sounds = {name: halves(folder / f"{name}.wav") for name in PLAYERS}
    start = sounds[PLAYERS[0]][0]
    for before, after in sounds.values():
        assert np.array_equal(before, start), "every move starts from the same sound"
        for sound in (before, after):
            assert np.mean(np.abs(sound) > 0.999) < 1e-3, "not clipped"
            assert sound.std() > 0.01, "not silent"
    change = {name: np.square(after - before).mean() for name, (before, after) in sounds.items()}
    assert change["equal-length-first"] > 10 * change["equal-length-last"]
    afters = [after for _, after in sounds.values()]
    for index, one in enumerate(afters):
        assert all(np.abs(one - other).max() > 0.01 for other in afters[:index]), "no two moves sound alike"


@pytest.mark.notebooks
def test_captions_say_what_was_measured(folder: Path) -> None:
    """Distances in the players' captions are those of the files, to what 16 bits leave of them."""
    numbers = summary_of(folder)["numbers"]
    executed = notebook.read(folder / "audio.ipynb")
    pages = [
        "".join(output["data"]["text/html"])
        for cell in executed["cells"]
        for output in cell.get("outputs", [])
        if "<audio" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert len(pages) == len(PLAYERS)
    before, after = halves(folder / "equal-length-first.wav")
    table = next(
        "".join(output["data"]["text/plain"])
        for cell in executed["cells"]
        for output in cell.get("outputs", [])
        if "another sound" in "".join(output.get("data", {}).get("text/plain", ""))
    )
    by_mse = dict(line.split(" | ", 1) for line in table.splitlines())
    assert by_mse["Change"] == "stft | mse"
    assert by_mse["another sound"] == "1 | 1"
    assert float(by_mse["upside down"].split(" | ")[0]) == 0.0, "a spectrogram does not know the sign"
    assert float(by_mse["upside down"].split(" | ")[1]) > 1.0, "a waveform does"
    told = float(pages[0].split(" by stft, ")[1].split(" by mse")[0])
    ratio = np.square(after - before).mean() / numbers["typical_mse"]
    assert told == pytest.approx(ratio, rel=0.06), "two digits"


@pytest.mark.notebooks
def test_moves_are_ranked_by_both_distances_and_few_axes_hold_the_trace(folder: Path) -> None:
    numbers = summary_of(folder)["numbers"]
    for key in ("move_by_own", "move_by_other"):
        moved = dict(zip(numbers["move_labels"], numbers[key], strict=True))
        assert moved["axis 1"] > moved["random"] > moved["axis 32 (last)"] > 0
    for name in ("stft", "mse"):
        assert numbers[f"dimensions_for_99_{name}"][0] < 8
        assert numbers[f"dimensions_for_99_control_{name}"] == [32, 32], "an untrained network is no such funnel"
        assert 1 <= numbers[f"fewest_axes_above_noise_floor_{name}"] <= 32
    low, middle, high = (numbers["overlap_of_distances"][index] for index in (1, 0, 2))
    assert low <= middle <= high and middle > numbers["overlap_null"][2]


@pytest.mark.notebooks
def test_shares_of_factors_are_those_of_a_regression(folder: Path) -> None:
    """The first axes carry most of what the reader hears, by an estimator of another kind as well."""
    numbers = summary_of(folder)["numbers"]
    shares = dict(zip(numbers["shares_of"], numbers["mean_share"], strict=True))
    assert shares["stft, same trace"] > shares["random axes"] + 0.3
    generator, reader = geomlib.load_generator("tones-wavegan"), load_tone_reader()
    metric = geomlib.metric_tensor(generator, generator.sample(3, 16), geomlib.load_distance("stft"))
    scaled = metric.matrix / metric.eigenvalues.sum(1)[:, None, None]
    axes = torch.linalg.eigh(scaled.mean(0)).eigenvectors.flip(1)[:, :4].float()
    kept, drawn = generator.sample(200, 5).chunk(2)

    @torch.no_grad()
    def codes(latents: torch.Tensor) -> torch.Tensor:
        factors = reader.read(generator(latents)).factors
        return torch.cat([functional.one_hot(factors[:, 0].long(), 4), encode_factors(factors)], 1).double()

    centred = [
        part - part.mean(0) for part in (codes(kept), codes(drawn), codes(drawn + (kept - drawn) @ axes @ axes.T))
    ]
    first, second, mixed = (part.T[..., None] for part in centred)
    slopes = torch.linalg.lstsq(torch.cat([first, second], 2), mixed).solution[:, 0, 0]
    assert torch.cat([slopes[:4].mean(0, keepdim=True), slopes[4:]]).mean() == pytest.approx(
        shares["stft, same trace"], abs=0.25
    )


@pytest.mark.notebooks
def test_sounds_of_another_kind_are_played_without_factors(shared: Path, tmp_path: Path, kernels: Kernels) -> None:
    file = tmp_path / "piano.py"
    file.write_text(PIANO, encoding="utf-8")
    settings = {"profile": "smallest", "generator": f"{file}:piano", "distance": "mse"}
    made = runner.run(["audio"], root=shared, settings=settings, kernels=kernels)[0]
    found = summary_of(made)
    assert "shares" not in found["figures"] and "effects" not in found["figures"]
    assert "none" in found["provenance"]["reader"]
    assert not any("factor" in row["claim"] for row in found["comparison"])
    assert found["provenance"]["distance"] == "mse" and found["provenance"]["other"] == "stft"
    assert {path.stem for path in made.glob("*.wav")} == set(PLAYERS)
    halves(made / f"{PLAYERS[0]}.wav", round(1.1 * SAMPLE_RATE))


@pytest.mark.notebooks
def test_images_are_no_sounds(shared: Path, kernels: Kernels) -> None:
    settings = {"profile": "smallest", "generator": "shapes-dcgan"}
    made = runner.run(["audio"], root=shared, settings=settings, kernels=kernels)[0]
    found = summary_of(made)
    assert "(3, 64, 64)" in found["does_not_apply"]
    assert not list(made.glob("*.wav")) and not found["figures"]


def test_spectrograms_stand_upright_on_one_scale() -> None:
    """A tone of 2 kHz is a line at a quarter of the height of a picture that ends at 8 kHz."""
    time = torch.arange(LENGTH) / SAMPLE_RATE
    tone = torch.sin(2 * torch.pi * 2000 * time)[None, None]
    quiet, loud = (30 * (log_spectrogram(part, 256, 128) - 1) for part in (tone / 100, tone))
    levels = torch.stack([torch.stack([quiet, loud], 1)[0]] * 3)
    figure = figures.spectrograms(levels, LENGTH / SAMPLE_RATE, 8.0, ["a", "b", "c"], ["quiet", "loud"])
    panels, bar = figure.axes[:6], figure.axes[6]
    images = [axis.images[0] for axis in panels]
    assert len({image.get_clim() for image in images}) == 1, "one scale"
    assert images[0].get_clim() == pytest.approx((float(levels.min()), float(levels.max())))
    assert images[1].get_extent() == [0, pytest.approx(1.024), 0, 8.0] and images[1].origin == "lower"
    drawn = np.asarray(images[1].get_array())
    height = (drawn[:, drawn.shape[1] // 2].argmax()) / (drawn.shape[0] - 1)
    assert height * 8.0 == pytest.approx(2.0, abs=0.04)
    assert drawn.max() == pytest.approx(0.0, abs=0.2), "a full sine has 0 dB"
    assert np.asarray(images[0].get_array()).max() == pytest.approx(-40.0, abs=0.2)
    assert [axis.get_title() for axis in panels[:2]] == ["quiet", "loud"]
    assert [axis.get_ylabel() for axis in panels[::2]] == ["a", "b", "c"]
    assert "dB" in bar.get_ylabel()


def test_a_player_names_itself_and_escapes_its_caption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("geomlib.findings.results._display", lambda data, metadata: shown.append(data["text/html"]))
    Results(tmp_path).audio("note", torch.zeros(8), 16000, caption='A note & "more" <loud>.')
    (page,) = shown
    text = "A note &amp; &quot;more&quot; &lt;loud&gt;."
    assert 'aria-label="note"' in page and f"<figcaption><p>{text}</p></figcaption>" in page
    assert "<audio controls" in page and 'src="data:audio/wav;base64,' in page
