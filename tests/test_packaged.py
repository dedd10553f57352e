"""Networks that others trained: what each makes of the golden latents, their spaces and labels, what is said of them.

`GOLDEN_DIR` names the folder of golden files (default: tests/golden); those of packages lie in its folder `packages`.
"""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import jvp

import geomlib
from geomlib.generators import Packaged, card, packaged_state
from geomlib.generators.architectures.tutorial_dcgan import EYE_COLOURS, ConditionalDCGAN
from geomlib.generators.archives import local_path, requirements
from geomlib.generators.catalogue import source_files
from geomlib.generators.packaged import DEFAULT_SET, PACKAGED

GOLDEN = Path(os.environ.get("GOLDEN_DIR", ROOT / "tests" / "golden")) / "packages"
GENERATORS = [name for name, entry in PACKAGED.items() if entry.architecture]
BLIPS = {"ctgan-blips-h1": "ctgan_blips_H1", "ctgan-blips-l1": "ctgan_blips_L1"}
Fetched = Callable[[str], Path]

each = pytest.mark.parametrize("name", GENERATORS)


def golden(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / f"{BLIPS.get(name, name.replace('-', '_'))}.safetensors")


def raw(name: str, case: dict[str, Tensor], **options: Any) -> Tensor:
    """What the network makes of the golden latents, eyes by the label of each."""
    if "class" not in case:
        return network(name, **options)(case["z"])
    pairs = zip(case["z"], case["class"].tolist(), strict=True)
    return torch.cat([network(name, class_index=label, **options)(z[None]) for z, label in pairs])


def network(name: str, **options: Any) -> Callable[[Tensor], Tensor]:
    """The module alone, in the precision that is asked for."""
    return geomlib.load_generator(name, **options).module


@each
@torch.no_grad()
def test_outputs_are_those_of_the_packages_own_code(name: str, fetched: Fetched) -> None:
    fetched(name)
    case = golden(name)
    expected = case["signal" if name in BLIPS else "image"]
    assert (raw(name, case) - expected).abs().max() <= 1e-5
    exact = raw(
        name, {key: value.double() if key == "z" else value for key, value in case.items()}, dtype=torch.float64
    )
    assert exact.dtype == torch.float64
    assert (exact - expected).abs().max() <= 1e-5


@each
@torch.no_grad()
def test_the_generator_is_what_its_declaration_says(name: str, fetched: Fetched) -> None:
    path, entry = fetched(name), PACKAGED[name]
    G = geomlib.load_generator(name)
    assert (G.name, G.latent_dim, G.image_shape) == (name, entry.latent_dim, entry.output_shape)
    assert G.default_distance == entry.distance == ("stft-short" if name in BLIPS else "st-lpips-alex")
    assert G.output_range == (None if name in BLIPS else (-1.0, 1.0))
    outputs = G(G.sample(4, seed=3))
    assert (-1 if name in BLIPS else 0) <= outputs.min() < outputs.max() <= 1
    assert outputs.std(0).mean() > 0.01
    assert source_files(name) == [path]
    assert torch.equal(geomlib.load_generator(**G.spec)(G.sample(4, 3)), outputs)  # type: ignore[arg-type]
    again = geomlib.load_generator(name, weights=path)
    assert again.weights_hash == G.weights_hash != ""


@each
def test_derivatives_agree_with_central_differences(name: str, fetched: Fetched) -> None:
    fetched(name)
    G = geomlib.load_generator(name, dtype=torch.float64)
    z, errors = G.sample(1, seed=5), []
    for seed in range(3):
        v = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed), dtype=z.dtype)
        with torch.no_grad():
            tangent: Tensor = jvp(G, (z,), (v,))[1]
            difference = (G(z + 1e-7 * v) - G(z - 1e-7 * v)) / 2e-7
        errors.append(float((tangent - difference).norm() / tangent.norm()))
    # One of three, since a difference across the kink of a ReLU is wrong, however small the step.
    assert min(errors) <= 1e-5


def test_blips_have_a_metric_under_their_own_distance(fetched: Fetched) -> None:
    fetched("ctgan-blips-l1")
    G = geomlib.load_generator("ctgan-blips-l1")
    M = geomlib.metric_tensor(G, G.sample(1, 0)[0], geomlib.load_distance(G.default_distance))
    assert M.eigenvalues[0] > 0


# Eyes: a label beside the noise


@torch.no_grad()
def test_labels_of_the_eyes(fetched: Fetched) -> None:
    fetched("cdcgan-eyes")
    G = geomlib.load_generator("cdcgan-eyes")
    assert (G.spaces, G.space, G.latent_dim) == (("noise", "all"), "noise", 100)
    all_inputs = geomlib.load_generator("cdcgan-eyes", space="all")
    assert all_inputs.latent_dim == 108
    z = G.sample(3, seed=1)
    by_label = {}
    for index, label in enumerate(EYE_COLOURS):
        images = by_label[label] = geomlib.load_generator("cdcgan-eyes", class_index=label)(z)
        assert torch.equal(images, geomlib.load_generator("cdcgan-eyes", **{"class": index})(z))
        one_hot = torch.eye(8)[index].expand(3, 8)
        assert torch.equal(images, all_inputs(torch.cat([z, one_hot], 1)))
    assert torch.equal(G(z), by_label["amber"])
    assert (by_label["green"] - by_label["red"]).abs().mean() > 0.02


