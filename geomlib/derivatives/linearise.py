"""A function linearised at a point: it runs once, and leaves its derivative as a tape of linear steps.

Each rule says how the results of an operation move with its operands.  An operation without a rule is differentiated by
PyTorch's own JVP, once for each tile of directions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from geomlib.derivatives.dual import (
    BATCH_NORMS,
    Dual,
    Operation,
    Recording,
    Rule,
    flat,
    is_functional,
    is_moving,
    is_number,
    replaced,
)
from geomlib.derivatives.tape import Tangent, Tape
from geomlib.derivatives.tiling import Draws, Footprint

aten = torch.ops.aten


class _Visible(TorchFunctionMode):
    """Refuse what would read the memory of a dual number, of which there is none, past all operations."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _HIDDEN and is_functional(args[0]):
            raise RuntimeError(f"{getattr(func, '__qualname__', func)} cannot be recorded")
        return func(*args, **(kwargs or {}))


_HIDDEN = (
    Tensor.numpy,
    Tensor.__array__,
    Tensor.__dlpack__,
    Tensor.data_ptr,
    Tensor.untyped_storage,
    Tensor.data.__get__,  # type: ignore[attr-defined]
)


def linearise(function: Callable[[Tensor], Tensor], point: Tensor) -> Tape:
    """The derivative of `function` at `point` `(n,)`.

    Raises `RuntimeError`, as PyTorch does, for what cannot be recorded, such as an operation with a backward of its
    own or one that draws at random for each latent; one that draws a constant is named in the tape's footprint.
    """
    recording = Recording(point, _rule)
    with torch.no_grad(), _Visible(), Draws() as draws:
        # Operations in place become operations with a new result, and a backward of anyone's own is refused.
        start = Dual(point.to(recording.exact), point.dtype, recording, Tangent(0))
        result = torch.func.functionalize(function)(start)
    tape, sizes = recording.tape, [*recording.sizes, result.nbytes]
    tape.footprint = Footprint(max(sizes), max(sum(recording.sizes), result.nbytes), result.nbytes, draws.name)
    tape.end(tape.register(result.tangent, result.shape) if is_moving(result) else None, result.shape)
    return tape


