"""The metric tensor of a generator under an image distance.

A squared image distance `d` pulls back through the generator `G` to `H(z) = ∂² d(G(z), G(z')) / ∂z'²` at `z' = z`
(Wang & Ponce 2021, section 2).  There the gradient of `d` vanishes, so for `d(x, y) = ‖φ(x) − φ(y)‖²` exactly
`H = 2 JᵀJ` with `J = ∂φ(G(z)) / ∂z`: first derivatives suffice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from geomlib._checks import check_choice, check_finite, check_matrix
from geomlib.distances import Distance
from geomlib.generators.interface import Generator

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Metric:
    """Metric tensors with their eigen-decomposition, all float64 on the CPU.

    `matrix` is `(n, n)` or `(P, n, n)`; `eigenvalues` `([P,] n)` descend; eigenvectors are the columns of
    `eigenvectors`, `matrix @ V == V * w`, with the entry of largest magnitude positive.  An eigenvalue below
    `noise_floor` `([P])` is rounding error: its value and its vector mean nothing.
    """

    matrix: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor
    noise_floor: Tensor

    @classmethod
    def from_matrix(cls, matrix: Tensor, noise_floor: Tensor) -> "Metric":
        """Decompose symmetric `matrix`; raises `FloatingPointError` where it is not finite."""
        matrix = matrix.detach().to("cpu", torch.float64)
        check_finite("metric tensor", matrix)
        matrix = (matrix + matrix.mT) / 2
        ascending, vectors = torch.linalg.eigh(matrix)
        vectors = vectors.flip(-1)
        largest = vectors.gather(-2, vectors.abs().argmax(-2, keepdim=True))
        return cls(matrix, ascending.flip(-1), vectors * largest.sign(), noise_floor.detach().to("cpu", torch.float64))

    def __getitem__(self, position: int | slice | Tensor) -> "Metric":
        """The metric at one or several of the positions."""
        return Metric(*(part[position] for part in self._parts().values()))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that `load_metric` reads."""
        save_file({key: value.contiguous() for key, value in self._parts().items()}, path)

    def _parts(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("matrix", "eigenvalues", "eigenvectors", "noise_floor")}


def load_metric(path: str | Path) -> Metric:
    """Read what `Metric.save` wrote; raises `FileNotFoundError`, or `ValueError` for another kind of file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: no file {path}")
    with safe_open(path, "pt") as file:
        names = ("matrix", "eigenvalues", "eigenvectors", "noise_floor")
        if set(file.keys()) != set(names):
            raise ValueError(f"path: {path} holds {sorted(file.keys())}, expected a saved metric: {list(names)}")
        return Metric(*(file.get_tensor(name) for name in names))


def average(metric: Metric) -> Metric:
    """The mean of the metric tensors over positions, decomposed (no cut-off, no normalisation by the trace)."""
    if metric.matrix.ndim != 3:
        raise ValueError(f"metric: expected several positions (P, n, n), got {tuple(metric.matrix.shape)}")
    return Metric.from_matrix(metric.matrix.mean(0), metric.noise_floor.mean(0))


def metric_tensor(
    generator: Generator,
    z: Tensor,
    distance: Distance,
    method: str = "pullback",
    *,
    tile: int = 64,
    progress: Progress | None = None,
) -> Metric:
    """The metric tensor at a latent `z` `(n,)`, or at each of `(P, n)`.

    `pullback` forms `2 JᵀJ` from `n` Jacobian-vector products in forward mode, `tile` at a time, in the generator's
    precision, and multiplies in float64.  `backward` differentiates the distance twice, the published method.  Both
    give the same matrix.  `progress(done, total)` is called after each position.

    Raises `ValueError` for a wrong shape, an unknown method, or where no derivative reaches the latent, and
    `FloatingPointError` naming the position where an image or the metric is not finite.
    """
    check_choice("method", method, _METHODS)
    positions = z if z.ndim == 2 else z[None]
    check_matrix("z", positions, generator.latent_dim)
    check_finite("z", positions)
    positions = positions.detach().to(generator.device, generator.dtype)
    matrices, floors = [], []
    for index, position in enumerate(positions):
        with torch.no_grad():
            check_finite(f"image at position {index}", generator(position[None]))
            matrix, rounding = _METHODS[method](generator, position, distance, tile)
        check_finite(f"metric tensor at position {index}", matrix)
        if not matrix.any():
            raise ValueError(
                f"generator: at position {index} no derivative of the image reaches the latent (the output is "
                "detached from it, or every pixel is saturated)"
            )
        matrices.append(matrix.cpu())
        floors.append(rounding * torch.linalg.matrix_norm(matrix, 2).cpu())
        if progress:
            progress(index + 1, len(positions))
    stacked, floor = torch.stack(matrices), torch.stack(floors)
    return Metric.from_matrix(stacked, floor) if z.ndim == 2 else Metric.from_matrix(stacked[0], floor[0])


def jacobian(generator: Generator, z: Tensor, distance: Distance, tile: int = 64) -> Tensor:
    """`J = ∂φ(G(z)) / ∂z`, `(m, n)`, in the generator's precision: one Jacobian-vector product a column."""

    def features(position: Tensor) -> Tensor:
        return distance.features(generator(position[None]))[0]

    def column(tangent: Tensor) -> Tensor:
        derivative: Tensor = torch.func.jvp(features, (z,), (tangent,))[1]
        return derivative

    basis = torch.eye(len(z), dtype=z.dtype, device=z.device)
    return torch.cat([torch.func.vmap(column)(part) for part in basis.split(tile)]).mT


def _pullback(generator: Generator, z: Tensor, distance: Distance, tile: int) -> tuple[Tensor, float]:
    columns = jacobian(generator, z, distance, tile).double()
    # A column of J is right to some units of rounding; squared, that is what JᵀJ cannot tell from zero (measured:
    # eigenvalues of tanh networks are right to 1 % down to this share of the largest).
    rounding = max((8 * torch.finfo(z.dtype).eps) ** 2, 16 * torch.finfo(torch.float64).eps)
    return 2 * columns.mT @ columns, rounding


def _backward(generator: Generator, z: Tensor, distance: Distance, tile: int) -> tuple[Tensor, float]:
    reference = generator(z[None])

    def objective(position: Tensor) -> Tensor:
        return distance(generator(position[None]), reference)[0]

    hessian = torch.func.jacrev(torch.func.grad(objective), chunk_size=tile)(z).double()
    return hessian, 8 * torch.finfo(z.dtype).eps


_METHODS = {"pullback": _pullback, "backward": _backward}
