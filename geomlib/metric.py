"""The metric tensor of a generator under an image distance.

A squared image distance `d` pulls back through the generator `G` to `H(z) = ∂² d(G(z), G(z')) / ∂z'²` at `z' = z`
(Wang & Ponce 2021, section 2).  `operators` says how it is computed.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from geomlib._arguments import checked
from geomlib._checks import check_finite, check_reached, shown
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.operators import Operator, PullbackOperator, metric_operator


@dataclass(frozen=True)
class Metric:
    """Metric tensors with their eigen-decomposition, all float64 on the CPU.

    `matrix` is `(n, n)` or `(P, n, n)`; `eigenvalues` `([P,] n)` descend; eigenvectors are the columns of
    `eigenvectors`, `matrix @ V == V * w`, with the entry of largest magnitude positive.  An eigenvalue below
    `noise_floor` `([P])` is rounding error: its value and its vector mean nothing.  `settings` records how the metric
    was computed: method, route and whether it was recorded, tile, memory, precision, dtype, device; saved with it.
    """

    matrix: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor
    noise_floor: Tensor
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    @checked(gaps=("matrix",), shapes={"matrix": "* m m"})
    def from_matrix(cls, matrix: Tensor, noise_floor: Tensor, settings: Mapping[str, str] | None = None) -> "Metric":
        """Decompose symmetric `matrix`; raises `FloatingPointError` where it is not finite."""
        if noise_floor.shape != matrix.shape[:-2]:
            expected = tuple(matrix.shape[:-2])
            raise ValueError(f"matrix, noise_floor: expected a floor {expected}, got {tuple(noise_floor.shape)}")
        matrix = matrix.detach().to("cpu", torch.float64)
        check_finite("metric tensor", matrix)
        matrix = (matrix + matrix.mT) / 2
        ascending, vectors = torch.linalg.eigh(matrix)
        floor = noise_floor.detach().to("cpu", torch.float64)
        return cls(matrix, ascending.flip(-1), signs_fixed(vectors.flip(-1)), floor, settings or {})

    def __getitem__(self, position: int | slice | Tensor) -> "Metric":
        """The metric at one or several of the positions."""
        return Metric(**{name: part[position] for name, part in self._parts().items()}, settings=self.settings)

    @checked()
    def save(self, path: str | Path) -> None:
        """Write a safetensors file that `load_metric` reads; raises `OSError` where it cannot be written."""
        parts = {key: value.contiguous() for key, value in self._parts().items()}
        try:
            save_file(parts, path, metadata=dict(self.settings))
        except SafetensorError as error:
            raise OSError(f"path: cannot write {shown(str(path))} ({error})") from error

    def _parts(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in PARTS}


PARTS = ("matrix", "eigenvalues", "eigenvectors", "noise_floor")


@checked(shapes={"vectors": "* n k"})
def signs_fixed(vectors: Tensor) -> Tensor:
    """Columns `(..., n, k)`, each with the sign that makes its entry of largest magnitude positive."""
    largest = vectors.gather(-2, vectors.abs().argmax(-2, keepdim=True))
    return vectors * largest.sign()


@checked()
def load_metric(path: str | Path) -> Metric:
    """Read what `Metric.save` wrote; raises `FileNotFoundError`, or `ValueError` for another kind of file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: no file {path}")
    try:
        with safe_open(path, "pt") as file:
            if set(file.keys()) != set(PARTS):
                raise ValueError(f"path: {path} holds {sorted(file.keys())}, expected a saved metric: {list(PARTS)}")
            return Metric(**{name: file.get_tensor(name) for name in PARTS}, settings=file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"path: {path} is no whole safetensors file ({error})") from error


@checked()
def average(metric: Metric) -> Metric:
    """The mean of the metric tensors over positions, decomposed (no cut-off, no normalisation by the trace).

    Args:
        metric: at several positions, `(P, n, n)`.

    Returns:
        One metric `(n, n)`; its noise floor is the mean of theirs.

    Raises:
        ValueError: for a metric at one position.

    Examples:
        On the unit sphere, at the equator and halfway to the pole:

        >>> import geomlib, torch
        >>> sphere, z = geomlib.load_generator("sphere"), torch.tensor([[torch.pi / 2, 0.0], [torch.pi / 4, 0.0]])
        >>> mean = geomlib.average(geomlib.metric_tensor(sphere, z, geomlib.load_distance("mse")))
        >>> print((mean.eigenvalues * 3 / 2).round(decimals=4).tolist())
        [1.0, 0.75]
    """
    if metric.matrix.ndim != 3 or not len(metric.matrix):
        raise ValueError(f"metric: expected several positions (P, n, n), got {tuple(metric.matrix.shape)}")
    return Metric.from_matrix(metric.matrix.mean(0), metric.noise_floor.mean(0), metric.settings)


