"""What PyTorch is set to around a call, which must not reach its result: autocast, inference mode, the default dtype.

The doors of the package are `isolated`: they compute as PyTorch does when it has just been imported.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")

_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def settled(differentiable: bool = False) -> Iterator[None]:
    """No autocast, and float32 by default; derivatives are on, unless `differentiable` leaves them to the caller."""
    default = torch.get_default_dtype()
    with ExitStack() as stack:
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if default != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, default)
        if not differentiable:
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield


def isolated(differentiable: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the function runs `settled`, and is given copies of tensors from inference mode.

    With `differentiable`, whether a graph is kept is left to the caller.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with settled(differentiable):
                if differentiable:
                    return function(*args, **kwargs)
                return function(*map(_ordinary, args), **{key: _ordinary(x) for key, x in kwargs.items()})  # type: ignore[arg-type]

        call.isolated = True  # type: ignore[attr-defined]
        return call

    return decorate


def _ordinary(x: object) -> object:
    return x.clone() if isinstance(x, Tensor) and x.is_inference() else x
