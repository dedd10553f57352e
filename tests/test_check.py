"""`check_generator`: every fault that it promises to find, each in a tiny network that has it, and healthy ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

import geomlib
from geomlib.check.report import Report, Row, check_generator
from geomlib.generators import build
from geomlib.metric import estimate

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.safetensors"))


def network(seed: int = 0) -> nn.Sequential:
    """Six latents to small images in [-1, 1], far from saturation."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(6, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)), nn.Conv2d(3, 3, 3), nn.Tanh()
        ).eval()


NETWORK = network()


def check(function: Callable[[Tensor], Tensor], latent_dim: int = 6, **settings: object) -> dict[str, Row]:
    return rows(check_generator(geomlib.Generator(function, latent_dim, **settings)))  # type: ignore[arg-type]


def rows(report: Report) -> dict[str, Row]:
    failed = [row.name for row in report.rows if row.passed is False]
    assert [line.partition(":")[0] for line in report.problems] == failed
    assert report.ok == (not failed)
    return {row.name: row for row in report.rows}


def failures(found: dict[str, Row]) -> list[str]:
    return [name for name, row in found.items() if row.passed is False]


class Custom(torch.autograd.Function):
    """A sine with a backward rule alone, in the style that torch.func cannot transform."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()


class Wrong(Custom):
    """The same with a derivative that is 5 % too large."""

    @staticmethod
    def backward(ctx, gradient):
        return 1.05 * gradient * ctx.saved_tensors[0].cos()


class Once(Custom):
    """The same, through numpy on the way back: it cannot be differentiated twice."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * torch.from_numpy(ctx.saved_tensors[0].numpy()).cos()


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Gated(nn.Module):
    """A branch of the latents is detached."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, z: Tensor) -> Tensor:
        return self.network(z) * z.detach().mean(1).sigmoid()[:, None, None, None]


class Counter(nn.Module):
    """Writes a buffer in each forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return NETWORK(x)


def hidden_batch_norm() -> geomlib.Generator:
    """In training mode since it was wrapped, for a generator is not made of such a network."""
    layer = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    G = geomlib.Generator(lambda z: layer(NETWORK(z)).tanh(), 6, name="mine")
    layer.train()
    return G


def test_healthy_network_passes_every_check() -> None:
    told: list[tuple[int, int]] = []
    G = geomlib.Generator(NETWORK, 6)
    report = check_generator(G, geomlib.load_distance("mse"), progress=lambda *done: told.append(done))
    assert report.ok
    assert [row.passed for row in report.rows] == [True] * 14
    assert told == [(k, 14) for k in range(1, 15)]


@pytest.mark.parametrize("name", ["linear", "sphere", "torus", "normalised"])
def test_analytic_surfaces_pass(name: str) -> None:
    found = rows(check_generator(geomlib.load_generator(name), geomlib.load_distance("mse")))
    assert failures(found) == []
    assert found["output shape"].passed is None
    assert "raw output" in found["output shape"].finding
    assert found["derivative"].passed


def test_the_embedded_generator_passes() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    assert check_generator(G, geomlib.load_distance(G.default_distance)).problems == ()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_published_architectures_pass(path: Path) -> None:
    with safe_open(path, "pt") as file:
        name, config = (json.loads(file.metadata()[key]) for key in ("info", "config"))
        state = {key[6:]: file.get_tensor(key) for key in file.keys() if key.startswith("state/")}  # noqa: SIM118
    module = build(name["name"].removesuffix("_transposed"), **config)
    module.load_state_dict(state)
    output_range = None if "wavegan" in name["name"] else module.output_range
    found = check(module.eval(), module.latent_dim, output_range=output_range)
    assert failures(found) == []
    assert "JVP" in found["route"].finding


def test_training_mode_hidden_in_a_callable() -> None:
    layer = nn.Dropout(0.5).eval()
    G = geomlib.Generator(lambda z: layer(NETWORK(z)), 6)
    layer.train()
    found = rows(check_generator(G))
    assert found["training mode"].finding == "In training mode: layer (1 in all)."
    assert set(failures(found)) == {"training mode", "determinism"}


def test_batch_norm_hidden_in_training_mode_is_seen_by_each_of_its_effects() -> None:
    found = rows(check_generator(hidden_batch_norm()))
    assert set(failures(found)) == {"training mode", "batch of one", "state unchanged", "samples independent"}
    assert "layer, layer.0, layer.1 (3 in all)" in found["training mode"].finding
    assert "layer.1.running_mean" in found["state unchanged"].finding