def _constant(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """No derivative, by definition or because someone asked for none."""
    return {}


def _copy(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """`x`, perhaps in another dtype."""
    alike = values[0].is_complex() == operation.exact[0].is_complex()
    return {0: operation.tangent(0)} if alike else _general(operation, values)


def _written(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """The second operand, in the shape of the first."""
    if 1 not in operation.moving:
        return {}
    return {0: Tangent(operation.tape.register(operation.tangent(1), values[0].shape))}


def _combined(operation: Operation, values: list[Any], factors: Sequence[Any]) -> dict[int, Tangent]:
    """Operands times factors, summed."""
    if any(operation.exact[place].is_complex() != values[0].is_complex() for place in operation.moving):
        return _general(operation, values)
    terms = [operation.tangent(place).times(factors[place]) for place in operation.moving]
    return {0: operation.tape.total(terms)}


def _sum(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """`x ± alpha y`."""
    alpha = operation.exact[2] if len(operation.exact) > 2 else 1.0
    return _combined(operation, values, (1.0, -alpha if operation.kind == aten.sub else alpha))


def _product(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """`x y`."""
    x, y = operation.exact
    return _combined(operation, values, (y, x))


def _quotient(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """`x / y`."""
    if len(operation.exact) > 2:  # rounded to whole numbers
        return _general(operation, values)
    y = operation.exact[1]
    return _combined(operation, values, (1 / y, -values[0] / y))


def _elementwise(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """Any other function of numbers one by one: its partial derivative is that along a vector of ones."""
    if len(values) > 1 or any(x.is_complex() for x in [*values, *operation.exact] if isinstance(x, Tensor)):
        return _general(operation, values)
    terms = []
    for place in operation.moving:
        x = operation.exact[place]
        with operation.recording.derivatives(), forward_ad.dual_level():
            moved = replaced(operation.exact, [place], [forward_ad.make_dual(x, torch.ones_like(x))])
            derivative = forward_ad.unpack_dual(operation.run(moved)).tangent
        if derivative is not None:
            terms.append(operation.tangent(place).times(derivative))
    return {0: operation.tape.total(terms)} if terms else {}


def _batch_norm(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """With stored statistics, a factor."""
    x, weight, _, _, variance, training, _, epsilon = operation.exact[:8]
    if training or operation.moving != [0]:
        return _general(operation, values)
    scale = torch.rsqrt(variance + epsilon)
    scale = (scale if weight is None else scale * weight).reshape(-1, *[1] * (x.ndim - 2))
    return {0: operation.tangent(0).times(scale)}


def _moved(run: Any, operands: list[Any], places: Sequence[int], wanted: int, *others: Tensor) -> Tensor:
    """One of the results of an operation, with others at some of the places."""
    found: Tensor = flat(run(replaced(operands, places, others)))[wanted]
    return found


def _linear(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """Linear in all operands that are numbers together: what is constant among them moves by zero."""
    run, moving = operation.run, operation.moving
    operands = [x.new_zeros(()).expand(x.shape) if is_number(x) else x for x in operation.rounded()]
    kind = {"is_view": operation.func.is_view, "overlaps": operation.kind == aten.expand}
    return {
        place: operation.add(partial(_moved, run, operands, moving, place), moving, value.shape, **kind)
        for place, value in enumerate(values)
    }


def _reshape(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """The numbers of `x` in another shape; directions may lie in memory in another order than `x`."""
    shape = values[0].shape
    return {0: operation.add(lambda t: t.reshape(shape), [0], shape, is_view=True)}


def _rearranged(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """Entries in other places: the operation on their numbers tells which.

    PyTorch's own rules for writing to a part, under `vmap`, are wrong in reverse mode.
    """
    strided = operation.kind in (aten.as_strided, aten.as_strided_scatter)
    if strided and not all(x.is_contiguous() and not x.storage_offset() for x in operation.exact if is_number(x)):
        raise NotImplementedError("strides over memory that is not contiguous cannot be recorded")
    places = [place for place, x in enumerate(operation.exact) if is_number(x)]
    moving, shape = operation.moving, values[0].shape
    numbers, still, first = [], [], 0
    for place in places:
        x = operation.exact[place]
        numbers.append(torch.arange(first, first + x.numel(), device=x.device).reshape(x.shape))
        still.append(x.new_zeros((), dtype=operation.tape.dtype).expand(x.numel()))
        first += x.numel()
    chosen = operation.run(replaced(operation.exact, places, numbers)).flatten()
    positions = [places.index(place) for place in moving]

    def step(*tangents: Tensor) -> Tensor:
        parts = replaced(still, positions, [tangent.flatten() for tangent in tangents])
        return _entries(chosen, shape, torch.cat(parts))

    return {0: operation.add(step, moving, shape)}


def _entries(numbers: Tensor, shape: torch.Size, t: Tensor) -> Tensor:
    result: Tensor = t.flatten().index_select(0, numbers).unflatten(0, shape)
    return result


def _max_pool(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """The entries that won."""
    x, winners = operation.exact[0], values[1]
    size, planes = winners.shape, x.numel() // (x.shape[-2] * x.shape[-1])
    first = torch.arange(planes, device=x.device) * (x.shape[-2] * x.shape[-1])
    numbers = (winners.reshape(planes, -1) + first[:, None]).flatten()
    return {0: operation.add(partial(_entries, numbers, size), [0], size)}


def _bilinear(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """Linear in each of two operands, the other held."""
    run, operands, shape = operation.run, operation.rounded(), values[0].shape
    terms = [
        operation.add(partial(_moved, run, replaced(operands, [place], [None]), [place], 0), [place], shape)
        for place in operation.moving
    ]
    return {0: operation.tape.total(terms)}


def _affine(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """`x + y z`, of matrices or of batches of them."""
    if 0 in operation.moving or len(operation.exact) > 3:
        return _general(operation, values)
    multiply = aten.mm if values[0].ndim == 2 else aten.bmm
    return _bilinear(Operation(multiply.default, operation.operands[1:], {}), values)


def _convolution(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    if 2 in operation.moving:  # the bias
        return _general(operation, values)
    operation.plain[2] = None  # it does not move
    return _bilinear(operation, values)


def _padded(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    if len(operation.plain) > 2:
        operation.plain[2] = 0  # what it is filled with does not move
    return _linear(operation, values)


def _general(operation: Operation, values: list[Any]) -> dict[int, Tangent]:
    """By PyTorch's own JVP, at each replay."""
    run, moving, operands = operation.run, operation.moving, operation.rounded()
    points = tuple(operands[place] for place in moving)

    def result(wanted: int, *tangents: Tensor) -> Tensor:
        derivative: Tensor = torch.func.jvp(partial(_moved, run, operands, moving, wanted), points, tangents)[1]
        return derivative

    return {
        place: operation.add(partial(result, place), moving, value.shape)
        for place, value in enumerate(values)
        if is_number(value)
    }


def _kinds(names: str) -> list[Any]:
    return [getattr(aten, name) for name in names.split() if hasattr(aten, name)]


_RULES: dict[Any, Rule] = {
    **dict.fromkeys(
        _kinds(
            "detach empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like zeros_like "
            "ceil floor round sign trunc"
        ),
        _constant,
    ),
    **dict.fromkeys(_kinds("_to_copy alias clone contiguous lift_fresh"), _copy),
    **dict.fromkeys(_kinds("copy"), _written),
    **dict.fromkeys(_kinds("add sub"), _sum),
    **dict.fromkeys(_kinds("mul"), _product),
    **dict.fromkeys(_kinds("div"), _quotient),
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    **dict.fromkeys(_kinds("_reshape_alias _unsafe_view reshape view"), _reshape),
    **dict.fromkeys(_kinds("as_strided as_strided_scatter diagonal_scatter select_scatter slice_scatter"), _rearranged),
    **dict.fromkeys(_kinds("max_pool2d_with_indices"), _max_pool),
    **dict.fromkeys(_kinds("bmm dot mm mv"), _bilinear),
    **dict.fromkeys(_kinds("addmm baddbmm"), _affine),
    **dict.fromkeys(_kinds("convolution"), _convolution),
    **dict.fromkeys(_kinds("constant_pad_nd"), _padded),
    **dict.fromkeys(
        _kinds(
            "_adaptive_avg_pool2d _fft_c2c _fft_c2r _fft_r2c _upsample_bicubic2d_aa _upsample_bilinear2d_aa avg_pool1d "
            "avg_pool2d cat cumsum flip gather index index_select mean pixel_shuffle reflection_pad1d "
            "reflection_pad2d repeat replication_pad1d replication_pad2d roll stack sum "
            "upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d"
        ),
        _linear,
    ),
}


def _rule(func: Any) -> Rule:
    known = _RULES.get(func.overloadpacket)
    if known or func.is_view:
        return known or _linear
    return _elementwise if torch.Tag.pointwise in func.tags else _general
