"""NVIDIA's files, StyleGAN2-ADA and StyleGAN3: read without running anything, equal to NVIDIA's own images.

`GOLDEN_DIR` names the folder of golden files (default: tests/golden); NVIDIA's lie in its folder `nvidia`.
"""

import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from test_cli import call
from torch import Tensor

import geomlib
from geomlib.generators.architectures.stylegan2_ada import SynthesisLayer
from geomlib.generators.checkpoints import read_state
from geomlib.generators.files import load_network

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden")) / "nvidia"
PICKLES = sorted(GOLDEN.glob("*.pkl"))
each = pytest.mark.parametrize("path", PICKLES, ids=lambda path: path.stem)
OF_TENSORS = 1e-4  # of the largest value


def expected(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What NVIDIA's code makes of the network."""
    with safe_open(path.with_suffix(".safetensors"), "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def close(made: Tensor, golden: Tensor) -> bool:
    return made.shape == golden.shape and float((made - golden).abs().max()) <= OF_TENSORS * float(golden.abs().max())


def test_there_are_files() -> None:
    assert len(PICKLES) == 8


@each
@torch.no_grad()
def test_images_are_those_of_nvidia(path: Path) -> None:
    golden, _ = expected(path)
    classes = golden.get("c")
    network = load_network(path).network
    settings = {} if classes is None else {"class_vector": classes}
    assert close(network(golden["z"], **settings), golden["image"])
    assert close(network(golden["z"], truncation=0.7, **settings), golden["image_truncated"])
    assert close(network.mapping(golden["z"], classes), golden["w"][:, 0])
    assert close(network(golden["w"][:, 0], space="w"), golden["image"])
    assert close(network(golden["w"].flatten(1), space="w+"), golden["image"])
    assert close(network(golden["w"].flatten(1), space="w+", truncation=0.7), golden["image_truncated"])


@each
def test_a_file_is_a_generator_with_three_spaces(path: Path) -> None:
    golden, about = expected(path)
    made = geomlib.load_generator(str(path))
    assert made.spaces == ("z", "w", "w+")
    assert made.image_shape == (int(about["img_channels"]), *[int(about["img_resolution"])] * 2)
    assert made.dtype == torch.float32 and made.deterministic
    assert made.default_distance == ("lpips-squeeze" if about["img_channels"] == "3" else "")
    for space in made.spaces:
        one = geomlib.load_generator(str(path), space)
        images = one(one.sample(2, 0))
        assert torch.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    report = geomlib.check_generator(geomlib.load_generator(str(path), "w", truncation=0.7))
    assert [row.name for row in report.rows if row.passed is False] in ([], ["output range"])  # random weights
    if "c" not in golden:
        raw = (geomlib.load_generator(str(path))(golden["z"]) * 2 - 1).clamp(-1, 1)
        assert close(raw, golden["image"].clamp(-1, 1))


@each
def test_a_plain_state_dict_of_nvidia_is_recognised_by_its_names(path: Path, tmp_path: Path) -> None:
    state = read_state(path, "G_ema")
    golden, about = expected(path)
    if stored := {key[6:]: value for key, value in golden.items() if key.startswith("state/")}:
        assert stored.keys() == state.keys()
        assert all(torch.equal(state[key], value) for key, value in stored.items())
    wrapped = {f"G_ema.module.{key}": value.half().contiguous() for key, value in state.items()}
    save_file(wrapped, tmp_path / "converted.safetensors")
    network = load_network(tmp_path / "converted.safetensors").network
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    settings = {} if "c" not in golden else {"class_vector": golden["c"]}
    if "conv_clamp" not in about:  # that no shape tells
        with torch.no_grad():
            change = (network(golden["z"], **settings) - golden["image"]).abs().max() / golden["image"].abs().max()
        assert change < 2e-2  # of weights that were rounded to half precision


def test_classes_are_an_option() -> None:
    path = next(one for one in PICKLES if one.stem == "stylegan2_ada_conditional")
    golden, _ = expected(path)
    for index in range(3):
        one = geomlib.load_generator(str(path), class_index=int(golden["c"][index].argmax()))
        assert close(one(golden["z"])[index], ((golden["image"][index] + 1) / 2).clamp(0, 1))
    with pytest.raises(ValueError, match="class_index: expected an integer from 0 to 4, got 5"):
        geomlib.load_generator(str(path), class_index=5)
    with pytest.raises(ValueError, match="class_index: this network has no classes, got 0"):
        geomlib.load_generator(str(path.with_name("stylegan3_t.pkl")), class_index=0)
    with pytest.raises(ValueError, match="unknown noise; known: "):
        geomlib.load_generator(str(path.with_name("stylegan3_t.pkl")), noise="fresh")


def test_what_no_shape_tells_is_read_from_the_file() -> None:
    path = next(one for one in PICKLES if one.stem == "stylegan2_ada_auto")
    network = load_network(path).network
    assert {part.clamp for part in network.modules() if isinstance(part, SynthesisLayer)} == {256}


# Files that are made here: the structure of NVIDIA's, without NVIDIA's code


@pytest.fixture
def persistence(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with the function that NVIDIA's files name, which fails when it is called."""
    module = types.ModuleType("torch_utils.persistence")
    exec("def _reconstruct_persistent_obj(meta):\n    raise RuntimeError('code ran')", module.__dict__)
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", module)
    return module


def pickled(persistence: Any, path: Path, state: dict[str, Tensor], more: Any = None, kind: str = "Generator") -> Path:
    """A network of NVIDIA's form with the given state."""

    class Node:
        def __init__(self, kind: str, prefix: str) -> None:
            inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            parts = dict.fromkeys(key.partition(".")[0] for key in inside if "." in key)
            own = {key: torch.nn.Parameter(value, False) for key, value in inside.items() if "." not in key}
            held = {name: Node("Part", f"{prefix}{name}.") for name in parts}
            values = {"training": False, "_parameters": own, "_buffers": OrderedDict(), "_modules": held}
            self.meta = {"type": "class", "version": 6, "module_src": "raise SystemExit", "class_name": kind}
            self.meta["state"] = values  # type: ignore[assignment]

        def __reduce__(self) -> tuple[Any, ...]:
            return persistence._reconstruct_persistent_obj, (self.meta,)

    with path.open("wb") as file:
        pickle.dump({"G": None, "D": more, "G_ema": Node(kind, "")}, file, protocol=4)
    return path


def test_a_converted_name_takes_the_file_that_was_converted(persistence: Any, tmp_path: Path) -> None:
    network = geomlib.generators.build(
        "stylegan2_ada", img_resolution=16, z_dim=8, w_dim=8, mapping_layers=3, widths=[8, 8, 4]
    )
    path = pickled(persistence, tmp_path / "network.pkl", dict(network.state_dict()))
    made = geomlib.load_generator("stylegan2-cat-256", "w", weights=path)
    assert (made.latent_dim, made.image_shape) == (8, (3, 256, 256))  # resized, as the paper does
    z = geomlib.load_generator(str(path)).sample(2, 0)
    with torch.no_grad():
        assert torch.equal(load_network(path).network(z), network.eval()(z))


class Shell:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_hostile_file_in_the_same_clothes_does_nothing_and_is_named(persistence: Any, tmp_path: Path) -> None:
    state = dict(geomlib.generators.build("stylegan2_ada", img_resolution=4, z_dim=4, w_dim=4, widths=[4]).state_dict())
    marker = tmp_path / "harmed"
    path = pickled(persistence, tmp_path / "network.pkl", state, Shell(f"touch {marker}"))
    with pytest.raises(ValueError, match=r"network.pkl asks for '(posix|nt).system', which is code and no data"):
        geomlib.load_generator(str(path))
    assert not marker.exists()


def test_other_networks_of_nvidias_form_are_named(persistence: Any, tmp_path: Path) -> None:
    path = pickled(persistence, tmp_path / "eg3d.pkl", {"backbone.x": torch.zeros(2)}, kind="TriPlaneGenerator")
    with pytest.raises(ValueError, match=r"eg3d.pkl holds a TriPlaneGenerator, no network that is known here; write a"):
        geomlib.load_generator(str(path))


def test_the_command_says_what_a_file_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(one for one in PICKLES if one.stem == "stylegan3_r")
    call(monkeypatch, "check", str(path))
    shown = capsys.readouterr()
    assert "stylegan3_r.pkl: stylegan3 at key 'G_ema'" in shown.out, shown.err
    assert "Images (B, 3, 32, 32)" in shown.out


@pytest.mark.parametrize("name", ["r3gan", "r3gan_conditional"])
def test_a_whole_module_of_r3gan_is_recognised_and_equal(name: str) -> None:
    """Files as its training writes them: modules that were pickled plainly; random weights, images of its own code."""
    path = Path(__file__).parent / "golden" / "r3gan" / f"{name}.pkl"
    golden, _ = expected(path)
    made = geomlib.load_generator(str(path), **({"class_index": 1} if "conditional" in name else {}))
    assert made.about.startswith(f"{name}.pkl: r3gan at key 'G_ema'")
    with torch.no_grad():
        assert close(made.module(golden["z"]), golden["image"])
    assert geomlib.check_generator(made).ok or "output range" in geomlib.check_generator(made).problems[0]