@isolated(shapes={"z": "n | P n"})
def metric_tensor(
    generator: Generator,
    z: Tensor,
    distance: Distance,
    method: str = "pullback",
    *,
    tile: int | None = None,
    memory: str | int | None = None,
    precision: str = "full",
    progress: Progress | None = None,
) -> Metric:
    """The metric tensor `H = ∂² d(G(z), G(z')) / ∂z'²` at `z' = z` (Wang & Ponce 2021, section 2).

    `pullback` forms `Jᵀ (∇²_x d) J`, `2 JᵀJ` for most distances, from `n` Jacobian-vector products in the generator's
    precision, and multiplies in float64.  `backward` differentiates the distance twice, and `forward` takes central
    differences of its gradient: the published methods.  All give the same matrix.

    Args:
        generator: of `n` latents.
        z: one latent `(n,)`, or several `(P, n)`.
        distance: a squared distance of images.
        method: `pullback`, `backward` or `forward`.
        tile: columns at a time, by default from the size of the activations (`metric_operator`).
        memory: what tile and stored columns may take, for example "4GB"; by default half of what is free.
        precision: `full`, or `tf32` (`metric_operator`).
        progress: `progress(done, total)` is called after each position.

    Returns:
        The metric at the latent, or at each of them.

    Raises:
        ValueError: for a wrong shape or method, for what `pullback` cannot do, or where no derivative reaches the
            latent.
        TypeError: for latents that are no floating-point tensor.
        FloatingPointError: naming the position, where an image or the metric is not finite.

    Examples:
        The metric of the unit sphere is `diag(1, sin² θ)`; mse is the mean over three coordinates, and `H = 2 JᵀJ`:

        >>> import geomlib, torch
        >>> sphere, z = geomlib.load_generator("sphere"), torch.tensor([torch.pi / 6, 0.0])
        >>> metric = geomlib.metric_tensor(sphere, z, geomlib.load_distance("mse"))
        >>> print((metric.matrix * 3 / 2).round(decimals=4).tolist())
        [[1.0, 0.0], [0.0, 0.25]]
    """
    positions = z if z.ndim == 2 else z[None]
    matrices, floors = [], []
    operator: Operator | None = None
    for index, position in enumerate(positions):
        with torch.no_grad():
            image = generator(position[None].to(generator.device, generator.dtype))
            check_finite(f"image at position {index}", image)
        if operator is None:
            limits = {"tile": tile, "memory": memory, "precision": precision}
            operator = metric_operator(generator, position, distance, method, **limits)
        else:
            operator = operator.at(position)
        matrix = operator.to_dense()
        check_finite(f"metric tensor at position {index}", matrix)
        check_reached(matrix, f"at position {index} ", operator.dtype)
        matrices.append(matrix)
        floors.append(noise_floor(operator, matrix))
        if progress:
            progress(index + 1, len(positions))
    assert operator is not None
    kind = {"method": method, "dtype": str(generator.dtype).removeprefix("torch."), "device": str(generator.device)}
    metric = Metric.from_matrix(torch.stack(matrices), torch.stack(floors), operator.settings() | kind)
    return metric if z.ndim == 2 else metric[0]


@checked(shapes={"matrix": "n n"})
def noise_floor(operator: Operator, matrix: Tensor) -> Tensor:
    """What rounding alone makes of a zero eigenvalue: a share of the largest, or the asymmetry where that is more."""
    matrix = matrix.double()
    asymmetry = torch.linalg.matrix_norm((matrix - matrix.mT) / 2, 2)
    return torch.maximum(operator.dense_rounding * torch.linalg.matrix_norm(matrix, 2), asymmetry)


@isolated(shapes={"z": "n"})
def jacobian(generator: Generator, z: Tensor, distance: Distance, tile: int | None = None) -> Tensor:
    """`J = ∂φ(G(z)) / ∂z`, `(m, n)`, in the generator's precision; `∂G(z) / ∂z` for a distance without features."""
    operator = PullbackOperator(generator, z, distance, tile=tile)
    columns = operator.columns(torch.eye(len(z), dtype=generator.dtype, device=generator.device)).mT
    check_finite("jacobian", columns)
    return columns


@dataclass(frozen=True)
class Estimate:
    """What `metric_tensor` will need: `seconds` in all, peak `bytes` beside the weights, and the tile it will take."""

    seconds: float
    bytes: int
    positions: int
    columns: int
    tile: int


@isolated(shapes={"z": "n | P n"})
def estimate(
    generator: Generator,
    z: Tensor,
    distance: Distance,
    method: str = "pullback",
    *,
    tile: int | None = None,
    memory: str | int | None = None,
) -> Estimate:
    """Seconds and bytes of `metric_tensor` at `z` `(n,)` or `(P, n)`, from two tiles at the first position.

    The first tile warms up, the second is timed, so that the estimate costs a small part of one metric where `n` is
    large.  Seconds are within a factor of two on a quiet machine; bytes are counted from the intermediate results.
    Raises as `metric_tensor`.
    """
    positions = z if z.ndim == 2 else z[None]
    operator = metric_operator(generator, positions[0], distance, method, tile=tile, memory=memory)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        columns = operator.run_tile()
        seconds = time.perf_counter() - start
    tiling, n = operator.tiling, generator.latent_dim
    seconds *= n / columns * tiling.passes(n) * len(positions)
    return Estimate(seconds, tiling.bytes, len(positions), n, tiling.tile)
