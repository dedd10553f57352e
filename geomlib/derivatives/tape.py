"""A linear map as a tape of steps between registers, replayed for a tile of directions at a time.

Consecutive elementwise factors are multiplied once, not with each direction, and a step overwrites what nothing else
needs: replaying the derivative of a function takes fewer passes over memory than the function itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from geomlib.derivatives.tiling import Footprint

Factor = float | Tensor


@dataclass(frozen=True)
class Step:
    """`output = function(*inputs)`, of registers; linear in all of them together."""

    function: Callable[..., Tensor]
    inputs: tuple[int, ...]
    output: int
    # The same in the memory of the first input.
    overwriting: Callable[..., Tensor] | None = None
    commutative: bool = False
    # The result shares memory with the input; it may also do so with itself.
    is_view: bool = False
    overlaps: bool = False
    # Registers that no later step asks for.
    ends: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tangent:
    """`factor` times what a register holds, elementwise; multiplied out only where another kind of step needs it."""

    register: int
    factor: Factor = 1.0

    def times(self, factor: Factor) -> "Tangent":
        """The same, multiplied once more."""
        return Tangent(self.register, factor * self.factor)


def in_precision(x: Any, dtype: torch.dtype) -> Any:
    """A tensor of numbers, or the name of their kind, in the precision of `dtype`; anything else as it is."""
    kind = x if isinstance(x, torch.dtype) else x.dtype if isinstance(x, Tensor) else torch.bool
    if not (kind.is_floating_point or kind.is_complex):
        return x
    chosen = dtype.to_complex() if kind.is_complex else dtype
    return chosen if isinstance(x, torch.dtype) else x.to(chosen)


class Tape:
    """`J v` of directions `v`, which register 0 holds; steps work in the dtype of `point`, where `J` was taken."""

    def __init__(self, point: Tensor) -> None:
        self.dtype = point.dtype
        self.steps: list[Step] = []
        self.shapes = [point.shape]
        self.result: int | None = None
        self.shape = torch.Size()
        # Of the function itself, as far as it was met on the way.
        self.footprint = Footprint(0, 0, 0)

    def __call__(self, rows: Tensor) -> Tensor:
        """`J v` of each row `v` `(k, n)`, `(k, *shape)`; differentiable."""
        if self.result is None:
            return rows.new_zeros(len(rows), *self.shape)
        products: Tensor = torch.func.vmap(self._replay)(rows)
        return products

    def _replay(self, direction: Tensor) -> Tensor:
        assert self.result is not None
        registers = {0: direction}
        # Autograd may need what a step would overwrite.
        in_place = not torch.is_grad_enabled()
        for step in self.steps:
            operands = [registers[index] for index in step.inputs]
            for index in step.ends:
                del registers[index]
            registers[step.output] = ((in_place and step.overwriting) or step.function)(*operands)
        return registers[self.result]

    def add(self, function: Callable[..., Tensor], inputs: Sequence[int], shape: torch.Size, **kind: Any) -> int:
        """Record a step whose result has `shape`; its register."""
        self.steps.append(Step(function, tuple(inputs), len(self.shapes), **kind))
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def register(self, tangent: Tangent, shape: torch.Size) -> int:
        """The register of a tangent, multiplied out and expanded to `shape`."""
        register = self._multiplied(tangent)
        if self.shapes[register] == shape:
            return register
        return self.add(lambda t: t.expand(shape), [register], shape, is_view=True, overlaps=True)

    def _multiplied(self, tangent: Tangent) -> int:
        register, shape = tangent.register, self.shapes[tangent.register]
        if not isinstance(tangent.factor, Tensor) and tangent.factor == 1:
            return register
        constant = in_precision(tangent.factor, self.dtype)
        grown = _broadcast(shape, getattr(constant, "shape", torch.Size()))
        in_place = (lambda t: t.mul_(constant)) if grown == shape else None
        return self.add(lambda t: t * constant, [register], grown, overwriting=in_place)

    def total(self, terms: Sequence[Tangent]) -> Tangent:
        """The sum of `terms`, which broadcast."""
        factors: dict[int, Factor] = {}
        for term in terms:
            known = factors.get(term.register)
            factors[term.register] = term.factor if known is None else known + term.factor
        if len(factors) == 1:
            return Tangent(*factors.popitem())
        total, *others = (self._multiplied(Tangent(*pair)) for pair in factors.items())
        for other in others:
            total = self._added(total, other)
        return Tangent(total)

    def _added(self, left: int, right: int) -> int:
        shapes = self.shapes[left], self.shapes[right]
        grown = _broadcast(*shapes)
        if shapes[0] != grown:
            left, right = right, left
        in_place, alike = Tensor.add_ if grown in shapes else None, shapes[0] == shapes[1]
        return self.add(torch.add, [left, right], grown, overwriting=in_place, commutative=alike)

    def end(self, result: int | None, shape: torch.Size) -> None:
        """Keep the steps that `result` needs, None for no dependence; let them overwrite where nothing is lost."""
        self.result, self.shape = result, shape
        if result is None:
            return
        needed, kept = {result}, []
        for step in reversed(self.steps):
            if step.output in needed:
                kept.append(step)
                needed.update(step.inputs)
        kept.reverse()
        last = {index: when for when, step in enumerate(kept) for index in step.inputs} | {result: len(kept)}
        memory, solid = {0: 0}, {0: False}  # the register whose memory a register has; whether it may be overwritten
        for step in kept:
            first = step.inputs[0]
            memory[step.output] = memory[first] if step.is_view else step.output
            solid[step.output] = not step.overlaps and (solid[first] or not step.is_view)
        busy: dict[int, int] = {}
        for register, when in last.items():
            busy[memory[register]] = max(busy.get(memory[register], 0), when)
        self.steps = []
        for when, step in enumerate(kept):
            ends = tuple({index for index in step.inputs if last[index] == when})
            free = [index for index in step.inputs if solid[index] and busy[memory[index]] == when]
            if step.commutative and free and free[0] != step.inputs[0]:
                step = replace(step, inputs=step.inputs[::-1])
            apart = len({memory[index] for index in step.inputs}) == len(step.inputs)
            in_place = step.overwriting if apart and step.inputs[0] in free else None
            self.steps.append(replace(step, overwriting=in_place, ends=ends))


def _broadcast(first: torch.Size, second: torch.Size) -> torch.Size:
    length = max(len(first), len(second))
    pairs = zip(*([1] * (length - len(shape)) + list(shape) for shape in (first, second)), strict=True)
    return torch.Size(b if a == 1 else a for a, b in pairs)
