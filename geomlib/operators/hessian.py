"""The Hessian of a distance to the image at a latent, or of any objective of it, by two differentiations.

`HessianOperator` goes backward twice, and `FiniteDifferenceOperator` takes differences of the gradient: the methods of
Wang & Ponce 2021 (section 2 and appendix).  Both are the same matrix at `z`, factor 2 included.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import shown
from geomlib._state import isolated
from geomlib.derivatives.jacobian import arithmetic, check_twice_differentiable, difference_step, vjp_rows
from geomlib.derivatives.tiling import footprint
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.operators.base import Objective, Operator, gradient_at


class HessianOperator(Operator):
    """The Hessian at `z`, by double backward, of a distance to the image there, or of an objective of the image.

    `objective` is a `Distance`, or takes images `(1, ...)` to one number, for example the activation of a unit.
    """

    @isolated(shapes={"z": "n"})
    def __init__(
        self,
        generator: Generator,
        z: Tensor,
        objective: Distance | Objective,
        *,
        tile: int | None = None,
        memory: str | int | None = None,
        precision: str = "full",
        like: "HessianOperator | None" = None,
    ) -> None:
        """`tile`, `memory` and `precision` are those of `metric_operator`; `like` is what `at` belongs to."""
        super().__init__(generator, z, precision)
        self.objective = objective
        if like is None:
            sizes = footprint(self._map, self.z)
            self.tiling = self._make_tiling(sizes, smallest_tile=4, tile=tile, memory=memory, second_order=True)
        else:
            self.tiling = like.tiling

    @checked()
    def at(self, z: Tensor) -> "HessianOperator":
        """The same operator at another latent `(n,)`, with the tile that fits."""
        return HessianOperator(self.generator, z, self.objective, precision=self.precision, like=self)

    @cached_property
    def _scalar(self) -> Objective:
        if not isinstance(self.objective, Distance):
            return self.objective
        distance = self.objective
        with torch.no_grad():
            reference = self.generator(self.z[None])
        return lambda image: distance(image, reference)

    def _map(self, z: Tensor) -> Tensor:
        value = self._scalar(self.generator(z[None]))
        if not isinstance(value, Tensor):
            raise TypeError(f"objective: expected a tensor of one number, got {shown(value)}")
        return value

    @cached_property
    def _graph(self) -> tuple[Tensor, Tensor]:
        point, gradient = gradient_at(self._map, self.z, self.precision)
        check_twice_differentiable(gradient)
        return point, gradient

    def _products(self, rows: Tensor) -> Tensor:
        point, gradient = self._graph
        with arithmetic(self.precision):
            return self.tiling.run(lambda part: vjp_rows(gradient, point, part), rows)


class FiniteDifferenceOperator(HessianOperator):
    """Central differences of the gradient: `(g(z + εu) − g(z − εu)) / 2ε` for a unit vector `u`.

    `ε` is `relative_step · ‖z‖`, or `relative_step` at the origin, or `absolute_step` where that is given.  By default
    the relative step is 1e-4 in float32, 1e-6 in float64: small, for a step across kinks is what costs accuracy.

    Raises `ValueError` in float16 and bfloat16, whose rounding leaves nothing of such a step, unless one is given, and
    for a generator with fresh noise in each call.
    """

    @checked()
    def __init__(
        self,
        generator: Generator,
        z: Tensor,
        objective: Distance | Objective,
        *,
        relative_step: float | None = None,
        absolute_step: float | None = None,
        **limits: Any,
    ) -> None:
        """`limits` are those of `HessianOperator`."""
        if not getattr(generator, "deterministic", True):
            raise ValueError(
                "generator: its noise is drawn anew in each call, which differences take for the derivative; load it "
                "with fixed noise, or use method='backward'"
            )
        super().__init__(generator, z, objective, **limits)
        self._steps = {"relative_step": relative_step, "absolute_step": absolute_step}
        if absolute_step is None:
            relative = difference_step(self.dtype) if relative_step is None else relative_step
            absolute_step = relative * (float(self.z.norm()) or 1.0)
        self.step = absolute_step
        if not self.step > 0:
            raise ValueError(f"relative_step, absolute_step: expected positive numbers, got a step of {self.step:g}")

    @checked()
    def at(self, z: Tensor) -> "FiniteDifferenceOperator":
        """The same operator at another latent `(n,)`; a relative step follows its length."""
        return FiniteDifferenceOperator(
            self.generator, z, self.objective, **self._steps, precision=self.precision, like=self
        )

    def _products(self, rows: Tensor) -> Tensor:
        return torch.stack([self._difference(row) for row in rows])

    def _difference(self, v: Tensor) -> Tensor:
        length = float(v.norm())
        if not length:
            return torch.zeros_like(v)
        ahead, behind = (
            gradient_at(self._map, self.z + sign * self.step / length * v, self.precision, graph=False)[1]
            for sign in (1, -1)
        )
        return (ahead - behind) * (length / (2 * self.step))
