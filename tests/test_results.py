"""The verbs by which notebooks leave results, and the words of their claims."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from matplotlib import pyplot
from matplotlib.figure import Figure
from scipy.io import wavfile

from geomlib import figures
from geomlib.findings import DoesNotApply, Interval, Results, open_experiment, progress, results
from geomlib.findings.claims import WORDS, kind_of, verdict


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


def test_entries_of_a_mapping_are_numbers_of_their_own(tmp_path: Path) -> None:
    Results(tmp_path).number(log={"own": {"mean": 0.9, "std": torch.tensor(0.5)}}, count=3)
    assert summary(tmp_path)["numbers"] == {"log_own_mean": 0.9, "log_own_std": 0.5, "count": 3}


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


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of what the verbs display, as a notebook without HTML would show it."""
    texts: list[str] = []
    monkeypatch.setattr(results, "_display", lambda data, metadata: texts.append(data["text/plain"]))
    return texts


def test_a_table_from_records(tmp_path: Path, shown: list[str]) -> None:
    rows = [{"Name": "a", "Value": torch.tensor(0.123456)}, {"Name": "b", "Remark": "<none>"}]
    Results(tmp_path).records("Two rows", rows)
    assert shown == ["Name | Value | Remark\na | 0.1235 | –\nb | – | &lt;none&gt;"]
    kept = summary(tmp_path)["tables"]["Two rows"]
    assert kept["header"] == ["Name", "Value", "Remark"]
    assert kept["rows"] == [["a", pytest.approx(0.123456), None], ["b", None, "<none>"]]


def test_a_table_is_kept_with_all_digits_and_once(tmp_path: Path, shown: list[str]) -> None:
    out = Results(tmp_path)
    cells = [np.float64(1 / 3), np.int64(2), True, None, Interval(0.5, 0.25, 0.75), float("nan")]
    out.table("Cells", list("abcdef"), [cells])
    assert summary(tmp_path)["tables"]["Cells"]["rows"] == [[1 / 3, 2, True, None, "0.5 (0.25 to 0.75)", "nan"]]
    with pytest.raises(ValueError, match="table 'Cells' is there twice"):
        out.table("Cells", ["a"], [])
    assert len(shown) == 1 and len(summary(tmp_path)["tables"]["Cells"]["rows"]) == 1


@pytest.mark.parametrize("kind", ["curves", "heat map", "pictures", "of pyplot"])
def test_a_file_of_a_figure_is_what_matplotlib_writes(tmp_path: Path, shown: list[str], kind: str) -> None:
    values = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))

    def draw() -> Figure:
        if kind == "curves":
            return figures.curves(range(4), {"a long name": values[0], "b": values[1]}, "steps", "f", logy=True)
        if kind == "pictures":
            return figures.montage(values[:, :, None, None, None].expand(3, 4, 1, 8, 8), ["one", "two", "three"])
        figure = pyplot.figure() if kind == "of pyplot" else Figure((3, 2), layout="constrained")
        axis = figure.subplots()
        figure.colorbar(axis.imshow(values.numpy()), ax=axis, label="height")
        axis.set_title("wider than the panel is, and told in full")
        return figure

    plain = io.BytesIO()
    draw().savefig(plain, format="png", dpi=120, facecolor="white", bbox_inches="tight", metadata={"Software": None})
    Results(tmp_path).figure("one", draw(), caption="One.", alt="One.", dpi=120)
    assert (tmp_path / "one.png").read_bytes() == plain.getvalue()
    pyplot.close("all")


def test_a_claim_is_stored_and_shown(tmp_path: Path, shown: list[str]) -> None:
    out = Results(tmp_path)
    assert out.claim("a < b", ours=torch.tensor(0.5), authors=1, source="text") == "not comparable"
    assert out.claim("a", ours=Interval(0.5, 0.25, 0.75), above=0.1) == "same direction"
    assert out.claim("identity", ours=1e-9, tested="tests/test_results.py", tolerance=1e-6) == "tested"
    for half in ({"tested": "tests/test_results.py"}, {"tolerance": 1e-6}):
        with pytest.raises(ValueError, match="claim 'half': an identity needs both tested and tolerance"):
            out.claim("half", ours=1e-9, **half)
    first, second, third = summary(tmp_path)["comparison"]
    assert first["ours"] == 0.5 and (first["authors"], first["source"], first["rule"]) == (1, "text", "")
    assert second["ours"] == "0.5 (0.25 to 0.75)" and second["rule"] == "the interval lies above 0.1"
    assert (second["value"], second["low"], second["high"]) == (0.5, 0.25, 0.75)
    assert third["rule"] == "tests/test_results.py" and third["network"] == "yours"
    out.claims()
    rows = shown[0].split("\n")[1:]
    assert [row.split(" | ")[-1] for row in rows] == ["not comparable", "same direction", "tested"]
    with pytest.raises(FloatingPointError, match="ours is nan"):
        out.claim("a", ours=float("nan"))
    with pytest.raises(TypeError, match="expected an Interval beside above or below, got float"):
        out.claim("a", ours=0.5, below=1)


