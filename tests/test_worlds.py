"""Whose known factors a generator's outputs show: told by the generator, and asked by what reads factors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import geomlib
from geomlib._files import WEIGHTS
from geomlib.applications import controls
from geomlib.book import runner
from geomlib.generators import card, told
from geomlib.generators.known import EMBEDDED
from geomlib.layers import activation_view

pytestmark = pytest.mark.usefixtures("warm")

FACTORY = """
import geomlib

def make():
    network = geomlib.load_generator("shapes-dcgan").network
    return geomlib.Generator(network, 64, network.output_range, default_distance="mse")
"""


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_generators_tell_their_world_in_every_space(name: str) -> None:
    expected = "tones" if name == "tones-wavegan" else "shapes"
    G = geomlib.load_generator(name)
    for space in G.spaces:
        assert geomlib.load_generator(name, space).world == expected


@pytest.mark.parametrize("name", ["linear", "sphere", "torus"])
def test_others_have_none(name: str) -> None:
    assert geomlib.load_generator(name).world is None


@pytest.mark.parametrize("world", ["shapes", "tones", None])
def test_copies_keep_it(world: str | None) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).eval()
    G = geomlib.Generator(network, 4, output_range=None, world=world)
    copies = [
        G.to("cpu", torch.float64),
        activation_view(G, ["0"]),
        controls.shuffled(G, 0),
        controls.matched_gaussian(G, 0),
        controls.reinitialised(G, 0),
    ]
    assert [one.world for one in copies] == [world] * 5


@pytest.mark.parametrize("world", ["", "faces", "shape"])
def test_an_unknown_world_is_refused(world: str) -> None:
    with pytest.raises(ValueError, match=f"world: expected one of 'shapes', 'tones', None, got {world!r}"):
        geomlib.Generator(nn.Identity().eval(), 4, world=world)  # type: ignore[arg-type]


def test_a_world_is_a_word() -> None:
    with pytest.raises(TypeError, match="world: expected text or None, got 1"):
        geomlib.Generator(nn.Identity().eval(), 4, world=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_card_tells_what_its_training_was_told(name: str, tmp_path: Path) -> None:
    G = geomlib.load_generator(name)
    recipe, sentence = card(name)["recipe"], told(G)
    if "pixels alone" in recipe["critic"]:
        assert recipe["reward"] == "none" and sentence.startswith("Nothing of the factors")
    else:
        assert "reads factors" in recipe["critic"] and "trained to read the factors" in sentence
        reward, _, weight = recipe["reward"].partition(" by the frozen network, ")
        assert f"rewarded by that network ({reward}, {weight}" in sentence
        assert "its axes carry factors is in part by construction" in sentence
    # The card is not that of other weights, nor of a control.
    (tmp_path / "other.safetensors").write_bytes((WEIGHTS / f"{name}.safetensors").read_bytes())
    unknown = f"What the training of {name} was told of any factors is not known here."
    assert told(geomlib.load_generator(name, weights=tmp_path / "other.safetensors")) == unknown
    assert told(controls.matched_gaussian(G, 0)).endswith("was told of any factors is not known here.")


def ground_truth(root: Path, generator: str) -> dict[str, Any]:
    settings = {"profile": "smallest", "generator": generator, "distance": "mse"}
    (folder,) = runner.run(["ground_truth"], root=root, settings=settings)
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.notebooks
@pytest.mark.usefixtures("warm")
def test_ground_truth_applies_to_shapes_under_any_distance(shared: Path) -> None:
    found = ground_truth(shared, "shapes-dcgan")
    assert found["provenance"]["distance"] == "mse" and "does_not_apply" not in found
    assert any("(mse) carry more of the factors" in row["claim"] for row in found["comparison"])


@pytest.mark.notebooks
@pytest.mark.usefixtures("warm")
def test_ground_truth_does_not_guess_the_world(shared: Path, tmp_path: Path) -> None:
    """Not even of the same images."""
    (tmp_path / "same_images.py").write_text(FACTORY, encoding="utf-8")
    found = ground_truth(shared, f"{tmp_path}/same_images.py:make")
    assert found["does_not_apply"].endswith("they are for generators of shapes (world shapes), and its world is None")


def test_no_notebook_asks_for_the_name_of_a_distance() -> None:
    """To know what the outputs show; to pick another distance than the one at hand is not that."""
    for path in (Path(__file__).parent.parent / "notebooks").glob("*.ipynb"):
        assert "default_distance ==" not in path.read_text(encoding="utf-8"), path.name
        assert "default_distance !=" not in path.read_text(encoding="utf-8"), path.name
