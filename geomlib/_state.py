"""What PyTorch is set to around a call, which must not reach its result: autocast, inference mode, the default dtype.

The doors of the package are `isolated`; what is behind them runs as if they had been called from a fresh interpreter,
and of several threads one after the other.
"""

import operator
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from threading import RLock
from typing import ParamSpec, SupportsIndex, TypeVar

import torch
from torch import Tensor

from geomlib._arguments import Shapes, check_arguments

P = ParamSpec("P")
R = TypeVar("R")

# Levels of forward mode, the default dtype and the precision on a GPU are the whole process's: one thread at a time.
# What keeps a graph does without, for a backward pass may call it from a thread of its own.
_DOOR = RLock()
_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def settled(dtype: torch.dtype = torch.float32, differentiable: bool = False) -> Iterator[None]:
    """No autocast, and a default dtype; derivatives are on, unless `differentiable` leaves them to the caller."""
    with ExitStack() as stack:
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        default = torch.get_default_dtype()
        if default != dtype:
            torch.set_default_dtype(dtype)
            stack.callback(torch.set_default_dtype, default)
        if not differentiable:
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield


def isolated(
    dtype: torch.dtype | None = None,
    *,
    differentiable: bool = False,
    gaps: Collection[str] = (),
    shapes: Shapes | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the function runs `settled`, and is given copies of tensors that were made in inference mode.

    Its arguments are checked (`check_arguments`); where a graph may be kept, as inside of a derivative, tensors are
    not asked for finite numbers.

    The default dtype is `dtype`, or else float64 where the first argument that has a dtype has that, and float32 else.
    With `differentiable`, whether a graph is kept is left to the caller.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            check_arguments(function, args, kwargs, finite=not differentiable, gaps=gaps, shapes=shapes or {})
            with ExitStack() as stack:
                if not differentiable:
                    stack.enter_context(_DOOR)
                stack.enter_context(settled(dtype or _precision(*args, *kwargs.values()), differentiable))
                if differentiable:
                    return function(*args, **kwargs)
                return function(*map(_ordinary, args), **{key: _ordinary(x) for key, x in kwargs.items()})  # type: ignore[arg-type]

        call.isolated = call.checked = True  # type: ignore[attr-defined]
        return call

    return decorate


def seeded(seed: SupportsIndex) -> torch.Generator:
    """Random numbers of a seed, a whole number of any kind, on the CPU."""
    return torch.Generator().manual_seed(operator.index(seed))


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed PyTorch's own random numbers, those of the CPU and of one device: `torch.manual_seed` does of all."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _precision(*arguments: object) -> torch.dtype:
    kinds = (getattr(argument, "dtype", None) for argument in arguments)
    first = next((kind for kind in kinds if isinstance(kind, torch.dtype)), None)
    return torch.float64 if first == torch.float64 else torch.float32


def _ordinary(x: object) -> object:
    return x.clone() if isinstance(x, Tensor) and x.is_inference() else x
