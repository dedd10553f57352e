"""From a file of weights to a network: its architecture, its configuration and its state, read from what is there."""

import logging
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geomlib.generators.architectures import ARCHITECTURES, build
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.shapes import UnreadableError, configuration
from geomlib.generators.architectures.styles import draw_noise
from geomlib.generators.checkpoints import TELLING_KEYS, load_state, state_of
from geomlib.generators.contents import GENERATOR_KEYS, Content, locate, read_content
from geomlib.generators.pickles import Inert, class_name, is_module, parts_of, submodules

SUFFIXES = (".pkl", ".pt", ".pth", ".ckpt", ".bin", ".tar", ".model", ".safetensors")
_FAMILY = {"stylegan2": ("stylegan2_ada",)}  # a converted network, and the form in which NVIDIA publishes it
_AVERAGED = re.compile(r"ema|avg|average|running|shadow", re.IGNORECASE)
# What NVIDIA's files say of a network and no shape does.
_HINTS = ("conv_clamp", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel", "output_scale")
# What a file can show itself to be; a label beside the noise of a DCGAN shows in no shape.
FOUND = tuple(name for name in ARCHITECTURES if name not in ("deepsim_fc7", "deepsim_fc8", "conditional_dcgan"))
_BEGINNINGS = {name: key for names, key in TELLING_KEYS.items() for name in re.split(r", | or ", names)}
_BEGINNINGS["tutorial_dcgan"] = _BEGINNINGS["conditional_dcgan"] = "main.1.running_mean"  # of any depth
_log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A network with the weights of a file, in evaluation mode, and what was found on the way."""

    architecture: str
    network: Architecture
    content: Content
    about: str


def load_network(
    path: str | Path,
    keys: tuple[str, ...] = (),
    architecture: str = "",
    config: Mapping[str, Any] | None = None,
    name: str = "",
) -> Loaded:
    """The network in a file: of the given architecture, or of the one that its keys show.

    A configuration that does not fit gives way to that of the file's shapes. Noise maps that are missing are drawn from
    a fixed seed, filters have the published values.

    Args:
        path: of the file.
        keys: where in it the state dict is; see `checkpoints.read_state`.
        architecture: a name for `build`; "": found.
        config: keywords for `build`.
        name: what errors call the network; "": the path.

    Raises:
        FileNotFoundError: no file.
        ValueError: see `read_state`; or what the file holds is no network that is known, with what it is and a way out.
        FloatingPointError: weights that are not finite.
    """
    path = Path(path)
    content = read_content(path)
    wanted = keys or GENERATOR_KEYS
    state = state_of(path, content, wanted)
    place, value = locate(content.value, wanted)
    hints = _hints(value) if is_module(value) else {}
    known = _FAMILY.get(architecture, ()) if architecture else FOUND
    found = architecture
    if not architecture or not _has(architecture, state):
        found = next((name for name in known if _has(name, state)), architecture)
    if not found:
        raise ValueError(f"generator: {path} holds {_what(value, state)}, no network that is known here; {_WAY_OUT}")
    notes: list[str] = []
    network = fitted(found, config if found == architecture else None, state, name or str(path), hints, notes)
    if classes := getattr(network, "c_dim", 0) or getattr(network, "class_count", 0):
        notes.append(f"{classes} classes, one of them fixed by the option class_index (0 by default)")
    if names := [one for one in dict.fromkeys(content.asked) if not one.startswith(("torch_utils.", "dnnlib."))]:
        notes.append(f"inert stand-ins for {', '.join(names[:5])}")
    about = "; ".join([f"{path.name}: {found}" + (f" at key {place!r}" if place else ""), *notes]) + "."
    return Loaded(found, network.eval().requires_grad_(False), content, about)


_WAY_OUT = "write a factory that builds it (`geomlib new my_gan.py`)"


def fitted(
    architecture: str,
    config: Mapping[str, Any] | None,
    state: Mapping[str, Tensor],
    name: str,
    hints: Mapping[str, Any] | None = None,
    notes: list[str] | None = None,
) -> Architecture:
    """A network with a state: of the configuration that is given, or where that does not fit, of the state's shapes.

    Args:
        architecture: its name.
        config: keywords for `build`; None: those of the shapes.
        state: tensors by name, after a common beginning or not.
        name: what errors call the network.
        hints: keywords that no shape tells.
        notes: gains what is to be known of it.

    Raises:
        ValueError: see `load_state`; or a network of this architecture that cannot be rebuilt, with the reason.
    """
    if config is not None:
        network = build(architecture, **config)
        own = _completed(architecture, network, _unwrapped(state, network.state_dict(), name), notes)
        if _same_shapes(network, own):
            load_state(network, own, name)
            return network
    start = re.compile(rf"(.*\.)?{re.escape(_BEGINNINGS[architecture])}")
    wrapped = {match[1] or "" for key in state if (match := start.match(key))}
    inner = _inside(state, _one(wrapped, name)) if wrapped else dict(state)
    try:
        read = configuration(architecture, {key: tuple(value.shape) for key, value in inner.items()})
    except UnreadableError as error:
        raise ValueError(f"weights: {name} is a {architecture} that cannot be rebuilt: {error}") from None
    except Exception:  # the keys of another architecture: whatever they lack
        network = build(architecture, **(config or {}))
        load_state(network, state, name)
        return network
    try:
        network = build(architecture, **{**_kept(config), **read, **(hints or {})})
    except ValueError as error:
        raise ValueError(f"weights: {name} is no {architecture} that can be rebuilt ({error})") from None
    if config is not None and _fitting(build(architecture, **config), inner) > _fitting(network, inner):
        network = build(architecture, **config)  # a part is missing: the errors count from what is nearer
    load_state(network, _completed(architecture, network, inner, notes), name)
    if config is not None and not _same_shapes(build(architecture, **config), network.state_dict()):
        shown = ", ".join(f"{key} {value}" for key, value in read.items() if not isinstance(value, dict | list))
        _note(notes, f"another configuration than that of {name}, loaded as it is: {shown}")
    return network


def _kept(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a configuration no shape tells."""
    return {key: value for key, value in (config or {}).items() if key in ("labels", "latent_dim", "base_size")}


def _has(architecture: str, state: Mapping[str, Tensor]) -> bool:
    start = _BEGINNINGS[architecture]
    return any(key.startswith(start) or f".{start}" in key for key in state)


def _inside(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _one(prefixes: set[str], name: str) -> str:
    """The one prefix, or that of the averaged weights among several."""
    averaged = [prefix for prefix in prefixes if _AVERAGED.search(prefix)]
    chosen = averaged if len(averaged) == 1 else sorted(prefixes, key=len)[:1] if "" in prefixes else list(prefixes)
    if len(chosen) != 1:
        shown = ", ".join(sorted(prefix.rstrip(".") for prefix in prefixes))
        raise ValueError(f"weights: {name} holds several networks; name the one to take by -o key=NAME: {shown}")
    return chosen[0]


def _unwrapped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The part of a state whose keys are the expected ones after a common beginning, without that."""
    found: Counter[str] = Counter()
    for key in state:
        places = [0, *(match.end() for match in re.finditer(r"\.", key))]
        found.update(key[:place] for place in places if key[place:] in expected)
    most = max(found.values(), default=0)
    if not most or found[""] == most:
        return dict(state)
    return _inside(state, _one({prefix for prefix, count in found.items() if count > 0.9 * most}, name))


def _completed(
    architecture: str, network: Architecture, state: dict[str, Tensor], notes: list[str] | None
) -> dict[str, Tensor]:
    """The state with what early files lack: fixed noise maps, and filters."""
    missing = {key: value for key, value in network.state_dict().items() if key not in state}
    if not architecture.startswith("stylegan") or not missing:
        return state
    maps = [key for key in missing if key.startswith("noises.") or key.endswith(".noise_const")]
    filters = [key for key in missing if key.endswith((".kernel", "_filter", ".noise_strength"))]
    drawn = draw_noise([missing[key].shape[-1] for key in maps])
    state = state | {key: values.reshape(missing[key].shape) for key, values in zip(maps, drawn, strict=True)}
    if maps:
        _note(notes, "its noise maps are not in the file: maps from a fixed seed stand in (noise='fixed')")
    return state | {key: missing[key] for key in filters}


def _fitting(network: Architecture, state: Mapping[str, Tensor]) -> int:
    """How many tensors of a state have a place in a network."""
    own = network.state_dict()
    return sum(key in own and own[key].shape == value.shape for key, value in state.items())


def _note(notes: list[str] | None, text: str) -> None:
    _log.info(text)
    if notes is not None:
        notes.append(text)


def _same_shapes(network: Architecture, state: Mapping[str, Tensor]) -> bool:
    own = network.state_dict()
    return own.keys() == state.keys() and all(own[key].shape == value.shape for key, value in state.items())


def _hints(module: object) -> dict[str, Any]:
    """What a module of NVIDIA's says of its configuration beside the shapes."""
    assert isinstance(module, Inert)
    found: dict[str, Any] = {}
    for _, part in submodules(module):
        own, kind = parts_of(part), class_name(part)
        given = own.get("_init_kwargs")
        told = {**(given if isinstance(given, dict) else {}), **own}
        if kind in ("SynthesisNetwork", "SynthesisLayer"):
            found |= {name: told[name] for name in _HINTS if isinstance(told.get(name), int | float)}
        if told.get("activation", "lrelu") not in ("lrelu", "linear"):
            raise ValueError(f"weights: its layers have the activation {told['activation']!r:.40}, and lrelu is known")
    return found


def _what(value: object, state: Mapping[str, Tensor]) -> str:
    if is_module(value) and isinstance(value, Inert):
        return f"a {class_name(value)}"
    return f"{len(state)} tensors ({', '.join(list(state)[:3])}, ...)"


def mean_style_beside(content: Content) -> Tensor | None:
    """The mean style of the training, which converted files of StyleGAN2 have beside the state dict."""
    value = content.value.get("latent_avg") if isinstance(content.value, dict) else None
    return value if isinstance(value, Tensor) and bool(torch.isfinite(value).all()) else None