@pytest.mark.parametrize("value", [8, -1, 1.0, True, "purple", "Green"])
def test_a_class_that_does_not_exist(value: object, fetched: Fetched) -> None:
    fetched("cdcgan-eyes")
    known = "expected an integer from 0 to 7, or 'amber', .*'red', got "
    with pytest.raises(ValueError, match=f"^class_index: {known}{re.escape(repr(value))}$"):
        geomlib.load_generator("cdcgan-eyes", class_index=value)


def test_samples_of_all_inputs_are_noise_and_labels() -> None:
    from geomlib.generators.spaces import as_generator

    small = ConditionalDCGAN(noise_dim=6, labels=("a", "b", "c"), dim_g=2, depth=1).eval()
    noise, both = (as_generator("conditional_dcgan", small, space) for space in ("noise", "all"))
    latents = both.sample(300, seed=0)
    assert latents.shape == (300, 9)
    assert torch.equal(latents[:, :6], noise.sample(300, seed=0))
    assert set(latents[:, 6:].sum(1).tolist()) == {1.0} and set(latents[:, 6:].unique().tolist()) == {0.0, 1.0}
    assert (latents[:, 6:].mean(0) - 1 / 3).abs().max() < 0.1
    fixed = as_generator("conditional_dcgan", small, "all", class_index="c").sample(5, seed=0)
    assert torch.equal(fixed[:, 6:], torch.tensor([0.0, 0.0, 1.0]).expand(5, 3))


# What is said of them


def test_names_are_those_of_the_contract() -> None:
    images = {"dcgan-portraits", "dcgan-faces", "mlp-cats", "cdcgan-eyes"}
    readers = {"face-landmarks", "efficientnet-lite0"}
    assert PACKAGED.keys() == images | readers | BLIPS.keys()
    assert set(DEFAULT_SET) == images | readers
    assert set(GENERATORS) == images | BLIPS.keys()
    for entry in PACKAGED.values():
        assert entry.runs_code == (entry.package == "gengli")


def test_networks_txt_is_the_default_set() -> None:
    lines = (ROOT / "networks.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted == requirements(PACKAGED[name] for name in DEFAULT_SET)
    assert len(wanted) == 5  # two networks come from one archive


@pytest.mark.parametrize("entry", PACKAGED.values(), ids=PACKAGED)
def test_what_is_known_and_not_known_is_said(entry: Packaged) -> None:
    known = card(entry.name)
    for label in ("licence", "licence_found", "training_data", "title"):
        assert known[label], label
    assert "not " in known["training_data"], "what is not known"
    page = " ".join((ROOT / "book" / "packaged_networks.md").read_text(encoding="utf-8").split())
    for said in (f"`{entry.name}`: {entry.title}", f"{entry.package} {entry.version}, `{entry.member}`"):
        assert said in page
    for said in (f"Licence: {entry.licence} ({entry.licence_found}).", f"Training data: {entry.training_data}."):
        assert said in page


@each
def test_loading_is_strict(name: str, tmp_path: Path, fetched: Fetched) -> None:
    fetched(name)
    state = packaged_state(name)
    lost = min(state)
    save_file({key: value for key, value in state.items() if key != lost}, tmp_path / "less.safetensors")
    with pytest.raises(ValueError, match=f"^weights: not a checkpoint of {name}: of {len(state)} tensors 1 missing"):
        geomlib.load_generator(name, weights=tmp_path / "less.safetensors")
    save_file(state | {"more": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(ValueError, match=r"1 unexpected \(more\)"):
        geomlib.load_generator(name, weights=tmp_path / "more.safetensors")


def test_weights_of_another_network_are_refused(fetched: Fetched) -> None:
    path = fetched("mlp-cats")
    with pytest.raises(ValueError, match=r"not a checkpoint of dcgan-portraits: .*; the file looks like mlp$"):
        geomlib.load_generator("dcgan-portraits", weights=path)


@pytest.mark.parametrize("name", PACKAGED)
def test_what_is_not_in_the_cache_says_what_to_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path))
    consent = " --yes" if name in BLIPS else ""
    words = f"^weights: {name} is not in the cache {re.escape(str(tmp_path))}; run `geomlib fetch {name}{consent}`$"
    looks = [packaged_state, local_path, source_files, *([geomlib.load_generator] if name in GENERATORS else [])]
    for look in looks:
        with pytest.raises(FileNotFoundError, match=words):
            look(name)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_is_no_generator(fetched: Fetched) -> None:
    fetched("face-landmarks")
    with pytest.raises(ValueError, match="^generator: face-landmarks names no architecture"):
        geomlib.load_generator("face-landmarks")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../evil"}, "name: expected letters, digits, '.', '_' and '-', got '../evil'"),
        ({"package": "--index-url=x"}, "package: expected the name of a package, got '--index-url=x'"),
        ({"version": "1.0 --pre"}, "version: expected a version, got '1.0 --pre'"),
        ({"version": 1.0}, "version: expected a version, got 1.0"),
        ({"sha256": "3B8C"}, "sha256: expected 64 hexadecimal digits in lower case, got '3B8C'"),
        ({"archive": "egg"}, "archive: expected one of 'wheel', 'source', got 'egg'"),
    ],
)
def test_a_declaration_of_another_form(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        replace(PACKAGED["mlp-cats"], **change)