def test_batch_statistics_without_any_module() -> None:
    found = check(lambda z: functional.batch_norm(NETWORK(z), None, None, training=True).tanh())
    assert set(failures(found)) == {"batch of one", "samples independent"}


def test_minibatch_layer() -> None:
    found = check(lambda z: NETWORK(z) * (1 + 0.1 * z.std(0).mean().tanh()))
    assert {"batch of one", "samples independent"} <= set(failures(found))
    assert "other latents" in found["samples independent"].finding


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda z: (NETWORK(z), z), "returns tuple, not a tensor"),
        (lambda z: (255 * NETWORK(z)).to(torch.uint8), "torch.uint8, which has no derivative"),
        (lambda z: NETWORK(z)[0], "2 latents give an output of shape (3, 2, 2)"),
        (lambda z: NETWORK(z).mean(0, keepdim=True), "2 latents give an output of shape (1, 3, 2, 2)"),
        (lambda z: NETWORK(z)[:, 0], "(2, 2, 2) is no (B, C, H, W)"),
        (lambda z: functional.interpolate(NETWORK(z), 8).permute(0, 2, 3, 1), "looks like channels last"),
    ],
)
def test_output_shape(function: Callable[[Tensor], Tensor], finding: str) -> None:
    found = check(function)
    assert failures(found) == ["output shape"]
    assert finding in found["output shape"].finding
    assert found["gradient"].finding == "Not tried: it needs 'finite values'."
    assert found["cost"].finding == "Not tried: it needs 'route'."


def test_sound() -> None:
    def sound(z: Tensor) -> Tensor:
        return NETWORK(z).flatten(1)[:, None]

    assert "Sound (B, 1, 12)" in check(sound, output_range=None)["output shape"].finding
    assert failures(check(sound, output_range=None)) == []
    found = check(lambda z: 30 * sound(z), output_range=None)
    assert failures(found) == ["output range"]
    assert "outside [-1, 1]" in found["output range"].finding


def test_values_that_are_not_finite_are_named() -> None:
    found = check(lambda z: NETWORK(z).index_fill(1, torch.tensor([1]), torch.nan))
    assert failures(found) == ["finite values"]
    assert "output: 8 of 24 values not finite, the first at (0, 1, 0, 0)" in found["finite values"].finding


def test_wrong_ranges() -> None:
    found = check(lambda z: 127.5 * (NETWORK(z) + 1))  # 0 to 255, taken for -1 to 1
    assert "output range" in failures(found)
    assert "beyond an end of the range" in found["output range"].finding
    found = check(NETWORK, output_range=(0, 1), clamp=False)
    assert failures(found) == ["output range"]
    assert "outside [0, 1]" in found["output range"].finding
    found = check(lambda z: NETWORK(z) / 2 + 0.5)  # 0 to 1, taken for -1 to 1
    assert failures(found) == []
    assert "lower half is empty" in found["output range"].advice
    values = NETWORK(geomlib.Generator(NETWORK, 6).sample(2, 0)).detach()
    limit = float(values.flatten().sort().values[-4])
    share = float((values >= limit).double().mean())  # 4 of 24
    some = check(NETWORK, output_range=(-1, limit))["output range"]
    assert some.passed is None
    assert f"{share:.1%} at or beyond" in some.finding


def test_random_layers_are_named_unless_declared() -> None:
    noisy = nn.Sequential(NETWORK, Apply(lambda x: x + 0.1 * torch.randn_like(x))).eval()
    found = check(noisy)
    assert failures(found) == ["determinism"]
    assert "it draws random numbers (Sequential.1, test_check.py:" in found["determinism"].finding
    assert found["batch of one"].finding == "Not tried: it needs 'determinism'."
    declared = geomlib.Generator(noisy, 6)
    declared.deterministic = False
    found = rows(check_generator(declared))
    assert failures(found) == []
    assert "Declared random" in found["determinism"].finding
    assert "pullback refuses" in found["route"].finding


def test_a_buffer_that_is_written() -> None:
    found = check(Counter().eval())
    assert "state unchanged" in failures(found)
    assert "Counter.calls" in found["state unchanged"].finding


