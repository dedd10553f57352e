"""How far is the metric in float32 from that in float64, from latent to latent and from eigenvalue to eigenvalue?

    python benchmarks/precision.py --generator pgan --probes 4
    python benchmarks/precision.py --generator shapes-dcgan --positions 10

Relative Frobenius difference at each position, of the whole matrix or estimated with random vectors, and for each
eigenvalue its relative error beside its share of the largest.  A ReLU or a max-pool whose inputs lie within rounding of
its kink may fall on the other side in float32: such positions stand out.
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
    differences, shares, errors = [], [], []
    for index, z in enumerate(problem.generator.sample(options.positions, options.seed)):
        problem.z = z
        if options.probes:
            differences.append(estimated(problem, options.probes, options.seed + index))
        else:
            metric = geomlib.metric_tensor(problem.generator, z, problem.distance)
            exact = geomlib.Metric.from_matrix(problem.exact(), torch.zeros(()))
            differences.append(float((metric.matrix - exact.matrix).norm() / exact.matrix.norm()))
            shares.append((exact.eigenvalues / exact.eigenvalues[0]).tolist())
            errors.append((metric.eigenvalues / exact.eigenvalues - 1).abs().tolist())
        print(f"{index + 1}/{options.positions}: {differences[-1]:.1e}", file=sys.stderr)
    pairs = [pair for row, error in zip(shares, errors, strict=True) for pair in zip(row, error, strict=True)]
    wrong = max((share for share, error in pairs if error > 0.01), default=0.0)
    print(f"median {torch.tensor(differences).quantile(0.5):.1e}, largest {max(differences):.1e}")
    if pairs:
        print(f"right to 1 % above {wrong:.1e} of the largest; the smallest is {min(pairs)[0]:.1e}")
    write(
        "precision", options, problem, {}, probes=options.probes, differences=differences, shares=shares, errors=errors,
        right_above=wrong,
    )  # fmt: skip


def estimated(problem: Problem, probes: int, seed: int) -> float:
    """Relative Frobenius difference from products with random vectors: `E‖Ev‖² / E‖Hv‖²` is its square."""
    random = torch.Generator().manual_seed(seed)
    vectors = torch.randn(problem.columns, probes, generator=random, dtype=torch.float64)
    ours = PullbackOperator(problem.generator, problem.z, problem.distance).matmat(vectors)
    exact = PullbackOperator(*problem.exact_parts()).matmat(vectors)
    return float((ours - exact).norm() / exact.norm())


if __name__ == "__main__":
    main()
