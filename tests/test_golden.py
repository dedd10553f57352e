"""The published architectures against outputs of the public reference implementations, and against their key lists.

`GOLDEN_DIR` names the folder of golden files (default: tests/golden, whose README.md describes them).
"""

import json
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.func import jvp, vmap
from torch.nn import functional

from geomlib.generators.architectures import ARCHITECTURES, build, config_keys
from geomlib.generators.architectures.base import Architecture, to_unit_range
from geomlib.generators.packaged import PACKAGED

HERE = Path(__file__).parent
FILES = sorted(Path(os.environ.get("GOLDEN_DIR", HERE / "golden")).glob("*.safetensors"))
MANIFESTS = sorted((HERE / "checkpoints").glob("*.json"))

PACKAGED_ONES = {entry.architecture for entry in PACKAGED.values()}  # see test_packaged.py
OTHERS = {"stylegan2_ada", "stylegan3", "r3gan"}  # see test_nvidia.py and test_files.py

per_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


class Case:
    """One golden file: its module in eval mode, tensors by group, and how each of its outputs is made."""

    def __init__(self, path: Path, dtype: torch.dtype) -> None:
        """Read the file, construct the module and load its state strictly."""
        groups: dict[str, dict[str, Tensor]] = {"state": {}, "input": {}, "output": {}}
        with safe_open(path, "pt") as file:
            metadata = {key: json.loads(value) for key, value in file.metadata().items() if key != "format"}
            for key in file.keys():  # noqa: SIM118 (the handle is no mapping)
                group, name = key.split("/", 1)
                groups[group][name] = file.get_tensor(key)
        self.info, self.call = metadata["info"], metadata.get("call", {})
        self.inputs = {name: value.to(dtype) for name, value in groups["input"].items()}
        self.outputs = groups["output"]
        self.architecture = architecture_of(self.info["name"])
        self.module = build(self.architecture, **metadata["config"])
        self.module.load_state_dict(groups["state"], strict=True)
        self.module.eval().to(dtype)

    def numbered(self, prefix: str) -> list[Tensor]:
        """Inputs `<prefix>0`, `<prefix>1`, ... as far as they go."""
        names = [f"{prefix}{index}" for index in range(len(self.inputs))]
        return [self.inputs[name] for name in names if name in self.inputs]

    def settings(self) -> dict[str, Any]:
        """Keywords of the call that gives `output/raw`."""
        return MAIN_CALL[self.architecture](self) if self.architecture in MAIN_CALL else {}

    def run(self, *arguments: Tensor, method: str = "__call__", **settings: Any) -> Tensor:
        """Call the module, or a method or submodule of it."""
        result: Tensor = getattr(self.module, method)(*arguments, **settings)
        return result

    def make(self, name: str) -> Tensor:
        """Compute the output of that name; an unknown name is a failure."""
        further = FURTHER_OUTPUTS[self.architecture](self, name) if self.architecture in FURTHER_OUTPUTS else None
        if further is not None:
            return further
        if name in ("raw", "image"):
            raw = self.run(self.inputs["z"], **self.settings())
            return raw if name == "raw" else to_unit_range(raw, self.module.output_range)
        pytest.fail(f"output/{name} of {self.info['name']}: this test does not know how to make it")


def architecture_of(name: str) -> str:
    """Architecture of the golden file `name`: the longest architecture name that it starts with."""
    return max((known for known in ARCHITECTURES if name.startswith(known)), key=len)


MAIN_CALL: dict[str, Callable[[Case], dict[str, Any]]] = {
    "pgan": lambda case: {"alpha": case.call.get("alpha", 0.0)},
    "biggan_deep": lambda case: {
        "class_vector": case.inputs["class_vector"],
        "truncation": case.call["truncations"][0],
    },
    "stylegan": lambda case: {
        "truncation": case.call["style_weight"],
        "mean_style": case.inputs["mean_style"],
        "noise": case.numbered("noise_"),
        "step": case.call["step"],
    },
}


def deepsim_output(case: Case, name: str) -> Tensor | None:
    """Channel order of the network itself, for the first latent."""
    return case.run(case.inputs["z"][: len(case.outputs[name])], method="network") if name == "raw_bgr" else None


