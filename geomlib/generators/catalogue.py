"""Generators by name: embedded, published, analytic, or anyone's own factory."""

import contextlib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from geomlib._checks import check_choice
from geomlib._state import isolated
from geomlib.generators import analytic
from geomlib.generators.architectures import build
from geomlib.generators.checkpoints import load_state, read_state
from geomlib.generators.download import local_path
from geomlib.generators.interface import Generator
from geomlib.generators.published import PUBLISHED
from geomlib.generators.spaces import as_generator

WEIGHTS = Path(__file__).parent.parent / "weights"
# Embedded generators, each with its default distance.
EMBEDDED = {
    "shapes-dcgan": "perceptual-shapes",
    "shapes-stylegan2": "perceptual-shapes",
    "shapes-biggan": "perceptual-shapes",
    "tones-wavegan": "stft",
}
# The settings of the paper where they are not the default ones; StyleGAN's truncation is that of the space "z".
PAPER_OPTIONS: dict[str, dict[str, Any]] = {
    "bigbigan": {"size": 256},
    "biggan_deep": {"truncation": 0.6},
    "stylegan": {"truncation": 0.7},
    "stylegan2": {"size": 256},
}
ANALYTIC: dict[str, Callable[..., Generator]] = {
    factory.__name__: factory for factory in (analytic.linear, analytic.sphere, analytic.torus, analytic.normalised)
}


def card(name: str) -> dict[str, Any]:
    """What is known of an embedded network: data, training, hardware, quality; raises `FileNotFoundError`."""
    path = WEIGHTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"name: no card {path}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def load_factory(spec: str, what: str) -> Callable[..., Any]:
    """The function that `"path/to/file.py:name"` or `"package.module:name"` points at (split at the last colon)."""
    source, _, name = spec.rpartition(":")
    if source.endswith(".py"):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{what}: no file {source} (from {spec!r})")
        module_spec = importlib.util.spec_from_file_location(path.stem, path)
        assert module_spec is not None and module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise ValueError(f"{what}: cannot import {source!r} (from {spec!r}): {error}") from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise ValueError(f"{what}: {source} has no function {name!r}")
    return factory  # type: ignore[no-any-return]


def source_files(spec: str, weights: str = "", what: str = "generator") -> list[Path]:
    """The files that a generator or distance is made from, besides geomlib's own modules.

    Raises `FileNotFoundError` for a published generator that is not in the cache.
    """
    embedded = WEIGHTS / f"{spec}.safetensors"
    files = [Path(weights)] if weights else [embedded] if embedded.is_file() else []
    if spec in PUBLISHED and not weights:
        files = [local_path(spec)]
    source = spec.rpartition(":")[0]
    return [*files, Path(source)] if source.endswith(".py") else files


def _embedded(name: str, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    known = card(name)
    path = Path(weights) if weights else WEIGHTS / f"{name}.safetensors"
    distance = known.get("default_distance", EMBEDDED[name])
    options = known.get("paper_options", {}) | options
    return _loaded(name, known["architecture"], known["config"], path, (), space, distance, options)


def _published(name: str, space: str, weights: str | Path | None, options: dict[str, Any]) -> Generator:
    entry = PUBLISHED[name]
    path = Path(weights) if weights else local_path(name)
    paper = {**entry.options, **PAPER_OPTIONS.get(entry.architecture, {})}
    if entry.architecture == "stylegan" and space not in ("", "z"):
        del paper["truncation"]
    return _loaded(
        name, entry.architecture, entry.config, path, entry.state_key, space, entry.distance, paper | options
    )


def _loaded(
    name: str,
    architecture: str,
    config: Mapping[str, Any],
    path: Path,
    key: tuple[str, ...],
    space: str,
    distance: str,
    options: dict[str, Any],
) -> Generator:
    state = read_state(path, key)
    network = build(architecture, **config)
    load_state(network, state, name)
    if architecture == "stylegan2" and options.get("truncation", 1.0) != 1.0:
        # Converted files have the mean style of the training beside the state dict; else it is computed.
        with contextlib.suppress(ValueError):
            average = read_state(path, "latent_avg").get("latent_avg")
            options = options if average is None else {"mean_style": average} | options
    return as_generator(architecture, network.eval().requires_grad_(False), space, name, distance, **options)


def _made(
    source: str, factory: Callable[..., Any], space: str, weights: str | Path | None, options: dict[str, Any]
) -> Generator:
    """What a factory returns; it is told the space where it has a parameter of that name."""
    parameters = inspect.signature(factory).parameters.values()
    takes_space = any(parameter.name == "space" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
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
    return generator


@isolated()
def load_generator(
    source: str,
    space: str = "",
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Generator:
    """A generator by catalogue name, `"path/to/file.py:factory"` or `"package.module:factory"`.

    `space` is one of the generator's `spaces` ("": the default one); `options` of embedded and published generators
    are those of `spaces.as_generator`. A factory is called with `options`, and with `space` and `weights` where they
    are given, and returns a `Generator`.  The result's `spec` holds what is needed to build it anew.

    Raises `ValueError` for an unknown name, space or option, `FileNotFoundError` for a missing file (nothing is
    downloaded here), `FloatingPointError` for weights that are not finite.
    """
    if source in EMBEDDED:
        generator = _embedded(source, space, weights, options)
    elif source in PUBLISHED:
        generator = _published(source, space, weights, options)
    elif source in ANALYTIC:
        generator = _made(source, ANALYTIC[source], space, weights, options)
    elif ":" in source:
        generator = _made(source, load_factory(source, "generator"), space, weights, options)
    else:
        names = ", ".join([*EMBEDDED, *ANALYTIC, *PUBLISHED])
        raise ValueError(f"generator: expected one of {names} or file.py:factory, got {source!r}")
    given = {"space": space, "weights": str(weights) if weights else ""}
    generator.spec = {"source": source, **options, **{key: value for key, value in given.items() if value}}
    return generator.to(device, dtype)
