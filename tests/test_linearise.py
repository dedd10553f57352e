"""A function linearised once has the derivative that PyTorch's own JVP gives, by every rule, in any order of steps."""

import gc
import json
import math
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_architectures import SMALL, small
from torch import Tensor, nn
from torch.nn import functional

import geomlib
from geomlib import derivatives
from geomlib.derivatives.jacobian import arithmetic
from geomlib.derivatives.linearise import linearise
from geomlib.generators.architectures import ARCHITECTURES
from geomlib.operators import PullbackOperator

Function = Callable[[Tensor], Tensor]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def forward_mode(function: Function, x: Tensor, directions: Tensor) -> Tensor:
    return torch.stack([torch.func.jvp(function, (x,), (v,))[1] for v in directions])


def agrees(function: Function, x: Tensor, directions: Tensor) -> None:
    """The derivative, overwriting and not, and its adjoint by autograd."""
    with arithmetic("full"):
        tape, expected = linearise(function, x), forward_mode(function, x, directions)
    size = expected.norm() + 1e-300
    with torch.no_grad():
        found = tape(directions)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert (found - expected).norm() <= 1e-13 * size
    moved = directions.clone().requires_grad_()
    kept = tape(moved)
    assert (kept - expected).norm() <= 1e-13 * size
    if kept.requires_grad and not kept.is_complex():
        u = random(*kept.shape, seed=99)
        pulled = torch.autograd.grad(kept, moved, u)[0]
        assert abs((pulled * directions).sum() - (u * expected).sum()) <= 1e-12 * size * u.norm()


def normalised(**options: bool) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(4, dtype=torch.float64, **options)  # type: ignore[arg-type]
    layer.running_mean = random(4, seed=1)
    layer.running_var = random(4, seed=2).square() + 0.1
    for index, parameter in enumerate(layer.parameters()):
        parameter.data = random(4, seed=3 + index)
    return layer.eval().requires_grad_(False)


def sliced(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1] *= 2
    y[:, :, 0] = x[:, :, 1].square()
    y.diagonal(dim1=2, dim2=3).add_(1.0)
    return y


def drawn(x: Tensor) -> Tensor:
    canvas = x.new_zeros(4, 7, 7)
    canvas[:, 1:6, 1:6] = x[0]
    return canvas * torch.ones_like(x).sum()


def branches(x: Tensor) -> Tensor:
    for _ in range(3):
        x = x * 2 if x.sum() > 0 else x.sin()
    return x


def spectrogram(x: Tensor) -> Tensor:
    parts = torch.fft.rfft(x.flatten(1).unfold(1, 16, 4) * torch.hann_window(16, dtype=torch.float64))
    return torch.cat([parts.abs().flatten(), (parts * parts).real.flatten(), parts.imag.flatten()])


def turned(x: Tensor) -> Tensor:
    waves = torch.exp(1j * random(5, seed=4))
    return torch.view_as_real(x * waves + x.mean() + 1j)


