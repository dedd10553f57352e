"""How fast and how exact is the whole metric tensor?

    python benchmarks/metric.py --generator dcgan --threads 1
    python benchmarks/metric.py --generator pgan --repeats 3

Each method at one position: seconds, peak memory, relative Frobenius difference to float64, and time over the time of
`n` batched forward passes of generator and features.
"""

from typing import Any

import torch
from common import Problem, alternate, arguments, curvlinops_operator, eigenthings_operator, installed, write
from torch import Tensor

from geomlib.operators import PullbackOperator, metric_operator


def main() -> None:
    parser = arguments("Time and accuracy of the metric tensor by every method.")
    parser.add_argument("--tiles", type=int, nargs="*", default=[], help="also pullback with these tiles")
    options = parser.parse_args()
    problem = Problem(options)
    G, z, d = problem.generator, problem.z, problem.distance
    operator = metric_operator(G, z, d)
    tile = operator.plan.tile

    def dense(method: str, **limits: Any) -> Tensor:
        return metric_operator(G, z, d, method, **limits).to_dense()

    cases = {
        f"{problem.columns} forward passes": lambda: problem.forward_passes(tile),
        "pullback": lambda: dense("pullback"),
        "backward, column by column": lambda: dense("backward", tile=1),
        "backward, batched": lambda: dense("backward", tile=tile),
        "forward": lambda: dense("forward"),
    }
    for other in options.tiles:
        cases[f"pullback, tile {other}"] = lambda other=other: dense("pullback", tile=other)
    if isinstance(operator, PullbackOperator) and operator.plan.route == "forward mode":

        def by_double_vjp() -> Tensor:
            other = PullbackOperator(G, z, d)
            other.plan.route = "double VJP"
            return other.to_dense()

        cases["pullback, double VJP"] = by_double_vjp
    if installed("curvlinops"):
        eye = torch.eye(problem.columns, device=z.device)
        cases["curvlinops GGN, batched"] = lambda: curvlinops_operator(problem) @ eye
    if installed("hessian_eigenthings"):

        def eigenthings() -> Tensor:
            peer = eigenthings_operator(problem)
            return torch.stack([peer.matvec(v) for v in torch.eye(problem.columns, device=z.device)])

        cases["hessian-eigenthings, column by column"] = eigenthings
    exact = problem.exact()
    rows = alternate(cases, options.repeats, options.device)
    passes = rows[f"{problem.columns} forward passes"]["seconds"]
    for name, row in rows.items():
        matrix = row.pop("result")
        row["over_forward_passes"] = row["seconds"] / passes
        if matrix is not None:
            row["relative_error"] = float((matrix.detach().cpu().double() - exact).norm() / exact.norm())
            row["products"] = problem.columns
        error = f"{row['relative_error']:.1e}" if "relative_error" in row else ""
        print(f"{name:40} {row['seconds']:9.3f} s {row['over_forward_passes']:7.2f} x {error}")
    write("metric", options, problem, rows, tile=tile)


if __name__ == "__main__":
    main()