@torch.no_grad()
def without_gradient(z: Tensor) -> Tensor:
    return NETWORK(z)


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda z: NETWORK(z).detach(), "cut off from the latents"),
        (lambda z: NETWORK(z.detach()), "cut off from the latents"),
        (without_gradient, "cut off from the latents"),
        (lambda z: torch.from_numpy(NETWORK(z).detach().numpy()), "cut off from the latents"),
        (lambda z: (NETWORK(z) * 128).round() / 128, "6 of 6 coordinates, the first 0, change the image"),
        (lambda z: NETWORK(torch.cat([z[:, :2], z[:, 2:].round()], 1)), "4 of 6 coordinates, the first 2, change"),
        (lambda z: NETWORK(0 * z), "does not depend on the latents"),
        (lambda z: NETWORK(z) * z.sub(z.detach()).square().sum(1).sqrt().add(1)[:, None, None, None], "not finite"),
    ],
)
def test_lost_gradients(function: Callable[[Tensor], Tensor], finding: str) -> None:
    found = check(function)
    assert failures(found) == ["gradient"]
    assert finding in found["gradient"].finding
    assert found["route"].finding == "Not tried: it needs 'gradient'."


def test_coordinates_that_do_nothing_are_a_note() -> None:
    found = check(lambda z: NETWORK(z * torch.tensor([1.0, 1, 1, 0, 1, 0])))
    assert failures(found) == []
    assert found["gradient"].finding == "2 of 6 coordinates, the first 3, never change the image."


def test_a_derivative_that_is_partly_wrong() -> None:
    assert failures(check(Gated().eval())) == ["derivative"]
    assert failures(check(nn.Sequential(Apply(Wrong.apply), network()).eval())) == ["derivative"]
    assert failures(check(lambda z: NETWORK(Wrong.apply(z)))) == ["derivative"]  # found in single precision too


def test_a_right_derivative_agrees_in_float64() -> None:
    kinked = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), NETWORK_TAIL).eval()
    for module in (NETWORK, kinked):
        row = check(module)["derivative"]
        assert row.passed
        assert "torch.float64" in row.finding


NETWORK_TAIL = nn.Sequential(nn.Linear(30, 12), nn.Tanh(), nn.Unflatten(1, (3, 2, 2))).eval()


def test_a_right_network_is_passed_through_few_times() -> None:
    """Large networks are slow, in float64 above all: a right derivative is seen from two passes there."""
    passes = {torch.float32: 0, torch.float64: 0}

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, z: Tensor) -> Tensor:
            passes[z.dtype] += 1
            return self.network(z)

    assert failures(check(Counted().eval())) == []
    assert passes[torch.float64] == 2 and passes[torch.float32] <= 20


def test_a_callable_in_single_precision_is_compared_there() -> None:
    row = check(lambda z: NETWORK(z))["derivative"]
    assert row.passed
    assert "torch.float32" in row.finding


def test_routes_and_what_stands_in_the_way_of_the_faster() -> None:
    grid = torch.nn.functional.grid_sample

    def sampled(z: Tensor) -> Tensor:
        images = NETWORK(z)
        return grid(images, images[:, :2].permute(0, 2, 3, 1), align_corners=False)

    found = check(nn.Sequential(nn.Flatten(), Apply(sampled)).eval())
    assert "double VJP serves" in found["route"].finding
    assert "grid_sampler_2d has no such rule (Sequential.1, test_check.py:" in found["route"].finding
    assert (found["route"].passed, found["derivative"].passed) == (None, True)
    found = check(nn.Sequential(Apply(Custom.apply), NETWORK).eval())
    assert "double VJP serves" in found["route"].finding
    assert "autograd.Function" in found["route"].finding
    assert found["derivative"].passed
    found = check(nn.Sequential(NETWORK, Apply(lambda x: torch.cdist(x, x + 1).tanh())).eval())
    assert "differences serves" in found["route"].finding
    assert "No double VJP: _cdist_backward has no such rule" in found["route"].finding
    assert "Not tried" in found["derivative"].finding
    assert found["cost"].passed


def test_a_derivative_that_exists_once_is_never_passed_as_right() -> None:
    found = check(nn.Sequential(Apply(Once.apply), network()).eval())
    assert "differences serves" in found["route"].finding or "derivative" in failures(found)


def test_attention_needs_no_fallback() -> None:
    def attend(z: Tensor) -> Tensor:
        parts = NETWORK(z).flatten(2)[:, None]
        return functional.scaled_dot_product_attention(parts, parts, parts).reshape(-1, 3, 2, 2)

    found = check(attend)
    assert failures(found) == []
    assert "JVP" in found["route"].finding


def test_cost_is_that_of_the_engine() -> None:
    G = geomlib.Generator(nn.Sequential(nn.Linear(600, 12), nn.Unflatten(1, (3, 2, 2))).eval(), 600)
    finding = rows(check_generator(G))["cost"].finding
    need = estimate(G, G.sample(1, seed=0)[0], geomlib.load_distance("mse"))
    assert f"{need.bytes / 1e6:.2g} MB" in finding
    assert f"timed on {need.tile} of 600 columns" in finding
    assert 0 < float(finding.split(" s (")[0].split()[-1]) < 60


