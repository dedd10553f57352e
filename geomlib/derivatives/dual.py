"""Numbers that carry a derivative through any function of PyTorch, and what an operation on them leaves on the tape.

The values are float64, so that each kink, a ReLU or the winner of a max pool, falls on its true side; the derivative is
in the dtype of the network (Griewank & Walther 2008, *Evaluating Derivatives*, chapter 3).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from geomlib.derivatives.tape import Tangent, Tape, in_precision

aten = torch.ops.aten

# Private names of PyTorch, all looked up here and now: where one is gone, this module does not import, and derivatives
# are not recorded (`jacobian`).
_keys_included, _keys_excluded = torch._C._dispatch_tls_local_include_set, torch._C._dispatch_tls_local_exclude_set
_with_keys = torch._C._ForceDispatchKeyGuard
_without_memory = Tensor._make_wrapper_subclass
_no_torch_function = torch._C._disabled_torch_function_impl
is_functional = torch._is_functional_tensor

# In training mode they update their statistics, which their schemas do not tell.
BATCH_NORMS = {aten.native_batch_norm, aten.cudnn_batch_norm, aten.miopen_batch_norm}
# Marks on a tensor that operations on values would not see.
_MARKS = {aten._conj, aten._neg_view}


class Recording:
    """What the dual numbers of one run share."""

    def __init__(self, point: Tensor, rule: "Callable[[Any], Rule]") -> None:
        """`rule` gives the rule of an operation."""
        self.tape, self.rule = Tape(point), rule
        self.exact = point.dtype if point.device.type == "mps" else torch.float64
        self.sizes: list[int] = []  # of all results, in the dtype of the network
        # The dispatcher as it is out here: within an operation on dual numbers it skips autograd.
        self._outside = _keys_included(), _keys_excluded()

    def derivatives(self) -> Any:
        """A context, within an operation on dual numbers, in which PyTorch differentiates."""
        return _with_keys(*self._outside)


class Dual(Tensor):
    """A float64 value that reports the dtype of the network, and its tangent, None where it is constant."""

    value: Tensor
    recording: Recording
    tangent: Tangent | None

    @staticmethod
    def __new__(cls, value: Tensor, dtype: torch.dtype, recording: Recording, tangent: Tangent | None) -> "Dual":
        """A tensor without memory that looks like `value` in `dtype`."""
        dual: Dual = _without_memory(
            cls, value.shape, value.stride(), value.storage_offset(), dtype=dtype, device=value.device
        )
        dual.value, dual.recording, dual.tangent = value, recording, tangent
        return dual

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Dual({self.value!r}, {self.tangent!r})"

    __torch_function__ = _no_torch_function  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """The operation on the values, and its derivative on the tape."""
        kind = func.overloadpacket
        updates = func._schema.is_mutable or (kind in BATCH_NORMS and args[3] is not None and args[5])
        if updates or kind in _MARKS or torch.Tag.nondeterministic_seeded in func.tags:
            raise NotImplementedError(f"{func} cannot be recorded")
        return Operation(func, args, kwargs or {}).result()


def is_moving(x: Any) -> bool:
    """Whether it is a dual number with a tangent."""
    return isinstance(x, Dual) and x.tangent is not None


def is_number(x: Any) -> bool:
    """Whether it is a tensor of real or complex numbers."""
    return isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex())


def flat(results: Any) -> list[Any]:
    """The results of an operation, of which there may be one or several."""
    return list(results) if isinstance(results, tuple | list) else [results]


def _run(func: Any, names: tuple[str, ...], lengths: Sequence[int | None], operands: Sequence[Any]) -> Any:
    left = iter(operands)
    args = [next(left) if length is None else [next(left) for _ in range(length)] for length in lengths]
    first = len(args) - len(names)
    return func(*args[:first], **dict(zip(names, args[first:], strict=True)))


def replaced(operands: Sequence[Any], places: Sequence[int], others: Sequence[Any]) -> list[Any]:
    """The operands, with others at some of the places."""
    found = dict(zip(places, others, strict=True))
    return [found.get(place, x) for place, x in enumerate(operands)]


class Operation:
    """One operation; of its operands, in a flat list, those at the places `moving` have a tangent."""

    def __init__(self, func: Any, args: Any, kwargs: Any) -> None:
        self.func, self.kind = func, func.overloadpacket
        self.operands: list[Any] = []
        lengths: list[int | None] = []  # of lists of tensors
        for x in (*args, *kwargs.values()):
            several = isinstance(x, tuple | list) and any(isinstance(part, Tensor) for part in x)
            self.operands += x if several else [x]
            lengths.append(len(x) if several else None)
        # Not a method: what is recorded must not keep the operands alive.
        self.run = partial(_run, func, tuple(kwargs), lengths)
        self.recording: Recording = next(x.recording for x in self.operands if isinstance(x, Dual))
        self.tape = self.recording.tape
        self.moving = [place for place, x in enumerate(self.operands) if is_moving(x)]
        self.plain = [x.value if isinstance(x, Dual) else x for x in self.operands]
        self.exact = [in_precision(x, self.recording.exact) for x in self.plain]

    def rounded(self) -> list[Any]:
        """The operands without tangents, in the dtype of the steps."""
        return [in_precision(x, self.tape.dtype) for x in self.plain]

    def result(self) -> Any:
        """The results, those that are numbers as dual numbers."""
        computed = self.run(self.exact)
        values = flat(computed)
        tangents: dict[int, Tangent] = {}
        if self.moving and any(map(is_number, values)):
            tangents = self.recording.rule(self.func)(self, values)
        results = [self._dual(x, tangents.get(place)) if is_number(x) else x for place, x in enumerate(values)]
        return results[0] if values[0] is computed else type(computed)(results)

    def _dual(self, value: Tensor, tangent: Tangent | None) -> Dual:
        named = [x for x in self.operands if isinstance(x, torch.dtype)]
        numbers = [x for x in self.operands if is_number(x)]
        # A tensor without dimensions is promoted as a number is.
        kinds = named or [x.dtype for x in numbers if x.ndim] or [x.dtype for x in numbers]
        dtype = kinds[0]
        for other in kinds[1:]:
            dtype = torch.promote_types(dtype, other)
        dual = Dual(value, dtype.to_complex() if value.is_complex() else dtype.to_real(), self.recording, tangent)
        self.recording.sizes += [] if self.func.is_view else [dual.nbytes]
        return dual

    def tangent(self, place: int) -> Tangent:
        """That of a moving operand."""
        found: Tangent = self.operands[place].tangent
        return found

    def register(self, place: int) -> int:
        """The register of a moving operand, which from now on has no factor."""
        x = self.operands[place]
        register = self.tape.register(x.tangent, x.shape)
        x.tangent = Tangent(register)
        return register

    def add(self, step: Callable[..., Tensor], places: Sequence[int], shape: torch.Size, **kind: Any) -> Tangent:
        """Record a step from the moving operands at `places`."""
        return Tangent(self.tape.add(step, [self.register(place) for place in places], shape, **kind))


# The tangents of those results that have one, by their place, from the operation and its values.
Rule = Callable[[Operation, list[Any]], dict[int, Tangent]]
