"""Reading a stranger's checkpoint: tensors and plain values only, and clear words for everything else.

Read are safetensors files and what `torch.save` writes, by `torch.load(weights_only=True)`. Before PyTorch sees a file,
its envelope is checked here: the declared sizes, the names in the archive, and every class that its pickle asks for.
"""

import hashlib
import io
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from geomlib._checks import check_finite
from geomlib.generators.envelope import EXPANSION, check_file

SLACK = 1 << 24  # bytes: small files may hold expanded tensors
PICKLE_LIMIT = 1 << 22  # bytes: a thousand tensors take about a tenth of a megabyte

# The classes of tensors and plain containers, as pickles of torch.save name them.
_PLAIN = re.compile(
    r"collections\.OrderedDict|torch\._utils\._rebuild_(tensor|tensor_v2|parameter)|torch\.(storage\.)?\w*Storage"
    r"|torch\.(Size|device)|(__builtin__|builtins)\.set|_codecs\.encode"
)
_WRAPPERS = ("module.", "G.", "big_gan.")  # modules in which published generators were saved
_TELLING_KEYS = {
    "dcgan": "main.outlayer.",
    "pgan": "toRGBLayers.",
    "deepsim_pool5": "Rconv6.",
    "deepsim_fc6, deepsim_fc7 or deepsim_fc8": "defc7.",
    "biggan_deep": "generator.gen_z.",
    "bigbigan": "output_layer.0.stored_mean",
    "stylegan": "generator.progression.",
    "stylegan2": "conv1.conv.modulation.",
    "wavegan": "deconv_list.",
    "conditional_dcgan": "main.16.",
    "tutorial_dcgan": "main.12.",
    "mlp": "fc4.",
    "ctgan": "conv6.1.",
}

_Module = TypeVar("_Module", bound=nn.Module)


class _Settings:
    """Stands for the configuration object in pytorch_GAN_zoo's files: takes its state, does nothing with it."""

    def __setstate__(self, state: object) -> None:
        self.state = state


_STAND_INS = {"models.utils.config.BaseConfig": _Settings}


def read_state(path: str | Path, key: str | tuple[str, ...] = "") -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU; nothing in the file is executed.

    `key` says where in the file the state dict is, such as "g_ema"; of several keys the first that is there counts. A
    file that is a plain state dict itself is taken as it is. A single tensor at `key` comes as `{key: tensor}`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is damaged, no checkpoint, larger inside than outside, or in need of code; or no state
            dict at `key`.
        FloatingPointError: a tensor with values that are not finite.
    """
    path = Path(path)
    file_format = check_file(path)
    if file_format == "safetensors":
        try:
            content: object = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"weights: {path} is not a whole safetensors file ({error})") from error
    else:
        content = _load_pickle(path, file_format)
    state = _without_wrapper(_select(path, content, (key,) if isinstance(key, str) else key))
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
    fitting = (name for name, start in _TELLING_KEYS.items() if any(key.startswith(start) for key in keys))
    return next(fitting, "")


def _load_pickle(path: Path, file_format: str) -> object:
    """The content of a file of `torch.save`, after a look at the classes that it asks for."""
    try:
        names = _globals(path, file_format)
        foreign = next((name for name in names if not _PLAIN.fullmatch(name) and name not in _STAND_INS), "")
    except Exception as error:
        raise ValueError(f"weights: {path} is damaged or not from torch.save ({_reason(error)})") from error
    if foreign:
        raise ValueError(
            f"weights: {path} asks for {foreign[:100]!r}, and only tensors and plain values are read: the rest could "
            "run code. Where you trust the file, open it with the code that wrote it and save the state dict alone"
        )
    try:
        with torch.serialization.safe_globals([(stand_in, name) for name, stand_in in _STAND_INS.items()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile pickle can raise anything
        raise ValueError(f"weights: {path} is damaged or not from torch.save ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _globals(path: Path, file_format: str) -> Iterator[str]:
    """Full names of the classes and functions that a file's pickles ask for, as they come."""
    if file_format == "zip":
        with zipfile.ZipFile(path) as archive:
            inner = [entry for entry in archive.infolist() if entry.filename.rpartition("/")[2] == "data.pkl"]
            if len(inner) != 1 or inner[0].file_size > PICKLE_LIMIT:
                raise ValueError(f"expected one data.pkl of at most {PICKLE_LIMIT} bytes")
            stream, pickles = io.BytesIO(archive.read(inner[0])), 1
    else:
        with path.open("rb") as file:
            # Before PyTorch 1.6: magic number, protocol, system and content follow one another, then the numbers.
            stream, pickles = io.BytesIO(file.read(PICKLE_LIMIT)), 4
    for _ in range(pickles):
        words: list[str] = []
        for operation, argument, _ in pickletools.genops(stream):
            if operation.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL":
                yield ".".join(words[-2:])
            elif isinstance(argument, str):
                words.append(argument)


def _select(path: Path, content: object, keys: tuple[str, ...]) -> dict[str, Tensor]:
    """The state dict at the first of `keys` that is there, or the content itself."""
    key = next((key for key in keys if key and isinstance(content, dict) and key in content), "")
    inner: Any = content[key] if key and isinstance(content, dict) else content
    if isinstance(inner, Tensor) and key:
        inner = {key: inner}
    if not isinstance(inner, dict):
        raise ValueError(f"weights: {path} holds a {type(inner).__name__}, expected a state dict")
    foreign = [name for name, value in inner.items() if not _is_name(name) or not _is_plain_tensor(value)]
    if foreign or not inner:
        wanted = f" at key {' or '.join(map(repr, keys))}" if any(keys) else ""
        entries = ", ".join(f"{str(name)[:60]!r} ({type(inner[name]).__name__})" for name in foreign[:8])
        raise ValueError(f"weights: {path} holds no state dict{wanted}; it has {entries or 'nothing'}")
    return {name: value.detach() for name, value in inner.items()}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) < 300


def _is_plain_tensor(value: object) -> bool:
    """Whether it is dense, not quantised, and no float of one byte."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_quantized:
        return False
    return value.element_size() > 1 or not value.is_floating_point()


def _without_wrapper(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state without the name of a module around the generator, if all keys begin with it."""
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
