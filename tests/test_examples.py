"""The worked examples load as a user loads them, get the verdict that they promise, and give the right metric."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from conftest import load_script

import geomlib
from geomlib.check.report import Row, check_generator

EXAMPLES = Path(__file__).parent.parent / "examples"
HEALTHY = {
    "my_gan": "JVP",
    "conditional_gan": "JVP",
    "vae_decoder": "JVP",
    "attention_gan": "JVP",
    "custom_function": "double VJP",
    "one_step": "JVP",
}
# Classes of packages that `make` installs without what these ask for (examples/packages.txt), by example and factory.
PACKAGES = {
    ("latent_diffusion", "latent_diffusion"): "diffusers",
    ("third_party", "third_party"): "dcgan_pytorch",
    ("third_party", "with_attention"): "attn_gan_pytorch",
}  # fmt: skip


def load(name: str, **options: object) -> geomlib.Generator:
    return geomlib.load_generator(f"{EXAMPLES / name}.py:{name}", **options)  # type: ignore[arg-type]


def verdict(generator: geomlib.Generator) -> dict[str, Row]:
    return {row.name: row for row in check_generator(generator, geomlib.load_distance("mse")).rows}


def test_every_example_is_tried_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        *HEALTHY,
        *(name for name, _ in PACKAGES),
        "random_layer",
        "packaged_gan",
    }


@pytest.mark.parametrize("name", HEALTHY)
def test_the_docstring_names_its_own_command(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert f"examples/{name}.py:{name}" in text
    assert len(text.splitlines()) <= 80


@pytest.mark.parametrize(("name", "route"), HEALTHY.items())
def test_healthy_examples_pass(name: str, route: str) -> None:
    found = verdict(load(name))
    assert {key for key, row in found.items() if row.passed is False} == set()
    assert route in found["route"].finding
    assert found["output range"].passed
    assert found["derivative"].passed


def test_the_custom_function_is_blamed_by_its_line() -> None:
    assert "Sequential.1, custom_function.py:" in verdict(load("custom_function"))["route"].finding


def test_the_random_layer_is_caught_and_its_cure_passes() -> None:
    found = verdict(load("random_layer"))
    assert [key for key, row in found.items() if row.passed is False] == ["determinism"]
    assert "Sequential.2, random_layer.py:" in found["determinism"].finding
    assert all(row.passed for row in verdict(load("random_layer", fixed=True)).values())


@pytest.mark.parametrize("name", HEALTHY)
def test_pullback_agrees_with_double_backpropagation(name: str) -> None:
    G, mse = load(name, dtype=torch.float64), geomlib.load_distance("mse", dtype=torch.float64)
    if name == "attention_gan":  # the fused attention cannot be differentiated twice
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    z = G.sample(1, seed=2)[0]
    pullback, backward = (geomlib.metric_tensor(G, z, mse, method=method).matrix for method in ("pullback", "backward"))
    assert float((pullback - backward).norm() / backward.norm()) < 1e-8


def test_the_class_is_an_option() -> None:
    first, other = load("conditional_gan"), load("conditional_gan", label=3)
    z = first.sample(2, seed=0)
    assert not torch.allclose(first(z), other(z), atol=0.01)
    again = geomlib.load_generator(**other.spec)  # type: ignore[arg-type]
    assert torch.equal(again(z), other(z))
    with pytest.raises(ValueError, match="label: expected 0 to 9, got 10"):
        load("conditional_gan", label=10)


def test_the_sampler_of_the_decoder_is_used() -> None:
    latents = load("vae_decoder").sample(4000, seed=0)
    assert torch.allclose(latents.mean(0), torch.linspace(-0.5, 0.5, 12), atol=0.06)
    assert torch.allclose(latents.std(0), torch.linspace(1.0, 0.4, 12), atol=0.06)


@pytest.mark.parametrize("name", ["my_gan", "conditional_gan", "vae_decoder", "attention_gan", "custom_function"])
def test_weights_are_loaded(name: str, tmp_path: Path) -> None:
    G = load(name)
    module = G.module
    inner = module.network if name == "conditional_gan" else module[0] if name == "vae_decoder" else module  # type: ignore[union-attr, index]
    state = {key: 0.9 * value for key, value in inner.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    z = G.sample(1, seed=0)
    changed = load(name, weights=str(tmp_path / "weights.pt"))
    assert not torch.allclose(changed(z), G(z), atol=1e-3)


@pytest.mark.parametrize(("example", "factory"), PACKAGES, ids=lambda name: name)
def test_classes_of_other_packages_are_taken_as_they_are(example: str, factory: str) -> None:
    if importlib.util.find_spec(PACKAGES[example, factory]) is None:
        reason = f"no package {PACKAGES[example, factory]}: pip install --no-deps -r examples/packages.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    G = geomlib.load_generator(f"{EXAMPLES / example}.py:{factory}")
    found = verdict(G)
    assert {key for key, row in found.items() if row.passed is False} == set(), found
    assert "The network takes (B, " in found["output shape"].finding
    z = G.sample(1, seed=1)[0]
    pairs = geomlib.top_eigenpairs(G, z, geomlib.load_distance("mse"), k=2)
    assert pairs.converged.all() and pairs.eigenvalues[0] > 0
    exact = geomlib.metric_tensor(G, z, geomlib.load_distance("mse")).eigenvalues[:2]
    assert torch.allclose(pairs.eigenvalues, exact, rtol=1e-3)


def test_the_noise_of_a_one_step_generator_has_the_shape_of_an_image() -> None:
    G = load("one_step")
    assert (G.latent_dim, G.image_shape) == (3 * 16 * 16, (3, 16, 16))
    z = G.sample(2, seed=0)
    by_hand = (torch.tanh(z.reshape(2, 3, 16, 16) - G.network.velocity(z.reshape(2, 3, 16, 16), torch.ones(2))) + 1) / 2
    assert torch.allclose(G(z), by_hand, atol=1e-6)


def test_the_student_draws_what_the_flow_leads_its_noise_to() -> None:
    """The weights are of the training script: on new noise they come nearer to its teacher than the mean image."""
    script = load_script("training/one_step.py")
    weights = EXAMPLES / "one_step.safetensors"
    assert weights.stat().st_size <= 300_000
    images = script.images_of(1024, script.SEED)
    noise = torch.randn(64, images[0].numel(), generator=torch.Generator().manual_seed(5))
    ends = script.teacher(noise, images.flatten(1)).unflatten(1, (3, 16, 16))
    drawn = load("one_step")(noise) * 2 - 1
    error, spread = (float((one - ends).square().mean()) for one in (drawn, images.mean(0)))
    assert error < 0.7 * spread
    others = load("one_step")(noise.roll(1, 0)) * 2 - 1
    assert error < 0.7 * float((others - ends).square().mean()), "of this noise, not of any"


def test_the_exact_flow_ends_in_its_images() -> None:
    script = load_script("training/one_step.py")
    images = script.images_of(24, 3).flatten(1)
    noise = torch.randn(16, images.shape[1], generator=torch.Generator().manual_seed(1))
    gaps = torch.cdist(script.teacher(noise, images), images)
    assert float(gaps.min(1).values.max()) < 1e-3 and len(gaps.argmin(1).unique()) > 3
