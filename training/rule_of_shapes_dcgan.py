"""Measure the rule by which one of the honest seeds became `shapes-dcgan`, and write it into their cards.

    python training/rule_of_shapes_dcgan.py shapes-dcgan-pixels-1 shapes-dcgan-pixels-2 shapes-dcgan

`shapes_dcgan_pixels.py` says what the rule is; it was written before a seed was finished.  The features are those of
the last layer of efficientnet-lite0, which no training has seen; all sets of images are equally large.
"""

import argparse
import json

import torch
from torch import Tensor

import geomlib
from geomlib._files import WEIGHTS
from geomlib.generators import card
from geomlib.readers.classifier import load_classifier
from geomlib.worlds import shapes
from geomlib.worlds.quality import frechet_distance
from geomlib.worlds.shapes.networks import load_factor_reader
from geomlib.worlds.shapes.quality import confident_shapes

LEAST_CONFIDENT, MOST_TIMES = 0.7, 1.5
REWARDED = "shapes-dcgan-rewarded"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--samples", type=int, default=2500, help="images of each network, and rendered ones")
    options = parser.parse_args()
    classifier, reader = load_classifier(), load_factor_reader()

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([classifier.features(part) for part in images.split(100)])

    @torch.no_grad()
    def samples(name: str) -> Tensor:
        G = geomlib.load_generator(name)
        return torch.cat([G(part) for part in G.sample(options.samples, seed=5000).split(250)])

    rendered = features(shapes.dataset(options.samples, 6000)[0])
    rewarded = frechet_distance(features(samples(REWARDED)), rendered)
    for name in options.names:
        images = samples(name)
        confident = float(confident_shapes(reader.read(images)).double().mean())
        distance = frechet_distance(features(images), rendered)
        passes = confident >= LEAST_CONFIDENT and distance <= MOST_TIMES * rewarded
        rule = {
            "confident": confident, "frechet": distance, f"frechet of {REWARDED}": rewarded, "passes": passes,
            "samples": options.samples,
        }  # fmt: skip
        (WEIGHTS / f"{name}.json").write_text(json.dumps(card(name) | {"rule": rule}, indent=1) + "\n")
        print(name, rule, flush=True)


if __name__ == "__main__":
    main()
