"""Spaces and options of the architectures, on the small networks of the golden files."""

import copy
import dataclasses
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import kstest, truncnorm
from test_architectures import small
from torch import Tensor
from torch.func import grad, jacrev, jvp, vmap

import geomlib
from geomlib.generators import Generator, build, catalogue, known
from geomlib.generators.architectures.base import Architecture, to_unit_range
from geomlib.generators.architectures.styles import mean_style
from geomlib.generators.published import PUBLISHED
from geomlib.generators.spaces import SPACES, as_generator

GOLDEN = Path(__file__).parent / "golden"
PLAIN = ["dcgan", "pgan", "bigbigan", "deepsim_fc6", "deepsim_fc7", "deepsim_fc8", "deepsim_pool5"]
EVERY = [
    *((name, "z") for name in [*PLAIN, "wavegan"]),
    *((name, space) for name, spaces in SPACES.items() for space in spaces),
]
TRUNCATED = ("stylegan", "stylegan2", "biggan_deep")
each = pytest.mark.parametrize(("name", "space"), EVERY, ids=[f"{name}-{space}" for name, space in EVERY])


@cache
def golden(name: str) -> tuple[Architecture, dict[str, Tensor], dict[str, Any], dict[str, float]]:
    """A network, the inputs and outputs, the settings of the call, and the tolerances.

    Of those whose golden files are tried elsewhere (see test_packaged.py and test_nvidia.py), the network alone.
    """
    if name in ("conditional_dcgan", "stylegan2_ada", "stylegan3"):
        return small(name).requires_grad_(False), {}, {}, {}
    tensors = {}
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        metadata = {key: json.loads(value) for key, value in file.metadata().items() if key != "format"}
        for key in file.keys():  # noqa: SIM118 (the handle is no mapping)
            tensors[key] = file.get_tensor(key)
    network = build(name, **metadata["config"])
    network.load_state_dict({key[6:]: value for key, value in tensors.items() if key.startswith("state/")})
    inputs, outputs = (
        {key.removeprefix(group): value for key, value in tensors.items() if key.startswith(group)}
        for group in ("input/", "output/")
    )
    network.eval().requires_grad_(False)
    return network, outputs | inputs, metadata.get("call", {}), metadata["info"]["suggested_atol_float32"]


def made(name: str, space: str = "", **options: Any) -> Generator:
    return as_generator(name, golden(name)[0], space, **options)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shown(raw: Tensor) -> Tensor:
    return to_unit_range(raw, (-1.0, 1.0))


@pytest.mark.parametrize("name", PLAIN)
def test_images_are_the_golden_ones(name: str) -> None:
    """Each channel with its own range, for DeePSim."""
    _, tensors, _, tolerance = golden(name)
    images = made(name)(tensors["z"].flatten(1))
    assert (images - tensors["image"]).abs().max() <= tolerance["output/image"]


def test_resized_images_are_the_golden_ones() -> None:
    for name in ("bigbigan", "stylegan2"):
        _, tensors, call, tolerance = golden(name)
        options = (
            {"truncation": call["truncation"], "mean_style": tensors["mean_latent"]} if "truncation" in call else {}
        )
        G = made(name, size=call["image_resized"], **options)
        assert G.image_shape == (3, call["image_resized"], call["image_resized"])
        assert (G(tensors["z"]) - tensors["image_resized"]).abs().max() <= tolerance["output/image_resized"]


def test_audio_is_left_in_its_range() -> None:
    _, tensors, _, tolerance = golden("wavegan")
    G = made("wavegan")
    assert (G.image_shape, G.output_range, G.default_distance) == ((1, 16384), None, "stft")
    assert (G(tensors["z"]) - tensors["raw"]).abs().max() <= tolerance["output/raw"]


