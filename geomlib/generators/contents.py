"""What a file of weights holds, and the state dict in it: at a key, in a module, or the only one that there is."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from geomlib.generators.envelope import check_file
from geomlib.generators.pickles import ForeignError, Inert, as_tensor, is_module, module_state, read_pickle

# Rooms of Python's own library whose objects say how a training was set up.
_PLAIN_ROOMS = ("argparse", "datetime", "pathlib", "uuid", "types", "random", "decimal", "fractions")
# Where trainings keep a generator: averaged weights first.
GENERATOR_KEYS = (
    "g_ema", "G_ema", "netG_ema", "ema_G", "generator_ema", "ema_generator", "params_ema", "ema_model", "model_ema",
    "ema", "ema_state_dict", "avgG", "g_running", "G", "g", "netG", "net_G", "gen", "generator", "G_state_dict",
    "netG_state_dict", "generator_state_dict", "model_G", "state_dict", "model_state_dict", "model", "params", "net",
)  # fmt: skip


class Content(NamedTuple):
    """What a file of weights holds: a dictionary, a tensor, a stood-in module; and the names that were stood in for."""

    value: object
    asked: tuple[str, ...] = ()


def read_content(path: str | Path) -> Content:
    """All that a checkpoint holds, on the CPU; nothing in the file is executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is damaged, no checkpoint, larger inside than outside, or that names code.
    """
    path = Path(path)
    file_format = check_file(path)
    if file_format == "safetensors":
        try:
            return Content(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"weights: {path} is not a whole safetensors file ({error})") from error
    try:
        content = Content(*read_pickle(path, file_format))
    except ForeignError as error:
        raise ValueError(
            f"weights: {path} asks for {str(error)[:100]!r}, which is code and no data; nothing of it was run. No "
            "file of weights needs it: do not open this one with other tools"
        ) from None
    except ValueError as error:
        raise ValueError(f"weights: {path} is damaged or not from torch.save ({_reason(error)})") from error
    if any(name.startswith("dnnlib.tflib.") for name in content.asked):
        raise ValueError(
            f"weights: {path} is NVIDIA's file of a network for TensorFlow; legacy.py of NVIDIA's repository stylegan3 "
            "converts it to one for PyTorch, which is read here"
        )
    return content


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def locate(content: object, keys: tuple[str, ...]) -> tuple[str, object]:
    """What lies at the first of `keys` that is there, with the key; else the one state dict or module, or all.

    One key alone has to be there, unless the file is a plain state dict.
    """
    key, inner = _at(content, keys)
    if key:
        return key, inner
    if len(keys) == 1 and keys[0] and isinstance(content, dict):
        inside = {name[len(keys[0]) + 1 :]: one for name, one in content.items() if str(name).startswith(f"{keys[0]}.")}
        if inside:
            return keys[0], inside
    places = [name for name, value in _items(content) if _is_state(value)]
    if len(places) == 1 and not _is_state(content):
        return str(places[0]), dict(_items(content))[places[0]]
    return "", content


def select(path: Path, content: object, keys: tuple[str, ...]) -> dict[str, Tensor]:
    """The state dict at the place that `locate` finds.

    Raises:
        ValueError: there is none, or it holds something else than tensors and plain values.
    """
    key, inner = locate(content, keys)
    inner = as_tensor(inner)
    if isinstance(inner, Tensor) and key:
        inner = {key.rpartition(".")[2]: inner}
    if is_module(inner):
        inner = module_state(cast(Inert, inner))
    if not isinstance(inner, dict):
        raise ValueError(f"weights: {path} holds a {_kind(inner)}, expected a state dict")
    values = {name: as_tensor(value) for name, value in inner.items()}
    beside = _beside(values)
    foreign = [name for name, value in values.items() if name not in beside and not (_is_name(name) and _fits(value))]
    if foreign or len(beside) == len(values):
        wanted = f" at key {' or '.join(map(repr, keys[:4]))}" if any(keys) else ""
        shown = [name for name in values if name in beside or name in foreign]
        entries = ", ".join(f"{str(name)[:60]!r} ({_kind(values[name])})" for name in shown[:8])
        states = [str(name)[:60] for name, value in values.items() if _is_state(value) and _is_name(name)]
        advice = f"; name the one to take by -o key=NAME: {', '.join(states[:8])}" if states else ""
        raise ValueError(f"weights: {path} holds no state dict{wanted}; it has {entries or 'nothing'}{advice}")
    return {name: cast(Tensor, value).detach() for name, value in values.items() if name not in beside}


def _at(content: object, keys: tuple[str, ...]) -> tuple[str, object]:
    """What the first of the keys that is there leads to, the key with it; a key can name places inside of others."""
    for key in filter(None, keys):
        held = dict(_items(content))
        if key in held:
            inner = held[key]
            if _is_state(inner) or isinstance(as_tensor(inner), Tensor):
                return key, inner
            further, deeper = _at(inner, keys)
            return (f"{key}.{further}", deeper) if further else (key, inner)
        first, dot, rest = key.partition(".")
        if dot and first in held and (found := _at(held[first], (rest,)))[0]:
            return key, found[1]
    return "", content


def _items(content: object) -> list[tuple[Any, Any]]:
    """Names and values in a dictionary, or in an object that was stood in for."""
    if isinstance(content, Inert) and not len(content) and isinstance(content.state, dict):
        return [] if is_module(content) else list(content.state.items())
    return list(content.items()) if isinstance(content, dict) else []


def _is_state(value: object) -> bool:
    """Whether it is a module, or a dictionary of tensors with at most plain values beside them."""
    if is_module(value):
        return True
    return (
        isinstance(value, dict)
        and len(value) > len(_beside(value))
        and all(isinstance(as_tensor(one), Tensor) or name in _beside(value) for name, one in value.items())
    )


def _beside(values: Mapping[Any, Any]) -> list[Any]:
    """Names of plain values beside tensors: numbers, words, and objects that were stood in for without tensors."""
    return [name for name, one in values.items() if _is_name(name) and _is_plain(one)]


def _is_plain(value: object, depth: int = 3) -> bool:
    if isinstance(value, int | float | str | bytes | NoneType):
        return True
    if isinstance(value, list | tuple | set) and depth:
        return all(_is_plain(one, depth - 1) for one in value)
    return isinstance(value, Inert) and value.kind.rpartition(".")[0] in _PLAIN_ROOMS


def _kind(value: object) -> str:
    """What a value is, in a word."""
    return value.kind if isinstance(value, Inert) else type(value).__name__


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) < 300


def _fits(value: object) -> bool:
    """Whether it is dense, not quantised, and no float of one byte."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_quantized:
        return False
    return value.element_size() > 1 or not value.is_floating_point()
