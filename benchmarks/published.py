"""What do the paper's own networks cost? One metric of each, before anyone has its weights.

    python benchmarks/published.py

Random weights in the published layouts at the published sizes: what a metric costs does not depend on their values.
`geomlib.estimate` times two tiles.  Seconds are those of the processor, so that what else runs does not count.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch

import geomlib
from geomlib.book.provenance import processor
from geomlib.generators.architectures import build
from geomlib.generators.catalogue import PAPER_OPTIONS
from geomlib.generators.published import PUBLISHED
from geomlib.generators.spaces import as_generator

NETWORKS = (
    "deepsim-fc6", "dcgan-fashion", "pgan-celebahq-256", "biggan-deep-256",
    "bigbigan-128", "stylegan-face-256", "stylegan2-face-256", "wavegan-piano",
)  # fmt: skip
RESULT = Path(__file__).parent / "results" / "published" / "cpu.json"


def measure(name: str, memory: str) -> dict[str, float | int | str]:
    """Processor seconds of one metric, and bytes beside the weights."""
    entry = PUBLISHED[name]
    network = build(entry.architecture, **entry.config).eval().requires_grad_(False)
    options = {**entry.options, **PAPER_OPTIONS.get(entry.architecture, {})}
    generator = as_generator(entry.architecture, network, "", name, entry.distance, **options)
    # An untrained trunk costs what a trained one does.
    pretrained = {"pretrained": False} if entry.distance.startswith("lpips") else {}
    distance = geomlib.load_distance(entry.distance, **pretrained)
    z = generator.sample(1, seed=0)
    wall, processed = time.perf_counter(), time.process_time()
    found = geomlib.estimate(generator, z, distance, memory=memory)
    share = (time.process_time() - processed) / (time.perf_counter() - wall)
    return {
        "dimensions": generator.latent_dim,
        "output": " × ".join(map(str, generator.image_shape)),
        "distance": entry.distance,
        "seconds": found.seconds * share,
        "bytes": found.bytes,
        "tile": found.tile,
        "weights_bytes": sum(value.numel() * value.element_size() for value in network.state_dict().values()),
    }


def main() -> None:
    """Write the result after each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=NETWORKS, choices=NETWORKS, metavar="NETWORK")
    parser.add_argument("--memory", default="4 GiB", help="for the intermediate results")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(arguments.output.read_text())["rows"] if arguments.output.is_file() else {}
    for name in arguments.only:
        rows[name] = measure(name, arguments.memory)
        print(f"{name:22} {rows[name]['seconds']:9.1f} s  {rows[name]['bytes'] / 2**30:6.2f} GiB", flush=True)
        result = {
            "benchmark": "published",
            "processor": processor(),
            "threads": 1,
            "torch": torch.__version__,
            "date": time.strftime("%Y-%m-%d"),
            "load_average": os.getloadavg()[0],
            "memory": arguments.memory,
            "rows": rows,
        }
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
