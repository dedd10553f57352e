"""Controls of every architecture and of a user's: what changes, what stays, new weights as those of new networks."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from geomlib.applications.controls import matched_gaussian, reinitialised, shuffled
from geomlib.distances import load_distance
from geomlib.generators import Generator, build
from geomlib.generators.architectures import ARCHITECTURES
from geomlib.generators.architectures.biggan_deep import TruncatedNorm
from geomlib.generators.architectures.spectral import SpectralLayer
from geomlib.generators.interface import View
from geomlib.generators.spaces import as_generator
from geomlib.metric import metric_tensor

GOLDEN = Path(__file__).parent / "golden"
CONTROLS = [shuffled, matched_gaussian, reinitialised]
NORM_VECTORS = ("weight_u", "weight_v", "u0", "sv0", "._u", "._v")
OTHERS: dict[str, dict[str, Any]] = {
    "tutorial_dcgan": {"latent_dim": 24, "dim_g": 8},
    "conditional_dcgan": {"noise_dim": 20, "labels": ["a", "b", "c", "d"], "dim_g": 8, "depth": 2},
    "mlp": {"latent_dim": 24, "hidden": [20, 30], "size": 16},
    "ctgan": {"num_channel_G": 4},
    "stylegan2_ada": {"img_resolution": 16, "z_dim": 12, "w_dim": 12, "mapping_layers": 2, "widths": [8, 8, 8]},
    "stylegan3": {
        "img_resolution": 16,
        "z_dim": 12,
        "w_dim": 12,
        "num_layers": 4,
        "num_critical": 1,
        "channel_max": 8,
    },
    "r3gan": {"latent_dim": 12, "widths": [8, 8], "groups": [2, 2], "blocks": [1, 1]},
}
each = pytest.mark.parametrize("architecture", ARCHITECTURES)
each_control = pytest.mark.parametrize("control", CONTROLS)


@cache
def config(architecture: str) -> dict[str, Any]:
    """Configuration of the small network in the golden file, or of one like it."""
    if architecture in OTHERS:
        return OTHERS[architecture]
    with safe_open(GOLDEN / f"{architecture}.safetensors", "pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["config"])
    return found


def small(architecture: str, space: str = "", **options: Any) -> Generator:
    """A small network whose every number is another than at its start, as after a training; the same each time."""
    torch.manual_seed(0)
    network = build(architecture, **config(architecture)).eval().requires_grad_(False)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value += 0.1 * torch.rand(value.shape) if "var" in name else 0.1 * torch.randn(value.shape)
    return as_generator(architecture, network, space, **options)


def state(generator: Generator) -> dict[str, Tensor]:
    network = generator.network
    assert isinstance(network, nn.Module)
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@dataclass
class Controlled:
    """A small network as it was, and its control."""

    control: Any
    architecture: str

    def __post_init__(self) -> None:
        self.G = small(self.architecture)
        self.before, self.digest, random_state = state(self.G), self.G.weights_hash, torch.get_rng_state()
        self.C = self.control(self.G, 0)
        self.undisturbed = torch.equal(torch.get_rng_state(), random_state)


controlled = cache(Controlled)


@each
@each_control
def test_a_new_generator_and_the_old_one_as_it_was(control: Any, architecture: str) -> None:
    made = controlled(control, architecture)
    G, C, before, digest = made.G, made.C, made.before, made.digest
    assert same(state(G), before) and made.undisturbed
    assert not same(state(C), before)
    assert C.weights_hash != digest and C.spec is None
    assert C.name.startswith(f"{architecture}, ") and C.name.endswith(" (seed 0)")
    assert type(C) is Generator and isinstance(C.module, nn.Module)
    assert not any(part.training for part in C.module.modules())
    assert not any(parameter.requires_grad for parameter in C.module.parameters())
    assert torch.equal(C.sample(3, 1), G.sample(3, 1))
    images = C(C.sample(3, 1))
    assert images.isfinite().all() and images.shape == G(G.sample(3, 1)).shape


@each
def test_shuffling_keeps_the_numbers_of_each_tensor_and_loses_their_order(architecture: str) -> None:
    made = controlled(shuffled, architecture)
    before, after = made.before, state(made.C)
    for name, value in before.items():
        if not value.is_floating_point():
            assert torch.equal(after[name], value)
        elif not name.endswith(NORM_VECTORS):
            assert torch.equal(after[name].flatten().sort().values, value.flatten().sort().values)
            assert value.unique().numel() < 8 or not torch.equal(after[name], value), name
        if "var" in name:
            assert (after[name] > 0).all()


@each
def test_matched_gaussians_have_the_moments(architecture: str) -> None:
    made = controlled(matched_gaussian, architecture)
    before, C = made.before, made.C
    after = state(C)
    assert isinstance(C.network, nn.Module)
    parameters = dict(C.network.named_parameters())
    for name, value in before.items():
        if name not in parameters:
            assert torch.equal(after[name], value) or name.endswith(NORM_VECTORS)
        elif value.numel() == 1:
            assert torch.equal(after[name], value)
        elif value.numel() >= 100:
            spread, size = float(value.std()), value.numel()
            assert abs(float(after[name].mean() - value.mean())) < 5 * spread / size**0.5
            assert float(after[name].std()) == pytest.approx(spread, rel=5 / (2 * size) ** 0.5)


@each
def test_new_weights_are_those_of_a_new_network(architecture: str) -> None:
    """Tensors that start as constants are equal, random ones have the same mean and spread as the constructor's."""
    C = controlled(reinitialised, architecture).C
    torch.manual_seed(1)
    fresh, after = build(architecture, **config(architecture)), state(C)
    spectral = [name for name, part in fresh.named_modules() if isinstance(part, SpectralLayer)]
    for name, parameter in fresh.named_parameters():
        value, new = parameter.detach().flatten(), after[name].flatten()
        if name.rpartition(".")[0] in spectral and name.endswith(("weight", "weight_orig")):
            value, new = value / value.std(), new / new.std()  # its scale is divided away
        if new.unique().numel() <= 2 < value.numel() or not value.any():
            assert torch.equal(new, value), name
        elif value.numel() > 2:
            expected, size = float(value.std()), value.numel()
            assert float(new.std()) == pytest.approx(expected, rel=8 / (2 * size) ** 0.5), name
            assert abs(float(new.mean() - value.mean())) < 8 * expected / size**0.5, name


