"""A user's own code: loaded as Python would, its errors told in one line, its inputs and outputs met by options."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Command
from torch import Tensor, nn

import geomlib
from geomlib import cli
from geomlib.generators.user_code import load_file

FACTORY = "import geomlib\nfrom layers_of_mine import network\ndef mine(): return geomlib.Generator(network(), 4)\n"
LAYERS = (
    "from dataclasses import dataclass\nfrom torch import nn\n"
    "def network(): return nn.Sequential(nn.Linear(4, {width}), nn.Tanh(), nn.Unflatten(1, (3, 4, -1))).eval()\n"
)


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test loads goes with it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in ("layers_of_mine", "my_gan", "my_own") or name.startswith("my_gan_of_tests"):
            del sys.modules[name]


@pytest.fixture
def command(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_modules: None) -> Command:
    """In the test's folder."""
    monkeypatch.chdir(tmp_path)
    return command


def write(folder: Path, width: int) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "layers_of_mine.py").write_text(LAYERS.format(width=width))
    (folder / "my_gan_of_tests.py").write_text(FACTORY)
    return f"{folder / 'my_gan_of_tests.py'}:mine"


@pytest.mark.usefixtures("own_modules")
def test_a_file_imports_what_lies_beside_it_and_is_known_by_name(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", 48), write(tmp_path / "b", 96)
    for source, width in ((first, 4), (second, 8), (first, 4)):
        assert geomlib.load_generator(source).image_shape == (3, 4, width)
    loaded = load_file(tmp_path / "a" / "my_gan_of_tests.py")
    assert sys.modules[loaded.__name__] is loaded
    assert sys.path[0] == str(tmp_path / "a")
    assert loaded.network.__module__ == "layers_of_mine"


@pytest.mark.usefixtures("own_modules")
def test_dataclasses_and_names_of_pythons_own_modules(tmp_path: Path) -> None:
    """Dataclasses with words for types look their module up; a file named as a module of Python hides nothing."""
    path = tmp_path / "json.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 3\n"
    )
    import json

    assert load_file(path).A().x == 3
    assert sys.modules["json"] is json


@pytest.mark.usefixtures("own_modules")
def test_a_file_that_fails_leaves_no_module(tmp_path: Path) -> None:
    path = tmp_path / "my_gan_of_tests.py"
    path.write_text("raise KeyError('g_ema')")
    with pytest.raises(KeyError):
        load_file(path)
    assert "my_gan_of_tests" not in sys.modules


BROKEN = """
import torch, geomlib
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)))
class Listed(Net):
    def forward(self, zs): return self.net(torch.cat([z / z.norm(dim=1, keepdim=True) for z in zs]))
class Named(Net):
    def forward(self, z): return {"sample": self.net(z), "z": z}
class Sized(Net):
    def forward(self, z): return self.net(torch.cat([z, z], 1))
def listed(): return geomlib.Generator(Listed().eval(), latent_dim=4, default_distance="mse")
def named(): return geomlib.Generator(Named().eval(), latent_dim=4, default_distance="mse")
def sized(): return geomlib.Generator(Sized().eval(), latent_dim=4, default_distance="mse")
def key(): return {"g": 1}["g_ema"]
def package(): import a_package_that_nobody_has
def refused(): raise ValueError("label: expected 0 to 9")
"""


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("listed", r"IndexError: .*my_gan.py:9"),
        (
            "named",
            r"Named returns a dict that holds sample: tensor \(10?, 3, 4, 4\).*pass output='sample' to geomlib.Gen",
        ),
        ("sized", r"RuntimeError: .*my_gan.py:13"),
        ("key", r"KeyError: 'g_ema' \(my_gan.py:17\)"),
        ("package", r"ModuleNotFoundError: No module named 'a_package_that_nobody_has' \(my_gan.py:18\)"),
        ("refused", r"label: expected 0 to 9"),
    ],
)
def test_an_error_of_ones_own_code_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, factory: str, words: str
) -> None:
    (tmp_path / "my_gan.py").write_text(BROKEN)
    done = command("metric", f"my_gan.py:{factory}", "--positions", "2")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(words, done.stderr), done.stderr
    monkeypatch.setattr(sys, "argv", ["geomlib", "--debug", "metric", f"my_gan.py:{factory}"])
    with pytest.raises((LookupError, ValueError, TypeError, RuntimeError, ImportError)):  # as Python shows it
        cli.main()


