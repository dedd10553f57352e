"""What the operators at one latent have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_choice
from geomlib._state import isolated
from geomlib.derivatives.jacobian import PRECISIONS, arithmetic
from geomlib.derivatives.tiling import Footprint, Tiling, make_tiling
from geomlib.generators.interface import Generator

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

Objective = Callable[[Tensor], Tensor]


class Operator(ABC):
    """A symmetric `(n, n)` operator at a latent `z` `(n,)`.

    The network runs in `dtype` on `device`; vectors come back in the dtype and on the device in which they are given.
    """

    tiling: Tiling

    def __init__(self, generator: Generator, z: Tensor, precision: str = "full") -> None:
        """Note what all have in common; who inherits makes the tiling once it knows what it needs."""
        check_choice("precision", precision, PRECISIONS)
        self.generator, self.precision = generator, precision
        self.z = z.detach().to(generator.device, generator.dtype)
        self.device, self.dtype, self.shape = generator.device, generator.dtype, (len(z), len(z))

    def _make_tiling(self, sizes: Footprint, **limits: Any) -> Tiling:
        """The tiling for what one sample takes (`make_tiling`), once it is sure that it is something and repeats."""
        if not sizes.output:
            raise ValueError("generator: expected images or features of at least one value, got none")
        if getattr(self.generator, "deterministic", True):
            check_repeats(self._map, self.z, sizes.random)
        return make_tiling(sizes, len(self.z), self.device, **limits)

    @abstractmethod
    def at(self, z: Tensor) -> Self:
        """The same operator at another latent `(n,)`, with what was learnt here: the tile, and the route to `J v`."""

    def settings(self) -> dict[str, str]:
        """How products are computed: tile, block, memory and precision."""
        tiling = self.tiling
        numbers = {"tile": tiling.tile, "block": tiling.block, "memory": tiling.memory}
        return {key: str(value) for key, value in numbers.items()} | {"precision": self.precision}

    def run_tile(self) -> int:
        """Compute one tile of the matrix, to see what it takes; the number of its columns."""
        basis = torch.eye(len(self.z), dtype=self.dtype)[:, : self.tiling.tile]
        self.matmat(basis)  # back from the device, so that it has been waited for
        return basis.shape[1]

    @property
    def rounding(self) -> float:
        """Eight units of rounding of the arithmetic in use: the error of one product, as a share of the largest."""
        return 8 * max(torch.finfo(self.dtype).eps, PRECISIONS[self.precision])

    @property
    def dense_rounding(self) -> float:
        """The same for an eigenvalue of the matrix that `to_dense` gives."""
        return self.rounding

    @abstractmethod
    def _products(self, rows: Tensor) -> Tensor:
        """`H v` of each row, `(k, n)` to `(k, n)`, in the operator's dtype."""

    @abstractmethod
    def _map(self, z: Tensor) -> Tensor:
        """What is differentiated, at one latent."""

    @checked(shapes={"v": "n"})
    def matvec(self, v: Tensor) -> Tensor:
        """`H v`, `(n,)`."""
        return self.matmat(v[:, None])[:, 0]

    @isolated(shapes={"V": "n k"})
    def matmat(self, V: Tensor) -> Tensor:
        """`H V` of several columns, `(n, k)`, in tiles; raises `ValueError` for another shape."""
        return self._products(V.mT.to(self.device, self.dtype)).to(V.device, V.dtype).mT

    @isolated()
    def to_dense(self) -> Tensor:
        """The matrix `(n, n)`, float64 on the CPU, as computed: symmetric up to rounding."""
        return self._products(torch.eye(len(self.z), device=self.device, dtype=self.dtype)).mT.cpu().double()

    def as_linear_operator(self) -> "LinearOperator":
        """A `scipy.sparse.linalg.LinearOperator` in float64, for ARPACK and the like."""
        from scipy.sparse.linalg import LinearOperator

        def product(vectors: Any) -> Any:
            columns = torch.from_numpy(vectors.reshape(len(self.z), -1).astype("float64"))
            return self.matmat(columns).numpy().reshape(vectors.shape)

        return LinearOperator(self.shape, matvec=product, rmatvec=product, matmat=product, dtype="float64")


def check_repeats(function: Callable[[Tensor], Tensor], point: Tensor, drawn: str) -> None:
    """Raise `ValueError` where the operation `drawn` makes two results differ: it may draw from a seed of its own.

    They are taken beside the point, for there a distance is zero however it draws.
    """
    if not drawn:
        return
    with torch.no_grad():
        first, second = (function(point + 0.01 * (1 + point.abs())) for _ in range(2))
    if not torch.allclose(first, second, rtol=0, atol=0, equal_nan=True):
        raise ValueError(
            f"generator: {drawn} draws new random numbers in each call, so that a latent has no one image; switch it "
            "off (dropout takes training=self.training) or keep what it drew, or if it is meant pass "
            "Generator(deterministic=False) and use method='backward'"
        )


def gradient_at(function: Objective, point: Tensor, precision: str, graph: bool = True) -> tuple[Tensor, Tensor]:
    """A copy of `point`, and the gradient of `function` there, with its `graph` where it is differentiated again."""
    point = point.detach().clone().requires_grad_()
    with torch.enable_grad(), arithmetic(precision):
        value = function(point)
        if value.numel() != 1:
            raise ValueError(f"objective: expected one number for one image, got shape {tuple(value.shape)}")
        if not value.requires_grad:
            return point, torch.zeros_like(point)
        return point, torch.autograd.grad(value.sum(), point, create_graph=graph, materialize_grads=True)[0]
