"""The metric tensor from first derivatives of the generator.

At `z' = z` the gradient of a squared distance vanishes, so its Hessian there is exactly `Jᵀ (∇²_x d) J`, and `2 JᵀJ`
for `d(x, y) = ‖φ(x) − φ(y)‖²` with `J = ∂φ(G(z)) / ∂z`.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._state import isolated
from geomlib.derivatives.gram import gram
from geomlib.derivatives.jacobian import Linearisation, arithmetic, vjp_rows
from geomlib.derivatives.tiling import footprint
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.operators.base import Operator, check_repeats, gradient_at


class PullbackOperator(Operator):
    """`2 JᵀJ`, or `Jᵀ (∇²_x d) J` for a distance without feature form: first derivatives of the generator suffice.

    Raises `ValueError` for a generator with fresh noise in each call, and for a distance whose gradient at `z` is not
    zero: there this is not the Hessian.
    """

    @isolated(shapes={"z": "n"})
    def __init__(
        self,
        generator: Generator,
        z: Tensor,
        distance: Distance,
        *,
        tile: int | None = None,
        memory: str | int | None = None,
        precision: str = "full",
        like: "PullbackOperator | None" = None,
    ) -> None:
        """`tile`, `memory` and `precision` are those of `metric_operator`; `like` is what `at` belongs to."""
        if not getattr(generator, "deterministic", True):
            raise ValueError(
                "generator: its noise is drawn anew in each call, so that pullback has no one image to start from; "
                "load it with fixed noise, or use method='backward'"
            )
        super().__init__(generator, z, precision)
        self.distance = distance
        if like is None:
            self.linear = Linearisation(self._map, self.z, precision)
            # Without a recording each tile computes the image anew, which a few columns had better share.
            smallest = 1 if self.linear.tape else 4
            self.tiling = self._make_tiling(self.linear.footprint, smallest_tile=smallest, tile=tile, memory=memory)
        else:
            self.linear, self.tiling = like.linear.at(self.z), like.tiling
        if distance.features is None:
            self._check_gradient()

    @checked()
    def at(self, z: Tensor) -> "PullbackOperator":
        """The same operator at another latent `(n,)`, with the tile that fits and the route to `J v` that serves."""
        return PullbackOperator(self.generator, z, self.distance, precision=self.precision, like=self)

    def settings(self) -> dict[str, str]:
        """How products are computed: also the route to a column of `J`, and whether it was recorded."""
        return super().settings() | {"route": self.linear.route, "recorded": str(self.linear.tape is not None)}

    def run_tile(self) -> int:
        """Compute one tile of the matrix, to see what it takes; the number of its columns."""
        kept = self.columns(torch.eye(len(self.z), dtype=self.dtype, device=self.device)[: self.tiling.tile])
        gram(kept, self.inner(kept))
        return len(kept)

    def _map(self, z: Tensor) -> Tensor:
        image = self.generator(z[None])
        return image.flatten() if self.distance.features is None else self.distance.features(image)[0]

    @property
    def dense_rounding(self) -> float:
        """Squared units of rounding where `J` is multiplied with itself, in float64."""
        if self.distance.features is None:
            return self.rounding
        # A column of J is right to some units of rounding; squared, that is what JᵀJ cannot tell from zero (measured:
        # eigenvalues of tanh networks are right to 1 % down to this share of the largest).
        return max(self.rounding**2, 16 * torch.finfo(torch.float64).eps)

    def _products(self, rows: Tensor) -> Tensor:
        graph = self.linear.tape is not None
        return self.tiling.run(lambda part: self.linear.congruence(part, self.inner), rows, graph)

    def _jvp(self, rows: Tensor) -> Tensor:
        return self.tiling.run(self.linear.jvp, rows)

    @checked(shapes={"moves": "k m"})
    def inner(self, moves: Tensor) -> Tensor:
        """`(∇²_x d) u` of each move `u` of the image; twice the move in feature space."""
        if self.distance.features is not None:
            return 2 * moves
        image, gradient = self._image_gradient
        moved = moves.unflatten(1, image.shape)
        with arithmetic(self.precision):
            return self.tiling.run(lambda part: vjp_rows(gradient, image, part), moved).flatten(1)

    @cached_property
    def _image_gradient(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            reference = self.generator(self.z[None])
        return gradient_at(lambda image: self.distance(image, reference), reference, self.precision)

    def _check_gradient(self) -> None:
        """The gradient at no distance must be rounding error beside the one a small step away."""
        image, gradient = self._image_gradient

        def beside_itself(moved: Tensor) -> Tensor:
            return self.distance(moved, image.detach())

        check_repeats(beside_itself, image.detach(), footprint(beside_itself, image.detach()).random)
        random = torch.Generator().manual_seed(0)
        step = 1e-2 * torch.randn(image.shape, generator=random, dtype=torch.float64).to(image)
        _, beside = gradient_at(beside_itself, image.detach() + step, self.precision)
        if not gradient.norm() <= 1e-2 * beside.norm():
            raise ValueError(
                f"distance: {self.distance.name} has the gradient {gradient.norm().item():.3g} at no distance, "
                "expected zero, as of a squared distance; use method='backward' for the Hessian of this one"
            )

    def to_dense(self) -> Tensor:
        """The matrix `(n, n)`, float64 on the CPU: `J` in the network's dtype, its products summed in float64.

        Where `J` does not fit the memory, blocks of its columns are kept and the others computed again.
        """
        return self.grams()[0]

    @isolated()
    def grams(self, sizes: Sequence[int] = ()) -> Tensor:
        """The matrix of each of several parts of the features, `sizes` of them in turn: `(len(sizes), n, n)`.

        Raises:
            ValueError: sizes that are not those of the parts.
        """
        n, tile, sizes = len(self.z), self.tiling.tile, tuple(sizes)
        basis = torch.eye(n, device=self.device, dtype=self.dtype)
        matrices = torch.zeros(max(1, len(sizes)), n, n, dtype=torch.float64)
        for start in range(0, n, self.tiling.block):
            stop = min(start + self.tiling.block, n)
            kept = [self._jvp(rows) for rows in basis[start:stop].split(tile)]
            moved = kept if self.distance.features is not None else [self.inner(rows) for rows in kept]
            if sizes and (min(sizes) < 0 or sum(sizes) != kept[0].shape[1]):
                raise ValueError(f"sizes: expected those of parts of {kept[0].shape[1]} features, got {sizes}")
            edges = [0, *accumulate(sizes or kept[0].shape[1:])]
            parts = [slice(*pair) for pair in pairwise(edges)]
            lefts = [[rows[:, part] for rows in moved] for part in parts]
            for matrix, part, left in zip(matrices, parts, lefts, strict=True):
                # Looking the same is not enough: `gram` saves half of the work where both are one.
                right = left if moved is kept else [rows[:, part] for rows in kept]
                matrix[start:stop, start:stop] = gram(left, right)
            for first in range(stop, n, tile):
                last = min(first + tile, n)
                beside = self._jvp(basis[first:last])
                for matrix, part, left in zip(matrices, parts, lefts, strict=True):
                    matrix[start:stop, first:last] = gram(left, beside[:, part])
                    matrix[first:last, start:stop] = matrix[start:stop, first:last].mT
        return matrices if self.distance.features is None else 2 * matrices

    @isolated(shapes={"rows": "k n"})
    def columns(self, rows: Tensor) -> Tensor:
        """`J v` of each row `v` `(k, n)`, `(k, m)`, written in place so that nothing is held twice."""
        parts = rows.to(self.device, self.dtype).split(self.tiling.tile)
        first = self._jvp(parts[0])
        result = first.new_empty(len(rows), first.shape[1])
        result[: len(first)] = first
        done = len(first)
        for part in parts[1:]:
            result[done : done + len(part)] = self._jvp(part)
            done += len(part)
        return result
