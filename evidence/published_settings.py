"""Spectra, homogeneity and controls with the settings of the paper, beside those of the book's quick pages.

    python evidence/published_settings.py

The notebooks themselves are run, once quickly and once with the profile `paper`; their metrics are kept in
results/metrics, so that a run that was stopped goes on where it was, and the quick latents are the first of the many.
After each network the record is written: evidence/published_settings.json has the numbers of both.
"""

import json
import time
from pathlib import Path
from typing import Any

from geomlib.book import runner
from geomlib.findings.controlled import STATISTICS
from geomlib.findings.recording import Arrays, Recorder, code_of, command_line, manifest

HERE = Path(__file__).parent
RECORD = HERE / "published_settings.json"
EXPERIMENTS = ("anisotropy", "homogeneity", "shuffled_control")
PROFILES = ("quick", "paper")
# Quick ones first.
NETWORKS: dict[str, dict[str, str]] = {
    "mlp-cats": {"generator": "mlp-cats"},
    "shapes-dcgan": {"generator": "shapes-dcgan"},
    "shapes-biggan noise": {"generator": "shapes-biggan", "space": "noise"},
    "shapes-stylegan2 z": {"generator": "shapes-stylegan2", "space": "z"},
    "shapes-stylegan2 w": {"generator": "shapes-stylegan2", "space": "w"},
    "dcgan-portraits": {"generator": "dcgan-portraits"},
    "cdcgan-eyes noise blue": {"generator": "cdcgan-eyes", "space": "noise", "options": "class_index=blue"},
    "dcgan-faces": {"generator": "dcgan-faces"},
    "tones-wavegan": {"generator": "tones-wavegan"},
}
LOADED = code_of(Path(__file__), ("findings/controlled.py", "findings/intervals.py", "homogeneity.py", "spectrum.py"))


def measure(label: str, distance: str) -> tuple[dict[str, Any], Arrays]:
    """The numbers of each experiment, quick and full."""
    start, found, words = time.monotonic(), {}, {}
    for profile in PROFILES:
        settings = NETWORKS[label] | {"profile": profile, "distance": distance}
        folders = runner.run(EXPERIMENTS, root=HERE.parent, settings=settings)
        summaries = [json.loads((folder / "summary.json").read_text(encoding="utf-8")) for folder in folders]
        found[profile] = {name: summary["numbers"] for name, summary in zip(EXPERIMENTS, summaries, strict=True)}
        words[profile] = {row["claim"]: row["verdict"] for row in summaries[-1]["comparison"]}
    quick = words[PROFILES[0]]
    shown = {name: quick[one.sentence] for name, one in STATISTICS.items() if one.sentence in quick}
    made = manifest(LOADED, time.monotonic() - start)
    return {"label": label, "distance": distance, "made": made, "rows": [], **found, "quick words": shown}, {}


def main() -> None:
    """Run the notebooks of every network that is here."""
    asked = command_line(__doc__, list(NETWORKS))
    distances = {label: "stft" if label.startswith("tones") else "st-lpips-alex" for label in NETWORKS}
    told = {"experiments": list(EXPERIMENTS), "profiles": list(PROFILES), "seed": "the notebooks' own"}
    recorder = Recorder(RECORD, list(distances.items()), told)
    makers = {
        (label, distance): lambda label=label, distance=distance: measure(label, distance)
        for label, distance in distances.items()
        if label in asked.only
    }
    recorder.fill(makers, LOADED["code"], asked.again)


if __name__ == "__main__":
    main()
