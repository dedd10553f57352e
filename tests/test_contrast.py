"""Controls with the contrast of the trained network: closed forms, the end that is found, and what cannot be had."""

import pytest
import torch
from torch import Tensor, nn

import geomlib
from geomlib.applications import controls
from geomlib.applications.contrast import Stretched, matched_contrast, with_contrast
from geomlib.applications.kinds import kinds_of_control, measure_controls
from geomlib.generators.latents import latents_for


class Network(nn.Module):
    """Two linear layers with a tanh between, and at the end a tanh, nothing, or a tanh that is not the end."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end
        self.first, self.second = nn.Linear(5, 7), nn.Linear(7, 12)

    def forward(self, latents: Tensor) -> Tensor:
        raw = self.second(self.first(latents).tanh())
        if self.end == "tanh":
            raw = torch.tanh(raw)
        return 2 * raw.tanh() - raw if self.end == "sum" else raw.reshape(-1, 3, 2, 2)


def made(end: str, size: float = 0.05) -> geomlib.Generator:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Network(end).eval().requires_grad_(False)
    network.second.weight.mul_(size)
    return geomlib.Generator(network, latent_dim=5)


def stretched(generator: geomlib.Generator) -> Stretched:
    assert isinstance(generator.module, Stretched)
    return generator.module


def test_of_a_linear_network_the_factor_is_a_quotient() -> None:
    G = geomlib.Generator(nn.Linear(2, 3).eval().requires_grad_(False), latent_dim=2, output_range=None)
    own = controls.contrast(G, seed=4)
    found = with_contrast(G, 7 * own, seed=4)
    assert float(stretched(found).factor) == pytest.approx(7, rel=1e-5)
    mean = latents_for("samples", G, 100, seed=4).mean(0, keepdim=True)
    torch.testing.assert_close(found(mean), G(mean), msg="the mean stays where it is")
    z = G.sample(3, seed=0)
    torch.testing.assert_close(found(z) - found(mean), 7 * (G(z) - G(mean)), rtol=1e-4, atol=1e-5)
    smaller = with_contrast(G, own / 9, seed=4)
    assert float(stretched(smaller).factor) == pytest.approx(1 / 9, rel=1e-5)


@pytest.mark.parametrize(("end", "tanh"), [("tanh", 1), ("clamp", None)])
def test_the_contrast_is_the_wanted_one_before_the_end(end: str, tanh: int | None) -> None:
    G = made(end)
    before, hash_before = controls.contrast(G, seed=4), G.weights_hash
    found = with_contrast(G, 0.2, seed=4)
    assert before < 0.03 and controls.contrast(found, seed=4) == pytest.approx(0.2, rel=1e-6)
    assert stretched(found).tanh == tanh, "of two, the last one"
    assert controls.contrast(G, seed=4) == before and G.weights_hash == hash_before != found.weights_hash
    assert found.name == f"{G.name}, contrast matched" and found.spec is None and not found.module.training  # type: ignore[attr-defined]
    raw = stretched(found).stretch(G.module.second(G.module.first(latents := G.sample(4, seed=0)).tanh()).reshape(
        (4, 12) if tanh else (4, 3, 2, 2)
    ))  # type: ignore[attr-defined]  # fmt: skip
    expected = raw.tanh().reshape(4, 3, 2, 2) if tanh else raw
    torch.testing.assert_close(found(latents), ((expected + 1) / 2).clamp(0, 1))


def test_a_tanh_that_is_not_the_end_is_left_alone() -> None:
    G = geomlib.Generator(made("sum").module, latent_dim=5, output_range=None)
    assert stretched(with_contrast(G, 0.3, seed=0)).tanh is None


@pytest.mark.parametrize("end", ["tanh", "clamp"])
def test_its_metric_is_that_of_double_backpropagation(end: str) -> None:
    found, d = with_contrast(made(end), 0.2, seed=4), geomlib.load_distance("mse")
    z = found.sample(2, seed=1)
    one, other = (geomlib.metric_tensor(found, z, d, method).matrix for method in ("pullback", "backward"))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6 * float(other.abs().max()))


def test_what_cannot_be_had_is_told() -> None:
    G = made("tanh", 0.0)
    with pytest.raises(ValueError, match=r"no factor gives .* the contrast 0.2; \S+ is near"):
        with_contrast(G, 0.2, seed=0)
    with pytest.raises(ValueError, match="no factor gives"):
        with_contrast(made("tanh"), 0.6, seed=0)  # values in [0, 1] deviate by 0.5 at most
    with pytest.raises(ValueError, match=r"expected one whose module is an nn\.Module"):
        with_contrast(geomlib.Generator(torch.tanh, 2), 0.2, seed=0)


def test_an_embedded_network_is_matched() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    control = matched_contrast(controls.shuffled(G, 1), G, seed=2)
    assert controls.contrast(control, seed=2) == pytest.approx(controls.contrast(G, seed=2), rel=1e-6)


def test_the_kinds_of_control() -> None:
    plain = ["shuffled", "untrained"]
    matched = [f"{kind}, contrast matched" for kind in plain]
    G = geomlib.load_generator("shapes-dcgan")
    kinds = kinds_of_control(G, seed=0)
    assert list(kinds) == [*plain, "untrained, N(0, 0.02)", *matched]
    assert kinds["shuffled"](3).weights_hash == controls.shuffled(G, 3).weights_hash
    assert kinds["untrained, N(0, 0.02)"](3).weights_hash == controls.initialised_as_dcgan(G, 3).weights_hash
    names = [make(1).name for kind, make in kinds.items() if kind in matched]
    assert names == [f"shapes-dcgan, {one} (seed 1), contrast matched" for one in ("shuffled weights", "untrained")]
    assert list(kinds_of_control(geomlib.load_generator("shapes-biggan"), seed=0)) == [*plain, *matched]
    assert kinds_of_control(geomlib.load_generator("sphere"), seed=0) == {}


def test_controls_are_measured_at_the_same_latents_or_say_why_not() -> None:
    G, d = made("tanh"), geomlib.load_distance("mse")
    z, told = G.sample(2, seed=0), list[str]()

    def flat(seed: int) -> geomlib.Generator:
        return with_contrast(made("tanh", 0.0), 0.2, seed)

    kinds = {"shuffled": lambda seed: controls.shuffled(G, seed), "flat": flat}
    found = measure_controls(kinds, (3, 4), z, d, progress=lambda label: lambda done, total: told.append(label))
    expected = geomlib.metric_tensor(controls.shuffled(G, 4), z, d)
    assert torch.equal(found.metrics["shuffled"][4].matrix, expected.matrix)
    assert found.networks["shuffled"][3].weights_hash == controls.shuffled(G, 3).weights_hash
    assert [len(each) for each in found.of((3, 4)).values()] == [2, 0] and not found.networks["flat"]
    assert list(found.left_out) == [("flat", 3), ("flat", 4)] and "no factor gives" in found.left_out["flat", 3]
    assert set(told) == {"shuffled 3", "shuffled 4"}
