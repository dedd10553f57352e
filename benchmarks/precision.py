"""How far is the metric of a float32 network from that in float64, from latent to latent and eigenvalue to eigenvalue?

    python benchmarks/precision.py --generator pgan --probes 4
    python benchmarks/precision.py --generator shapes-dcgan --positions 10

Relative Frobenius difference at each position, of the whole matrix or estimated with random vectors, and for each
eigenvalue its relative error beside its share of the largest.  A ReLU or a max-pool whose inputs lie within rounding of
its kink falls on the other side where its values are float32: beside our own differences stand those of PyTorch's
own JVP, in float32 throughout.
"""

import sys

import torch
from common import Problem, arguments, write

import geomlib
from geomlib.operators import PullbackOperator


def main() -> None:
    parser = arguments("Difference of the metric in float32 to that in float64.")
    parser.add_argument("--positions", type=int, default=10)
    parser.add_argument("--probes", type=int, default=0, help="estimate from so many random vectors; 0: whole matrices")
    options = parser.parse_args()
    problem = Problem(options)
    differences, throughout, shares, errors = [], [], [], []
    for index, z in enumerate(problem.generator.sample(options.positions, options.seed)):
        problem.z = z
        ours, plain, exact = (
            PullbackOperator(*parts) for parts in (problem.parts(), problem.parts(), problem.exact_parts())
        )
        plain.linear.tape = None
        if options.probes:
            # `E‖Ev‖² / E‖Hv‖²` is the square of the relative Frobenius difference.
            random = torch.Generator().manual_seed(options.seed + index)
            vectors = torch.randn(problem.columns, options.probes, generator=random, dtype=torch.float64)
            found, other, true = (operator.matmat(vectors) for operator in (ours, plain, exact))
        else:
            found, other, true = (operator.to_dense() for operator in (ours, plain, exact))
            values, known = (geomlib.Metric.from_matrix(x, torch.zeros(())).eigenvalues for x in (found, true))
            shares.append((known / known[0]).tolist())
            errors.append((values / known - 1).abs().tolist())
        differences.append(float((found - true).norm() / true.norm()))
        throughout.append(float((other - true).norm() / true.norm()))
        print(f"{index + 1}/{options.positions}: {differences[-1]:.1e}, {throughout[-1]:.1e}", file=sys.stderr)
    pairs = [pair for row, error in zip(shares, errors, strict=True) for pair in zip(row, error, strict=True)]
    wrong = max((share for share, error in pairs if error > 0.01), default=0.0)
    for name, found in (("ours", differences), ("float32 throughout", throughout)):
        print(f"{name}: median {torch.tensor(found).quantile(0.5):.1e}, largest {max(found):.1e}")
    if pairs:
        print(f"right to 1 % above {wrong:.1e} of the largest; the smallest is {min(pairs)[0]:.1e}")
    write(
        "precision",
        options,
        problem,
        {},
        probes=options.probes,
        differences=differences,
        throughout=throughout,
        shares=shares,
        errors=errors,
        right_above=wrong,
    )


if __name__ == "__main__":
    main()
