"""Homogeneity and anisotropy of every network against its controls, by rule 1.

    python evidence/homogeneity.py

Metrics are kept in results/evidence, one at a time, so that a run that was stopped goes on where it was.  After each
network and distance the record is written: evidence/homogeneity.json says what was found, when and with what code, and
which rows are missing; evidence/homogeneity.npz holds the numbers of each latent and pair that it follows from.

What is in the record stays; --again makes those parts anew that other code made.
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import geomlib
from geomlib._progress import Progress
from geomlib.applications import directions, explanations
from geomlib.applications.kinds import Controls, kinds_of_control
from geomlib.findings import measured as beside
from geomlib.findings import progress
from geomlib.findings.claims import kind_of
from geomlib.findings.recording import Arrays, Recorder, code_of, command_line, manifest
from geomlib.findings.rules import LATENTS, kin
from geomlib.generators.latents import SEED, latents_for
from geomlib.metric import Metric
from geomlib.paths import distinct

# Beside the numerics: the rules, the controls.
CODE = (
    "homogeneity.py", "spectrum.py", "applications/controls.py", "applications/contrast.py", "applications/kinds.py",
    "applications/explanations.py", "applications/directions.py", "findings/rules.py", "findings/controlled.py",
    "findings/measured.py",
)  # fmt: skip
LOADED = code_of(Path(__file__), CODE)
HERE = Path(__file__).parent
RECORD = HERE / "homogeneity.json"
STORE = HERE.parent / "results" / "evidence" / "metrics"
SEEDS = (SEED, SEED + 1, SEED + 2)  # of the controls; the first one is the book's own
CANDIDATE = SEED + 3  # networks without training, judged as if they were trained: the rule must refuse them


@dataclass(frozen=True)
class Entry:
    """A network, one of its spaces, and its distances; `known` are those of which numbers were seen before the rule."""

    network: str
    space: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    latents: int = LATENTS["other network"]
    distances: tuple[str, ...] = ("st-lpips-alex", "mse")
    known: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name of the rows."""
        return " ".join([self.network, self.space, *map(str, self.options.values())]).strip()


BOTH = ("st-lpips-alex", "mse")
ENTRIES = (
    Entry("dcgan-portraits", latents=LATENTS["main network"], known=BOTH),
    Entry("mlp-cats", known=BOTH),
    Entry("dcgan-faces", known=BOTH),
    Entry("shapes-dcgan"),
    Entry("ctgan-blips-l1", distances=("stft-short", "mse"), known=("mse",)),
    Entry("ctgan-blips-h1", distances=("stft-short", "mse")),
    Entry("cdcgan-eyes", "noise", {"class_index": "blue"}, known=BOTH),
    Entry("shapes-stylegan2", "z"),
    Entry("shapes-stylegan2", "w"),
    Entry("shapes-biggan", "all"),
    Entry("shapes-biggan", "noise"),
    Entry("shapes-biggan", "class"),
    Entry("tones-wavegan", distances=("stft", "mse")),
    Entry("cdcgan-eyes", "noise", {"class_index": "brown"}, known=BOTH),
)


def explain(generator: geomlib.Generator, metric: Metric) -> dict[str, Any]:
    """Axes from elsewhere tried at each latent, and the block curve: numbers without a verdict."""
    found: dict[str, Any] = {}
    try:
        first = explanations.try_axes(metric, directions.sefa(generator, generator.latent_dim).axes)
        found["first layer"] = [float(first.linear.mean()), _number(first.log.nanmean())]
    except ValueError as error:
        found["first layer"] = str(error)
    others = explanations.try_axes(metric, explanations.axes_of_others(metric))
    found["average of other latents"] = [float(others.linear.mean()), _number(others.log.nanmean())]
    curve = explanations.block_curve(metric, seed=SEED, progress=progress("block curve"))
    found["blocks"] = {
        "boundaries": list(curve.boundaries),
        "linear": curve.linear.mean(1).tolist(),
        "log": [_number(value) for value in curve.log.nanmean(1)],
    }
    return found


def _number(value: torch.Tensor | float) -> float | None:
    return float(value) if math.isfinite(value) else None


def measure(entry: Entry, distance: str) -> tuple[dict[str, Any], Arrays]:
    """All that the record holds of one network under one distance, and the arrays: enough to judge it again."""
    start = time.monotonic()
    G = geomlib.load_generator(entry.network, space=entry.space, **entry.options)
    d = geomlib.load_distance(distance)
    latents = distinct(latents_for("metrics", G, entry.latents))

    def told(label: str) -> Progress:
        return progress(f"{entry.label}|{distance}|{label}")

    kinds = kinds_of_control(G, SEED)
    measured = beside.measure(
        G, kinds, latents, d, SEEDS, seed=SEED, candidates=(CANDIDATE,), store=STORE, progress=told
    )
    values = {"trained|eigenvalues": measured.trained.eigenvalues}
    for kind, each in measured.found.items():
        for seed, one in each.items():
            for name, gap in one.items():
                values[f"{kind}|{seed}|{name}|trained"] = gap.trained
                values[f"{kind}|{seed}|{name}|control"] = gap.control
    known = {"dimension": G.latent_dim, "label": entry.label, "known": distance in entry.known}
    part = {
        "label": entry.label,
        "distance": distance,
        "made": manifest(LOADED, time.monotonic() - start),
        "kinds": list(kinds),
        "rows": measured.rows(entry.network, G.space, distance, **known),
        "networks": measured.networks,
        "refusals": list(refusals(measured.controls)),
        "left out": measured.left_out,
        "explanations": explain(G, measured.trained),
    }
    return part, {name: one.detach().cpu().numpy().astype(np.float32) for name, one in values.items()}


def refusals(made: Controls) -> Iterator[dict[str, Any]]:
    """Each network without training that stands for a trained one, and the words that the rule gives it."""
    for kind, each in made.metrics.items():
        if CANDIDATE in each:
            found = beside.against(each[CANDIDATE], made, SEEDS)
            words = {name: judged.word for name, judged in beside.judge_found(found).items()}
            yield {"kind": kind, "seed": CANDIDATE, "words": words}


def main() -> None:
    """Measure every network that is here under each of its distances."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    names = list(dict.fromkeys(entry.network for entry in ENTRIES))
    asked = command_line(__doc__, names)
    told = {
        "latents": f"the sequence {SEED}, range metrics",
        "control seeds": list(SEEDS),
        "candidate seed": CANDIDATE,
        "known": "rules 1 and 2 were written with earlier numbers of the rows known that are marked so",
        "kin": {name: [*kin(name), kind_of(name)] for name in names},
    }
    keys = {(entry.label, distance): entry for entry in ENTRIES for distance in entry.distances}
    makers = {key: partial(measure, entry, key[1]) for key, entry in keys.items() if entry.network in asked.only}
    Recorder(RECORD, list(keys), told).fill(makers, LOADED["code"], asked.again)


if __name__ == "__main__":
    main()
