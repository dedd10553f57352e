"""The verbs by which notebooks leave results."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy.io import wavfile

from geomlib.findings import DoesNotApply, Results, open_experiment, progress


def drawing() -> Figure:
    figure = Figure((3, 2))
    figure.subplots().plot([1, 2])
    return figure


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_numbers_become_plain(tmp_path: Path) -> None:
    out = Results(tmp_path)
    out.number(
        b=np.float32(0.5), a=torch.tensor(2), word="x", truth=np.True_, none=None, short=torch.tensor([1.0, 2.0])
    )
    expected = {"a": 2, "b": 0.5, "none": None, "short": [1.0, 2.0], "truth": True, "word": "x"}
    assert summary(tmp_path)["numbers"] == expected
    assert list(summary(tmp_path)["numbers"]) == sorted(expected)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), torch.tensor(float("nan")), [1.0, float("inf")]])
def test_a_number_that_is_not_finite_is_named(tmp_path: Path, value: object) -> None:
    with pytest.raises(FloatingPointError, match="top is (nan|inf)"):
        Results(tmp_path).number(top=value)


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="top: expected a number"):
        Results(tmp_path).number(top=object())
    with pytest.raises(TypeError, match="array 'top': expected numbers"):
        Results(tmp_path).array(top=[object()])


def test_arrays_are_kept_and_their_file_is_stable(tmp_path: Path) -> None:
    for name in ("one", "two"):
        out = Results(tmp_path / name)
        out.array(b=torch.arange(3.0, requires_grad=True))
        out.array(a=np.array([1.0, np.nan]))
    with np.load(tmp_path / "one/arrays.npz") as loaded:
        assert sorted(loaded) == ["a", "b"]
        np.testing.assert_array_equal(loaded["a"], [1.0, np.nan])
    assert (tmp_path / "one/arrays.npz").read_bytes() == (tmp_path / "two/arrays.npz").read_bytes()


def test_figures_are_opaque_and_stable(tmp_path: Path) -> None:
    from matplotlib.image import imread

    for name in ("one", "two"):
        Results(tmp_path / name).figure("line", drawing(), caption="A finding.", alt="A line.")
    content = (tmp_path / "one/line.png").read_bytes()
    assert content == (tmp_path / "two/line.png").read_bytes()
    assert b"Software" not in content
    image = imread(tmp_path / "one/line.png")
    assert image.shape[2] == 3 or image[..., 3].min() == 1
    assert summary(tmp_path / "one")["figures"] == {"line": {"caption": "A finding.", "alt": "A line."}}


@pytest.mark.parametrize(
    ("caption", "alt", "name"), [("", "x", "a"), ("x", " ", "a"), ("x", "x", "a/b"), ("x", "x", "")]
)
def test_figures_need_caption_alt_and_a_plain_name(tmp_path: Path, caption: str, alt: str, name: str) -> None:
    with pytest.raises(ValueError, match="is empty|use letters"):
        Results(tmp_path).figure(name, drawing(), caption=caption, alt=alt)


def test_a_figure_name_is_used_once(tmp_path: Path) -> None:
    out = Results(tmp_path)
    out.figure("line", drawing(), caption="x", alt="x")
    with pytest.raises(ValueError, match="'line' is used twice"):
        out.figure("line", drawing(), caption="x", alt="x")


def test_comparisons_are_stored_and_checked(tmp_path: Path) -> None:
    out = Results(tmp_path)
    row = {"claim": "a < b", "authors": None, "source": "text", "ours": torch.tensor(0.5), "verdict": "confirmed"}
    out.compare([row])
    assert summary(tmp_path)["comparison"] == [row | {"ours": 0.5}]
    with pytest.raises(ValueError, match="verdict 'maybe': expected one of"):
        out.compare([row | {"verdict": "maybe"}])
    with pytest.raises(ValueError, match="expected the keys claim, authors, source, ours, verdict"):
        out.compare([{"claim": "a"}])
    with pytest.raises(FloatingPointError, match="ours is nan"):
        out.compare([row | {"ours": float("nan")}])


def test_audio_is_a_file_that_others_read(tmp_path: Path) -> None:
    wave = 0.5 * torch.sin(torch.arange(1600) * 2 * torch.pi * 400 / 16000)
    out = Results(tmp_path)
    out.audio("note", wave, 16000, caption="A note.")
    rate, samples = wavfile.read(tmp_path / "note.wav")
    assert rate == 16000 and samples.dtype == "int16"
    assert abs(torch.tensor(samples / 32767) - wave).max() < 1e-4
    out.audio("loud", 3 * torch.ones(10), 16000, caption="x")
    assert wavfile.read(tmp_path / "loud.wav")[1].tolist() == [32767] * 10, "what is too loud is cut, never wrapped"
    with pytest.raises(ValueError, match="got shape"):
        out.audio("two", torch.zeros(2, 10), 16000, caption="x")
    with pytest.raises(FloatingPointError, match="'broken'"):
        out.audio("broken", torch.full((3,), torch.nan), 16000, caption="x")


def test_what_does_not_apply_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(DoesNotApply, match="no factors"):
        Results(tmp_path).does_not_apply("no factors")
    assert summary(tmp_path)["does_not_apply"] == "no factors"


def test_provenance_names_generator_and_weights(tmp_path: Path) -> None:
    import geomlib

    out = Results(tmp_path)
    out.provenance(generator=geomlib.load_generator("sphere"), distance=geomlib.load_distance("mse"), seed=3)
    record = summary(tmp_path)["provenance"]
    assert (record["generator"], record["distance"], record["seed"]) == ("sphere", "mse", 3)
    assert "options" not in record
    out.provenance(generator=geomlib.load_generator("shapes-biggan", "noise", class_index=2), distance="mse")
    assert summary(tmp_path)["provenance"]["options"] == "class_index=2"


def test_progress_shows_on_standard_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOMLIB_PROGRESS", raising=False)
    show = progress("positions")
    show(1, 2)
    show(2, 2)
    assert capsys.readouterr().err == "\rpositions 1/2 \rpositions 2/2 \n"


def test_networks_that_others_trained_are_not_judged_yet() -> None:
    one, other = SimpleNamespace(name="dcgan-portraits"), SimpleNamespace(name="shapes-dcgan")
    assert [Results.judge(one, holds) for holds in (True, False)] == ["not yet judged"] * 2
    assert [Results.judge(other, holds) for holds in (True, False)] == ["same direction", "not the same direction"]


def test_an_experiment_opens_with_a_distance_that_fits_the_outputs(tmp_path: Path) -> None:
    file = tmp_path / "made.py"
    file.write_text(
        "from geomlib import Generator\n"
        "def sounds(): return Generator(lambda z: z[:, None].repeat(1, 1, 2000), 2, None)\n"
        "def greys(): return Generator(lambda z: z[:, None, None].repeat(1, 1, 8, 4), 2)\n",
        encoding="utf-8",
    )
    for factory, distance in (("sounds", "stft"), ("greys", "mse")):
        made = open_experiment(str(tmp_path / factory), f"{file}:{factory}")
        assert made.distance.name == distance and made.results.network == "yours"