@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
def test_new_networks_keep_filters_and_noise(architecture: str) -> None:
    made = controlled(reinitialised, architecture)
    G, C = made.G, made.C
    assert isinstance(G.network, nn.Module) and isinstance(C.network, nn.Module)
    before = dict(G.network.named_buffers())
    assert before and same(before, dict(C.network.named_buffers()))


@torch.no_grad()
def test_statistics_of_a_new_network_are_its_own() -> None:
    C = reinitialised(small("dcgan"), 0)
    assert isinstance(C.network, nn.Module)
    network, seen = C.network, dict[str, Tensor]()

    def watch(name: str, part: nn.Module) -> None:
        part.register_forward_hook(lambda _, inputs, __: seen.update({name: inputs[0]}))

    for name, part in network.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            watch(name, part)
    C(C.sample(2000, 5))
    assert len(seen) == 4
    for name, features in seen.items():
        variance, mean = torch.var_mean(features, dim=(0, 2, 3))
        norm = network.get_submodule(name)
        assert ((norm.get_buffer("running_var") / variance).log().abs() < 0.2).all()
        assert ((norm.get_buffer("running_mean") - mean).abs() < 0.2 * variance.sqrt()).all()
        assert norm.momentum == 0.1


@pytest.mark.parametrize("architecture", ["biggan_deep", "bigbigan"])
@each_control
@torch.no_grad()
def test_spectral_norms_are_those_of_the_new_weights(control: Any, architecture: str) -> None:
    C = controlled(control, architecture).C
    assert isinstance(C.network, nn.Module)
    layers = [part for part in C.network.modules() if isinstance(part, SpectralLayer)]
    assert layers
    norms = [float(torch.linalg.matrix_norm(layer.normalised_weight().flatten(1), 2)) for layer in layers]
    assert norms == pytest.approx([1.0] * len(norms), abs=0.05)


