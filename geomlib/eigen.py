"""The top of a spectrum, from products with an operator alone.

The basis of a block Krylov space is kept orthonormal in full, in float64, with the products of its vectors, so that
residuals are known without further products (Saad 2011, *Numerical Methods for Large Eigenvalue Problems*, chapter 6).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geomlib._checks import as_count, check_choice, check_finite, check_reached
from geomlib._state import isolated, seeded
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, noise_floor, signs_fixed
from geomlib.operators import Operator, PullbackOperator, metric_operator

# All columns of J cost less than a Krylov space of the top k where n is below this multiple of k: a product with 2 JᵀJ
# costs two to three columns, and the space needs two to three times k vectors.
_DENSE_MULTIPLE = 8
_TINY = torch.finfo(torch.float64).tiny  # in the place of the floor of a matrix of zeros


@dataclass(frozen=True)
class Eigenpairs:
    """The `k` largest eigenvalues of a symmetric operator, float64 on the CPU.

    `eigenvalues` `(k,)` descend; eigenvectors are the columns of `eigenvectors` `(n, k)`, with the entry of largest
    magnitude positive.  `residuals` `(k,)` are `‖H v − λ v‖ / max(|λ|, noise_floor)`, `converged` `(k,)` where they
    reach the tolerance.  `products` counts products `H v`, or columns of `J` where all of them were computed.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    residuals: Tensor
    converged: Tensor
    products: int
    noise_floor: float


@isolated(shapes={"z": "n"})
def top_eigenpairs(
    generator: Generator,
    z: Tensor,
    distance: Distance,
    k: int = 20,
    *,
    method: str = "pullback",
    solver: str = "krylov",
    tol: float = 1e-3,
    seed: int = 0,
    **limits: Any,
) -> Eigenpairs:
    """The `k` largest eigenvalues of the metric tensor at one latent, with eigenvectors and residuals.

    `krylov` works with blocks of vectors, whose products share a batch; where all `n` columns of `J` are cheaper
    (`pullback` with `n` below 8 k, and `J` fits the memory) it computes those, and the residuals are rounding.
    `lanczos` takes one vector at a time: fewest products.  Iteration ends when each residual reaches `tol`, or when
    the space is full (Saad 2011, chapter 6).

    Args:
        generator: of `n` latents.
        z: the latent `(n,)`.
        distance: a squared distance of images.
        k: how many, 1 to `n`.
        method: of the products, as in `metric_tensor`.
        solver: `krylov` or `lanczos`.
        tol: the residual `‖H v − λ v‖ / λ` to reach.
        seed: of the random start.
        limits: `tile`, `memory` and `precision`, as in `metric_operator`.

    Returns:
        Eigenvalues `(k,)` that descend, eigenvectors `(n, k)`, and how good they are.

    Raises:
        ValueError: for a `k` outside 1 to `n`, an unknown method or solver, a `tol` that is not positive, or
            where no derivative reaches the latent.
        FloatingPointError: where an image or a product is not finite.

    Examples:
        >>> import geomlib, torch
        >>> G = geomlib.load_generator("shapes-dcgan")
        >>> z, mse = G.sample(1, seed=0)[0], geomlib.load_distance("mse")
        >>> pairs = geomlib.top_eigenpairs(G, z, mse, k=3)
        >>> pairs.eigenvectors.shape
        torch.Size([64, 3])
        >>> torch.allclose(pairs.eigenvalues, geomlib.metric_tensor(G, z, mse).eigenvalues[:3], rtol=1e-5)
        True
    """
    check_choice("solver", solver, ("krylov", "lanczos"))
    with torch.no_grad():
        check_finite("image", generator(z[None].to(generator.device, generator.dtype)))
    operator = metric_operator(generator, z, distance, method, **limits)
    n = len(z)
    all_fit = isinstance(operator, PullbackOperator) and distance.features is not None and operator.tiling.block == n
    if solver == "krylov" and all_fit and n < _DENSE_MULTIPLE * k:
        pairs = dense(operator, k, tol)
    else:
        pairs = block_krylov(operator, k, block=1 if solver == "lanczos" else None, tol=tol, seed=seed)
    check_reached(pairs.eigenvalues, "", operator.dtype)
    return pairs


