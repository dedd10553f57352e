"""Layer metrics against Jacobians of truncated networks, the metric of the image, and in-place traps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import geomlib
from geomlib.layers import layer_metrics, layer_names, main_layers, short_names


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(5, 12), nn.LeakyReLU(0.2, inplace=True), nn.Linear(12, 48), nn.Unflatten(1, (3, 4, 4)),
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.Tanh()),
    ).double().eval()  # fmt: skip


def expected(network: nn.Sequential, depth: int, z: Tensor) -> Tensor:
    """`2 JᵀJ` of the first layers alone, by reverse mode; layers in place get a copy."""

    def head(z: Tensor) -> Tensor:
        x = z[None]
        for layer in network[:depth]:
            x = layer(x.clone())
        return x.flatten()

    J = torch.autograd.functional.jacobian(head, z)
    return 2 * J.mT @ J


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_layers_of_a_sequence(seed: int) -> None:
    net = network(seed)
    G = geomlib.Generator(net, 5)
    z = G.sample(2, seed)
    assert layer_names(G) == ["0", "1", "2", "3", "4.0", "4.1", "4"]
    metrics = layer_metrics(G, z, ["0", "1", "2", "4"])
    for name, depth in (("0", 1), ("1", 2), ("2", 3), ("4", 5)):
        assert metrics[name].matrix.shape == (2, 5, 5)
        for index in range(2):
            assert torch.allclose(metrics[name].matrix[index], expected(net, depth, z[index]), rtol=1e-10, atol=1e-12)
    one = layer_metrics(G, z[1], ["2"])["2"]
    assert torch.allclose(one.matrix, metrics["2"].matrix[1], rtol=1e-12) and one.noise_floor.ndim == 0


def test_layers_of_the_trained_generator() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    z = G.sample(1, seed=0)[0]
    first, last = layer_metrics(G, z, ["formatLayer", "main.outlayer"]).values()
    W = G.module.formatLayer.weight.double().flatten(1)
    assert torch.allclose(first.matrix, 2 * W @ W.mT, rtol=1e-5, atol=1e-6 * float(first.matrix.max()))
    head = geomlib.Generator(lambda z: G.module.main(G.module.formatLayer(z[..., None, None])), 64, output_range=None)
    alone = geomlib.metric_tensor(head, z, geomlib.Distance("sum", lambda x: x.flatten(1)), "backward").matrix
    assert float((last.matrix - alone).norm() / alone.norm()) < 1e-5


def test_layers_do_not_depend_on_memory_or_company() -> None:
    G = geomlib.Generator(network(), 5)
    z = G.sample(1, seed=0)[0]
    together = layer_metrics(G, z, layer_names(G))
    tight = layer_metrics(G, z, layer_names(G), memory="10kB", tile=2)
    for name, metric in together.items():
        alone = layer_metrics(G, z, [name])[name]
        assert torch.allclose(metric.matrix, alone.matrix, rtol=1e-12)
        assert torch.allclose(metric.matrix, tight[name].matrix, rtol=1e-12)


class Branches(nn.Module):
    """A layer that is called twice, one that gives a pair, and one that does not depend on the latent."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.twice, self.pair, self.constant = nn.Linear(4, 4), Pair(), nn.Linear(1, 3)
        self.last = nn.Linear(4, 6)

    def forward(self, z: Tensor) -> Tensor:
        a, b = self.pair(self.twice(self.twice(z)))
        return self.last(a * b) + self.constant(z.new_ones(len(z), 1)).repeat(1, 2)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sin(), x.cos()


def test_what_counts_as_a_layer() -> None:
    G = geomlib.Generator(Branches().eval(), 4, output_range=None)
    assert layer_names(G) == ["last", "constant"]
    constant = layer_metrics(G, torch.ones(4), ["constant"])["constant"]
    assert not constant.matrix.any()
    with pytest.raises(ValueError, match="names: expected one of 'last', 'constant', got 'twice'"):
        layer_metrics(G, torch.ones(4), ["twice"])
    with pytest.raises(ValueError, match="names: expected at least one layer"):
        layer_metrics(G, torch.ones(4), [])
    plain = geomlib.load_generator("sphere")
    with pytest.raises(TypeError, match="expected one with an nn.Module"):
        layer_names(plain)


def test_main_layers_are_the_outermost_evenly_chosen() -> None:
    net = network()
    assert main_layers(geomlib.Generator(net, 5)) == ["0", "1", "2", "3", "4"]
    inside = nn.Sequential(nn.Sequential(*net[:2]), nn.Sequential(*net[2:])).eval()  # the second holds more than half
    assert main_layers(geomlib.Generator(inside, 5)) == ["0", "1.0", "1.1", "1.2"]
    assert main_layers(geomlib.Generator(net, 5), count=3) == ["0", "2", "4"]


def test_short_names_say_what_differs() -> None:
    assert short_names(["main.a", "main.b.c", "image"]) == ["a", "b.c", "image"]
    assert short_names(["main.1", "main.b", "image"]) == ["main.1", "main.b", "image"], "a bare number says nothing"
    assert short_names(["x.a", "y.b", "image"]) == ["x.a", "y.b", "image"]


def test_the_network_is_left_as_it_was() -> None:
    net = network()
    G = geomlib.Generator(net, 5)
    z, before = G.sample(2, seed=0), {key: value.clone() for key, value in net.state_dict().items()}
    latents, told = z.clone(), []
    layer_metrics(G, z, ["0", "2"], progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]
    assert torch.equal(z, latents) and G.module is net
    assert all(not module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_mapping_network_is_no_layer_of_its_own_space() -> None:
    G = geomlib.load_generator("shapes-stylegan2", space="w")
    names = layer_names(G)
    assert names and not any(name.startswith("style") for name in names)
    metrics = layer_metrics(G, G.sample(1, seed=0)[0], [names[0], names[-1]])
    assert all(M.matrix.shape == (64, 64) for M in metrics.values())


def test_layers_that_are_not_there_are_named() -> None:
    G = geomlib.Generator(network(), 4, output_range=None)
    view = geomlib.layers.activation_view(G, ["nowhere"])
    with pytest.raises(ValueError, match="names: expected one of '0', .*, got 'nowhere'"):
        view(G.sample(1, seed=0))