class Users(nn.Module):
    """Somebody's network: both of torch's spectral norms, weight norm, a shared weight, a plain parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.new = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 20))
        self.old = nn.utils.spectral_norm(nn.Linear(20, 20))
        self.weighted = nn.utils.weight_norm(nn.Linear(20, 20))
        self.shared, self.again = nn.Linear(20, 20), nn.Linear(20, 20)
        self.again.weight = self.shared.weight
        self.mixing = nn.Parameter(torch.randn(20, 50))
        self.norm = nn.BatchNorm1d(50)

    def forward(self, latents: Tensor) -> Tensor:
        features = torch.relu(self.old(torch.relu(self.new(latents))))
        features = self.again(torch.relu(self.shared(torch.relu(self.weighted(features)))))
        return torch.tanh(self.norm(features @ self.mixing))


@each_control
@torch.no_grad()
def test_a_users_network(control: Any) -> None:
    torch.manual_seed(0)
    G = Generator(Users().eval().requires_grad_(False), 6, output_range=None)
    before, images = state(G), G(G.sample(4, 0))
    C = control(G, 0)
    network = C.network
    assert isinstance(network, Users)
    assert same(state(G), before) and torch.equal(G(G.sample(4, 0)), images)
    assert C(C.sample(4, 0)).std(0).mean() > 1e-3
    assert network.again.weight is network.shared.weight
    for layer in (network.new, network.old):
        assert float(torch.linalg.matrix_norm(layer.weight, 2)) == pytest.approx(1, abs=0.05)
    after = state(C)
    for name in ("new.parametrizations.weight.original", "old.weight_orig", "weighted.weight_v", "mixing"):
        assert float((after[name] == before[name]).double().mean()) < 0.3, name
    if control is shuffled:
        assert torch.equal(
            after["shared.weight"].flatten().sort().values, before["shared.weight"].flatten().sort().values
        )
        assert int(after["norm.num_batches_tracked"]) == 0
    if control is reinitialised:
        assert float(after["mixing"].std()) == pytest.approx((2 / 50) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("architecture", "space", "options", "kept"),
    [
        ("biggan_deep", "noise", {"class_index": 1}, "fixed"),
        ("biggan_deep", "class", {}, "fixed"),
        ("stylegan2", "w+", {"truncation": 0.7}, "mean_style"),
        ("stylegan", "w", {"truncation": 0.7}, "mean_style"),
    ],
)
@each_control
def test_the_space_of_the_latents_stays(
    control: Any, architecture: str, space: str, options: dict[str, Any], kept: str
) -> None:
    G = small(architecture, space, **options)
    C = control(G, 3)
    assert isinstance(G.module, View) and isinstance(C.module, View)
    assert torch.equal(C.module.get_buffer(kept), G.module.get_buffer(kept))
    assert (C.space, C.latent_dim) == (G.space, G.latent_dim)
    assert torch.equal(C.sample(4, 0), G.sample(4, 0))
    assert not torch.equal(C(C.sample(4, 0)), G(G.sample(4, 0)))


@each_control
def test_a_control_has_a_metric_tensor(control: Any) -> None:
    C = controlled(control, "dcgan").C
    M = metric_tensor(C, C.sample(2, 0), load_distance("mse"))
    assert (M.eigenvalues[:, 0] > 0).all()


@torch.no_grad()
def test_statistics_of_a_new_biggan_are_its_own() -> None:
    G = small("biggan_deep")
    assert isinstance(G.network, nn.Module)
    for name, buffer in G.network.named_buffers():
        buffer.mul_(1e4 if "running" in name else 1.0)  # nothing of the original's may be left
    C = reinitialised(G, 0)
    assert isinstance(C.network, nn.Module)
    norms = [part for part in C.network.modules() if isinstance(part, TruncatedNorm)]
    seen: list[Tensor] = []
    norms[-1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    C(C.sample(1000, 5))
    variance, mean = torch.var_mean(seen[0], dim=(0, 2, 3))
    assert ((norms[-1].running_vars / variance).log().abs() < 0.7).all()
    assert ((norms[-1].running_means - mean).abs() < 0.5 * variance.sqrt()).all()
