"""How fast are the top eigenpairs, at equal residual?

    python benchmarks/eigen.py --generator dcgan --k 20 --tol 1e-3

Each solver at one position: seconds, peak memory, products, the largest residual `‖H v − λ v‖ / λ` against the float64
matrix, and the largest relative error of an eigenvalue.
"""

from typing import Any

import torch
from common import Problem, alternate, arguments, curvlinops_operator, eigenthings_operator, installed, write
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from geomlib.eigen import block_krylov, top_eigenpairs
from geomlib.operators import metric_operator


class Counted:
    """Counts the products with a linear operator."""

    def __init__(self, product: Any, columns: int) -> None:
        self.count, self._product = 0, product
        self.linear = LinearOperator((columns, columns), matvec=self._matvec, dtype="float64")

    def _matvec(self, v: Any) -> Any:
        self.count += 1
        return self._product(v.ravel())


def main() -> None:
    parser = arguments("Time of the top eigenpairs by every solver, at equal residual.")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--tol", type=float, default=1e-3)
    options = parser.parse_args()
    problem = Problem(options)
    G, z, d, k, tol = problem.generator, problem.z, problem.distance, options.k, options.tol
    k = min(k, problem.columns // 2)
    Found = tuple[Tensor, Tensor, int]

    def own(solver: str, method: str = "pullback") -> Found:
        pairs = top_eigenpairs(G, z, d, k, solver=solver, method=method, tol=tol, seed=options.seed)
        return pairs.eigenvalues, pairs.eigenvectors, pairs.products

    def krylov_alone() -> Found:
        pairs = block_krylov(metric_operator(G, z, d), k, tol=tol, seed=options.seed)
        return pairs.eigenvalues, pairs.eigenvectors, pairs.products

    def arpack(product: Any) -> Found:
        counted = Counted(product, problem.columns)
        random = torch.Generator().manual_seed(options.seed)
        start = torch.randn(problem.columns, generator=random, dtype=torch.float64)
        values, vectors = eigsh(counted.linear, k=k, tol=tol, v0=start.numpy())
        return torch.from_numpy(values).flip(0), torch.from_numpy(vectors).flip(1), counted.count

    def arpack_over(method: str) -> Found:
        operator = metric_operator(G, z, d, method)
        return arpack(lambda v: operator.matvec(torch.from_numpy(v)).numpy())

    cases = {
        "krylov": lambda: own("krylov"),
        "krylov, no dense short cut": krylov_alone,
        "lanczos": lambda: own("lanczos"),
        "krylov over backward": lambda: own("krylov", "backward"),
        "ARPACK over pullback": lambda: arpack_over("pullback"),
        "ARPACK over backward": lambda: arpack_over("backward"),
    }
    if installed("curvlinops"):

        def over_curvlinops() -> Found:
            operator = curvlinops_operator(problem)
            return arpack(lambda v: (operator @ torch.from_numpy(v).to(z)).detach().cpu().double().numpy())

        cases["ARPACK over curvlinops GGN"] = over_curvlinops
    if installed("hessian_eigenthings"):
        from hessian_eigenthings import lanczos

        def eigenthings() -> Found:
            steps = min(4 * k, problem.columns - 1)  # it does not go on until `tol` is met
            found = lanczos(eigenthings_operator(problem), k=k, max_iter=steps, reorthogonalize=True, seed=options.seed)
            return found.eigenvalues.cpu().double(), found.eigenvectors.cpu().double().mT, found.iterations

        cases["hessian-eigenthings"] = eigenthings
    exact = problem.exact()
    true = torch.linalg.eigvalsh(exact).flip(0)[:k]
    rows = alternate(cases, options.repeats, options.device)
    for name, row in rows.items():
        values, vectors, row["products"] = row.pop("result")
        residuals = (exact @ vectors - vectors * values).norm(dim=0) / values.abs()
        row["largest_residual"] = float(residuals.max())
        row["largest_eigenvalue_error"] = float((values / true - 1).abs().max())
        print(f"{name:30} {row['seconds']:9.3f} s {row['products']:5} products {row['largest_residual']:.1e}")
    write("eigen", options, problem, rows, k=k, tol=tol, spectrum=(true / true[0]).tolist())


if __name__ == "__main__":
    main()
