"""Distances by name, or from a factory of anyone's own."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from geomlib._checks import check_choice, check_device, check_precision
from geomlib._state import isolated
from geomlib.distances.distance import Distance
from geomlib.distances.lpips import LOADERS, lpips
from geomlib.distances.plain import mse
from geomlib.distances.ssim import ssim
from geomlib.distances.stft import stft, stft_short
from geomlib.generators.catalogue import load_factory

_KNOWN: dict[str, Callable[..., Distance]] = {
    "mse": mse,
    **{name: partial(lpips, name) for name in LOADERS},
    "ssim": ssim,
    "stft": stft,
    "stft-short": stft_short,
}


@isolated()
def load_distance(
    source: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, **options: Any
) -> Distance:
    """A distance by name, or from `"path/to/file.py:factory"` or `"package.module:factory"`.

    | Name | Options | |
    | --- | --- | --- |
    | `mse` | | mean squared difference |
    | `lpips-squeeze`, `lpips-alex`, `lpips-vgg` | `input_range`, `size`, `pretrained`, `seed` | see `lpips.lpips` |
    | `st-lpips-alex`, `st-lpips-vgg` | the same | shift-tolerant, without a download |
    | `ssim` | `data_range` | 1 − SSIM; has no features |
    | `stft` | `window_sizes`, `floor` | for sound |
    | `stft-short` | `floor` | for sounds of fewer than 1,024 samples |

    A factory is called with `options`, and with `device` and `dtype` if it has parameters of these names.  It returns
    a `Distance`, a feature map of one argument `(B, …) -> (B, …)`, or a squared distance of two, `(x, y) -> (B,)`.
    The options become part of `name`, and `load_distance(**d.spec)` builds the distance anew.

    Args:
        source: the name, or where the factory is.
        device: where the images are.
        dtype: their precision.
        options: as in the table, or of the factory.

    Raises:
        ValueError: an unknown name or option.
        FileNotFoundError: a missing file or package (for LPIPS it says what to put where).
        TypeError: a factory returns something else.

    Example:
        >>> import geomlib
        >>> d = geomlib.load_distance("st-lpips-alex", size=64)
        >>> images = torch.zeros(2, 3, 64, 64)
        >>> d(images, images)
        tensor([0., 0.])
        >>> d.spec
        {'source': 'st-lpips-alex', 'size': 64}
    """
    check_device(device)
    check_precision(dtype)
    if not source:
        raise ValueError(
            f"distance: none was given and the generator names none; pass one of {', '.join(_KNOWN)}, "
            "or file.py:factory"
        )
    if ":" not in source:
        check_choice("distance", source, _KNOWN)
    factory = _KNOWN[source] if ":" not in source else load_factory(source, "distance")
    parameters = inspect.signature(factory).parameters
    place = {key: value for key, value in (("device", device), ("dtype", dtype)) if key in parameters}
    try:
        inspect.signature(factory).bind(**place, **options)
    except TypeError as error:
        own = ", ".join(name for name in parameters if name not in place) or "none"
        raise ValueError(f"distance: {source} cannot be made with these options: {error}; it takes {own}") from error
    made = factory(**place, **options)
    distance = made if isinstance(made, Distance) else _from_function(source, made, device, dtype)
    if options:
        distance.name += f"({', '.join(f'{key}={value!r}' for key, value in options.items())})"
    distance.spec = {"source": source, **options}
    return distance


def _from_function(source: str, made: Any, device: str | torch.device, dtype: torch.dtype) -> Distance:
    """A distance of what a factory returned: of features if it can be called with one argument, else of values."""
    if not callable(made):
        raise TypeError(
            f"distance: {source} returned {type(made).__name__}, expected a Distance, a feature map of one argument, "
            "or a distance of two"
        )
    if isinstance(made, nn.Module):
        made = made.to(device=device, dtype=dtype).eval().requires_grad_(False)
    signature = inspect.signature(made.forward if isinstance(made, nn.Module) else made)
    if _takes(signature, 1):
        return Distance(source, lambda x: made(x).flatten(1))
    if _takes(signature, 2):
        return Distance(source, value=made)
    raise TypeError(f"distance: {source} returned a function of {signature}, expected one or two arguments")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
