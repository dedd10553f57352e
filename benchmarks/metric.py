"""How fast and how exact is the whole metric tensor?

    python benchmarks/metric.py --generator dcgan --threads 1
    python benchmarks/metric.py --generator pgan --part 16 --tiles 1 2 8 16

Each method at one position: seconds, peak memory, relative Frobenius difference to float64, and time over the time of
as many batched forward passes of generator and features.  With `--part`, for networks that would take hours, only so
many columns of each, and the block of the matrix that they make; what a method does once for all columns is not timed,
but that of pullback in a row of its own.
"""

from collections.abc import Callable
from typing import Any

import torch
from common import Problem, alternate, arguments, curvlinops_operator, eigenthings_operator, installed, write
from scipy.sparse.linalg import eigsh
from torch import Tensor

from geomlib.derivatives.gram import gram
from geomlib.operators import PullbackOperator, metric_operator


def main() -> None:
    parser = arguments("Time and accuracy of the metric tensor by every method.")
    parser.add_argument("--tiles", type=int, nargs="*", default=[], help="also pullback with these tiles")
    parser.add_argument("--part", type=int, default=0, help="only so many columns; 0: the whole matrix")
    options = parser.parse_args()
    problem = Problem(options)
    G, z, d, n = problem.generator, problem.z, problem.distance, problem.columns
    count = min(options.part or n, n)
    basis = torch.eye(n, dtype=z.dtype, device=z.device)[:count]
    tile = min(metric_operator(G, z, d).tiling.tile, count)

    def whole(method: str, **limits: Any) -> Tensor:
        return metric_operator(G, z, d, method, **limits).to_dense()

    def pullback(record: bool = True, route: str = "JVP", **limits: Any) -> Callable[[], Tensor]:
        if not options.part and record and route == "JVP":
            return lambda: whole("pullback", **limits)
        # What a route alone costs: what leads to it, a recording or a refusal, is done before.
        operator = PullbackOperator(G, z, d, **limits)
        if not record:
            operator.linear.tape = None
            operator.tiling.tile = max(operator.tiling.tile, 4)
        operator.linear.route = route
        if not options.part:
            return lambda: operator.at(z).to_dense()
        operator.columns(basis[:1])

        def block() -> Tensor:
            columns = operator.columns(basis)
            return 2 * gram(columns, columns)

        return block

    def other(method: str, **limits: Any) -> Callable[[], Tensor]:
        if not options.part:
            return lambda: whole(method, **limits)
        operator = metric_operator(G, z, d, method, **limits)
        operator.matvec(basis[0])  # makes the graph that all columns share
        return lambda: operator.matmat(basis.mT)[:count]

    cases: dict[str, Callable[[], Any]] = {
        f"{count} forward passes, batches of {tile}": lambda: problem.forward_passes(count, tile),
        f"{count} forward passes, one batch": lambda: problem.forward_passes(count, count),
        "pullback": pullback(),
        "backward, column by column": other("backward", tile=1),
        "backward, batched": other("backward", tile=tile),
        "forward": other("forward"),
    }
    cases["pullback, recording alone"] = lambda: PullbackOperator(G, z, d) and None
    cases["pullback, not recorded"] = pullback(record=False)
    for size in options.tiles:
        cases[f"pullback, tile {size}"] = pullback(tile=size)
    if not options.part:
        cases["pullback, double VJP"] = pullback(route="double VJP")
        if n > 20:
            start = torch.ones(n, dtype=torch.float64).numpy()

            def arpack() -> None:
                eigsh(metric_operator(G, z, d, "backward").as_linear_operator(), k=10, tol=1e-3, v0=start)

            cases["ARPACK over backward, leading 10 alone"] = arpack
    if installed("curvlinops"):
        cases["curvlinops GGN, batched"] = lambda: (curvlinops_operator(problem) @ basis.mT)[:count]
    if installed("hessian_eigenthings"):

        def eigenthings() -> Tensor:
            peer = eigenthings_operator(problem)
            return torch.stack([peer.matvec(v)[:count] for v in basis])

        cases["hessian-eigenthings, column by column"] = eigenthings
    exact = problem.exact(count)
    rows = alternate(cases, options.repeats, options.device)
    unit, one_batch = (rows[name]["seconds"] for name in list(rows)[:2])
    for name, row in rows.items():
        matrix = row.pop("result")
        row["over_forward_passes"], row["over_one_batch"] = row["seconds"] / unit, row["seconds"] / one_batch
        if matrix is not None:
            row["relative_error"] = float((matrix.detach().cpu().double() - exact).norm() / exact.norm())
        error = f"{row['relative_error']:.1e}" if "relative_error" in row else ""
        print(f"{name:40} {row['seconds']:9.3f} s {row['over_forward_passes']:7.2f} x {error}")
    write("metric", options, problem, rows, tile=tile, part=options.part)


if __name__ == "__main__":
    main()
