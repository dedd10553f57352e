"""Generators by name: embedded, analytic, or anyone's own factory."""

import importlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from geomlib._checks import check_finite
from geomlib.generators import analytic
from geomlib.generators.dcgan import DCGAN
from geomlib.generators.interface import Generator

WEIGHTS = Path(__file__).parent.parent / "weights"
EMBEDDED = ("shapes-dcgan",)
ANALYTIC: dict[str, Callable[..., Generator]] = {
    factory.__name__: factory for factory in (analytic.linear, analytic.sphere, analytic.torus, analytic.normalised)
}


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file; raises `FileNotFoundError`, `ValueError` or, for weights not finite, an error."""
    if not path.is_file():
        raise FileNotFoundError(f"weights: no file {path}")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"weights: {path} is not a whole safetensors file ({error})") from error
    for key, value in state.items():
        check_finite(f"weights {path.name}, tensor {key}", value)
    return state


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
    """The files that a generator or distance is made from, besides geomlib's own modules."""
    embedded = WEIGHTS / f"{spec}.safetensors"
    files = [Path(weights)] if weights else [embedded] if embedded.is_file() else []
    source = spec.rpartition(":")[0]
    return [*files, Path(source)] if source.endswith(".py") else files


def _shapes_dcgan(weights: str | Path | None = None) -> Generator:
    state = load_state(Path(weights) if weights else WEIGHTS / "shapes-dcgan.safetensors")
    module = DCGAN(latent_dim=64, dim_g=32)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"weights: not a checkpoint of shapes-dcgan: {error}") from error
    return Generator(module.eval().requires_grad_(False), 64, name="shapes-dcgan", default_distance="perceptual-shapes")


def load_generator(
    source: str,
    space: str = "",
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Generator:
    """A generator by catalogue name, `"path/to/file.py:factory"` or `"package.module:factory"`.

    A factory is called with `options`, and with `space` and `weights` where they are given, and returns a
    `Generator`.  The result's `spec` holds what is needed to build it anew.  Raises `ValueError` for an unknown name
    or space, `FileNotFoundError` for a missing file, `FloatingPointError` for weights that are not finite.
    """
    given = {"weights": weights, "space": space if space != "z" else ""}  # every generator has a space z
    arguments = dict(options) | {key: value for key, value in given.items() if value}
    known = {**ANALYTIC, "shapes-dcgan": _shapes_dcgan}
    if source in known:
        factory = known[source]
    elif ":" in source:
        factory = load_factory(source, "generator")
    else:
        raise ValueError(f"generator: expected one of {', '.join(sorted(known))} or file.py:factory, got {source!r}")
    try:
        generator = factory(**arguments)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"generator: {source} does not take these options: {error}") from error
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: {source} returned {type(generator).__name__}, expected a geomlib.Generator")
    generator.spec = {"source": source, **arguments}
    return generator.to(device, dtype)
