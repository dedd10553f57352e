"""What does the store of metrics save a book? The whole book twice, each time in a fresh copy of the project.

    python benchmarks/book_store.py

Once the notebooks share a store, as `make book` lets them; once each notebook has an empty one of its own, so that it
computes what a neighbour has just computed. All else is the same. It takes the time of two books on a machine that
should do nothing else; the load average before each stands beside it.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from geomlib._files import METRICS
from geomlib.book.build import build
from geomlib.book.kernels import Kernels, Process
from geomlib.book.provenance import processor

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "store" / "book--cpu.json"
DONE = re.compile(r"(?P<label>.+): done in (?P<seconds>[\d.]+) s")


def fresh_copy(place: Path) -> Path:
    """The project as it was committed, without results."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    return place


def timed(root: Path, settings: dict[str, str], *, shared: bool) -> dict[str, Any]:
    """Seconds of a book, and of each of its notebooks."""
    begin, lines = Kernels.begin, []

    def alone(self: Kernels, request: Path, log: Path, environment: dict[str, str], directory: str) -> Process:
        own = environment | {METRICS: tempfile.mkdtemp(dir=root / "results")}
        return begin(self, request, log, own, directory)

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    (root / "results").mkdir(exist_ok=True)
    load, start = os.getloadavg()[0], time.perf_counter()
    with mock.patch.object(Kernels, "begin", begin if shared else alone):
        build(settings=settings, root=root, say=say)
    seconds = time.perf_counter() - start
    done = [found for found in map(DONE.fullmatch, lines) if found]
    notebooks = {found["label"]: float(found["seconds"]) for found in done}
    return {"seconds": seconds, "load_average": load, "notebooks": notebooks}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    books = {}
    for name, shared in (("shared", True), ("apart", False)):
        with tempfile.TemporaryDirectory() as place:
            books[name] = timed(fresh_copy(Path(place) / "book"), {"profile": options.profile}, shared=shared)
            print(f"{name}: {books[name]['seconds']:.0f} s", flush=True)
    ratio = books["shared"]["seconds"] / books["apart"]["seconds"]
    found = {"processor": processor(), "cores": os.cpu_count(), "profile": options.profile, "ratio": ratio, **books}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"with the shared store in {100 * ratio:.0f} % of the time")


if __name__ == "__main__":
    main()
