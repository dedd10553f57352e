"""Generators by name: embedded, packaged, published, analytic, or anyone's own factory."""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_choice, check_device, check_precision, shown
from geomlib._files import WEIGHTS, sha256
from geomlib._literals import convert
from geomlib._state import isolated
from geomlib.generators import analytic
from geomlib.generators.architectures.stylegan import StyleGAN
from geomlib.generators.archives import local_path as packaged_path
from geomlib.generators.archives import packaged_state
from geomlib.generators.checkpoints import read_state
from geomlib.generators.contents import GENERATOR_KEYS
from geomlib.generators.download import local_path
from geomlib.generators.files import SUFFIXES, fitted, load_network, mean_style_beside
from geomlib.generators.imported import own_files
from geomlib.generators.interface import Generator
from geomlib.generators.known import ANALYTIC, EMBEDDED, card
from geomlib.generators.packaged import PACKAGED, Packaged
from geomlib.generators.published import PUBLISHED
from geomlib.generators.spaces import as_generator
from geomlib.generators.user_code import load_file

# The settings of the paper where they are not the default ones; StyleGAN's truncation is that of the space "z".
PAPER_OPTIONS: dict[str, dict[str, Any]] = {
    "bigbigan": {"size": 256},
    "biggan_deep": {"truncation": 0.6},
    "stylegan": {"truncation": 0.7},
    "stylegan2": {"size": 256},
}
SIMPLE = re.compile(r"(typing\.)?(Optional\[)?(bool|int|float|str)( \| None|\])?")  # types that options are checked for


@checked()
def told(generator: Generator) -> str:
    """What the training of a generator was told of the factors in its outputs: a sentence of its card.

    Only of the weights that the card belongs to; of all others the sentence says that it is not known.
    """
    spec = generator.spec or {}
    name = str(spec.get("source"))
    if name in EMBEDDED and not spec.get("weights"):
        return str(card(name)["told"])
    return f"What the training of {generator.name} was told of any factors is not known here."


def load_object(spec: str, what: str) -> Any:
    """What `"path/to/file.py:name"` or `"package.module:name"` points at (split at the last colon)."""
    source, _, name = spec.rpartition(":")
    if source.endswith(".py"):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{what}: no file {source} (from {spec!r})")
        module = load_file(path)
    else:
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise ValueError(f"{what}: cannot import {source!r} (from {spec!r}): {error}") from error
    value = getattr(module, name, None)
    if value is None:
        raise ValueError(f"{what}: {source} has no function {name!r}")
    return value


def load_factory(spec: str, what: str) -> Callable[..., Any]:
    """The function that `"path/to/file.py:name"` or `"package.module:name"` points at."""
    return _factory(load_object(spec, what), spec, what)


def _factory(value: Any, spec: str, what: str) -> Callable[..., Any]:
    if not callable(value):
        source, _, name = spec.rpartition(":")
        raise ValueError(f"{what}: {source} has no function {name!r}")
    return value  # type: ignore[no-any-return]


@checked()
def source_files(spec: str, weights: str = "") -> list[Path]:
    """The files that a generator or distance is made from, besides geomlib's own modules and installed packages.

    Of a factory those are its module and all that it imports; the weights that it reads itself are not known here.

    Raises:
        FileNotFoundError: a packaged or published generator that is not in the cache.
    """
    files = [Path(weights)] if weights else [WEIGHTS / f"{spec}.safetensors"] if spec in EMBEDDED else []
    if spec in PUBLISHED and not weights:
        files = [local_path(spec)]
    if spec in PACKAGED and not weights:
        files = [packaged_path(spec)]
    if is_file_of_weights(spec):
        files = [Path(spec)]
    return [*files, *own_files(spec.rpartition(":")[0])] if ":" in spec else files


def is_file_of_weights(source: str) -> bool:
    """Whether a generator is named by a file that holds its weights."""
    return source.endswith(SUFFIXES)


