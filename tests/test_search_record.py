"""The record of searches without gradients: it follows from its arrays, and a slice of it comes out again."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import ROOT, load_script

import geomlib
from geomlib.applications.driven import as_shares
from geomlib.findings.record import part_about, parts_of, read_record, row_of
from geomlib.findings.recording import Kept, arrays_of, relative_error
from geomlib.findings.rules import FEWEST_SEEDS, FEWEST_UNITS
from geomlib.findings.searches import AGAINST, ARMS, Searches, SearchSettings, judged, repeated, settings_of
from geomlib.generators.latents import RANGES
from geomlib.metric import Metric, metric_tensor

RECORD = ROOT / "evidence" / "search.json"
SMALL = SearchSettings("reader", units=3, tuning=2, runs=2, generations=2, population=4, sigmas=(0.5, 1.0), positions=1)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("evidence/search.py")


def test_settings_are_those_that_were_promised(script: ModuleType) -> None:
    for settings in script.ENTRIES.values():
        assert settings.calls >= 720 and settings.units >= FEWEST_UNITS and settings.runs >= FEWEST_SEEDS
        assert len(settings.sigmas) >= 3 and settings.tuning >= 2
        first, end = RANGES["targets"]
        assert end is not None and settings.units * settings.runs <= end - first, "starts stay in their range"


def test_every_network_is_there_or_named_as_missing(script: ModuleType) -> None:
    record = read_record(RECORD)
    there, missing = ([part["label"] for part in record[key]] for key in ("parts", "missing"))
    assert sorted(there + missing) == sorted(script.ENTRIES)
    for part in record["parts"]:
        assert len(part["made"]["commit"]) == 40 and not part["made"]["edited since"]
        assert settings_of(part) == script.ENTRIES[part["label"]]


def check_words(path: Path) -> int:
    """How many rows of a record follow from its arrays by the rules of today."""
    rows = 0
    for part in parts_of(path):
        arrays = arrays_of(path, part)
        for entry in part["rows"]:
            arm, statistic = entry["statistic"].split(", ", 1)
            values = {name: arrays[statistic][index] for index, name in enumerate(ARMS)}
            one, kept = judged(values, arm), row_of(entry).judgement
            assert one.word == kept.word and one.units == kept.units
            assert list(one.intervals) == list(kept.intervals) == list(AGAINST[arm])
            for name, interval in one.intervals.items():
                assert tuple(interval) == pytest.approx(tuple(kept.intervals[name]), rel=1e-3, abs=1e-4)
            rows += 1
        # The last generation is the end of the track.
        assert torch.equal(arrays["last generation"], arrays["track"][..., -1])
    return rows


def test_words_follow_from_the_arrays_by_the_rules_of_today() -> None:
    assert check_words(RECORD) == 4 * len(parts_of(RECORD))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, script: ModuleType) -> Path:
    """A record of one small run by the script itself."""
    folder = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(script, "RECORD", folder / "search.json")
        patched.setattr(script, "STORE", folder / "store")
        patched.setattr(script, "DISTANCE", "mse")
        entries = {"shapes-dcgan": SMALL, "dcgan-portraits": SMALL}
        patched.setattr(script, "ENTRIES", entries)
        patched.setattr(sys, "argv", ["search.py", "--only", "shapes-dcgan"])
        script.main()
        first = (folder / "search.json").stat().st_mtime_ns
        script.main()
        assert (folder / "search.json").stat().st_mtime_ns == first, "what is there is not made again"
        before = (folder / "search.json").read_text()
        (folder / "search.json").unlink()
        patched.setattr(Searches, "search", lambda *_, **__: pytest.fail("searched again"))
        script.main()
        again = parts_of(folder / "search.json")[0]
        assert f'"word": "{again["rows"][0]["word"]}"' in before
    return folder / "search.json"


def test_a_record_is_made_and_goes_on(small: Path) -> None:
    record = read_record(small)
    assert [one["label"] for one in record["missing"]] == ["dcgan-portraits"]
    [part] = record["parts"]
    assert list(part["sigmas"]) == list(ARMS) and set(part["sigmas"].values()) <= {0.5, 1.0}
    assert {row["word"] for row in part["rows"]} == {"not comparable"}, "of three units"
    assert len(part["settings"]["units searched for"]) == 3
    assert check_words(small) == 4


def test_a_slice_comes_out_again_and_a_planted_change_does_not(small: Path) -> None:
    G, d = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    part = part_about(small, G, d)
    assert part is not None and part_about(small, G, geomlib.load_distance("ssim")) is None
    arrays = arrays_of(small, part)
    searches = Searches.prepare(G, d, settings_of(part))
    errors = repeated(searches, part, arrays)
    assert list(errors) == [*ARMS, "metric"] and max(errors.values()) < 1e-4
    wider: dict[str, Any] = part | {"sigmas": {arm: 1.1 * sigma for arm, sigma in part["sigmas"].items()}}
    changed = repeated(searches, wider, arrays)
    assert all(changed[arm] > 1e-3 for arm in ARMS)
    # Other axes of own arms, and other random ones.
    order = torch.arange(G.latent_dim).roll(1)
    turned = Metric.from_matrix(searches.metric.matrix[order][:, order], searches.metric.noise_floor)
    changed = repeated(replace(searches, metric=turned), part, arrays)
    assert all(changed[arm] > 1e-3 for arm in ("scaled", "cut-off", "metric")) and changed["standard"] < 1e-4
    other = replace(searches.settings, seed=searches.settings.seed + 7)
    assert repeated(replace(searches, settings=other), part, arrays)["random cut-off"] > 1e-3


def test_the_runs_have_starts_and_random_axes_of_their_own() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    metric = metric_tensor(G, G.sample(1, 0)[0], geomlib.load_distance("mse"))
    searches = Searches.around(G, metric, replace(SMALL, draws=50))
    frames = {arm: [searches.coordinates(arm, run).frame for run in (0, 1)] for arm in ARMS}
    assert all(torch.equal(*frames[arm]) for arm in ("standard", "scaled", "cut-off"))
    assert not any(torch.equal(*frames[arm]) for arm in ("random axes, scaled", "random cut-off"))
    # Each cloud is as wide as latents are long, for a sigma of 1.
    for arm in ARMS:
        assert float(searches.coordinates(arm, 0).scales.norm()) == pytest.approx(float(searches.driven.length))
    one, two = (searches.search("standard", run, 1.0, few=2)["scores"] for run in (0, 1))
    assert one.shape == (2, 1, 4) and not torch.equal(one, two)
    tuned, wanted = set(searches.units("tuning")), set(searches.units())
    assert len(tuned) == 2 and not tuned & wanted, "sigma is chosen on other units"


def test_brought_back_latents_have_the_usual_length() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    metric = metric_tensor(G, G.sample(1, 0)[0], geomlib.load_distance("mse"))
    driven = Searches.around(G, metric, replace(SMALL, draws=50)).driven
    far = driven.centre + 7 * torch.randn(3, G.latent_dim, generator=torch.Generator().manual_seed(0)).double()
    back = driven.brought_back(far)
    assert torch.allclose((back - driven.centre).norm(dim=1), driven.length.expand(3))
    assert torch.allclose(torch.cosine_similarity(back - driven.centre, far - driven.centre), torch.ones(3).double())


def test_shares_are_zero_at_the_mean_and_one_at_the_best_known() -> None:
    random = torch.tensor([[0.0, 2.0, 4.0], [1.0, 1.0, 7.0]]).double()
    scores = torch.tensor([[2.0, 10.0], [3.0, 5.0]])
    shares = as_shares(scores, random, torch.tensor([10.0, 5.0]), calls=2)
    assert torch.allclose(shares, torch.tensor([[0.0, 1.0], [0.0, 1.0]]).double())
    # Of all three random draws the best one is 7.
    assert float(as_shares(scores, random, torch.tensor([10.0, 5.0]), calls=3)[1, 1]) == pytest.approx(0.5)


def test_what_other_code_made_is_made_anew(tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"values": torch.tensor([1.5]).numpy()}

    for code in ("a", "a", "b", "b"):
        assert Kept(tmp_path, code).get("random axes, scaled", make)["values"] == 1.5
    assert len(made) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["random-axes-scaled.npz"]


def test_relative_error_is_that_of_the_largest() -> None:
    there = torch.tensor([4.0, -8.0])
    assert relative_error(there, there) == 0
    assert relative_error(torch.tensor([4.0, -8.4]), there) == pytest.approx(0.05)
