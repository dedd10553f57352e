"""Checks of arguments: each error names the argument, what was expected and what came."""

import operator
from collections.abc import Collection
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import, and those who check a word do not need it
    import torch
    from torch import Tensor


_LONGEST = 60  # letters of a value that an error shows


def shown(value: object) -> str:
    """A value as an error shows it, in one line: what is short by itself, all else by its kind."""
    value = str(value) if isinstance(value, PurePath) else value
    if not isinstance(value, bool | int | float | str | bytes | None):
        return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({type(value).__name__})"


def check_choice(name: str, value: object, known: Collection[object]) -> None:
    """Raise `ValueError` unless `value` is one of `known`."""
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {shown(value)}")


def check_device(device: object) -> None:
    """Raise `ValueError` unless a tensor can be made on the device, with what is there."""
    import torch

    try:
        made = torch.empty(0, device=torch.device(device))  # type: ignore[call-overload]
        if made.is_meta:
            raise ValueError("no values")
    except Exception as error:  # an AssertionError where PyTorch was built without CUDA
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(f"device: expected one of {', '.join(there)}, got {shown(str(device))}") from error


def check_precision(dtype: object) -> None:
    """Raise `ValueError` unless numbers of this type are floating-point ones."""
    if not getattr(dtype, "is_floating_point", False):
        raise ValueError(f"dtype: expected a floating-point type, got {dtype}")


def as_index(name: str, value: object, count: int, others: str = "") -> int:
    """A whole number of any kind as an `int`; `ValueError` unless it is from 0 to `count - 1`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        index = operator.index(value)  # type: ignore[arg-type]
        if not 0 <= index < count:
            raise TypeError
    except TypeError:
        raise ValueError(f"{name}: expected an integer from 0 to {count - 1}{others}, got {shown(value)}") from None
    return index


def as_count(name: str, value: object) -> int:
    """A positive whole number of any kind as an `int`; raises `ValueError` for anything else."""
    try:
        count = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")
    return count


def check_up_to(name: str, value: int, most: int) -> None:
    """Raise `ValueError` unless a number is from 1 to `most`."""
    if not 1 <= value <= most:
        raise ValueError(f"{name}: expected an integer from 1 to {most}, got {value}")


def check_matrix(name: str, value: "Tensor", columns: int) -> None:
    """Raise unless `value` is a floating-point tensor of shape `(B, columns)`."""
    from torch import Tensor

    if not isinstance(value, Tensor):
        kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        raise TypeError(f"{name}: expected a floating-point tensor, got {kind}; torch.as_tensor makes one")
    if not value.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point tensor, got {value.dtype}")
    if value.ndim != 2 or value.shape[1] != columns:
        raise ValueError(f"{name}: expected shape (B, {columns}), got {tuple(value.shape)}")


def check_returned(name: str, value: object) -> None:
    """Raise `TypeError` unless what the caller's function `name` returned is a tensor."""
    from torch import Tensor

    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a function that returns a tensor, got {shown(value)} from it")


def check_reached(values: "Tensor", where: str, dtype: "torch.dtype") -> None:
    """Raise `ValueError` where a metric, or its eigenvalues, are all zero, as it is computed in a precision."""
    import torch

    if not values.any():
        rounded = ", or too small for this precision: try float32" if torch.finfo(dtype).bits < 32 else ""
        raise ValueError(
            f"generator: {where}no derivative of the image reaches the latent (the output is detached from it, or "
            f"every pixel is saturated{rounded})"
        )


def check_place(what: str, value: "Tensor", like: "Tensor", name: str = "images") -> None:
    """Raise `ValueError` unless `value` has the precision and the device of `like`, a tensor of what was loaded."""
    if (value.dtype, value.device) != (like.dtype, like.device):
        raise ValueError(
            f"{name}: expected {like.dtype} on {like.device}, for which the {what} was loaded, got "
            f"{value.dtype} on {value.device}"
        )


def check_finite(what: str, value: "Tensor") -> None:
    """Raise `FloatingPointError` with the first index at which `value` is not finite."""
    import torch

    bad = torch.isfinite(value).logical_not_()
    if bad.any():
        position = tuple(bad.nonzero()[0].tolist())
        raise FloatingPointError(
            f"{what}: {int(bad.sum())} of {value.numel()} values not finite, the first at {position}"
        )