@pytest.mark.parametrize(
    ("space", "source", "truncated", "output"),
    [
        ("z", "z", False, "raw"), ("z", "z", True, "raw_trunc"), ("w", "w", False, "raw_w"),
        ("w", "w", True, "raw_w_trunc"), ("w+", "wplus", False, "raw_wplus"),
    ],
)  # fmt: skip
def test_stylegan2_spaces_give_the_golden_images(space: str, source: str, truncated: bool, output: str) -> None:
    _, tensors, call, tolerance = golden("stylegan2")
    options = {"truncation": call["truncation"], "mean_style": tensors["mean_latent"]} if truncated else {}
    images = made("stylegan2", space, **options)(tensors[source].flatten(1))
    assert (images - shown(tensors[output])).abs().max() <= tolerance[f"output/{output}"]


@pytest.mark.parametrize(
    ("space", "truncation", "step", "output"),
    [("z", 0.7, 3, "raw"), ("z", 1.0, 3, "raw_notrunc"), ("w", 1.0, 3, "raw_w"), ("z", 0.7, 2, "raw_lowstep")],
)
def test_stylegan_spaces_give_the_golden_images(space: str, truncation: float, step: int, output: str) -> None:
    _, tensors, _, tolerance = golden("stylegan")
    G = made("stylegan", space, truncation=truncation, step=step, mean_style=tensors["mean_style"])
    G.module = copy.deepcopy(G.module)
    for index in range(4):
        G.network.get_buffer(f"default_noise_{index}").copy_(tensors[f"noise_{index}"])
    images = G(tensors[space])
    assert (images - shown(tensors[output])).abs().max() <= tolerance[f"output/{output}"]


def test_biggan_spaces_give_the_golden_images() -> None:
    network, tensors, call, tolerance = golden("biggan_deep")
    z, condition = tensors["z"], tensors["cond_vector"]
    for truncation in call["truncations"]:
        expected = shown(tensors["raw" if truncation == 0.7 else f"raw_t{truncation:g}"])
        images = made("biggan_deep", truncation=truncation)(condition)
        assert (images - expected).abs().max() <= tolerance["output/raw"]
    one_hot = torch.eye(12)[3:4]
    noise_space = made("biggan_deep", "noise", class_index=3, truncation=0.7)
    assert torch.allclose(noise_space(z), shown(network(z, class_vector=one_hot, truncation=0.7)), atol=1e-6)
    class_space = made("biggan_deep", "class", truncation=0.7)
    fixed = class_space.module.fixed
    assert fixed.shape == (1, 8)
    rebuilt = torch.cat([fixed.expand(2, -1), condition[:, 8:]], 1)
    assert torch.allclose(class_space(condition[:, 8:]), shown(network(rebuilt, truncation=0.7)), atol=1e-6)


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_styles_are_sampled_through_the_mapping_network(name: str) -> None:
    network = golden(name)[0]
    draw = normal(16, 24, seed=7)
    styles = network.style(draw)[:5]
    draw = draw[:5]
    assert torch.equal(made(name, "z").sample(5, seed=7), draw)
    assert torch.equal(made(name, "w").sample(5, seed=7), styles)
    assert torch.equal(made(name, "w", w_sampling="normal").sample(5, seed=7), draw)
    layers = made(name, "w+").sample(5, seed=7).reshape(5, -1, 24)
    assert layers.shape[1] == (5 if name == "stylegan" else 10)
    assert torch.equal(layers, styles[:, None].expand_as(layers))


@each
def test_samples_do_not_depend_on_the_precision(name: str, space: str) -> None:
    G = made(name, space)
    z = G.sample(3, seed=2)
    assert z.shape == (3, G.latent_dim)
    assert torch.equal(G.to("cpu", torch.float64).sample(3, seed=2), z.double())
    assert torch.equal(G.sample(40, seed=2)[:3], z)
    assert not torch.equal(G.sample(3, seed=3), z)


@each
def test_another_precision_moves_everything(name: str, space: str) -> None:
    options = {"truncation": 0.6} if name in TRUNCATED else {}
    single = made(name, space, **options)
    double = single.to("cpu", torch.float64)
    tensors = [*double.module.parameters(), *double.module.buffers()]
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float64}
    assert single.module.state_dict().keys() == double.module.state_dict().keys()
    z = single.sample(2, seed=0)
    assert torch.allclose(single(z).double(), double(z), atol=1e-4)
    assert {parameter.dtype for parameter in single.module.parameters()} == {torch.float32}