@isolated()
def dense(operator: Operator, k: int, tol: float = 1e-3) -> Eigenpairs:
    """The same from the whole matrix, computed and decomposed."""
    _check_count(operator, k, tol)
    matrix = operator.to_dense()
    floor = noise_floor(operator, matrix)
    metric = Metric.from_matrix(matrix, floor)
    values, vectors = metric.eigenvalues[:k], metric.eigenvectors[:, :k]
    residuals = (metric.matrix @ vectors - vectors * values).norm(dim=0) / values.abs().clamp(min=float(floor) or _TINY)
    return Eigenpairs(values, vectors, residuals, residuals <= tol, len(matrix), float(floor))


@isolated()
def block_krylov(
    operator: Operator,
    k: int,
    *,
    block: int | None = None,
    tol: float = 1e-3,
    seed: int = 0,
) -> Eigenpairs:
    """The same by block Lanczos with full reorthogonalisation, `block` vectors at a time; 1 is plain Lanczos.

    The default block is half of `k`, at least 4 and at most the operator's tile.  The start is random for a seed.
    """
    _check_count(operator, k, tol)
    n = operator.shape[0]
    random, block = seeded(seed), None if block is None else as_count("block", block)
    width = min(block or max(4, min(operator.tiling.tile, (k + 1) // 2)), n)
    basis = images = torch.zeros(n, 0, dtype=torch.float64)
    fresh = torch.randn(n, width, generator=random, dtype=torch.float64)
    while True:
        fresh = _orthonormal(fresh, basis, random)
        products = operator.matmat(fresh)
        check_finite("products with the metric", products)
        basis, images = torch.cat([basis, fresh], 1), torch.cat([images, products], 1)
        count = basis.shape[1]
        fresh = products[:, : n - count]
        # Decomposing the small matrix costs more than it tells where one vector was added.
        if count < n and (count < k or (width == 1 and count % 4)):
            continue
        small = basis.mT @ images
        ascending, rotation = torch.linalg.eigh((small + small.mT) / 2)
        values, rotation = ascending.flip(0)[:k], rotation.flip(1)[:, :k]
        floor = operator.rounding * float(ascending.abs().max())
        residuals = (images @ rotation - basis @ rotation * values).norm(dim=0) / values.abs().clamp(min=floor or _TINY)
        if count == n or bool((residuals <= tol).all()):
            vectors = signs_fixed(basis @ rotation)
            return Eigenpairs(values, vectors, residuals, residuals <= tol, count, floor)


def _orthonormal(fresh: Tensor, basis: Tensor, random: torch.Generator) -> Tensor:
    """An orthonormal basis of what `fresh` adds to `basis`; a random vector stands in where it adds nothing."""
    size = fresh.norm(dim=0)
    for _ in range(2):  # twice is enough (Kahan; Parlett 1998, section 6.9)
        fresh = fresh - basis @ (basis.mT @ fresh)
    lost = fresh.norm(dim=0) <= 1e-12 * size
    if lost.any():
        fresh[:, lost] = torch.randn(len(fresh), int(lost.sum()), generator=random, dtype=torch.float64)
    for _ in range(2):
        fresh = torch.linalg.qr(fresh - basis @ (basis.mT @ fresh)).Q
    return fresh


def _check_count(operator: Operator, k: int, tol: float) -> None:
    if not 1 <= k <= operator.shape[0]:
        raise ValueError(f"k: expected 1 to {operator.shape[0]}, got {k}")
    if not tol > 0:
        raise ValueError(f"tol: expected a positive number, got {tol}")