kernel, filters, bias, maps = random(6, 4, 3, 3, seed=5), random(3, 5, 2), random(6, seed=6), random(4, 5, 5, seed=7)
square = random(5, 5, seed=10)
winners = torch.tensor([3, 0, 3])
CASES: dict[str, Function] = {
    "convolution": lambda x: functional.conv2d(x, kernel, bias, padding=1),
    "convolution, all by name": lambda x: functional.conv2d(input=x, weight=kernel, bias=bias),
    "groups": lambda x: functional.conv2d(x, kernel[:4, :1], groups=4),
    "transposed": lambda x: functional.conv_transpose2d(x, kernel.transpose(0, 1), bias, stride=2),
    "sound": lambda x: functional.conv1d(x[0], filters, bias[:3]),
    "weights that move": lambda x: functional.conv2d(x, kernel * x.sum(), bias),
    "bias that moves": lambda x: functional.conv2d(x, kernel * x.sum(), bias * x.mean()),
    "constant maps, weights that move": lambda x: functional.conv2d(maps[None], kernel * x.sum()),
    "layer": lambda x: functional.linear(x, square, bias[:5]),
    "flat layer": lambda x: functional.linear(x[0, 0], square * x.mean(), bias[:5] * x.sum()),
    "matrices": lambda x: x @ x.mT @ square + torch.einsum("bchw,bdhw->cd", x, x).sum(),
    "affine": lambda x: torch.addmm(square, x[0, 0], x[0, 1]) + torch.addmm(x[0, 0], square, square, beta=2, alpha=3),
    "sums": lambda x: torch.add(x, x.sin(), alpha=2) - torch.sub(maps, x, alpha=0.5) + 3 - (2 - x),
    "sum that broadcasts": lambda x: x.mean(1, keepdim=True) + x.mean(3, keepdim=True).cos() + maps[:, :1, None],
    "products": lambda x: x * maps * 3 * x + maps * x.exp() * x.cos(),
    "product that broadcasts": lambda x: maps[:, :1, None] * x.mean(1, keepdim=True) * x.mean(),
    "product with another dtype": lambda x: x * maps.float(),
    "quotients": lambda x: x / (x.square() + 1) + 1 / (2 + x.cos()) + maps / x.exp() + x / 2,
    "a power": lambda x: (x.abs() + 1) ** 1.5 + 2.0**x + torch.pow(x.exp(), x),
    "kinks": lambda x: x.relu() + functional.leaky_relu(x.sin(), 0.2) + x.clamp(-0.5, 0.5) + x.abs().sqrt(),
    "choices": lambda x: torch.where(x > 0, x.sin(), maps) + torch.maximum(x, x.flip(3)) + x.masked_fill(x < 0, 2.0),
    "saturating": lambda x: x.tanh() * x.sigmoid() + functional.softplus(x) + functional.gelu(x) + functional.silu(x),
    "steps": lambda x: x.round() * x + x.floor() + x.sign() + (x > 0) * x,
    "batch norm": normalised(),
    "batch norm without weights": normalised(affine=False),
    "batch norm of the batch": lambda x: functional.batch_norm(x, None, None, training=True),
    "batch norm whose bias moves": lambda x: functional.batch_norm(
        x, torch.zeros(4).double(), torch.ones(4).double(), bias=bias[:4] * x.mean()
    ),
    "other norms": lambda x: functional.layer_norm(x, [5, 5]) + functional.group_norm(x, 2) + x.std() + x.norm(dim=1),
    "softmax": lambda x: x.softmax(1) * x.logsumexp((2, 3), keepdim=True),
    "attention": lambda x: functional.scaled_dot_product_attention(x, x.sin(), x),
    "max pool": lambda x: functional.max_pool2d(x, 3, 2, 1) * functional.max_pool2d(x.sin(), 2, 2, ceil_mode=True),
    "other pools": lambda x: functional.avg_pool2d(x, 2) + functional.adaptive_avg_pool2d(x, 2) + x.amax((2, 3), True),
    "resized": lambda x: (
        functional.interpolate(x, size=(8, 7), mode="bilinear", antialias=True)
        + functional.interpolate(x, size=(8, 7), mode="bicubic") * functional.interpolate(x, size=(8, 7))
    ),
    "padded": lambda x: (
        functional.pad(x, (1, 2, 0, 1), value=0.7)
        + functional.pad(x, (2, 1, 1, 0), mode="reflect")
        + functional.pad(x, (2, 1, 1, 0), mode="replicate")
    ),
    "padded with nothing": lambda x: functional.pad(x, (1, 2, -1, 1)),
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "views": lambda x: x.permute(0, 2, 3, 1).reshape(5, 20)[1:, ::3].unsqueeze(0).expand(2, -1, -1).transpose(1, 2),
    "parts": lambda x: torch.cat([*x.chunk(2, 1), x.sin().split((1, 3), 1)[1], maps[None]], 1).roll(1, 2),
    "stacked": lambda x: torch.stack([x.unbind(1)[2], x[:, 0], maps[None, 0]]).repeat(2, 1, 1, 1).flip(0).cumsum(3),
    "chosen": lambda x: x[:, winners] + x.gather(1, x.argmax(1, keepdim=True)) + x.index_select(1, winners),
    "unfolded": lambda x: functional.fold(functional.unfold(x, 3), (5, 5), 3),
    "in place": lambda x: functional.conv2d(x, kernel, bias).relu_().mul_(2).add_(1).clamp_(max=3),
    "in place on parts": sliced,
    "drawn on a canvas": drawn,
    "a residual": lambda x: x + functional.conv2d(x.sin(), kernel[:4], padding=1) + 2 * x.sin(),
    "used twice": lambda x: (lambda y: y * 2 + functional.conv2d(y, kernel[:4], padding=1) * y)(x.sin() @ square),
    "a view of what is scaled": lambda x: (lambda y: y.flatten() * (y * 3).flatten() + y.mT.flatten())(x @ square),
    "detached": lambda x: x.detach() * x,
    "branches": branches,
    "spectrogram": spectrogram,
    "complex": turned,
    "constant": lambda x: torch.ones_like(x) * maps,
    "itself": lambda x: x,
    "its own view": lambda x: x.mT,
}


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_is_that_of_forward_mode(name: str) -> None:
    agrees(CASES[name], random(1, 4, 5, 5, seed=8), random(3, 1, 4, 5, 5, seed=9))


