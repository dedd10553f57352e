"""Geodesics of generators, by rule 3 of geomlib.findings.rules: shorter than every other way, by other judges.

    python evidence/geodesics.py

One pair of latents is kept at a time in results/evidence/geodesics, so that a run that was stopped goes on where it
was.  After each network the record is written: evidence/geodesics.json says what was found, when and with what code,
and what is missing; evidence/geodesics.npz holds the numbers that it follows from.

The ways are measured at twice as many latents as the search has seen, by judges that share no network with the distance
for which they were sought.  What is in the record stays; --again makes those parts anew that other code made.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import geomlib
from geomlib.applications import geodesics
from geomlib.findings import progress
from geomlib.findings.inversions import judged_by, judges, logarithms
from geomlib.findings.record import row_entry
from geomlib.findings.recording import Arrays, Kept, Recorder, code_of, command_line, manifest
from geomlib.findings.rules import Row, arms_beaten
from geomlib.generators.latents import SEED, latents_for
from geomlib.homogeneity import random_frame

HERE = Path(__file__).parent
RECORD = HERE / "geodesics.json"
STORE = HERE.parent / "results" / "evidence"
DISTANCE = "st-lpips-alex"
NETWORKS = ("dcgan-portraits", "mlp-cats", "shapes-dcgan")
SETTINGS = {"pairs": 12, "points": 12, "iterations": 30, "turns": 3, "seed": SEED}
# What the geodesic has to be shorter than; the turned detour is its own way out of the straight line, turned at random.
OTHERS = ("straight line", "great circle", "detour turned")
MODULES = (
    "applications/geodesics.py", "findings/intervals.py", "findings/inversions.py", "findings/rules.py",
    "homogeneity.py", "readers/classifier.py",
)  # fmt: skip
LOADED = code_of(Path(__file__), MODULES)


def measure(name: str) -> tuple[dict[str, Any], Arrays]:
    """One network: seek the geodesics, measure all ways, judge."""
    start, (pairs, points) = time.monotonic(), (SETTINGS["pairs"], SETTINGS["points"])
    G, d = geomlib.load_generator(name), geomlib.load_distance(DISTANCE)
    beside = judges(d)
    z = latents_for("judging", G, 2 * pairs, SETTINGS["seed"])
    kept = Kept(STORE / "geodesics" / name, LOADED["code"])
    turns = [random_frame(G.latent_dim, G.latent_dim, SEED + turn) for turn in range(SETTINGS["turns"])]

    def length(way: torch.Tensor) -> list[float]:
        latents = geodesics.resampled(way, 2 * points - 1).to(z)
        with torch.no_grad():
            images = torch.cat([G(some) for some in latents.split(4)])
        steps = [judged_by(judge, G, latents[:-1], images[1:]) for judge in beside.values()]
        return [
            float(geodesics.length(G, latents, d)),
            *(float(one.clamp(min=0).sqrt().sum()) for one in steps),
        ]

    def one(pair: int) -> Arrays:
        a, b = z[pair], z[pairs + pair]
        told = progress(f"{name} | pair {pair + 1} of {pairs}")
        found = geodesics.geodesic(
            G, a, b, d, points=points, iterations=SETTINGS["iterations"], progress=told
        )  # fmt: skip
        line, curve = geodesics.straight(a, b, points).double(), found.curve.detach().cpu().double()
        turned = [line + (curve - line) @ turn.T for turn in turns]
        ways = [curve, line, geodesics.great_circle(a, b, points).double()]
        return {
            "lengths": np.array([length(way) for way in (*ways, *turned)]),
            "fall": np.array(found.energies[-1] / found.energies[0]),
            "settled": np.array(found.converged),
        }

    found = [kept.get(f"pair {pair}", lambda pair=pair: one(pair)) for pair in range(pairs)]
    lengths = torch.from_numpy(np.stack([each["lengths"] for each in found], 2))  # (ways, measures, pairs)
    rows, means = [], {}
    for index, measure_name in enumerate((DISTANCE, *beside)):
        logs = logarithms(lengths[:, index])
        values = dict(zip(("geodesic", *OTHERS), (logs[:1], logs[1:2], logs[2:3], logs[3:]), strict=True))
        means[measure_name] = {way: float((each.mean(0) - logs[1]).mean().exp()) for way, each in values.items()}
        if measure_name in beside:
            own = values.pop("geodesic")
            judged = arms_beaten(own, values, better="less", units="pairs")
            rows.append(row_entry(Row(name, G.space, DISTANCE, f"geodesic, judged by {measure_name}", judged)))
    part = {
        "label": name,
        "distance": DISTANCE,
        "made": manifest(LOADED, time.monotonic() - start),
        "settings": SETTINGS,
        "lengths over the straight line": means,
        "settled": sum(bool(each["settled"]) for each in found),
        "energy over that of the start": float(np.mean([each["fall"] for each in found])),
        "rows": rows,
    }
    return part, {"lengths": lengths.numpy()}


def main() -> None:
    """Seek geodesics on every network that is here."""
    asked = command_line(__doc__, NETWORKS)
    told = {
        "latents": f"the sequence {SEED}, range judging",
        "ways": ["geodesic", *OTHERS],
        "judged": "logarithms of lengths by a judge, paired; bootstrap over pairs of latents",
    }
    makers = {(name, DISTANCE): partial(measure, name) for name in NETWORKS if name in asked.only}
    Recorder(RECORD, [(name, DISTANCE) for name in NETWORKS], told).fill(makers, LOADED["code"], asked.again)


if __name__ == "__main__":
    main()
