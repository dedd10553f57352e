"""The catalogue of published generators against the manifests of their checkpoints."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from geomlib.generators.architectures import build, config_keys
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.published import NOT_STATED, PUBLISHED, Published

MANIFESTS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "checkpoints").glob("*.json")}
MANIFEST_OF = {
    **{f"deepsim-{layer}": f"deepsim_{layer}" for layer in ("fc6", "fc7", "fc8", "pool5")},
    "dcgan-fashion": "dcgan",
    "pgan-celebahq-256": "pgan",
    **{f"biggan-deep-{size}": f"biggan_deep_{size}" for size in (128, 256, 512)},
    "bigbigan-128": "bigbigan",
    "stylegan-face-256": "stylegan",
    "stylegan2-face-256": "stylegan2_256_config_e",
    "stylegan2-cat-256": "stylegan2_256_config_f",
    **{f"stylegan2-{what}-512": "stylegan2_512_config_f" for what in ("face", "car", "anime", "imagenet")},
    "stylegan2-face-1024": "stylegan2_1024_config_f",
    "wavegan-piano": "wavegan",
}
# The manifest of pool5 counts channels of 6 x 6 numbers.
LATENT_DIMS = {"deepsim-pool5": 256 * 6 * 6}

per_entry = pytest.mark.parametrize("entry", PUBLISHED.values(), ids=lambda entry: entry.name)


def manifest_of(entry: Published) -> dict[str, Any]:
    manifest: dict[str, Any] = MANIFESTS[MANIFEST_OF[entry.name]]
    return manifest


@cache
def on_meta(architecture: str, config: tuple[tuple[str, Any], ...]) -> Architecture:
    """A full-size network without memory for its weights."""
    with torch.device("meta"):
        return build(architecture, **dict(config)).eval().to("meta")


def network_of(entry: Published) -> Architecture:
    return on_meta(entry.architecture, tuple(entry.config.items()))


def test_names_are_those_of_the_contract_and_every_manifest_has_one() -> None:
    assert list(PUBLISHED) == [entry.name for entry in PUBLISHED.values()]
    assert PUBLISHED.keys() == MANIFEST_OF.keys()
    assert set(MANIFEST_OF.values()) == MANIFESTS.keys()


@per_entry
def test_the_network_has_the_published_keys_shapes_and_latents(entry: Published) -> None:
    manifest = manifest_of(entry)
    network = network_of(entry)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == manifest["keys"]
    assert network.latent_dim == entry.latent_dim == LATENT_DIMS.get(entry.name, manifest["latent_dim"])


@per_entry
def test_the_options_give_the_published_output_shape(entry: Published) -> None:
    latents = torch.empty(1, entry.latent_dim, device="meta")
    with torch.no_grad():
        shape = network_of(entry)(latents, **entry.options).shape[1:]
    assert list(shape) == list(entry.output_shape) == manifest_of(entry)["output_shape"]


@per_entry
def test_configuration_and_source_are_those_of_the_manifest(entry: Published) -> None:
    manifest = manifest_of(entry)
    published = manifest["hyper_parameters"]
    known = config_keys(entry.architecture)
    assert all(key in known and published[key] == value for key, value in entry.config.items())
    assert entry.source == manifest["source_repository"]
    assert manifest["name"].startswith(entry.architecture)
    assert str(entry.output_shape[-1]) in entry.title
    assert entry.licence == NOT_STATED  # no manifest states one
    assert entry.distance == ("stft" if entry.architecture == "wavegan" else "lpips-squeeze")


@per_entry
def test_file_address_and_hash_are_those_of_the_manifest(entry: Published) -> None:
    assert re.fullmatch(r"\w[\w.-]*", entry.file)  # a plain name: it becomes one in the cache folder
    manifest = manifest_of(entry)
    if not manifest["published_files"]:
        assert entry.file.replace("piano", "<model_prefix>") in manifest["published_files_note"]
        assert (entry.url, entry.sha256, entry.public) == (None, "", False)
        return
    files = [file for file in manifest["published_files"] if file["file"].split()[0] == entry.file]
    assert len(files) == 1
    assert entry.public
    assert entry.url == files[0]["url"]
    known = files[0]["hash_in_file_name"] or ""
    assert entry.sha256 == (known.split()[0] if known else "")
    assert entry.sha256 in entry.file
    assert entry.needs_browser == ("drive.google.com" in (entry.url or ""))
    what = files[0].get("what", "(not said)")
    assert what == "(not said)" or what in entry.title
    others = [file["url"] for file in manifest["published_files"] if file["file"] == "(pool5 state dict)"]
    assert all(url in entry.by_hand for url in others)


@per_entry
def test_state_key_is_where_the_manifest_says(entry: Published) -> None:
    location = manifest_of(entry)["state_dict_location"]
    quoted = re.findall(r"'(\w+)'", location)
    if entry.state_key:
        assert set(entry.state_key) <= set(quoted)
        assert entry.state_key[0] == {"dcgan": "avgG", "pgan": "avgG"}.get(entry.architecture, quoted[0])
    else:
        assert re.search(r"plain state dict", location)


@per_entry
def test_one_line_says_how_to_come_by_the_file(entry: Published) -> None:
    assert entry.by_hand
    assert "\n" not in entry.by_hand
    addresses = re.findall(r"https?://[^\s,;)]+", entry.by_hand)
    manifests = json.dumps(list(MANIFESTS.values()))
    assert all(address in manifests for address in addresses)
