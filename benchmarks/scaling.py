"""Do two workers sweep twice as fast as one? The same positions by one and by two, in alternating pairs.

    python benchmarks/scaling.py

Workers are processes of a dask cluster on this machine, one thread each, started and warmed up before the clock
starts. Two cores that others use measure the neighbours as well: the load average before each pair stands beside it.
What a task costs beside its metric follows from the runs of one worker: the clock minus the seconds in the store.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from distributed import Client, LocalCluster

import geomlib
from geomlib import sweep
from geomlib.book.provenance import processor

RESULT = Path(__file__).parent / "results" / "scaling" / "cpu.json"


def timed(G: geomlib.Generator, d: geomlib.Distance, z: torch.Tensor, workers: int, place: Path) -> dict[str, float]:
    """Seconds of a sweep by so many workers, those spent in its metrics, and bytes a position in the store."""
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    with cluster, Client(cluster) as client:
        sweep.run(G, G.sample(4 * workers, seed=1), d, store=place / "warm", client=client)
        start = time.perf_counter()
        metrics = sweep.run(G, z, d, store=place / "store", client=client)
        seconds = time.perf_counter() - start
    kept = sum(file.stat().st_size for file in (place / "store").rglob("*") if file.is_file())
    return {"seconds": seconds, "in_metrics": float(metrics.seconds.sum()), "bytes": kept / len(z)}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="dcgan-portraits")
    parser.add_argument("--distance", default="", help="default: the generator's own")
    parser.add_argument("--positions", type=int, default=40, help="latents of one sweep")
    parser.add_argument("--repeats", type=int, default=5, help="alternating pairs, of which the median is taken")
    parser.add_argument("--quick", action="store_true", help="a small network under mse, seconds in all")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.quick:
        options.generator, options.distance, options.positions, options.repeats = "shapes-dcgan", "mse", 4, 1
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    G = geomlib.load_generator(options.generator)
    d = geomlib.load_distance(options.distance or G.default_distance)
    z = G.sample(options.positions, seed=0)
    pairs = []
    for repeat in range(options.repeats):
        pair: dict[str, object] = {"load_average": os.getloadavg()[0]}
        for workers in (1, 2) if repeat % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as place:
                pair[str(workers)] = timed(G, d, z, workers, Path(place))
        pairs.append(pair)
        print(json.dumps(pair), flush=True)
    ones, twos = ([pair[workers] for pair in pairs] for workers in ("1", "2"))
    speed_ups = [one["seconds"] / two["seconds"] for one, two in zip(ones, twos, strict=True)]
    result = {
        "benchmark": "scaling",
        "generator": options.generator,
        "distance": d.name,
        "positions": options.positions,
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "speed_up": statistics.median(speed_ups),
        "of_linear": statistics.median(speed_ups) / 2,
        "overhead_seconds": statistics.median((one["seconds"] - one["in_metrics"]) / options.positions for one in ones),
        "metric_seconds": statistics.median(one["in_metrics"] / options.positions for one in ones),
        "bytes_a_position": statistics.median(one["bytes"] for one in ones),
        "pairs": pairs,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
