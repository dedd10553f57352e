"""Networks whose units are driven, and the order of their units."""

from pathlib import Path

import pytest
import torch

import geomlib
from geomlib.applications.search import activations
from geomlib.applications.units import load_network, units_in_turn


def test_the_reader_has_the_layers_that_are_named() -> None:
    for name, world in (("shapes-dcgan", "shapes"), ("tones-wavegan", "tones")):
        G = geomlib.load_generator(name)
        network, layers = load_network("reader", world)
        answers = activations(G, network, G.sample(2, seed=0), layers)
        assert list(answers) == layers and layers[-2:] == ["hidden", "output"]


def test_units_come_from_all_layers_in_turn() -> None:
    random = torch.Generator().manual_seed(0)
    answers = {name: torch.randn(20, count, generator=random) for name, count in (("a", 5), ("b", 2), ("c", 3))}
    answers["a"][:, 4] = 1.0  # answers alike to all images
    units = units_in_turn(answers, seed=3)
    assert [layer for layer, _ in units] == ["a", "b", "c", "a", "b", "c", "a", "c", "a"]
    assert sorted(units) == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0), ("b", 1), ("c", 0), ("c", 1), ("c", 2)]
    assert units == units_in_turn(answers, seed=3) != units_in_turn(answers, seed=4)


def test_networks_that_do_not_fit_or_are_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, world in (("reader", None), ("alexnet", "tones")):
        with pytest.raises(ValueError, match=f"network: {name} does not fit"):
            load_network(name, world)
    with pytest.raises(ValueError, match="network"):
        load_network("vgg", "shapes")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"put https://\S+ at alexnet-\S+\.pth in the folder hub/checkpoints"):
        load_network("alexnet", None)


def test_no_layers() -> None:
    with pytest.raises(ValueError, match="answers: expected at least one layer"):
        units_in_turn({}, 0)