def biggan_deep_output(case: Case, name: str) -> Tensor | None:
    """The condition vector, and other truncations `raw_t<truncation>`."""
    z, class_vector = case.inputs["z"], case.inputs["class_vector"]
    condition = case.run(z, class_vector, method="condition_vector")
    if name == "cond_vector":
        return condition
    truncations = {f"raw_t{truncation:g}": truncation for truncation in case.call["truncations"]}
    if name in truncations:
        # Through the condition vector, so that both forms of the latents are tried.
        return case.run(condition, truncation=truncations[name])
    return None


def bigbigan_output(case: Case, name: str) -> Tensor | None:
    """The resized image."""
    if name != "image_resized":
        return None
    return to_unit_range(case.run(case.inputs["z"]), case.module.output_range, size=case.call["image_resized"])


def stylegan_output(case: Case, name: str) -> Tensor | None:
    """Styles, images of styles, and other settings."""
    z, settings = case.inputs["z"], case.settings()
    if name == "w":
        return case.run(z, method="style")
    if name == "raw_notrunc":
        return case.run(z, noise=settings["noise"], step=settings["step"])
    if name == "raw_w":
        return case.run(case.inputs["w"], space="w", noise=settings["noise"], step=settings["step"])
    if name == "raw_lowstep":
        return case.run(z, **settings | {"noise": settings["noise"][:-1], "step": settings["step"] - 1})
    if name == "raw_batchnoise":
        return case.run(z, **settings | {"noise": case.numbered("batch_noise_")})
    return None


def stylegan2_output(case: Case, name: str) -> Tensor | None:
    """Styles, images of styles, truncation, mixing, noise, and the resized image."""
    run, inputs, call = case.run, case.inputs, case.call
    truncated = {"truncation": call["truncation"], "mean_style": inputs["mean_latent"]}
    makers: dict[str, Callable[[], Tensor]] = {
        "w": lambda: run(inputs["z"], method="style"),
        "raw_trunc": lambda: run(inputs["z"], **truncated),
        "raw_w": lambda: run(inputs["w"], space="w"),
        "raw_w_trunc": lambda: run(inputs["w"], space="w", **truncated),
        "raw_wplus": lambda: run(inputs["wplus"], space="w+"),
        "raw_mix": lambda: run(inputs["z"], mix_with=inputs["z2"], inject_index=call["inject_index"]),
        "raw_noise": lambda: run(inputs["z"], noise=case.numbered("noise_")),
        "image_resized": lambda: to_unit_range(
            run(inputs["z"], **truncated), case.module.output_range, size=call["image_resized"]
        ),
    }
    return makers[name]() if name in makers else None


def wavegan_output(case: Case, name: str) -> Tensor | None:
    """The waveform of the first channel."""
    return case.run(case.inputs["z"])[:, 0] if name == "audio" else None


FURTHER_OUTPUTS: dict[str, Callable[[Case, str], Tensor | None]] = {
    **{name: deepsim_output for name in ARCHITECTURES if name.startswith("deepsim")},
    "biggan_deep": biggan_deep_output,
    "bigbigan": bigbigan_output,
    "stylegan": stylegan_output,
    "stylegan2": stylegan2_output,
    "wavegan": wavegan_output,
}


@cache
def case_of(path: Path, dtype: torch.dtype) -> Case:
    """Read each file once for a precision."""
    return Case(path, dtype)


def test_there_are_golden_files() -> None:
    """An empty folder would pass every other test here."""
    assert FILES


@per_file
@torch.no_grad()
def test_float32_outputs_are_within_the_suggested_tolerance(path: Path) -> None:
    """Every output entry, in the precision in which the networks run."""
    case = case_of(path, torch.float32)
    assert case.outputs
    for name, golden in case.outputs.items():
        made = case.make(name)
        assert made.shape == golden.shape, name
        assert (made - golden).abs().max() <= case.info["suggested_atol_float32"][f"output/{name}"], name


@per_file
@torch.no_grad()
def test_float64_outputs_agree_to_float32_rounding(path: Path) -> None:
    """Every output entry, in the precision in which the golden files were computed."""
    case = case_of(path, torch.float64)
    for name, golden in case.outputs.items():
        made = case.make(name)
        assert made.dtype == torch.float64, name
        assert (made - golden).abs().max() <= 1e-6 * golden.abs().max(), name