def test_a_device_that_is_not_there(command: Command) -> None:
    for device in ("cuda:77", "tpu", "warp"):
        with pytest.raises(ValueError, match=rf"^device: expected one of cpu.*, got '{device}'$"):
            geomlib.load_generator("torus", device=device)
        with pytest.raises(ValueError, match="^device: expected one of"):
            geomlib.load_distance("mse", device)
    done = command("check", "torus", "--device", "cuda:77")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert geomlib.load_generator("torus", device=torch.device("cpu")).device.type == "cpu"


def test_numbers_of_numpy_are_numbers() -> None:
    G = geomlib.load_generator("shapes-biggan", "noise", class_index=np.arange(3)[2], truncation=np.float32(0.5))
    assert torch.equal(G.sample(np.int64(2), np.int64(3)), G.sample(2, 3))
    assert geomlib.homogeneity.random_frame(4, 2, np.int32(1)).shape == (4, 2)
    made = geomlib.Generator(nn.Identity().eval(), np.int64(3), size=np.int16(8))
    assert type(made.latent_dim) is int and type(made.size) is int
    for value in (True, 2.0, -1, 99, "2"):
        with pytest.raises(ValueError, match="class_index: expected an integer from 0 to 2"):
            geomlib.load_generator("shapes-biggan", "noise", class_index=value)


def test_a_frozen_module_of_torchscript_is_a_generator() -> None:
    network = nn.Sequential(nn.Linear(6, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4))).eval()
    frozen = torch.jit.freeze(torch.jit.trace(network, torch.randn(2, 6)))
    G, plain = (geomlib.Generator(one, 6, default_distance="mse") for one in (frozen, network))
    assert torch.allclose(G(G.sample(2, 0)), plain(plain.sample(2, 0)), atol=1e-6)
    assert geomlib.check_generator(G).ok


# Networks of another form


class Plain(nn.Module):
    """4 numbers to 3 x 4 x 4 in [-1, 1]."""

    def __init__(self, inputs: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(inputs, 48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)))

    def forward(self, z: Tensor) -> Any:
        return self.layers(z)


@dataclasses.dataclass
class Output:
    """As diffusers returns it."""

    sample: Tensor
    other: float = 0.0


class Pair(Plain):
    def forward(self, z: Tensor) -> Any:
        return z, super().forward(z)


class Named(Plain):
    def forward(self, z: Tensor) -> Any:
        return {"z": z, "images": super().forward(z)}


class Structured(Plain):
    def forward(self, z: Tensor) -> Any:
        return Output(super().forward(z))


class Listed(Plain):
    def forward(self, zs: list[Tensor]) -> Any:
        if not isinstance(zs, list):
            raise TypeError("expected a list of latents")
        return super().forward(torch.cat(zs, 1))


class Spatial(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, 1)

    def forward(self, z: Tensor) -> Any:
        return super().forward(self.first(z).flatten(1))


class Labelled(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 4)

    def forward(self, z: Tensor, label: Tensor) -> Any:
        return super().forward(z + self.embed(label))


class Noisy(Plain):
    def forward(self, z: Tensor, *, noise: Tensor, step: int) -> Any:
        return super().forward(z + step * noise)


