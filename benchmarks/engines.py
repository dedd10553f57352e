"""Which engine should give the derivative: the tape of `geomlib.derivatives`, or a program traced by `torch.fx`?

    python benchmarks/engines.py

Both on the same problems, in turn, each problem in a process of its own: the time of a whole metric over that of as
many forward passes, the relative difference to float64 (PyTorch's own JVP), and peak memory.  The tape is
recorded at each latent.  The program (`replay.py`) is traced once and folded at each latent, so that it has two costs:
of the first metric, and of each further one for as long as neither generator nor distance is touched.  Where a network
is large a part of the columns is timed, and the whole metric reckoned from it.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import replay
import torch
from common import RESULTS, Problem, alternate, arguments, peak_bytes, processor, reset_peak, versions
from torch import Tensor

from geomlib.derivatives.gram import gram
from geomlib.derivatives.jacobian import arithmetic
from geomlib.derivatives.linearise import linearise
from geomlib.operators import PullbackOperator

# generator, distance, columns that are timed (0: all), how the network is built
PROBLEMS: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "shapes-dcgan, mse": ("shapes-dcgan", "mse", 0, {}),
    "shapes-dcgan, st-lpips-alex": ("shapes-dcgan", "st-lpips-alex", 0, {}),
    "dcgan-portraits, st-lpips-alex": ("dcgan-portraits", "st-lpips-alex", 0, {}),
    "pgan 128 px, lpips-squeeze": ("pgan", "lpips-squeeze", 16, {"depth_other_scales": (512, 512, 512, 256, 128)}),
    "pgan 256 px, lpips-squeeze": ("pgan", "lpips-squeeze", 8, {}),
    "deepsim-fc6, lpips-squeeze": ("deepsim_fc6", "lpips-squeeze", 8, {}),
}
FORWARD, RECORD, TAPE, TRACE, FOLD, PROGRAM = (
    "forward passes",
    "tape, recorded",
    "tape, replayed",
    "program, traced",
    "program, folded",
    "program, replayed",
)


def main() -> None:
    parser = arguments("The tape against a program traced by torch.fx.")
    parser.add_argument("--problem", default="", choices=["", *PROBLEMS], help="this one alone, to standard output")
    options = parser.parse_args()
    if options.problem or options.quick:
        found = {options.problem or "quick": measure(options)}
        if options.problem:
            print(json.dumps(found[options.problem]))
            return
    else:
        found = {name: in_a_process(name) for name in PROBLEMS}
    content = {
        "benchmark": "engines",
        "device": processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "repeats": options.repeats,
        "seed": options.seed,
        "python": platform.python_version(),
        "versions": versions(),
        "problems": found,
    }
    path: Path = options.output or RESULTS / "engines--cpu.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(path)


def in_a_process(name: str) -> dict[str, Any]:
    command = [sys.executable, *sys.argv, "--problem", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(name, row["over_forward_passes"], row["relative_error"], file=sys.stderr)
    return row


def measure(options: argparse.Namespace) -> dict[str, Any]:
    part = 0
    if options.problem:
        options.generator, options.distance, part, options.config = PROBLEMS[options.problem]
    problem = Problem(options)
    z, n = problem.z, problem.columns
    count, tile = part or n, min(PullbackOperator(*problem.parts()).tiling.tile, part or n)
    basis = torch.eye(n)[:count]

    def function(latent: Tensor) -> Tensor:
        return problem.features(latent[None])[0]

    def traced() -> replay.Program:
        with arithmetic("full"):
            return replay.Program(function, z)

    @torch.no_grad()
    def metric(derivative: Any) -> Tensor:
        columns = torch.cat([derivative(rows) for rows in basis.split(tile)])
        return 2 * gram(columns, columns)

    with arithmetic("full"):
        peaks = {}
        for name, engine in (("tape", linearise), ("program", replay.linearise)):
            gc.collect()
            reset_peak("cpu")
            before = peak_bytes("cpu") or 0
            metric(engine(function, z))
            peaks[name] = (peak_bytes("cpu") or 0) - before
        tape, program = linearise(function, z), traced()
        linear = program.at(z)
        cases: dict[str, Any] = {
            FORWARD: lambda: problem.forward_passes(count, tile),
            RECORD: lambda: linearise(function, z) and None,
            TAPE: lambda: metric(tape),
            TRACE: lambda: traced() and None,
            FOLD: lambda: program.at(z) and None,
            PROGRAM: lambda: metric(linear),
        }
        rows = alternate(cases, options.repeats, "cpu")
    exact = truth(problem, basis)
    errors = {
        name: float((rows[case]["result"] - exact).norm() / exact.norm())
        for name, case in (("tape", TAPE), ("program", PROGRAM))
    }
    seconds = {name: row["all_seconds"] for name, row in rows.items()}
    return {
        "pixels": problem.generator.image_shape[-1],
        "columns": n,
        "timed_columns": count,
        "tile": tile,
        "load": os.getloadavg()[0],  # of the machine, in processes, at the end
        "over_forward_passes": {
            "tape": ratio(seconds, [RECORD], TAPE, n / count),
            "program, first": ratio(seconds, [TRACE, FOLD], PROGRAM, n / count),
            "program, further": ratio(seconds, [FOLD], PROGRAM, n / count),
        },
        "relative_error": errors,
        "peak_bytes": peaks,
        "all_seconds": seconds,
    }


def ratio(seconds: dict[str, list[float]], once: list[str], replayed: str, share: float) -> float:
    """Time of a whole metric over that of as many forward passes: the median over turns, each with its own load."""
    turns = range(len(seconds[FORWARD]))
    return statistics.median(
        (sum(seconds[name][turn] for name in once) + share * seconds[replayed][turn]) / (share * seconds[FORWARD][turn])
        for turn in turns
    )


def truth(problem: Problem, basis: Tensor) -> Tensor:
    """The block of the matrix in float64, by PyTorch's own JVP."""
    generator, z, distance = problem.exact_parts()
    features = distance.features
    assert features is not None

    def function(latent: Tensor) -> Tensor:
        return features(generator(latent[None]))[0]

    with torch.no_grad(), arithmetic("full"):
        columns = torch.stack([torch.func.jvp(function, (z,), (v,))[1] for v in basis.double()])
    return 2 * columns @ columns.mT


if __name__ == "__main__":
    main()
