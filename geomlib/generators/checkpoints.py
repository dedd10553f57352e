"""Reading a stranger's checkpoint: tensors and plain values only, and clear words for everything else.

Read are safetensors files, what `torch.save` writes, and plain pickles, these by `pickles`, which runs nothing. First
its envelope is checked: the declared sizes and the names in the archive.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from geomlib._arguments import checked
from geomlib._checks import check_device, check_finite, check_precision
from geomlib.generators.contents import Content, read_content, select
from geomlib.generators.envelope import EXPANSION

SLACK = 1 << 24  # bytes: small files may hold expanded tensors
_WRAPPERS = ("module.", "_orig_mod.", "G.", "big_gan.")  # modules in which published generators were saved
TELLING_KEYS = {
    "dcgan": "main.outlayer.",
    "pgan": "toRGBLayers.",
    "deepsim_pool5": "Rconv6.",
    "deepsim_fc6, deepsim_fc7 or deepsim_fc8": "defc7.",
    "biggan_deep": "generator.gen_z.",
    "bigbigan": "output_layer.0.stored_mean",
    "stylegan": "generator.progression.",
    "stylegan2": "conv1.conv.modulation.",
    "stylegan2_ada": "synthesis.b4.conv1.",
    "stylegan3": "synthesis.input.freqs",
    "r3gan": "MainLayers.0.Layers.0.Basis",
    "wavegan": "deconv_list.",
    "conditional_dcgan": "main.16.",
    "tutorial_dcgan": "main.12.",
    "mlp": "fc4.",
    "ctgan": "conv6.1.",
}

_Module = TypeVar("_Module", bound=nn.Module)


@checked()
def read_state(path: str | Path, key: str | tuple[str, ...] = "") -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU; nothing in the file is executed.

    `key` says where in the file the state dict is, such as "g_ema" or "model.generator"; of several keys the first that
    is there counts. A file that is a plain state dict itself, or has but one, needs none. A single tensor at `key`
    comes as `{key: tensor}`. A module that was saved whole gives its state. Plain values beside tensors are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is damaged, no checkpoint, larger inside than outside, or that names code; or no state
            dict at `key`.
        FloatingPointError: a tensor with values that are not finite.
    """
    return state_of(Path(path), read_content(path), (key,) if isinstance(key, str) else key)


def state_of(path: Path, content: Content, keys: tuple[str, ...]) -> dict[str, Tensor]:
    """The state dict that `read_state` takes from the content of a file; it raises the same."""
    state = _without_wrapper(select(path, content.value, keys))
    limit = EXPANSION * path.stat().st_size + SLACK
    if sum(value.numel() * value.element_size() for value in state.values()) > limit:
        raise ValueError(f"weights: the tensors of {path} claim more than {limit} bytes, far more than the file holds")
    for name, value in state.items():
        check_finite(f"weights {path.name}, tensor {name}", value)
    return state


def load_state(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load `state` into `module`, strictly: every key and shape must fit, after what the architecture itself accepts.

    `name` is what the errors call the module. A module whose load failed may be partly loaded.

    Raises:
        ValueError: keys or shapes differ; the message counts them, shows the first ones and names the architecture
            that the keys look like.
    """
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    if not any(".1." in key for key in expected):
        # A local form of the DeePSiM files has it inside the keys; their own loader drops it, too.
        state = {key.replace(".1.", "."): value for key, value in state.items()}
    shapes = {key: tuple(value.shape) for key, value in state.items() if key in expected}
    differing = [key for key, shape in shapes.items() if shape != expected[key]]
    try:
        result = module.load_state_dict({key: state[key] for key in state if key not in differing}, strict=False)
    except RuntimeError as error:
        raise ValueError(f"weights: not a checkpoint of {name} ({' '.join(str(error).split())})") from error
    differences = {
        "missing": [key for key in result.missing_keys if key not in differing],
        "unexpected": result.unexpected_keys,
        "of another shape": [f"{key} {shapes[key]}, expected {expected[key]}" for key in differing],
    }
    if any(differences.values()):
        counts = "; ".join(
            f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            for what, keys in differences.items()
            if keys
        )
        likely = likely_architecture(state)
        if likely and likely == likely_architecture(expected):
            likely += " of another configuration"
        hint = f"; the file looks like {likely}" if likely else ""
        raise ValueError(f"weights: not a checkpoint of {name}: of {len(expected)} tensors {counts}{hint}")


def trained(module: _Module, state: Mapping[str, Tensor], device: str | torch.device, dtype: torch.dtype) -> _Module:
    """A module with the weights of a trained one, in eval mode, its parameters without gradient."""
    check_device(device)
    check_precision(dtype)
    module.load_state_dict(state)
    return module.to(device=device, dtype=dtype).eval().requires_grad_(False)


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and values of tensors, whatever their order."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def likely_architecture(keys: Mapping[str, object]) -> str:
    """Name of the published architecture that a state dict belongs to, by the beginning of a telling key, or ""."""
    fitting = (name for name, start in TELLING_KEYS.items() if any(key.startswith(start) for key in keys))
    return next(fitting, "")


def _without_wrapper(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state without the name of a module around the generator, if all keys begin with it."""
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
