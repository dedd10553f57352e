"""Control networks keep what they promise to keep, lose the rest, and leave the original alone."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import geomlib
from geomlib.applications import controls
from geomlib.findings.controlled import own_statistics
from geomlib.findings.measured import beside_controls
from geomlib.generators.architectures.spectral import SpectralLayer
from geomlib.generators.architectures.tutorial_dcgan import TutorialDCGAN
from geomlib.generators.latents import latents_for
from geomlib.generators.spaces import as_generator

Control = Callable[[geomlib.Generator, int], geomlib.Generator]
CONTROLS: dict[str, Control] = {
    "shuffled": controls.shuffled,
    "matched": controls.matched_gaussian,
    "reinitialised": controls.reinitialised,
}
NAMES = {"shapes-dcgan": "z", "shapes-stylegan2": "w", "shapes-biggan": "noise"}
every_generator = pytest.mark.parametrize("name", NAMES)
every_control = pytest.mark.parametrize("kind", CONTROLS)


def load(name: str) -> geomlib.Generator:
    return geomlib.load_generator(name, space=NAMES[name])


def state(generator: geomlib.Generator) -> dict[str, torch.Tensor]:
    assert isinstance(generator.network, nn.Module)
    return dict(generator.network.state_dict())


@every_generator
@every_control
def test_original_stays_and_the_control_is_another_usable_network(name: str, kind: str) -> None:
    G = load(name)
    before = {key: value.clone() for key, value in state(G).items()}
    random = torch.get_rng_state()
    control = CONTROLS[kind](G, 3)
    assert torch.equal(torch.get_rng_state(), random), "the global random state is no one's to change"
    assert all(torch.equal(value, before[key]) for key, value in state(G).items())
    latents = G.sample(8, seed=0)
    assert torch.equal(control.sample(8, seed=0), latents), "a control is measured at the latents of the original"
    images = control(latents)
    assert torch.isfinite(images).all() and (images - G(latents)).abs().max() > 0.05
    assert images.std(0).max() > 1e-3, "images still depend on the latent"
    assert control.weights_hash != G.weights_hash and control.name != G.name and control.spec is None
    assert control.space == G.space and not any(part.training for part in control.module.modules())  # type: ignore[attr-defined]


@every_control
def test_a_seed_decides(kind: str) -> None:
    G = load("shapes-dcgan")
    first, again, other = (CONTROLS[kind](G, seed).weights_hash for seed in (1, 1, 2))
    assert first == again != other


@every_generator
def test_shuffling_keeps_every_number_of_a_tensor(name: str) -> None:
    G = load(name)
    control = state(controls.shuffled(G, 0))
    moved = 0
    for key, value in state(G).items():
        if key.endswith(("weight_u", "weight_v")):
            continue  # they only estimate a norm, and are estimated anew
        assert torch.equal(control[key].flatten().sort().values, value.flatten().sort().values), key
        moved += int(not torch.equal(control[key], value))
        if not value.is_floating_point():
            assert torch.equal(control[key], value)
    assert moved > len(control) / 3


def test_shuffled_spectral_layers_have_norm_one() -> None:
    network = controls.shuffled(load("shapes-biggan"), 0).network
    assert isinstance(network, nn.Module)
    layers = [layer for layer in network.modules() if isinstance(layer, SpectralLayer)]
    assert layers
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.normalised_weight().flatten(1), 2)
        assert 0.95 < float(norm) < 1.25  # the power iteration approaches from above


def test_matched_gaussian_has_mean_and_deviation_of_each_tensor() -> None:
    G = load("shapes-dcgan")
    control = state(controls.matched_gaussian(G, 0))
    for key, value in state(G).items():
        if value.is_floating_point() and value.numel() > 5000 and value.ndim == 4:
            assert control[key].std() == pytest.approx(float(value.std()), rel=0.05)
            assert float(control[key].mean() - value.mean()) == pytest.approx(0, abs=0.05 * float(value.std()))
            fourth = ((control[key] - control[key].mean()) / control[key].std()).double().pow(4).mean()
            assert float(fourth) == pytest.approx(3, abs=0.6), "the tails are those of a Gaussian"


def test_reinitialising_forgets_the_training() -> None:
    G = load("shapes-dcgan")
    control = state(controls.reinitialised(G, 0))
    weights = [key for key, value in state(G).items() if value.ndim == 4]
    for key in weights:
        both = torch.stack([control[key].flatten(), state(G)[key].flatten()]).double()
        assert abs(float(torch.corrcoef(both)[0, 1])) < 6 / both.shape[1] ** 0.5, key


@pytest.mark.parametrize("kind", [controls.reinitialised, controls.initialised_as_dcgan])
def test_dropout_while_statistics_are_taken_follows_the_seed(kind: Control) -> None:
    """The same control in every process, whatever the global random state is there."""
    G = as_generator("tutorial_dcgan", TutorialDCGAN(8, dim_g=4, depth=2, dropout=0.2).eval(), "", "small", "mse")
    hashes = set()
    with torch.random.fork_rng():
        for state in range(3):
            torch.manual_seed(state)
            hashes.add(kind(G, 1).weights_hash)
    assert len(hashes) == 1 and kind(G, 2).weights_hash not in hashes


def test_a_dcgan_is_initialised_as_its_authors_do() -> None:
    G = load("shapes-dcgan")
    control = controls.initialised_as_dcgan(G, 0)
    assert control.weights_hash == controls.initialised_as_dcgan(G, 0).weights_hash
    assert control.weights_hash != controls.initialised_as_dcgan(G, 1).weights_hash
    network = control.network
    assert isinstance(network, nn.Module)
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            assert float(module.weight.std()) == pytest.approx(0.02, rel=0.05)
            assert float(module.weight.mean()) == pytest.approx(0, abs=0.001)
        elif isinstance(module, nn.BatchNorm2d):
            assert float(module.weight.mean()) == pytest.approx(1, abs=0.01) and float(module.bias.abs().max()) == 0
            assert 0.005 < float(module.weight.std()) < 0.04
    # Calibrated: behind the first batch norm, values of new latents have mean 0 and deviation 1.
    seen: list[torch.Tensor] = []
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    control(G.sample(200, seed=5))
    values = (seen[0] / norm.weight[:, None, None]).double()
    assert float(values.mean()) == pytest.approx(0, abs=0.02) and float(values.std()) == pytest.approx(1, abs=0.03)
    with pytest.raises(ValueError, match="convolutions and batch norms alone, as in a DCGAN; shapes-biggan has a"):
        controls.initialised_as_dcgan(load("shapes-biggan"), 0)


@every_control
def test_a_bare_function_has_no_weights(kind: str) -> None:
    G = geomlib.Generator(lambda z: z[:, None, None].sigmoid(), latent_dim=2, output_range=(0, 1))
    with pytest.raises(ValueError, match=r"expected one whose module is an nn\.Module"):
        CONTROLS[kind](G, 0)


def test_contrast_is_the_deviation_of_each_value_over_latents() -> None:
    scales = torch.tensor([1.0, 2.0, 0.0])
    G = geomlib.Generator(lambda z: z[:, :1] * scales, latent_dim=2, output_range=None)
    expected = latents_for("samples", G, 100, seed=3)[:, 0].double().std() * 1.0  # (1 + 2 + 0) / 3
    assert controls.contrast(G, seed=3) == pytest.approx(float(expected), rel=1e-6)


def test_one_control_of_each_kind_is_measured_at_the_same_latents() -> None:
    G, d = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    z = G.sample(2, seed=0)
    told: list[str] = []
    found = controls.one_of_each(G, z, d, 5, lambda kind: lambda done, total: told.append(kind))
    assert list(found) == ["shuffled", "untrained"]
    assert set(told) == set(found)
    for make, (network, metric) in zip((controls.shuffled, controls.reinitialised), found.values(), strict=True):
        assert network.weights_hash == make(G, 5).weights_hash
        assert torch.equal(metric.matrix, geomlib.metric_tensor(network, z, d).matrix)
    assert controls.one_of_each(geomlib.load_generator("sphere"), z[:, :2], d, 0) == {}


def test_a_network_beside_one_control_of_each_kind_is_judged_by_its_own_claim() -> None:
    G, d = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    z = G.sample(3, seed=0)
    trained = geomlib.metric_tensor(G, z, d)
    beside = beside_controls("anisotropy", G, trained, z[:2], d, seed=5)
    assert list(beside.networks) == [G.name, "shuffled", "untrained"]
    assert beside.networks[G.name] == own_statistics(trained[:2]) | {"contrast": controls.contrast(G, 5)}
    assert list(beside.judged) == ["axes for 99 %", "participation ratio"]
    assert {one.word for one in beside.judged.values()} == {"not comparable"}, "two latents, one network of a kind"
    assert beside.source == "ours, on this page"
    assert beside.rows("contrast")[0] == {"Network": G.name, "Contrast": controls.contrast(G, 5)}
    assert not beside_controls("homogeneity", G, trained, z[:1], d, seed=5).networks


def test_a_control_without_a_metric_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(generator: geomlib.Generator, seed: int) -> geomlib.Generator:
        raise FloatingPointError("images: not finite")

    monkeypatch.setattr(controls, "shuffled", broken)
    G, d = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    assert list(controls.one_of_each(G, G.sample(1, seed=0), d, 0)) == ["untrained"]


def test_random_numbers_of_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.manual_seed` seeds every GPU, whose state is then another than before."""
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("all GPUs are seeded"))
    G, before = load("shapes-dcgan"), torch.random.get_rng_state()
    controls.reinitialised(G, 0)
    geomlib.check_generator(G)
    assert torch.equal(before, torch.random.get_rng_state())
