"""What should be true and fast on a GPU, in eight minutes.

    python benchmarks/gpu.py

First the tests that compare a GPU with the CPU, then the benchmarks there, the most telling first: each writes
`benchmarks/results/<what>--<generator>--cuda.json`.  What failed, or was not ready in time, is named at the end, and
the exit status is 1 then; without a GPU it is 2.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    ("metric", "shapes-dcgan"),
    ("metric", "dcgan"),
    ("eigen", "shapes-dcgan"),
    ("metric", "pgan", "--part", "64"),
    ("precision", "shapes-dcgan"),
    ("memory", "deepsim_fc6"),
    ("inversion", "shapes-dcgan"),
    ("directions", "shapes-dcgan"),
)
JOBS: dict[str, list[str]] = {
    "tests": [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(HERE.parent / "tests" / "test_gpu.py")]
} | {
    f"{what} {name}": [sys.executable, str(HERE / f"{what}.py"), "--generator", name, *more, "--device", "cuda"]
    for what, name, *more in BENCHMARKS
}


def run_all(jobs: Mapping[str, Sequence[str]], seconds: float) -> list[str]:
    """Run each command in turn within `seconds` for all; returns a line for each that did not end well."""
    end, problems = time.monotonic() + seconds, []
    for name, command in jobs.items():
        left = end - time.monotonic()
        if left <= 0:
            problems.append(f"{name}: no time left")
            continue
        print(f"gpu: {name}", flush=True)
        try:
            status = subprocess.run(command, timeout=left, check=False).returncode
        except subprocess.TimeoutExpired:
            problems.append(f"{name}: not ready in time")
            continue
        if status:
            problems.append(f"{name}: exit status {status}")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description="Tests and benchmarks on a GPU.")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all together")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu: PyTorch sees no GPU here; nothing was run", file=sys.stderr)
        sys.exit(2)
    problems = run_all(JOBS, 60 * options.minutes)
    for line in problems:
        print(f"gpu: {line}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
