"""How far is the metric in float32 from that in float64, from latent to latent and from eigenvalue to eigenvalue?

    python benchmarks/precision.py --generator dcgan --size 256 --positions 10
    python benchmarks/precision.py --generator shapes-dcgan --positions 10

Relative Frobenius difference at each position, and for each eigenvalue its relative error beside its share of the
largest.  A ReLU or a max-pool whose inputs lie within rounding of its kink may fall on the other side in float32: such
positions stand out.
"""

import sys

import torch
from common import Problem, arguments, write

import geomlib


def main() -> None:
    parser = arguments("Difference of the metric in float32 to that in float64.")
    parser.add_argument("--positions", type=int, default=10)
    parser.add_argument("--part", type=int, default=0, help="only the block of so many columns; 0: the whole matrix")
    options = parser.parse_args()
    problem = Problem(options)
    differences, shares, errors, floors = [], [], [], []
    for index, z in enumerate(problem.generator.sample(options.positions, options.seed)):
        problem.z = z
        metric = problem.block(options.part)
        exact = geomlib.Metric.from_matrix(problem.exact(options.part), torch.zeros(()))
        differences.append(float((metric.matrix - exact.matrix).norm() / exact.matrix.norm()))
        shares.append((exact.eigenvalues / exact.eigenvalues[0]).tolist())
        errors.append((metric.eigenvalues / exact.eigenvalues - 1).abs().tolist())
        floors.append(float(metric.noise_floor / metric.eigenvalues[0]))
        print(f"{index + 1}/{options.positions}: {differences[-1]:.1e}", file=sys.stderr)
    wrong = [
        share
        for row, error in zip(shares, errors, strict=True)
        for share, e in zip(row, error, strict=True)
        if e > 0.01
    ]
    print(f"median {torch.tensor(differences).median():.1e}, largest {max(differences):.1e}")
    print(f"right to 1 % above {max(wrong, default=0):.1e} of the largest; the smallest is {min(map(min, shares)):.1e}")
    write(
        "precision", options, problem, {}, part=options.part, differences=differences, shares=shares, errors=errors,
        noise_floors=floors, right_above=max(wrong, default=0.0),
    )  # fmt: skip


if __name__ == "__main__":
    main()