@each
def test_derivatives_agree_with_differences(name: str, space: str) -> None:
    G = made(name, space, **({"truncation": 0.6} if name in TRUNCATED else {})).to("cpu", torch.float64)
    G.clamp = False
    z, v = G.sample(1, seed=0), normal(1, G.latent_dim, seed=1).double()
    step = 1e-7
    tangent = jvp(G, (z,), (v,))[1]
    difference = (G(z + step * v) - G(z - step * v)) / (2 * step)
    assert tangent.norm() > 0
    assert (tangent - difference).norm() <= 1e-4 * tangent.norm()


@each
def test_submodules_keep_their_published_names(name: str, space: str) -> None:
    G = made(name, space)
    assert G.network is golden(name)[0]
    prefix = "" if G.module is G.network else "network."
    own = {f"{prefix}{key}" for key in G.network.state_dict()}
    assert own <= G.module.state_dict().keys()


def test_truncation_goes_towards_the_mean_style() -> None:
    for name in ("stylegan", "stylegan2"):
        network = golden(name)[0]
        draws = torch.randn(10240, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()
        mean = network.style(draws).mean(0, keepdim=True)
        at_mean = made(name, "w")(mean)
        for space in SPACES[name]:
            G = made(name, space, truncation=0.0)
            assert torch.allclose(G.module.mean_style, mean, atol=1e-5)
            images = G(G.sample(2, seed=1))
            assert torch.allclose(images, at_mean.expand_as(images), atol=1e-4)
        half, w = made(name, "w", truncation=0.5), made(name, "w").sample(2, seed=1)
        assert torch.allclose(half(w), made(name, "w")((mean + w) / 2), atol=1e-4)
        assert made(name, truncation=1).module.mean_style is None
        assert torch.equal(half.module.mean_style, mean_style(network.style, 24))


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_one_style_for_all_layers_is_a_style(name: str) -> None:
    """Also for the metric: with A the repetition over the layers, `Aᵀ H A` of "w+" is the metric of "w"."""
    options = {"step": 1} if name == "stylegan" else {}
    single, layers = made(name, "w", **options), made(name, "w+", **options)
    count = layers.latent_dim // 24
    w = single.sample(1, seed=4)
    assert torch.allclose(single(w), layers(w.repeat(1, count)), atol=1e-6)
    distance = geomlib.load_distance("mse")
    H = geomlib.metric_tensor(single, w[0], distance).matrix
    H_layers = geomlib.metric_tensor(layers, w.repeat(1, count)[0], distance).matrix
    A = torch.eye(24, dtype=torch.float64).repeat(count, 1)
    assert (A.T @ H_layers @ A - H).norm() <= 1e-4 * H.norm()


@pytest.mark.parametrize("noise", ["fixed", "fresh"])
def test_each_block_of_stylegan_takes_its_own_style(noise: str) -> None:
    """The second way: hooks that hand another style to each block of an ordinary call."""
    network, count = copy.deepcopy(golden("stylegan")[0]), 4
    layers = normal(2, count, 24)
    images = made("stylegan", "w+", step=3, noise=noise)(layers.flatten(1))
    for index, block in enumerate(network.generator.progression[:count]):
        block.register_forward_pre_hook(lambda _, given, index=index: (given[0], layers[:, index], given[2]))
    reference = as_generator("stylegan", network, "w", step=3, noise=noise)
    assert torch.allclose(images, reference(torch.zeros(2, 24)), atol=1e-6)


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_layer_noise(name: str) -> None:
    state = torch.get_rng_state()
    for space in SPACES[name]:
        fixed, fresh = made(name, space), made(name, space, noise="fresh", noise_seed=5)
        z = fixed.sample(1, seed=0).repeat(3, 1)
        assert (fixed.deterministic, fresh.deterministic) == (True, False)
        assert torch.equal(fixed(z), fixed(z))
        first, second = fresh(z), fresh(z)
        alike = [torch.equal(a, b) for a, b in [(first, second), (first[0], first[1]), (second[1], second[2])]]
        assert not any(alike)
        again = made(name, space, noise="fresh", noise_seed=5).to("cpu", torch.float64)
        assert torch.allclose(again(z).float(), first, atol=1e-4)
        assert torch.allclose(again(z).float(), second, atol=1e-4)
        assert not torch.allclose(made(name, space, noise="fresh", noise_seed=6)(z), first, atol=1e-3)
    assert torch.equal(torch.get_rng_state(), state), "the global random state is not ours"


def test_fresh_noise_under_transforms() -> None:
    """Second derivatives are those at fixed maps; `vmap` over calls is refused in plain words."""
    G = made("stylegan", noise="fresh", step=1)
    z = G.sample(1, seed=0)[0]

    def objective(position: Tensor) -> Tensor:
        return G(position[None]).square().sum()

    hessian = jacrev(grad(objective))(z)
    assert torch.isfinite(hessian).all()
    assert (hessian - hessian.T).norm() <= 1e-3 * hessian.norm()
    with pytest.raises(
        RuntimeError, match="fresh layer noise cannot be drawn under vmap; use noise='fixed', or method"
    ):
        vmap(lambda v: jvp(objective, (z,), (v,))[1])(torch.eye(24))


def test_biggan_samples() -> None:
    network = golden("biggan_deep")[0]
    columns = network.embeddings.weight.T
    whole, noise, classes = (made("biggan_deep", space, truncation=0.5) for space in SPACES["biggan_deep"])
    z = whole.sample(3000, seed=1)
    assert torch.equal(z, torch.cat([noise.sample(3000, seed=1), classes.sample(3000, seed=1)], 1))
    assert z[:, :8].abs().max() <= 1.0
    assert kstest(z[:, :8].flatten().numpy() / 0.5, truncnorm(-2, 2).cdf).pvalue > 1e-3
    is_class = (z[:, None, 8:] == columns).all(-1)
    assert is_class.sum(1).eq(1).all()
    assert is_class.sum(0).min() > 150
    one = made("biggan_deep", class_index=4).sample(5, seed=1)
    assert torch.equal(one[:, 8:], columns[4].expand(5, -1))
    assert torch.equal(made("biggan_deep", "noise", **{"class": 4}).module.fixed, columns[4:5])
    assert torch.equal(made("biggan_deep", "noise").module.fixed, columns[:1])
    first, second = (made("biggan_deep", "class", noise_seed=seed).module.fixed for seed in (0, 1))
    assert not torch.equal(first, second)


def test_metric_of_biggan_holds_those_of_noise_and_class() -> None:
    whole = made("biggan_deep", class_index=2)
    noise, classes = made("biggan_deep", "noise", class_index=2), made("biggan_deep", "class", class_index=2)
    z = torch.cat([classes.module.fixed, noise.module.fixed], 1)[0]
    distance = geomlib.load_distance("mse")
    H = geomlib.metric_tensor(whole, z, distance).matrix
    for block, part in [(slice(0, 8), noise), (slice(8, 16), classes)]:
        own = geomlib.metric_tensor(part, z[block], distance).matrix
        assert (own - H[block, block]).norm() <= 1e-5 * own.norm()


def test_hash_tells_settings_apart() -> None:
    """The fixed class and the mean style belong to what is hashed."""
    hashes = {
        made("biggan_deep", "noise", class_index=1).weights_hash,
        made("biggan_deep", "noise", class_index=2).weights_hash,
        made("biggan_deep").weights_hash,
    }
    assert len(hashes) == 3
    assert made("biggan_deep").weights_hash == made("biggan_deep").weights_hash


@pytest.mark.parametrize(
    ("name", "space", "options", "message"),
    [
        ("dcgan", "w", {}, "space: expected one of 'z', got 'w'"),
        ("biggan_deep", "z", {}, "space: expected one of 'all', 'noise', 'class', got 'z'"),
        ("stylegan", "W", {}, "space: expected one of 'z', 'w', 'w[+]', got 'W'"),
        ("dcgan", "", {"truncation": 0.5}, "options of dcgan: unknown truncation; known: size"),
        ("dcgan", "", {"class": 1}, "options of dcgan: unknown class; known: size"),
        ("wavegan", "", {"size": 8}, "options of wavegan: unknown size; known: none"),
        ("stylegan2", "", {"step": 2}, "options of stylegan2: unknown step; known: size, truncation, .*w_sampling"),
        ("dcgan", "", {"size": 0}, "size: expected a positive integer.* got 0"),
        ("stylegan", "", {"step": 5}, "step: expected one of 0, 1, 2, 3, 4, got 5"),
        ("stylegan", "", {"noise": "none"}, "noise: expected one of 'fixed', 'fresh', got 'none'"),
        ("stylegan", "w", {"w_sampling": "uniform"}, "w_sampling: expected one of 'mapping', 'normal'"),
        ("stylegan2", "", {"truncation": 1.1}, r"truncation: expected a number in \[0, 1\], got 1.1"),
        ("stylegan2", "", {"truncation": "0.7"}, r"truncation: expected a number in \[0, 1\], got '0.7'"),
        ("stylegan2", "", {"truncation": 0, "mean_style": torch.zeros(1, 7)}, r"mean_style: expected shape \(B, 24\)"),
        ("biggan_deep", "", {"truncation": 0.0}, r"truncation: expected a number in \(0, 1\], got 0.0"),
        ("biggan_deep", "noise", {"class_index": 12}, "class_index: expected an integer from 0 to 11, got 12"),
        ("biggan_deep", "noise", {"class": -1}, "class_index: expected an integer from 0 to 11, got -1"),
        ("biggan_deep", "", {"class": 1, "class_index": 1}, "unknown class; known: .*class_index"),
    ],
)  # fmt: skip
def test_errors_name_what_is_known(name: str, space: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(name, space, **options)


def test_a_network_in_training_mode_is_refused() -> None:
    for name in ("dcgan", "stylegan"):
        with pytest.raises(ValueError, match="in training mode"):
            as_generator(name, copy.deepcopy(golden(name)[0]).train())


CARDS = {
    "shapes-dcgan": "dcgan",
    "shapes-stylegan2": "stylegan2",
    "shapes-biggan": "biggan_deep",
    "tones-wavegan": "wavegan",
}


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of embedded weights with the golden networks under the names of the embedded ones."""
    for module in (catalogue, known):
        monkeypatch.setattr(module, "WEIGHTS", tmp_path)
    for name, architecture in CARDS.items():
        with safe_open(GOLDEN / f"{architecture}.safetensors", "pt") as file:
            config = json.loads(file.metadata()["config"])
        (tmp_path / f"{name}.json").write_text(json.dumps({"architecture": architecture, "config": config}))
        save_file(golden(architecture)[0].state_dict(), tmp_path / f"{name}.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "space", "options"),
    [
        ("shapes-dcgan", "", {}),
        ("shapes-dcgan", "z", {"size": 16}),
        ("shapes-stylegan2", "", {"truncation": 0.5}),
        ("shapes-stylegan2", "w", {}),
        ("shapes-stylegan2", "w+", {"noise": "fresh", "noise_seed": 3}),
        ("shapes-biggan", "", {}),
        ("shapes-biggan", "noise", {"class": 2}),
        ("shapes-biggan", "class", {"noise_seed": 1, "truncation": 0.4}),
        ("tones-wavegan", "", {}),
    ],
)
def test_embedded_generators_by_card(cards: Path, name: str, space: str, options: dict[str, Any]) -> None:
    """Also under another path; and `spec`, which is plain JSON, gives the same generator."""
    G = geomlib.load_generator(name, space, **options)
    direct = made(CARDS[name], space, **options)
    assert (G.name, G.space, G.spaces) == (name, direct.space, direct.spaces)
    assert G.default_distance == ("stft" if name == "tones-wavegan" else "st-lpips-alex")
    z = G.sample(2, seed=0)
    assert torch.equal(z, direct.sample(2, seed=0))
    images = G(z)
    assert torch.equal(images, direct(z))
    again = geomlib.load_generator(**json.loads(json.dumps(G.spec)))
    assert (again.spec, again.weights_hash, again.space) == (G.spec, G.weights_hash, G.space)
    assert torch.equal(again(again.sample(2, seed=0)), images)
    moved = (cards / f"{name}.safetensors").rename(cards / "elsewhere.safetensors")
    with pytest.raises(FileNotFoundError, match=f"weights: no file .*{name}.safetensors"):
        geomlib.load_generator(name, space, **options)
    by_path = geomlib.load_generator(name, space, weights=moved, dtype=torch.float64, **options)
    assert by_path.spec == G.spec | {"weights": str(moved)}
    assert torch.allclose(by_path(z).float(), images, atol=1e-3)


def test_a_card_may_name_options_and_a_distance(cards: Path) -> None:
    path = cards / "shapes-biggan.json"
    content = json.loads(path.read_text()) | {"default_distance": "mse", "paper_options": {"truncation": 0.5}}
    path.write_text(json.dumps(content))
    G = geomlib.load_generator("shapes-biggan")
    assert (G.default_distance, G.module.truncation, G.spec) == ("mse", 0.5, {"source": "shapes-biggan"})
    assert geomlib.load_generator("shapes-biggan", truncation=1).module.truncation == 1
    with pytest.raises(ValueError, match="space: expected one of 'all', 'noise', 'class', got 'z'"):
        geomlib.load_generator("shapes-biggan", "z")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no card"):
        geomlib.load_generator("shapes-biggan")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published catalogue with the configurations of the golden networks, and an empty cache."""
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path))
    for name, entry in list(PUBLISHED.items()):
        with safe_open(GOLDEN / f"{entry.architecture}.safetensors", "pt") as file:
            config = json.loads(file.metadata()["config"])
        small = dataclasses.replace(entry, config=config, options={"step": 3} if entry.options else {})
        monkeypatch.setitem(PUBLISHED, name, small)
    return tmp_path


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_generators_have_the_settings_of_the_paper(published: Path, name: str) -> None:
    entry = PUBLISHED[name]
    with pytest.raises(FileNotFoundError, match=rf"(geomlib fetch {name}|{re.escape(entry.file)}).* weights=PATH$"):
        geomlib.load_generator(name)
    state: Any = golden(entry.architecture)[0].state_dict()
    average = normal(1, 24)
    for key in entry.state_key[:1]:
        state = {key: state, "latent_avg": average[0]}
    file = published / "given.pt"
    torch.save(state, file)
    expected = {
        "bigbigan": {"size": 256}, "biggan_deep": {"truncation": 0.6}, "stylegan": {"truncation": 0.7, "step": 3},
        "stylegan2": {"size": 256},
    }.get(entry.architecture, {})  # fmt: skip
    G, direct = geomlib.load_generator(name, weights=file), made(entry.architecture, **expected)
    assert (G.name, G.default_distance) == (name, "stft" if name == "wavegan-piano" else "lpips-squeeze")
    assert torch.equal(G(G.sample(1, seed=0)), direct(direct.sample(1, seed=0)))
    if entry.architecture == "stylegan":
        assert geomlib.load_generator(name, "w", weights=file).module.truncation == 1.0
    if entry.architecture == "stylegan2":
        truncated = geomlib.load_generator(name, weights=file, truncation=0.5)
        assert torch.equal(truncated.module.mean_style, average)
    with pytest.raises(ValueError, match="unknown colour; known: "):
        geomlib.load_generator(name, weights=file, colour="red")


def test_a_published_generator_from_the_cache(published: Path) -> None:
    entry = PUBLISHED["biggan-deep-256"]
    torch.save(golden("biggan_deep")[0].state_dict(), published / entry.file)
    G = geomlib.load_generator("biggan-deep-256", "class")
    assert G.spec == {"source": "biggan-deep-256", "space": "class"}
    assert torch.equal(G.module.fixed, made("biggan_deep", "class", truncation=0.6).module.fixed)
    assert catalogue.source_files("biggan-deep-256") == [published / entry.file]
