"""How much memory do the largest networks need?

    python benchmarks/memory.py --generator deepsim_fc6 --k 50 --memory 8GB

Peak resident memory of a fresh process for each task, weights and libraries included: one tile of the full matrix, and
the leading eigenpairs.
"""

import argparse
import json
import subprocess
import sys
import time

import torch
from common import Problem, arguments, begin_with_threads, peak_bytes, write

from geomlib.derivatives.gram import gram
from geomlib.eigen import top_eigenpairs
from geomlib.operators import PullbackOperator

TASKS = ("weights alone", "one tile of the full matrix", "leading eigenpairs")


def main() -> None:
    parser = arguments("Peak memory of a tile of the full matrix and of the leading eigenpairs.")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--tol", type=float, default=1e-2)
    parser.add_argument("--memory", default="8GB", help="the budget that is given to each task")
    parser.add_argument("--task", default="", help="run this one here; without it, each in a process of its own")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(run(options)))
        return
    begin_with_threads(options)
    rows = {}
    for task in TASKS:
        command = [sys.executable, *sys.argv, "--task", task]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows[task] = json.loads(done.stdout.splitlines()[-1])
        print(task, rows[task], file=sys.stderr)
    write("memory", options, Problem(options), rows, k=options.k, tol=options.tol, budget=options.memory)


def run(options: argparse.Namespace) -> dict[str, float | int | None]:
    problem = Problem(options)
    G, z, d = problem.generator, problem.z, problem.distance
    start, row = time.perf_counter(), {}
    if options.task == TASKS[1]:
        operator = PullbackOperator(G, z, d, memory=options.memory)
        columns = operator.columns(torch.eye(len(z))[: operator.tiling.tile].to(z))
        gram(columns, columns)
        row = {"tile": operator.tiling.tile, "block": operator.tiling.block}
    elif options.task == TASKS[2]:
        found = top_eigenpairs(G, z, d, options.k, tol=options.tol, seed=options.seed, memory=options.memory)
        row = {"products": found.products, "converged": int(found.converged.sum())}
    return row | {"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes(options.device)}


if __name__ == "__main__":
    main()