RIGHT, LEFT = Interval(1, 0.5, 2), Interval(-1, -2, -0.5)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "not comparable"),
        ({"ours": RIGHT, "above": 0}, "same direction"),
        ({"ours": RIGHT, "above": 0.5}, "undecided"),
        ({"ours": RIGHT, "above": 3}, "contradicted"),
        ({"ours": RIGHT, "below": 0}, "contradicted"),
        ({"ours": RIGHT, "below": 2}, "undecided"),
        ({"ours": RIGHT, "below": 3}, "same direction"),
        ({"ours": LEFT, "above": 0}, "contradicted"),
        ({"ours": LEFT, "below": 0}, "same direction"),
        ({"ours": LEFT, "below": -1}, "undecided"),
    ],
)
def test_the_word_follows_from_the_interval(arguments: dict[str, Any], word: str) -> None:
    assert verdict(**arguments) == word and word in WORDS


def test_the_front_page_says_what_the_words_mean() -> None:
    page = (ROOT / "book/index.md").read_text(encoding="utf-8")
    assert all(f"\n{word}\n: {meaning}\n" in page for word, meaning in WORDS.items())


def test_an_interval_formats_itself() -> None:
    interval = Interval(0.667, 0.6, 0.75)
    assert f"{interval}" == "0.667 (0.6 to 0.75)" and f"{interval:.1f}" == "0.7 (0.6 to 0.8)"
    assert f"{Interval(3, 2, 14):d}" == "3 (2 to 14)"


def test_bootstrap_intervals_against_closed_forms() -> None:
    """The mean of two values is one of them with probability 1/4 each; that of many is nearly normal."""
    two = Interval.bootstrap(lambda rows: rows.mean(0), torch.tensor([0.0, 1.0]), seed=0)
    assert two == Interval(0.5, 0.0, 1.0)
    values = torch.randn(400, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean = Interval.bootstrap(lambda rows: rows.mean(0), values, seed=0)
    assert mean.value == values.mean()
    assert (mean.high - mean.low) / 2 == pytest.approx(float(1.96 * values.std() / 20), rel=0.1)
    both = Interval.several(lambda rows: torch.stack([rows.mean(), -rows.mean()]), values, seed=0)
    assert both == [mean, Interval(-mean.value, -mean.high, -mean.low)], "from the same resamples"


def test_an_interval_over_pairs_leaves_out_the_diagonal() -> None:
    table = torch.full((5, 5), 0.25, dtype=torch.float64).fill_diagonal_(9.0)
    assert Interval.bootstrap(torch.mean, table, seed=0, pairs=True) == Interval(0.25, 0.25, 0.25)


def test_an_interval_is_a_number_of_three(tmp_path: Path) -> None:
    Results(tmp_path).number(share=Interval(0.5, 0.25, 0.75))
    assert summary(tmp_path)["numbers"] == {"share": [0.5, 0.25, 0.75]}


def test_an_experiment_is_opened(tmp_path: Path) -> None:
    G, d, out = open_experiment(str(tmp_path), "shapes-biggan", "noise", "class_index=2", distance="mse")
    assert (G.name, G.space, d.name, out.network) == ("shapes-biggan", "noise", "mse", "own")
    assert G.spec is not None and G.spec["class_index"] == 2
    (tmp_path / "mine.py").write_text("import geomlib, torch\ndef make(): return geomlib.Generator(torch.sin, 2)")
    mine = (str(tmp_path), f"{tmp_path}/mine.py:make")
    assert open_experiment(*mine, otherwise="mse").distance.name == "mse"
    with pytest.raises(ValueError, match="none was given and the generator names none"):
        open_experiment(*mine)


def test_whose_network_it_is() -> None:
    names = ("dcgan-portraits", "dcgan-fashion", "tones-wavegan", "my_gan")
    assert [kind_of(name) for name in names] == ["of others", "of others", "own", "yours"]


def test_tests_that_claims_name_exist() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb")]
    named = {found for page in pages for found in re.findall(r"(tests/\w+\.py)(?:::(\w+))?", page)}
    assert named
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), f"there is no {file}::{test}"


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


def test_a_column_without_a_name_has_no_empty_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen reader would announce a heading that says nothing."""
    shown: list[str] = []
    monkeypatch.setattr(results, "_display", lambda data, metadata: shown.append(data["text/html"]))
    results._show_table("A table", ["", "ours"], [["a", 1.0]])
    assert '<thead><tr><td></td><th scope="col">ours</th></tr></thead>' in shown[0]
