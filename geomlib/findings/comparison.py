"""An own network beside the recorded ones: measured with its controls, judged by the same rule, told and kept."""

import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from geomlib import figures
from geomlib._files import name_beside, put_in_place
from geomlib._progress import Progress
from geomlib.applications.kinds import kinds_of_control
from geomlib.distances import Distance
from geomlib.findings.controlled import STATISTICS
from geomlib.findings.measured import measure
from geomlib.findings.record import judgements, label_of, rows_of
from geomlib.findings.recording import manifest
from geomlib.findings.results import Results
from geomlib.findings.rules import FEWEST_SEEDS, FEWEST_UNITS, PLAIN, WORDS, count_networks
from geomlib.generators import Generator
from geomlib.generators.latents import latents_for
from geomlib.paths import distinct

COMPARED = "record.json"  # beside figure and summary, in the form of the record
_TOLD = 0.05  # seconds; a metric that came sooner was read, and says nothing of the time that others take
_SHARES = ("axes for 99 %", "participation ratio")  # counted in axes, so that a picture shows them per axis


def compare(
    generator: Generator,
    distance: Distance,
    *,
    network: str,
    options: str = "",
    latents: int,
    seeds: int,
    seed: int,
    store: str | Path | None = None,
) -> dict[str, Any]:
    """Measure a network and its controls; returns a part, as the record has one for each network and distance.

    Args:
        generator: the network.
        distance: of images.
        network: what its rows are called.
        options: of the generator, for the label.
        latents: at how many.
        seeds: how many networks of each kind of control.
        seed: of the sequence of latents; the controls have this one and the following.
        store: of the metrics, see `sweep.metrics`; what is there already is read.

    Raises:
        ValueError: fewer latents or seeds than a verdict needs, a generator without weights or of fewer than three
            axes, or one that has no metric.
        FloatingPointError: see `metric_tensor`.
    """
    if latents < FEWEST_UNITS:
        raise ValueError(f"latents: expected at least {FEWEST_UNITS}, for a verdict needs them, got {latents}")
    if seeds < FEWEST_SEEDS:
        raise ValueError(f"seeds: expected at least {FEWEST_SEEDS}, for a verdict needs them, got {seeds}")
    if not generator.weights_hash or not isinstance(generator.module, torch.nn.Module):
        raise ValueError(f"generator: {network} is no module with weights, so there are no controls to hold it against")
    if generator.latent_dim < 3:
        raise ValueError(f"generator: expected at least three latent axes to compare, got {generator.latent_dim}")
    start = time.monotonic()
    places = distinct(latents_for("metrics", generator, latents, seed))
    if len(places) < FEWEST_UNITS:
        raise ValueError(
            f"space: {generator.space} of {network} has only {len(places)} different latents, a verdict needs "
            f"{FEWEST_UNITS}; take another --space"
        )
    before = time.monotonic()
    kinds = kinds_of_control(generator, seed)
    contrast = time.monotonic() - before  # that of the network is what takes the time there; each control has one
    numbers = range(seed, seed + seeds)
    labels = ["trained", *(f"{kind} {number}" for kind in kinds for number in numbers)]
    told = _remaining(labels, len(places), contrast * len(labels))
    found = measure(generator, kinds, places, distance, numbers, seed=seed, store=store, progress=told)
    label = " ".join(filter(None, [network, generator.space, options]))
    rows = found.rows(network, generator.space, distance.name, dimension=generator.latent_dim, label=label, known=False)
    return {
        "label": label,
        "distance": distance.name,
        "made": manifest({}, time.monotonic() - start) | {"device": generator.device.type},
        "kinds": list(kinds),
        "rows": rows,
        "networks": found.networks,
        "refusals": [],
        "left out": found.left_out,
        "latents": len(places),
        "seeds": list(numbers),
        "weights hash": generator.weights_hash,
    }


