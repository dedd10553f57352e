"""Search without gradients for units of networks, by rule 3 of geomlib.findings.rules: every arm named must be beaten.

    python evidence/search.py

One arm and seed is kept at a time in results/evidence/search, so that a run that was stopped goes on where it was.
After each network the record is written: evidence/search.json says what was found, when and with what code, and what is
missing; evidence/search.npz holds the numbers that it follows from.

No network that defines a distance judges: the units are of classifiers and readers, the axes of ST-LPIPS.  What is in
the record stays; --again makes those parts anew that other code made.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import geomlib
from geomlib import sweep
from geomlib.findings import progress
from geomlib.findings.record import row_entry
from geomlib.findings.recording import Arrays, Kept, Recorder, code_of, command_line, manifest
from geomlib.findings.rules import Row
from geomlib.findings.searches import AGAINST, ARMS, STATISTICS, Searches, SearchSettings, judged
from geomlib.generators.latents import SEED, latents_for

HERE = Path(__file__).parent
RECORD = HERE / "search.json"
STORE = HERE.parent / "results" / "evidence"
DISTANCE = "st-lpips-alex"
# Of efficientnet fewer units: an answer costs ten times that of the reader, least in small batches.
ENTRIES = {
    "shapes-dcgan": SearchSettings("reader"),
    "dcgan-portraits": SearchSettings("efficientnet-lite0", units=12, tuning=3, batch=4),
    "mlp-cats": SearchSettings("efficientnet-lite0", units=12, tuning=3, batch=4),
}
MODULES = (
    "applications/coordinates.py", "applications/driven.py", "applications/evolution.py", "applications/search.py",
    "applications/units.py", "findings/intervals.py", "findings/rules.py", "findings/searches.py", "homogeneity.py",
    "readers/classifier.py",
)  # fmt: skip
LOADED = code_of(Path(__file__), MODULES)


def measure(name: str, settings: SearchSettings) -> tuple[dict[str, Any], Arrays]:
    """One network: choose sigma for each arm, search with it, judge."""
    start = time.monotonic()
    G, d = geomlib.load_generator(name), geomlib.load_distance(DISTANCE)
    latents = latents_for("metrics", G, settings.positions, settings.seed)
    metrics = sweep.metrics(G, latents, d, store=STORE / "metrics", progress=progress(f"{name} metrics"))
    searches = Searches.around(G, geomlib.average(metrics), settings)
    kept = Kept(STORE / "search" / name, LOADED["code"])

    def run(label: str, arm: str, seed: int, sigma: float, use: str) -> dict[str, torch.Tensor]:
        def make() -> Arrays:
            told = progress(f"{name} | {label}")
            return {
                key: values.cpu().numpy()
                for key, values in searches.search(arm, seed, sigma, use=use, progress=told).items()
            }

        return {key: torch.from_numpy(values) for key, values in kept.get(label, make).items() if key != "seconds"}

    tried = {
        arm: {sigma: run(f"tuning {arm} {sigma:g}", arm, 0, sigma, "tuning") for sigma in settings.sigmas}
        for arm in ARMS
    }
    everything = {f"{arm} {sigma:g}": one for arm, each in tried.items() for sigma, one in each.items()}
    tuned = searches.shares(everything, "tuning")
    at_end = {
        arm: {f"{sigma:g}": float(tuned[f"{arm} {sigma:g}"]["last generation"].mean()) for sigma in settings.sigmas}
        for arm in ARMS
    }
    sigmas = {arm: max(settings.sigmas, key=lambda sigma: at_end[arm][f"{sigma:g}"]) for arm in ARMS}
    found = {
        (arm, seed): run(f"{arm} seed {seed}", arm, seed, sigmas[arm], "targets")
        for seed in range(settings.runs)
        for arm in ARMS
    }
    shares = searches.shares({f"{arm} {seed}": one for (arm, seed), one in found.items()})
    by_arm = {
        statistic: {
            arm: torch.stack([shares[f"{arm} {seed}"][statistic] for seed in range(settings.runs)]) for arm in ARMS
        }
        for statistic in ("track", "best", *STATISTICS)
    }
    rows = [
        row_entry(Row(name, G.space, DISTANCE, f"{arm}, {statistic}", judged(by_arm[statistic], arm)))
        for arm in AGAINST
        for statistic in STATISTICS
    ]
    first = torch.stack([found[arm, 0]["scores"][:2, 0] for arm in ARMS])
    lengths = torch.stack([torch.stack([found[arm, seed]["length"] for seed in range(settings.runs)]) for arm in ARMS])
    single = {statistic: torch.stack([values[arm] for arm in ARMS]) for statistic, values in by_arm.items()}
    arrays: Arrays = {key: values.numpy().astype(np.float32) for key, values in single.items()}
    arrays |= {"length": lengths.numpy().astype(np.float32), "first generation": first.numpy().astype(np.float64)}
    arrays |= {"random draws": shares["random draws"]["best"].numpy().astype(np.float32)}
    arrays |= {"metric": searches.metric.matrix.numpy()}
    part = {
        "label": name,
        "distance": DISTANCE,
        "made": manifest(LOADED, time.monotonic() - start),
        "settings": searches.told(),
        "arms": list(ARMS),
        "sigmas": sigmas,
        "tuning": at_end,
        "means": {
            statistic: {arm: float(values[arm].mean()) for arm in ARMS}
            for statistic, values in by_arm.items()
            if statistic != "track"
        },
        "random draws": float(shares["random draws"]["best"].mean()),
        "rows": rows,
    }
    return part, arrays


def main() -> None:
    """Search on every network that is here."""
    asked = command_line(__doc__, list(ENTRIES))
    told = {
        "latents": f"the sequence {SEED}: metrics, targets (starts) and tuning (starts of other units)",
        "arms": {arm: list(others) for arm, others in AGAINST.items()},
        "judged": "shares of the best known answer of a unit, averaged over seeds; bootstrap over units",
    }
    makers = {(name, DISTANCE): partial(measure, name, ENTRIES[name]) for name in ENTRIES if name in asked.only}
    Recorder(RECORD, [(name, DISTANCE) for name in ENTRIES], told).fill(makers, LOADED["code"], asked.again)


if __name__ == "__main__":
    main()