# Any composition: each takes maps (1, 4, 5, 5) to maps of that shape.
PIECES: list[Function] = [
    torch.sin,
    torch.relu,
    normalised(),
    lambda x: x * maps,
    lambda x: x + x.mean(1, keepdim=True),
    lambda x: functional.conv2d(x, kernel[:4], bias[:4], padding=1),
    lambda x: x @ square,
    lambda x: x.mT,
    lambda x: x / (1 + x.square().sum(1, keepdim=True)).sqrt(),
    lambda x: x.clone().mul_(0.5),
    sliced,
    lambda x: torch.cat([x[:, 2:], x[:, :2]], 1),
    lambda x: functional.max_pool2d(x, 3, 1, 1),
    lambda x: -x,
    lambda x: x.softmax(1),
]
steps = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["then", "plus", "times", "beside"])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 1000))
def test_any_composition(chosen: list[tuple[Function, str]], seed: int) -> None:
    def function(x: Tensor) -> Tensor:
        for piece, how in chosen:
            y = piece(x)
            x = {"then": y, "plus": x + y, "times": x * y, "beside": torch.cat([y[:, :2], x[:, 2:]], 1)}[how]
        return x

    agrees(function, random(1, 4, 5, 5, seed=seed), random(2, 1, 4, 5, 5, seed=seed + 1))


PAIRS = [(name, "mse") for name in ARCHITECTURES if name in SMALL] + [("wavegan", "stft")]
PAIRS += [("dcgan", f"lpips-{name}") for name in ("squeeze", "alex", "vgg")]
PAIRS += [("dcgan", name) for name in ("st-lpips-alex", "st-lpips-vgg", "ssim")]


@pytest.mark.parametrize(("architecture", "distance"), PAIRS)
def test_every_architecture_and_distance(architecture: str, distance: str) -> None:
    """Recorded to the end, and as by a JVP under `vmap`."""
    network = small(architecture).double().requires_grad_(False)
    G = geomlib.Generator(network, network.latent_dim, network.output_range)
    options = {"pretrained": False} if distance.startswith("lpips") else {}
    d = geomlib.load_distance(distance, dtype=torch.float64, **options)
    z, V = G.sample(1, seed=0)[0], random(G.latent_dim, 3)
    recorded, anew = PullbackOperator(G, z, d), PullbackOperator(G, z, d)
    anew.linear.tape = None
    products = (lambda operator: operator.columns(V.mT), lambda operator: operator.matmat(V), PullbackOperator.to_dense)
    for product in products:
        found, expected = product(recorded), product(anew)
        assert (found - expected).norm() <= 1e-12 * expected.norm()
    assert recorded.linear.tape and not anew.linear.tape
    assert recorded.linear.route == anew.linear.route == "JVP"


def test_kinks_are_taken_where_they_truly_are() -> None:
    """A sum that float32 rounds to the wrong side of zero, and two entries that it takes for equal."""
    x = torch.tensor([1.0, 1e-9])
    agrees_with = x.double()

    def function(x: Tensor) -> Tensor:
        near = x[0] + x[1]
        both = torch.stack([x[0], near])[None, None]
        return torch.stack([(near - 1).relu(), functional.max_pool1d(both, 2)[0, 0, 0]])

    basis = torch.eye(2)
    assert torch.equal(linearise(function, x)(basis), forward_mode(function, agrees_with, basis.double()).float())
    assert not torch.equal(linearise(function, x)(basis), forward_mode(function, x, basis))


def test_steps_are_in_the_dtype_of_the_network() -> None:
    layer = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6)).requires_grad_(False)
    x, directions = random(1, 5).float(), random(9, 1, 5).float()
    tape = linearise(layer, x)
    assert tape(directions).dtype == torch.float32
    expected = forward_mode(layer.double(), x.double(), directions.double())
    assert (tape(directions) - expected).norm() < 1e-6 * expected.norm()

    def told(x: Tensor) -> Tensor:
        assert (x.dtype, x.sum().dtype, (x * torch.tensor(2.0, dtype=torch.float64)).dtype) == (torch.float32,) * 3
        assert x.double().dtype == torch.float64 and torch.complex(x, x).dtype == torch.complex64
        assert (x > 0).dtype == torch.bool
        assert x.sum().item() == pytest.approx(x.double().sum().item(), rel=1e-12)
        return x * math.pi

    linearise(told, x)


