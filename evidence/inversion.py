"""Inversion by Adam along different axes, by rule 3 of geomlib.findings.rules: every arm named must be beaten.

    python evidence/inversion.py

One arm and seed is kept at a time in results/evidence/inversion, so that a run that was stopped goes on where it was.
After each network, distance and kind of search the record is written: evidence/inversion.json says what was found,
when and with what code, and what is missing; evidence/inversion.npz holds the numbers that it follows from.

Judges share no network with the distance that is lowered.  What is in the record stays; --again makes those parts anew
that other code made.
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
from geomlib.findings.inversions import (
    LONGER,
    Inversions,
    InversionSettings,
    geometric_mean,
    judged_by,
    judgement,
    judges,
    settings_told,
    tune,
)
from geomlib.findings.record import row_entry
from geomlib.findings.recording import Arrays, Kept, Recorder, code_of, command_line, manifest
from geomlib.findings.rules import Row
from geomlib.generators.latents import SEED, latents_for

HERE = Path(__file__).parent
RECORD = HERE / "inversion.json"
STORE = HERE.parent / "results" / "evidence"
NETWORKS = ("shapes-dcgan", "dcgan-portraits", "mlp-cats")
KINDS = {"": InversionSettings(), " in two stages": InversionSettings(stages=True)}
# What is soon done comes first.
ENTRIES = [
    (name, kind, distance) for kind in KINDS for distance in ("mse", "st-lpips-alex") for name in NETWORKS
]  # fmt: skip
SHOWN = 4  # targets whose codes are kept for pictures
MODULES = (
    "applications/coordinates.py", "applications/evolution.py", "applications/inversion/costs.py",
    "applications/inversion/evolution.py", "applications/inversion/gradient.py", "applications/inversion/invert.py",
    "applications/inversion/problem.py", "findings/intervals.py", "findings/inversions.py", "findings/rules.py",
    "homogeneity.py", "readers/classifier.py",
)  # fmt: skip
LOADED = code_of(Path(__file__), MODULES)

Found = dict[str, torch.Tensor]


def measure(name: str, kind: str, lowered: str) -> tuple[dict[str, Any], Arrays]:
    """One network, distance and kind of search: choose the rates of each arm, invert with them, judge."""
    start, settings, label = time.monotonic(), KINDS[kind], name + kind
    G, d = geomlib.load_generator(name), geomlib.load_distance(lowered)
    latents = latents_for("metrics", G, settings.positions, settings.seed)
    metrics = sweep.metrics(G, latents, d, store=STORE / "metrics", progress=progress(f"{name} {lowered} metrics"))
    work = Inversions(G, d, geomlib.average(metrics), settings)
    kept = Kept(STORE / "inversion" / label.replace(" ", "-") / lowered, LOADED["code"])
    beside, targets = judges(d), work.images()
    truth = latents_for("targets", G, settings.targets, settings.seed)

    def costs_of(arm: str, stage: str, fixed: dict[str, float], first: float) -> dict[float, float]:
        def cost(rate: float) -> float:
            def make() -> Arrays:
                told = progress(f"{label} | {lowered} | tuning {arm}")
                found = work.invert(work.images("tuning"), arm, 0, fixed | {stage: rate}, progress=told)
                return {"distances": found.distances.numpy()}

            there = kept.get(f"tuning {arm} {stage} {rate:g}", make)
            return geometric_mean(torch.from_numpy(there["distances"]))

        return tune(first, cost)

    tuning, rates = dict[str, dict[str, dict[str, float]]](), dict[str, dict[str, float]]()
    for arm, how in settings.arms.items():
        rates[arm], tuning[arm] = {}, {}
        for stage in ("learning_rate", "final_rate") if settings.stages else ("learning_rate",):
            costs = costs_of(arm, stage, rates[arm], rates[arm].get("learning_rate", how.rate))
            tuning[arm][stage] = {f"{rate:g}": cost for rate, cost in costs.items()}
            rates[arm] |= {stage: min(costs, key=lambda rate: costs[rate])}

    def judged(latents: torch.Tensor, distances: torch.Tensor) -> Arrays:
        told = {f"judged {key}": judged_by(judge, G, latents, targets).numpy() for key, judge in beside.items()}
        error = (latents.double() - truth.double()).norm(dim=1) / truth.double().norm(dim=1)
        return told | {"distances": distances.numpy(), "latents": latents.numpy(), "code error": error.numpy()}

    def one(arm: str, run: int) -> Found:
        def make() -> Arrays:
            told = progress(f"{label} | {lowered} | {arm} seed {run}")
            found = work.invert(targets, arm, run, rates["standard" if arm == LONGER else arm], progress=told)
            return judged(found.latents, found.distances) | {"trace": found.trace.distances.numpy()}

        return {key: torch.from_numpy(values) for key, values in kept.get(f"{arm} seed {run}", make).items()}

    runs: dict[str, list[Found]] = {arm: [] for arm in settings.compared}
    for run in range(settings.runs):
        for arm, each in runs.items():
            each.append(one(arm, run))

    def over_runs(key: str) -> dict[str, torch.Tensor]:
        return {arm: torch.stack([found[key] for found in each]) for arm, each in runs.items()}

    judged_values = {key: over_runs(f"judged {key}") for key in beside}
    rows = [
        row_entry(Row(name, G.space, lowered, f"{claim}, judged by {key}", judgement(values, claim, settings.against)))
        for claim in settings.against
        for key, values in judged_values.items()
    ]
    seen = {"distances": over_runs("distances"), "code error": over_runs("code error")}
    seen |= {f"judged {key}": values for key, values in judged_values.items()}
    arrays: Arrays = {
        key: torch.stack([*values.values()]).numpy().astype(np.float32) for key, values in seen.items()
    }  # fmt: skip
    arrays |= {"metric": work.metric.matrix.numpy()}
    arrays |= {"codes": torch.stack([each[0]["latents"][:SHOWN] for each in runs.values()]).numpy()}
    if not settings.stages:
        arrays |= {"trace": torch.stack([runs[arm][0]["trace"] for arm in settings.arms]).numpy().astype(np.float32)}
        arrays |= {"first steps": np.stack([runs[arm][0]["trace"][:10, :2].numpy() for arm in settings.arms])}
    part = {
        "label": label,
        "distance": lowered,
        "made": manifest(LOADED, time.monotonic() - start),
        "settings": settings_told(settings),
        "arms": list(runs),
        "calls": {arm: work.budget(arm) for arm in runs},
        "calls of the metric once": work.metric_calls,
        "rates": rates,
        "tuning": tuning,
        "geometric means": {
            key: {arm: geometric_mean(each.flatten()) for arm, each in values.items()} for key, values in seen.items()
        },
        "rows": rows,
    }
    return part, arrays


def main() -> None:
    """Invert on every network that is here."""
    asked = command_line(__doc__, NETWORKS)
    told = {
        "latents": f"the sequence {SEED}: metrics, targets, tuning, samples (starts)",
        "arms": {kind.strip() or "Adam": {arm: list(others) for arm, others in settings.against.items()}
                 for kind, settings in KINDS.items()},
        "judged": "logarithms of what a judge says, averaged over seeds; bootstrap over targets",
    }  # fmt: skip
    keys = {(name + kind, distance): (name, kind, distance) for name, kind, distance in ENTRIES}
    makers = {key: partial(measure, *entry) for key, entry in keys.items() if entry[0] in asked.only}
    Recorder(RECORD, list(keys), told).fill(makers, LOADED["code"], asked.again)


if __name__ == "__main__":
    main()
