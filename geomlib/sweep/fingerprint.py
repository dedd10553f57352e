"""What a stored metric rests on, field by field, so that a store that was made otherwise can say in what it differs."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geomlib._files import sha256
from geomlib.distances import Distance
from geomlib.generators import Generator, source_files

PACKAGE = Path(__file__).parents[1]
# The rooms that decide the value of a metric: an edit there makes stored metrics old, one elsewhere does not.
NUMERICS = ("_checks.py", "_state.py", "derivatives", "distances", "generators", "metric.py", "operators", "eigen.py")
PACKAGES = ("torch", "torchvision", "numpy", "lpips", "stlpips-pytorch")

Fingerprint = Mapping[str, str]


def fingerprint(generator: Generator, distance: Distance, **settings: Any) -> dict[str, str]:
    """The fields that decide a metric at any latent: network, weights, distance, settings, code, versions, threads.

    What no hash of a file or of weights shows, such as a setting that a factory reads, shows in `behaviour`.

    Raises `FileNotFoundError` for a source file that is gone.
    """
    origin = generator.spec or generator.control_of
    return {
        "generator": _text(origin, generator.name) + (f", {generator.name}" if generator.control_of else ""),
        "space": generator.space,
        "generator source": _sources(origin),
        "weights": generator.weights_hash,
        "distance": _text(distance.spec, distance.name),
        "distance source": _sources(distance.spec),
        "behaviour": behaviour(generator, distance),
        **{name: str(value) for name, value in settings.items()},
        "dtype": str(generator.dtype).removeprefix("torch."),
        "device": generator.device.type,
        "threads": str(torch.get_num_threads()),
        "geomlib": numerics_hash(),
        **{name: _version(name) for name in PACKAGES},
    }


@torch.no_grad()
def behaviour(generator: Generator, distance: Distance | None = None) -> str:
    """What generator and distance give at two fixed latents, as a few digits; "random" where that changes by itself.

    So rounded that another order of the same sums does not show.
    """
    if not generator.deterministic:
        return "random"
    first, second = (generator(latent[None]) for latent in generator.sample(2, seed=0))
    both = torch.cat([first, second]).flatten().cpu().double()
    weights = torch.randn(len(both), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = [both @ weights / len(both) ** 0.5, both.norm() / len(both) ** 0.5]
    seen += [] if distance is None else [distance(first, second).double().sum()]
    return " ".join(f"{float(value):.4e}" for value in seen)


def latents_hash(latents: Tensor) -> str:
    """SHA-256 of the values of latents `(..., n)`."""
    return hashlib.sha256(latents.detach().to("cpu", torch.float64).contiguous().numpy().tobytes()).hexdigest()


def differences(here: Fingerprint, there: Fingerprint) -> list[str]:
    """The fields in which two fingerprints differ, each with both values."""
    shown = {name: (there.get(name, "nothing"), here.get(name, "nothing")) for name in {**there, **here}}
    return [f"{name} ({_short(was)}, now {_short(now)})" for name, (was, now) in shown.items() if was != now]


@cache
def numerics_hash() -> str:
    """SHA-256 over the modules of the rooms `NUMERICS`."""
    total = hashlib.sha256()
    for room in NUMERICS:
        place = PACKAGE / room
        for module in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            total.update(f"{module.relative_to(PACKAGE).as_posix()}\n".encode())
            total.update(sha256(module).encode())
    return total.hexdigest()


def _text(spec: Mapping[str, Any] | None, name: str) -> str:
    return json.dumps(spec, sort_keys=True, default=str) if spec else f"made by hand: {name}"


def _sources(spec: Mapping[str, Any] | None) -> str:
    """Hashes of the files with a user's code; weights have a field of their own."""
    if not spec:
        return ""
    files = [path for path in source_files(str(spec["source"])) if path.suffix == ".py"]
    return " ".join(map(sha256, files))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _short(value: str) -> str:
    return f"{value[:60]}…" if len(value) > 61 else value or "nothing"