def test_what_is_not_needed_is_not_kept() -> None:
    """Branches that do not reach the result are no steps, and activations go once they have been used."""
    alive: list[weakref.ref[Tensor]] = []

    def function(x: Tensor) -> Tensor:
        unused = (x @ square) * 3
        unused.sum()
        maps = x @ square
        alive.append(weakref.ref(maps))
        return maps.relu() @ square

    x = random(4, 5)
    tape = linearise(function, x)
    gc.collect()
    assert len(tape.steps) == 3 and alive[0]() is None
    assert sum(step.overwriting is not None for step in tape.steps) == 1


class Custom(torch.autograd.Function):
    """The identity, with a derivative of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


@pytest.mark.parametrize(
    "function",
    [
        Custom.apply,
        lambda x: x + torch.randn_like(x),
        lambda x: torch.from_numpy(x.numpy()) * 2,
        lambda x: x * torch.as_tensor(np.asarray(x)),
        lambda x: x * x.data,
        lambda x: x[0] * x.data_ptr(),
        lambda x: torch.complex(x, x).conj().imag,
    ],
    ids=["own backward", "random", "numpy", "array", "data", "pointer", "conjugate"],
)
def test_what_cannot_be_recorded_is_refused(function: Function) -> None:
    with pytest.raises(RuntimeError):
        linearise(function, random(4))


PRIVATE = re.compile(r"\b(torch\._C|torch|Tensor)\.(_[a-zA-Z]\w+)")
WITHOUT = """
import json, logging, sys, torch
from torch import Tensor
import geomlib
from geomlib.derivatives import jacobian
class Gone:
    def __get__(self, *_):
        raise AttributeError("gone")
logging.basicConfig(format="%(message)s", stream=sys.stdout)
G, mse = geomlib.load_generator("sphere"), geomlib.load_distance("mse")
for owner, name in json.loads(sys.argv[1]):
    holder = {"torch": torch, "torch._C": torch._C, "Tensor": Tensor}[owner]
    kept = vars(holder).get(name)
    setattr(holder, name, Gone()) if holder is Tensor else delattr(holder, name)
    for module in ("dual", "linearise"):
        sys.modules.pop(f"geomlib.derivatives.{module}", None)
    jacobian._recorder.cache_clear()
    for _ in range(2):
        metric = geomlib.metric_tensor(G, G.sample(2, seed=0), mse)
    print(name, metric.settings["recorded"], metric.settings["route"], metric.eigenvalues[:, 0].mul(1.5).tolist())
    delattr(holder, name) if holder is Tensor else setattr(holder, name, kept)
"""


def test_without_the_private_names_of_torch() -> None:
    """Each taken away in turn: derivatives are not recorded, which a warning tells once; all else is as it was."""
    files = Path(derivatives.__path__[0]).glob("*.py")
    names = sorted({pair for file in files for pair in PRIVATE.findall(file.read_text())} - {("torch", "_C")})
    command = [sys.executable, "-c", WITHOUT, json.dumps(names)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(names) == 6 and len(lines) == 12
    for (_, name), warning, result in zip(names, lines[::2], lines[1::2], strict=True):
        assert warning.startswith("derivatives cannot be recorded")
        head, numbers = result.split(" [")
        assert head == f"{name} False JVP"
        assert json.loads(f"[{numbers}") == pytest.approx([1, 1])


def test_statistics_are_not_updated() -> None:
    layer = nn.BatchNorm2d(4).double()
    before = layer.running_mean.clone()
    with pytest.raises(RuntimeError):
        linearise(layer, random(1, 4, 5, 5))
    assert torch.equal(layer.running_mean, before)


def test_inputs_are_never_changed() -> None:
    x, directions = random(1, 4, 5, 5, seed=8), random(3, 1, 4, 5, 5, seed=9)
    for name, function in CASES.items():
        kept = x.clone(), directions.clone(), maps.clone(), square.clone(), kernel.clone()
        with arithmetic("full"):
            tape = linearise(function, x)
        with torch.no_grad():
            first, second = tape(directions), tape(directions)
        assert torch.equal(first, second), name
        assert all(map(torch.equal, kept, (x, directions, maps, square, kernel))), name
