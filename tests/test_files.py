"""Files of weights as people have them: training checkpoints, wrappers, other widths; loaded, or named in one line."""

import argparse
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_architectures import SMALL, latents, small
from test_cli import call
from torch import Tensor, nn

import geomlib
from geomlib.generators.architectures import build
from geomlib.generators.architectures.shapes import configuration
from geomlib.generators.checkpoints import read_state
from geomlib.generators.files import fitted, load_network

# What shapes tell of: others are named by what they lack, or by a published list of layers.
BY_SHAPE = [name for name in SMALL if name not in ("biggan_deep", "conditional_dcgan", "mlp", "ctgan")]
MLP = {"latent_dim": 5, "hidden": [6, 7, 8], "size": 8}


def save(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def shapes_of(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


@pytest.mark.parametrize("name", BY_SHAPE)
@torch.no_grad()
def test_a_file_alone_is_a_network(name: str, tmp_path: Path) -> None:
    network = small(name)
    loaded = load_network(save(tmp_path / "some.pt", network.state_dict()))
    assert loaded.architecture == name
    z = latents(network)
    kept = {"z": z} if name != "stylegan" else {}  # whose file has no noise maps: fixed ones, of this size
    assert all(torch.equal(loaded.network(one), network(one)) for one in kept.values())
    made = geomlib.load_generator(str(tmp_path / "some.pt"))
    assert made.latent_dim == network.latent_dim and made.about.startswith(f"some.pt: {name}")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("dcgan", {"latent_dim": 7, "dim_g": 3, "dim_output": 1, "depth": 4}),
        ("tutorial_dcgan", {"latent_dim": 7, "dim_g": 3, "dim_output": 1, "depth": 2}),
        ("tutorial_dcgan", {"latent_dim": 7, "dim_g": 2, "dim_output": 3, "depth": 4, "dropout": 0.2}),
        ("pgan", {"latent_dim": 7, "depth_scale0": 4, "depth_other_scales": [3, 2], "dim_output": 1}),
        ("stylegan", {"code_dim": 6, "n_mlp": 3, "widths": [4, 3], "fused": [False, True]}),
        ("stylegan2", {"size": 16, "style_dim": 6, "n_mlp": 5, "channels": {"4": 5, "8": 4, "16": 3}}),
        ("stylegan2_ada", {"img_resolution": 8, "img_channels": 1, "z_dim": 3, "c_dim": 4, "w_dim": 5,
                           "mapping_layers": 3, "widths": [4, 6], "layout": "resnet"}),
        ("stylegan2_ada", {"img_resolution": 8, "z_dim": 3, "w_dim": 5, "widths": [4, 6], "layout": "orig"}),
        ("stylegan3", {"img_resolution": 32, "z_dim": 3, "c_dim": 2, "w_dim": 5, "num_layers": 5, "conv_kernel": 1,
                       "widths": [6, 5, 4, 3, 2], "use_radial_filters": True}),
        ("wavegan", {"latent_dim": 6, "model_size": 2, "upsample": False, "use_batch_norm": True, "num_channels": 2}),
        ("bigbigan", {"resolution": 64, "G_ch": 8, "dim_z": 10, "shared_dim": 3, "n_classes": 4, "G_attn": "16"}),
        ("r3gan", {"latent_dim": 6, "widths": [8, 4, 4], "groups": [4, 2, 1], "blocks": [2, 1, 3], "expansion": 3,
                   "kernel": 5, "class_count": 4, "class_dim": 3}),
        ("mlp", MLP | {"channels": 3}),
        ("ctgan", {"num_channel_G": 3}),
        ("deepsim_fc6", {"latent_dim": 5, "hidden": 4, "base_size": 2,
                         "channels": {"512": 2, "256": 3, "128": 4, "64": 5, "32": 6}}),
        ("deepsim_pool5", {"latent_dim": 5, "channels": {"512": 2, "256": 3, "128": 4, "64": 5, "32": 6}}),
        ("biggan_deep", {"output_dim": 128, "z_dim": 6, "class_embed_dim": 5, "channel_width": 8, "num_classes": 3,
                         "n_stats": 4}),
    ],
)  # fmt: skip
def test_the_configuration_is_read_from_the_shapes(name: str, config: dict[str, Any]) -> None:
    state = build(name, **config).state_dict()
    again = build(name, **configuration(name, shapes_of(state))).state_dict()
    assert shapes_of(again) == shapes_of(state)