@per_file
@torch.no_grad()
def test_a_forward_pass_changes_nothing(path: Path) -> None:
    """Neither the latents nor the state, and a repeated call gives the same."""
    case = case_of(path, torch.float32)
    z = case.inputs["z"].clone()
    before = {key: value.clone() for key, value in case.module.state_dict().items()}
    first, second = (case.module(case.inputs["z"], **case.settings()) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(z, case.inputs["z"])
    assert all(torch.equal(value, before[key]) for key, value in case.module.state_dict().items())


def flat_latent(case: Case) -> Tensor:
    """First latent of a case as `(1, n)`."""
    return case.inputs["z"][:1].flatten(1)


def direction(like: Tensor, seed: int) -> Tensor:
    """A random unit direction."""
    values = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)
    return functional.normalize(values)


def plain(case: Case) -> Callable[[Tensor], Tensor]:
    """The module as a function of one latent alone (noise of one sample, class vector of the first)."""
    settings = case.settings()
    if "class_vector" in settings:
        settings["class_vector"] = settings["class_vector"][:1]
    return partial(case.module, **settings)


@per_file
def test_forward_mode_agrees_with_central_differences(path: Path) -> None:
    """The derivative along a direction, float64."""
    case = case_of(path, torch.float64)
    function, z = plain(case), flat_latent(case)
    step = 1e-7 * z.norm()
    errors = []
    for seed in range(3):
        v = direction(z, seed)
        with torch.no_grad():
            tangent: Tensor = jvp(function, (z,), (v,))[1]
            difference = (function(z + step * v) - function(z - step * v)) / (2 * step)
        errors.append(float((tangent - difference).norm() / tangent.norm()))
    # One of three, since a difference across the kink of a ReLU is wrong, however small the step.
    assert min(errors) <= 1e-5


@per_file
def test_forward_mode_under_vmap_agrees_with_a_loop(path: Path) -> None:
    """Several directions in one batch, as the metric tensor takes them."""
    case = case_of(path, torch.float64)
    function, z = plain(case), flat_latent(case)
    directions = torch.stack([direction(z, seed) for seed in range(3)])
    with torch.no_grad():
        batched = vmap(lambda v: jvp(function, (z,), (v,))[1])(directions)
        looped = torch.stack([jvp(function, (z,), (v,))[1] for v in directions])
    assert (batched - looped).abs().max() <= 1e-10 * looped.abs().max()


def published_config(manifest: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Architecture of a manifest and those of its hyper-parameters that `build` knows by name."""
    architecture = architecture_of(manifest["name"])
    keys = config_keys(architecture)
    return architecture, {key: value for key, value in manifest["hyper_parameters"].items() if key in keys}


def build_on_meta(architecture: str, **config: Any) -> Architecture:
    """Construct without memory for the weights."""
    with torch.device("meta"):
        return build(architecture, **config)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_full_size_has_the_published_keys_and_shapes(path: Path) -> None:
    """A published state dict loads strictly: same keys, shapes, and integer counters."""
    manifest = json.loads(path.read_text())
    architecture, config = published_config(manifest)
    state = build_on_meta(architecture, **config).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == manifest["keys"]
    integers = {key for key, value in state.items() if not value.is_floating_point()}
    assert integers == set(manifest["not_float32"])


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in PACKAGED_ONES | OTHERS])
def test_defaults_are_a_published_configuration(architecture: str) -> None:
    """What is left out of a configuration has the published value."""
    manifests = [json.loads(path.read_text()) for path in MANIFESTS]
    published = [entry for entry in manifests if architecture_of(entry["name"]) == architecture]
    state = build_on_meta(architecture).state_dict()
    shapes = {key: list(value.shape) for key, value in state.items()}
    assert shapes in [entry["keys"] for entry in published]


def test_an_output_that_nobody_knows_is_a_failure() -> None:
    """A golden file with further outputs must not pass unseen."""
    with pytest.raises(pytest.fail.Exception, match="output/upside_down of .*: this test does not know how to make it"):
        case_of(FILES[0], torch.float32).make("upside_down")
