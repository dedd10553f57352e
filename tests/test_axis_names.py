"""Names of axes: found for the very network, space, distance and latents that were looked at, and for no others."""

import json

import pytest
import torch
from torch import nn

import geomlib
from geomlib.findings import axis_names


@pytest.fixture
def named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> geomlib.Generator:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    G = geomlib.Generator(nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2))).eval(), latent_dim=4)
    entry = {"weights": G.weights_hash, "space": "z", "distance": "mse", "positions": 5, "seed": 1, "names": ["a", "b"]}
    monkeypatch.setattr(axis_names, "NAMES", tmp_path / "names.json")
    axis_names.NAMES.write_text(json.dumps([entry | {"weights": "other", "names": ["c"]}, entry]))
    return G


def test_names_are_found_and_padded(named: geomlib.Generator) -> None:
    mse = geomlib.load_distance("mse")
    assert axis_names.axis_names(named, mse, 5, 1, 3) == ["a", "b", ""]
    assert axis_names.axis_names(named, mse, 5, 1, 1) == ["a"]


def test_nothing_else_gets_them(named: geomlib.Generator) -> None:
    mse, ssim = geomlib.load_distance("mse"), geomlib.load_distance("ssim")
    for distance, positions, seed in ((ssim, 5, 1), (mse, 6, 1), (mse, 5, 2)):
        assert axis_names.axis_names(named, distance, positions, seed, 2) == ["", ""]
    with torch.no_grad():
        named.module[0].bias.add_(1e-3)
    other = geomlib.Generator(named.module, latent_dim=4)
    assert axis_names.axis_names(other, mse, 5, 1, 2) == ["", ""]


def test_the_committed_names_describe_pictures_and_no_person() -> None:
    entries = json.loads(axis_names.NAMES.read_text(encoding="utf-8"))
    assert entries
    for entry in entries:
        assert entry["how"]
        for name in entry["names"]:
            assert any(word in name for word in ("background", "head", "hair", "light", "expression", "mouth"))