def test_what_a_network_raises_is_a_finding() -> None:
    def broken(z: Tensor) -> Tensor:
        raise KeyError("style")

    found = check(broken)
    assert failures(found) == ["output shape"]
    assert found["output shape"].finding.startswith("KeyError: 'style' (test_check.py:")
    found = check(nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 3)).eval())
    assert "Sequential.1" in found["output shape"].finding

    def only_large_batches(z: Tensor) -> Tensor:
        if len(z) == 1:
            raise ValueError("expected more than one")
        return NETWORK(z)

    assert "ValueError: expected more than one" in check(only_large_batches)["batch of one"].finding


def test_samplers() -> None:
    for sampler, finding in [
        (lambda count, random: torch.randn(count, 6), "Two draws from one seed differ."),
        (lambda count, random: torch.ones(count, 6), "All latents of a draw are the same."),
        (lambda count, random: torch.randn(count, 5, generator=random), "expected shape (B, 6), got (16, 5)"),
        (lambda count, random: torch.full((count, 6), torch.inf), "12 of 12 values not finite"),
    ]:
        found = check(NETWORK, sampler=sampler)
        assert failures(found) == ["latents"]
        assert finding in found["latents"].finding


def test_distances() -> None:
    G = geomlib.Generator(NETWORK, 6)
    good = rows(check_generator(G, geomlib.Distance("mean", lambda x: x.flatten(1))))
    assert good["distance"].finding.startswith("mean: ")
    bad = rows(check_generator(G, geomlib.Distance("wrong size", lambda x: x.flatten(1) @ torch.ones(5, 2))))
    assert failures(bad) == ["distance"]
    assert bad["route"].finding == "Not tried: it needs 'distance'."

    class Shifted(geomlib.Distance):
        def __call__(self, x: Tensor, y: Tensor) -> Tensor:
            return 1 + super().__call__(x, y)

    assert failures(rows(check_generator(G, Shifted("shifted", lambda x: x.flatten(1))))) == ["distance"]


def test_nothing_is_changed() -> None:
    G = geomlib.Generator(nn.Sequential(NETWORK, nn.Dropout()).eval(), 6)
    before = {key: value.clone() for key, value in G.module.state_dict().items()}
    random = torch.get_rng_state()
    with torch.no_grad():
        assert check_generator(G).ok
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[key], value) for key, value in G.module.state_dict().items())
    assert all(parameter.grad is None for parameter in G.module.parameters())
    assert check_generator(G, seed=3).ok


def test_a_part_under_no_grad_is_found() -> None:
    """Forward mode sees it, reverse mode does not, and each route alone is consistent."""

    def scaled(z: Tensor) -> Tensor:
        with torch.no_grad():
            scale = z.square().mean(1, keepdim=True).rsqrt()
        return 0.5 * NETWORK(z * scale)

    found = check(scaled)
    assert failures(found) == ["derivative"]
    assert "JVP and a backward pass differ by" in found["derivative"].finding
    assert "torch.no_grad" in found["derivative"].advice
    double = rows(check_generator(geomlib.Generator(NETWORK, 6), geomlib.Distance("cut", cut_off)))
    assert failures(double) == ["derivative"]


def cut_off(images: Tensor) -> Tensor:
    with torch.no_grad():
        gain = images.flatten(1).square()
    return images.flatten(1) * gain


def test_engine_warnings_are_told_in_the_report_only(caplog: pytest.LogCaptureFixture) -> None:
    check(lambda z: NETWORK(Custom.apply(z)))
    assert caplog.records == []


def test_the_table_is_aligned_and_says_what_to_do() -> None:
    lines = str(check_generator(hidden_batch_norm())).splitlines()
    assert lines[0].startswith("mine: 6 latents, torch.float32, cpu")
    assert lines[-1] == "4 problems found."
    assert all(len(line) <= 110 for line in lines)
    marked = [line for line in lines[1:-1] if not line.startswith(" ")]
    assert {line[:4].strip() for line in marked} >= {"ok", "FAIL"}
    start = marked[0].index("6 coordinates")
    assert all(line[start - 1] == " " and line[start] != " " for line in marked)
    assert any(line.strip().startswith("-> ") for line in lines)
    assert str(check_generator(geomlib.Generator(NETWORK, 6))).endswith("No problem found.")


def test_only_generators_are_checked() -> None:
    with pytest.raises(TypeError, match=r"generator: expected a Generator, got torch\.nn\S+Sequential"):
        check_generator(NETWORK)  # type: ignore[arg-type]