def _embedded(name: str, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    known = card(name)
    path = Path(weights) if weights else WEIGHTS / f"{name}.safetensors"
    distance = known.get("default_distance", EMBEDDED[name])
    options = known.get("paper_options", {}) | options
    generator = _loaded(name, known["architecture"], known["config"], path, (), space, distance, options)
    generator.world = name.partition("-")[0]  # of the data set that it was trained on
    return generator


def _published(name: str, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    entry = PUBLISHED[name]
    path = Path(weights) if weights else local_path(name)
    paper = {**entry.options, **PAPER_OPTIONS.get(entry.architecture, {})}
    if entry.architecture == "stylegan" and space not in ("", "z"):
        del paper["truncation"]
    return _loaded(
        name, entry.architecture, entry.config, path, entry.state_key, space, entry.distance, paper | options
    )


def _packaged(entry: Packaged, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    if not entry.architecture:
        raise ValueError(f"generator: {entry.name} names no architecture: its weights are no generator by themselves")
    state = read_state(weights, entry.key) if weights else packaged_state(entry)
    network = fitted(entry.architecture, entry.config, _renamed(state, entry.renamed), entry.name)
    network.eval().requires_grad_(False)
    return as_generator(entry.architecture, network, space, entry.name, entry.distance, **options)


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    parts = ((key, *key.partition(".")) for key in state)
    return {names.get(first, first) + dot + rest: state[key] for key, first, dot, rest in parts}


def _loaded(
    name: str,
    architecture: str,
    config: Mapping[str, Any] | None,
    path: Path,
    keys: tuple[str, ...],
    space: str,
    distance: str,
    options: dict[str, Any],
) -> Generator:
    key = options.pop("key", "")
    wanted = (str(key),) if key else (*keys, *GENERATOR_KEYS)
    loaded = load_network(path, wanted, architecture, config, name if architecture else "")
    average = mean_style_beside(loaded.content)
    if loaded.architecture == "stylegan2" and options.get("truncation", 1.0) != 1.0 and average is not None:
        options = {"mean_style": average} | options
    if isinstance(loaded.network, StyleGAN) and options.get("step", 0) > loaded.network.last_step:
        del options["step"]
    generator = as_generator(loaded.architecture, loaded.network, space, name, distance, **options)
    generator.about = loaded.about
    return generator


def _from_file(source: str, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    if weights:
        raise ValueError(f"weights: {source} is a file of weights itself; give one of the two")
    return _loaded(Path(source).name, "", None, Path(source), (), space, "", options)


def _made(
    source: str, factory: Callable[..., Any], space: str, weights: str | Path | None, options: dict[str, Any]
) -> Generator:
    """What a factory returns; it is told the space where it has a parameter of that name."""
    parameters = inspect.signature(factory).parameters
    for name in options.keys() & parameters.keys():
        _check_option(source, parameters[name], options[name])
    takes_space = "space" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    arguments = (
        options | ({"weights": weights} if weights else {}) | ({"space": space} if takes_space and space else {})
    )
    try:
        generator = factory(**arguments)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"generator: {source} does not take these options: {error}") from error
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: {source} returned {type(generator).__name__}, expected a geomlib.Generator")
    check_choice("space", space or generator.space, generator.spaces)
    if space and space != generator.space:
        raise ValueError(f"space: {source} was asked for {space!r} and made a generator of {generator.space!r}")
    if weights and Path(weights).is_file():
        generator.checkpoint = sha256(Path(weights))
    return generator


def _check_option(source: str, declared: inspect.Parameter, value: Any) -> None:
    """Refuse a word for a number, a number for a truth and the like, where a factory tells what it expects."""
    if declared.annotation is not declared.empty:
        kind = inspect.formatannotation(declared.annotation).strip("'")
    else:  # one who writes 1 may mean any number
        kind = {int: "float"}.get(type(declared.default), type(declared.default).__name__)
    if not SIMPLE.fullmatch(kind) or (value is None and declared.default is None):
        return
    try:
        fits = convert(value, kind) == value
    except (ValueError, TypeError):
        fits = False
    if not fits:
        quote = f"; in quotation marks, {str(value)!r}, it is a word" if kind == "str" else ""
        raise ValueError(f"generator: option {declared.name!r} of {source} expects {kind}, got {value!r}{quote}")


@isolated()
def load_generator(
    source: str,
    space: str = "",
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Generator:
    """A generator by catalogue name, a file of weights, `"path/to/file.py:factory"` or `"package.module:factory"`.

    A file (`.pkl`, `.pt`, `.safetensors` and the like) is recognised by the names of its tensors, its configuration is
    read from their shapes; the option `key` says where in it the network is, averaged weights being the default.
    A factory is called with `options`, and with `space` and `weights` where they are given, and returns a `Generator`;
    in its place can stand a `Packaged` that names an architecture.  The result's `spec` holds what is needed to build
    it anew.

    Args:
        source: the name, or where the factory is.
        space: one of the generator's `spaces`; "" is the default one.
        weights: a checkpoint in place of the generator's own.
        device: where the network is.
        dtype: its precision, and that of the latents.
        options: of a factory, or as in `spaces.as_generator`, and `key` for a checkpoint.

    Raises:
        ValueError: an unknown name, space or option.
        FileNotFoundError: a missing file (nothing is downloaded here).
        FloatingPointError: weights that are not finite.

    Example:
        >>> import geomlib
        >>> G = geomlib.load_generator("shapes-dcgan")
        >>> G(G.sample(2, seed=0)).shape
        torch.Size([2, 3, 64, 64])
    """
    check_device(device)
    check_precision(dtype)
    if source in EMBEDDED:
        generator = _embedded(source, space, weights, options)
    elif source in PACKAGED:
        generator = _packaged(PACKAGED[source], space, weights, options)
    elif source in PUBLISHED:
        generator = _published(source, space, weights, options)
    elif source in ANALYTIC:
        generator = _made(source, getattr(analytic, source), space, weights, options)
    elif is_file_of_weights(source):
        generator = _from_file(source, space, weights, dict(options))
    elif ":" in source:
        declared = load_object(source, "generator")
        if isinstance(declared, Packaged):
            generator = _packaged(declared, space, weights, options)
        else:
            generator = _made(source, _factory(declared, source, "generator"), space, weights, options)
    else:
        packaged = [name for name, entry in PACKAGED.items() if entry.architecture]
        names = ", ".join([*EMBEDDED, *packaged, *ANALYTIC, *PUBLISHED])
        raise ValueError(
            f"generator: expected one of {names} or file.py:factory, got {shown(source)}; a file of weights is taken, "
            f"too, by its ending ({', '.join(SUFFIXES)})"
        )
    generator.spec = {"source": source, **options}
    generator.spec |= ({"space": space} if space else {}) | ({"weights": str(weights)} if weights else {})
    return generator.to(device, dtype)