def _remaining(labels: Sequence[str], latents: int, after: float) -> Callable[[str], Progress]:
    """Tells which network is measured, and the time left: metrics at the last pace, and the seconds `after` them."""
    paces = deque[float](maxlen=latents)
    moment, shown = [time.monotonic()], [0.0]

    def of(label: str) -> Progress:
        before = labels.index(label) * latents

        def tell(done: int, total: int) -> None:
            now = time.monotonic()
            if now - moment[0] > _TOLD:
                paces.append(now - moment[0])
            moment[0] = now
            if done < total and now - shown[0] < 0.2:
                return
            shown[0] = now
            count, whole = before + done, len(labels) * latents
            text = f"{label}: metric {count} of {whole}"
            if paces and count < whole:
                text += f", about {_duration(sum(paces) / len(paces) * (whole - count) + after)} left"
            last = done == total and label == labels[-1]
            print(f"\r{text:<78}", end="\n" if last else "", file=sys.stderr, flush=True)

        return tell

    return of


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def write(folder: Path, part: Mapping[str, Any], record: Mapping[str, Any]) -> list[Path]:
    """Keep a comparison: `comparison.png`, `record.json` and `summary.json`; returns their paths.

    The folder is there whole or as it was.

    Args:
        folder: made when missing, else replaced.
        part: from `compare`.
        record: the recorded networks, of any number.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = name_beside(folder)
    try:
        _write(made, part, record)
        put_in_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return [folder / name for name in ("comparison.png", COMPARED, "summary.json")]


def _write(folder: Path, part: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    results, own = Results(folder), own_label(part)
    results.figure(
        "comparison",
        figures.standings(
            _standings({own: part} | {label_of(one): one for one in record["parts"]}),
            own=[own],
            none="difference from the kind of control that decides; right of the line: on the side of the claim",
        ),
        caption=f"{part['label']} under {part['distance']} beside {len(record['parts'])} recorded rows: the difference "
        "from the kind of control that decides (its interval reaches lowest), positive on the side of the claim, with "
        "its interval over latents and networks of the kind. Axes and participation ratio are over the number of axes; "
        "what is beyond the ends is cut.",
        alt="A panel for each statistic and a row for each network: an interval beside a line at no difference. The "
        "own network stands first, in another colour.",
    )
    for name, judged in judgements(part).items():
        results.claim(STATISTICS[name].sentence, ours=judged, source="ours alone")
    results.number(seconds=part["made"]["seconds"], latents=part["latents"], networks_of_each_kind=len(part["seeds"]))
    results.provenance(
        generator=part["label"],
        distance=part["distance"],
        **{"weights_hash": part["weights hash"], "seeds": part["seeds"], "latents": part["latents"]},
    )
    content = {"manifest": {"whose": "yours"}, "missing": [], "parts": [part]}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / COMPARED).write_text(text + "\n", encoding="utf-8")


def own_label(part: Mapping[str, Any]) -> str:
    """What the own network's row is called: no other's name, also where a recorded network was compared."""
    return f"{label_of(part)} (yours)"


def _standings(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float] | None]]:
    """For each statistic, as its panel is called, and row, the difference that decides and its interval."""
    titles = {name: f"{name}\n(per axis)" if name in _SHARES else name for name in STATISTICS}
    values: dict[str, dict[str, list[float] | None]] = {title: {} for title in titles.values()}
    for label, part in parts.items():
        dimension = part["rows"][0]["dimension"]
        for name, judged in judgements(part).items():
            scale = dimension if name in _SHARES else 1
            values[titles[name]][label] = [end / scale for end in judged.worst[1]] if judged.worst else None
    return values


def told(part: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a comparison for a terminal: every network's verdicts, then the own network beside its controls."""
    made, own = part["made"], own_label(part)
    yield (
        f"{own}: {part['latents']} latents, {len(part['seeds'])} networks of each kind of control, "
        f"{_duration(made['seconds'])}"
    )
    yield "\nVerdicts, each against every kind of control:"
    rows = [["", "network, distance", *STATISTICS]]
    rows += [[" ", label_of(one), *_words(one)] for one in record["parts"]]
    yield from _aligned([*rows, [">", own, *_words(part)]])
    if record["missing"]:
        yield f"  and {len(record['missing'])} rows of the record that are not measured yet"
    for claim in dict.fromkeys(one.claim for one in STATISTICS.values()):
        statistics = [name for name, one in STATISTICS.items() if one.claim == claim]
        count = count_networks(rows_of(record, *statistics))
        yield f"  {claim}, recorded networks under a perceptual distance: {count}"
    if part["distance"] in PLAIN:
        yield f"  {part['distance']} compares pixels; rows under such a distance are counted apart"
    yield "\nYours minus its controls, positive on the side of the claim:"
    judged = judgements(part)
    lines = [["", "against", *STATISTICS]]
    for kind in part["kinds"]:
        ends = [judged[name].intervals.get(kind) for name in STATISTICS]
        lines.append(["", kind, *(str(one) if one else "–" for one in ends)])
    yield from _aligned(lines)
    yield "\nMeans over networks of a kind:"
    keys = ("contrast", *STATISTICS)
    lines = [["", "network", *keys]]
    for kind in ("trained", *part["kinds"]):
        each = [one for one in part["networks"] if one["kind"] == kind]
        lines.append(["", "yours" if kind == "trained" else kind, *(_mean(one[key] for one in each) for key in keys)])
    yield from _aligned(lines)
    for one in part["left out"]:
        yield f"  no control {one['kind']} {one['seed']}: {one['reason']}"
    yield ""
    for word in dict.fromkeys(word for one in (*record["parts"], part) for word in _words(one)):
        yield f"  {word}: {WORDS[word]}"


def _words(part: Mapping[str, Any]) -> list[str]:
    judged = judgements(part)
    return [judged[name].word for name in STATISTICS]


def _mean(values: Iterator[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3g}" if known else "–"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