def training(network: nn.Module) -> dict[str, Any]:
    """What people save: several networks, an optimiser after a step, options, numbers of NumPy, paths."""
    other = {key: value + 1 if value.is_floating_point() else value for key, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(nn.Linear(2, 2).parameters())
    return {
        "g": other,
        "g_ema": network.state_dict(),
        "d": nn.Linear(3, 1).state_dict(),
        "g_optim": optimiser.state_dict(),
        "args": argparse.Namespace(size=16, path=Path("x.lmdb"), rates=[0.1, None]),
        "fid": np.float64(7.5),
        "losses": np.arange(3.0),
        "where": Path("/tmp/x"),
        "epoch": 3,
    }


OLD = {"_use_new_zipfile_serialization": False}


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 4}, {"pickle_protocol": 5}, OLD])
def test_training_checkpoints_give_the_averaged_network_or_the_one_that_is_named(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    network = small("stylegan2")
    path = save(tmp_path / "010000.pt", training(network), **options)
    assert torch.equal(read_state(path, "g_ema")["input.input"], network.state_dict()["input.input"])
    z = latents(network)
    shown = geomlib.load_generator(str(path)), geomlib.load_generator(str(path), key="g")
    assert torch.equal(shown[0].network(z), network(z))
    assert not torch.equal(shown[1].network(z), network(z))
    assert "argparse.Namespace" in shown[0].about
    with pytest.raises(ValueError, match=r"holds no state dict at key 'x'.*by -o key=NAME: g, g_ema, d$"):
        geomlib.load_generator(str(path), key="x")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "generator.", "model.G_ema.module.", "G."])
def test_a_common_beginning_of_the_names_does_not_matter(tmp_path: Path, prefix: str) -> None:
    network = small("dcgan")
    state = {prefix + key: value for key, value in network.state_dict().items()}
    beside = {} if prefix in ("module.", "_orig_mod.", "G.") else {"discriminator.weight": torch.ones(3)}
    path = save(tmp_path / "last.ckpt", {"state_dict": state | beside, "epoch": 3, "hyper_parameters": {"lr": 1e-3}})
    assert torch.equal(load_network(path).network(latents(network)), network(latents(network)))
    found = fitted("dcgan", SMALL["dcgan"], read_state(path), "mine").eval()
    assert torch.equal(found(latents(network)), network(latents(network)))


def test_two_networks_of_one_kind_ask_for_a_name(tmp_path: Path) -> None:
    state = small("dcgan").state_dict()
    both = {f"{name}.{key}": value for name in ("first", "second") for key, value in state.items()}
    with pytest.raises(ValueError, match=r"holds several networks; name the one to take by -o key=NAME: first, second"):
        load_network(save(tmp_path / "both.pt", both))
    assert load_network(tmp_path / "both.pt", ("second",)).architecture == "dcgan"
    averaged = {key.replace("second", "second_ema"): value for key, value in both.items()}
    assert load_network(save(tmp_path / "averaged.pt", averaged)).architecture == "dcgan"


def test_a_module_that_was_saved_whole_gives_its_state(tmp_path: Path) -> None:
    network = small("dcgan")
    for legacy in (False, True):
        path = save(tmp_path / "whole.pt", network, _use_new_zipfile_serialization=not legacy)
        assert torch.equal(load_network(path).network(latents(network)), network(latents(network)))
    linear = save(tmp_path / "linear.pt", nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"linear.pt holds a Linear, no network that is known here; write a factory"):
        load_network(linear)


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    network = small("dcgan")
    halved = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    save_file({key: value.contiguous() for key, value in halved.items()}, tmp_path / "half.safetensors")
    made = geomlib.load_generator(str(tmp_path / "half.safetensors"))
    assert made.dtype == torch.float32
    assert torch.allclose(made.network(latents(network)), network(latents(network)), atol=2e-2)


def test_early_files_without_noise_maps_and_filters(tmp_path: Path) -> None:
    network = build("stylegan2", size=16, style_dim=8, n_mlp=2, channels={"4": 4, "8": 4, "16": 4}).eval()
    whole = network.state_dict()
    bare = {key: value for key, value in whole.items() if not key.startswith("noises.") and not key.endswith("kernel")}
    path = save(tmp_path / "550000.pt", {"g_ema": bare})
    first, second = (geomlib.load_generator(str(path), "w") for _ in range(2))
    assert first.weights_hash == second.weights_hash
    assert "noise maps are not in the file" in first.about
    kernels = [key for key in whole if key.endswith("kernel")]
    assert kernels and all(torch.equal(first.network.state_dict()[key], whole[key]) for key in kernels)


def test_another_configuration_under_a_published_name(tmp_path: Path) -> None:
    network = build("stylegan2", size=16, style_dim=8, n_mlp=2, channels={"4": 4, "8": 4, "16": 4}).eval()
    path = save(tmp_path / "mine.pt", {"g_ema": network.state_dict(), "latent_avg": torch.zeros(8)})
    made = geomlib.load_generator("stylegan2-cat-256", weights=path, truncation=0.5)
    assert made.latent_dim == 8
    assert "another configuration than that of stylegan2-cat-256" in made.about
    assert torch.equal(made.module.mean_style, torch.zeros(1, 8))


