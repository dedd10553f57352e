"""What does it cost to find axes, in seconds?

    python benchmarks/directions.py --generator shapes-dcgan --layer main.convTranspose2

Every method of `geomlib.directions`, and the eigenvectors of the averaged metric under the generator's own distance and
under mse, for the settings of the notebook `known_axes`.
"""

import torch
from common import Problem, alternate, arguments, write

import geomlib
from geomlib.applications import directions


def main() -> None:
    parser = arguments("Seconds of every method that finds axes.")
    parser.add_argument("--layer", default="main.convTranspose2", help="layer of GANSpace and Local Basis")
    parser.add_argument("--k", type=int, default=9, help="axes of each method")
    parser.add_argument("--positions", type=int, default=10, help="latents whose metrics are averaged")
    parser.add_argument("--codes", type=int, default=2000, help="latents whose activations GANSpace sees")
    options = parser.parse_args()
    problem = Problem(options)
    G, k, seed = problem.generator, options.k, options.seed
    latents = G.sample(options.positions, seed)
    cases = {
        f"metric, {d.name}": lambda d=d: geomlib.average(geomlib.metric_tensor(G, latents, d)).eigenvectors[:, :k]
        for d in (problem.distance, geomlib.load_distance("mse", options.device))
    }
    cases |= {
        "SeFa": lambda: directions.sefa(G, k).axes,
        "GANSpace, layer": lambda: directions.ganspace(G, options.layer, k, latents=G.sample(options.codes, seed)).axes,
        "GANSpace, image": lambda: directions.ganspace(G, "", k, latents=G.sample(options.codes, seed)).axes,
        "Local Basis": lambda: directions.local_basis(G, latents[0], options.layer, k).axes,
    }
    rows = alternate(cases, options.repeats, options.device)
    for name, row in rows.items():
        axes: torch.Tensor = row.pop("result")
        row["axes"] = axes.shape[1]
        print(f"{name:30} {row['seconds']:9.3f} s")
    write("directions", options, problem, rows, layer=options.layer, positions=options.positions, codes=options.codes)


if __name__ == "__main__":
    main()