class Last(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.layers[2] = nn.Unflatten(1, (4, 4, 3))


class Bytes(Plain):
    def forward(self, z: Tensor) -> Any:
        return (super().forward(z) + 1) * 127.5


NOISE = torch.ones(1, 4)
FORMS: dict[str, tuple[nn.Module, dict[str, Any], str]] = {
    "pair": (Pair(), {"output": 1}, "output=1"),
    "dictionary": (Named(), {"output": "images"}, "output='images'"),
    "dataclass": (Structured(), {"output": "sample"}, "output='sample'"),
    "function": (Structured(), {"output": lambda result: result.sample}, "output='sample'"),
    "list": (Listed(), {"latent_shape": [(4,)]}, "latent_shape=[(4,)]"),
    "parts": (Listed(), {"latent_shape": [(1,), (3,)]}, "latent_shape=[(4,)]"),
    "spatial": (Spatial(), {"latent_shape": (1, 2, 2)}, "latent_shape=(1, 2, 2)"),
    "label": (Labelled(), {"condition": 2}, "condition=0"),
    "label as a tensor": (Labelled(), {"condition": {"label": torch.tensor(2)}}, "condition=0"),
    "noise": (Noisy(), {"condition": {"noise": NOISE, "step": 2}}, ""),
    "last": (Last(), {"channels_last": True}, "channels_last=True"),
    "bytes": (Bytes(), {"output_range": (0, 255)}, "output_range=(0, 255)"),
}
form = pytest.mark.parametrize("name", FORMS)


def expected(name: str, z: Tensor) -> Tensor:
    """What the network shows, by hand."""
    network = FORMS[name][0].eval()
    with torch.no_grad():
        if name.startswith("label"):
            z = z + network.embed.weight[2]
        if name == "noise":
            z = z + 2 * NOISE
        if name == "spatial":
            z = network.first(z.reshape(-1, 1, 2, 2)).flatten(1)
        raw = network.layers(z)
        raw = raw.permute(0, 3, 1, 2) if name == "last" else raw
    return (raw + 1) / 2


@form
def test_options_meet_networks_of_another_form(name: str) -> None:
    network, options, _ = FORMS[name]
    G = geomlib.Generator(network.eval(), 4, default_distance="mse", **options)
    z = G.sample(3, 0)
    assert torch.allclose(G(z), expected(name, z), atol=1e-6)
    assert G.image_shape == (3, 4, 4) and G.network is network and G.name == type(network).__name__
    report = geomlib.check_generator(G)
    assert report.ok, report
    assert G.to("cpu", torch.float64)(z.double()).dtype == torch.float64
    d = geomlib.load_distance("mse")
    found, slow = (geomlib.metric_tensor(G, z[0], d, method).matrix for method in ("pullback", "backward"))
    assert torch.allclose(found, slow, rtol=1e-4, atol=1e-8)


@form
def test_the_check_says_which_option_is_missing(name: str) -> None:
    network, _, advice = FORMS[name]
    G = geomlib.Generator(network.eval(), 4, default_distance="mse")
    report = geomlib.check_generator(G)
    assert not report.ok
    told = [row for row in report.rows if row.passed is False]
    assert advice in told[0].advice, report


def test_wrong_options_are_named() -> None:
    network = Plain().eval()
    for options, words in (
        ({"latent_shape": (2, 3)}, r"latent_shape: expected 4 numbers \(latent_dim\), got \(2, 3\)"),
        ({"latent_shape": (0, 4)}, "latent_shape: expected positive integers"),
        ({"condition": torch.zeros(5, 4)}, r"condition: expected tensors of one sample, \(1, ...\), got \(5, 4\)"),
    ):
        with pytest.raises(ValueError, match=words):
            geomlib.Generator(network, 4, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="output: dict has no 'image'; it holds z: tensor"):
        G = geomlib.Generator(Named().eval(), 4, output="image")
        G(G.sample(1, 0))
    with pytest.raises(ValueError, match="latent_dim: expected a positive integer, got None"):
        geomlib.Generator(network)
    assert geomlib.Generator(network, latent_shape=(2, 2)).latent_dim == 4
    training = Pair()
    training.layers.train()
    with pytest.raises(ValueError, match="is in training mode"):
        geomlib.Generator(training, 4, output=1)


def test_a_new_file_runs_as_it_is(tmp_path: Path, command: Command) -> None:
    done = command("new", "my_own.py")
    assert done.stdout == "my_own.py is written. Put your network into it, then: geomlib check my_own.py:my_own\n"
    line = [sys.executable, "-W", "ignore", "-m", "geomlib.cli", "check", "my_own.py:my_own"]
    checked = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0 and "No problem found." in checked.stdout, checked.stdout + checked.stderr
    text = (tmp_path / "my_own.py").read_text()
    torch.save(
        {"state_dict": geomlib.load_generator(f"{tmp_path}/my_own.py:my_own").module.state_dict()}, tmp_path / "w.pt"
    )
    weighted = command("metric", "my_own.py:my_own", "--weights", "w.pt", "--positions", "2")
    assert weighted.returncode == 0, weighted.stderr
    for name, words in (
        ("my_own.py", "is there already"),
        ("my own.py", "its name one of Python's"),
        ("no/a.py", "no folder"),
    ):
        again = command("new", name)
        assert again.returncode == 2 and words in again.stderr and len(again.stderr.splitlines()) == 1
    assert (tmp_path / "my_own.py").read_text() == text