def test_a_converted_conditional_network_is_named(tmp_path: Path) -> None:
    state = build("stylegan2", size=8, style_dim=8, n_mlp=2, channels={"4": 4, "8": 4}).state_dict()
    state["style.1.weight"] = torch.randn(8, 16)
    path = save(tmp_path / "cond.pt", {"g_ema": state})
    for source, weights in ((str(path), None), ("stylegan2-cat-256", path)):
        with pytest.raises(
            ValueError, match=r"it is class-conditional: .* give NVIDIA's .pkl, from which it was made$"
        ):
            geomlib.load_generator(source, weights=weights)


def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    traced = torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))
    torch.jit.save(traced, tmp_path / "script.pt")
    with pytest.raises(ValueError, match="a TorchScript archive, which holds code: load it by torch.jit.load"):
        load_network(tmp_path / "script.pt")
    save(tmp_path / "odd.pt", {"a.weight": torch.zeros(2), "b.weight": torch.zeros(2)})
    with pytest.raises(
        ValueError, match=r"odd.pt holds 2 tensors \(a.weight, b.weight, ...\), no network that is known"
    ):
        load_network(tmp_path / "odd.pt")
    save(tmp_path / "optimiser.pt", torch.optim.Adam(nn.Linear(2, 2).parameters()).state_dict())
    with pytest.raises(ValueError, match=r"holds no state dict .*'state' \(dict\), 'param_groups' \(list\)"):
        load_network(tmp_path / "optimiser.pt")
    with pytest.raises(ValueError, match="weights: .*some.pt is a file of weights itself"):
        save(tmp_path / "some.pt", small("dcgan").state_dict())
        geomlib.load_generator(str(tmp_path / "some.pt"), weights=tmp_path / "odd.pt")
    missing = {key: value for key, value in small("dcgan").state_dict().items() if "convTranspose1" not in key}
    with pytest.raises(ValueError, match=r"^weights: not a checkpoint of [^\n]*missing[^\n]*$"):
        load_network(save(tmp_path / "cut.pt", missing))


@pytest.mark.parametrize(
    "name", ["os.system", "subprocess.Popen", "builtins.eval", "builtins.getattr", "runpy.run_path", "shutil.rmtree"]
)
def test_code_is_named_wherever_it_stands(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    hostile = b"\x80\x04}\x94\x8c\x01a\x94" + f"c{module}\n{function}\n".encode() + b"\x8c\x01x\x85Rs."
    (tmp_path / "a.pkl").write_bytes(hostile)
    with pytest.raises(ValueError, match=re.escape(f"asks for '{name}', which is code and no data")):
        read_state(tmp_path / "a.pkl")


def test_names_cannot_be_changed_by_a_pickle(tmp_path: Path) -> None:
    """A state for a function or a class, which Python's own reader would set on it."""
    for name in ("torch._utils\n_rebuild_tensor_v2", "collections\nOrderedDict", "somewhere\nThing"):
        (tmp_path / "a.pkl").write_bytes(b"\x80\x02c" + name.encode() + b"\n}X\x01\x00\x00\x00aK\x01sb.")
        with pytest.raises(ValueError, match="damaged or not from torch.save"):
            read_state(tmp_path / "a.pkl")
    assert not hasattr(torch._utils._rebuild_tensor_v2, "a") and not hasattr(OrderedDict, "a")


def test_a_large_claim_of_a_pickle_takes_no_memory(tmp_path: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in (
        b"\x96" + (2**40).to_bytes(8, "little"),
        b"\x8e" + (2**40).to_bytes(8, "little"),
        b"Nr\xff\xff\xff\xff",
    ):
        (tmp_path / "a.pkl").write_bytes(b"\x80\x05" + content + b".")
        with pytest.raises(ValueError, match="damaged"):
            read_state(tmp_path / "a.pkl")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_arrays_of_numpy_come_as_tensors(tmp_path: Path) -> None:
    state = {"a": np.arange(6.0, dtype=">f4").reshape(2, 3).T, "b": np.array([1, 2]), "c": np.float32(3)}
    for protocol in range(2, 6):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(state, protocol))
        read = read_state(tmp_path / "a.pkl")
        assert torch.equal(read["a"], torch.arange(6.0).reshape(2, 3).T) and read["b"].tolist() == [1, 2]
        assert set(read) == {"a", "b"}


def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.pkl").touch()
    (tmp_path / "page.pt").write_text("<html>quota</html>")
    for name, words in (("empty.pkl", "is empty"), ("page.pt", "HTML page"), ("none.pkl", "no file")):
        assert call(monkeypatch, "check", str(tmp_path / name)) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
