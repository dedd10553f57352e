"""A network measured beside its controls and judged: what the record holds of each, and what `geomlib compare` adds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from geomlib._progress import Progress
from geomlib.applications import controls
from geomlib.applications.kinds import MATCHED, Controls, Make, measure_controls
from geomlib.distances import Distance
from geomlib.findings.controlled import STATISTICS, Gap, gaps, judge, judge_gaps, own_statistics
from geomlib.findings.record import judgements, made, part_about, row_entry
from geomlib.findings.rules import Judgement, Row
from geomlib.generators import Generator
from geomlib.metric import Metric
from geomlib.sweep import metrics

Gaps = dict[str, dict[int, dict[str, Gap]]]


@dataclass(frozen=True)
class Measured:
    """A network, its controls at the same latents, and what rule 1 says of it.

    Attributes:
        trained: its metrics.
        controls: networks and metrics of each kind, and those that could not be had.
        found: by kind and seed, the network beside that control.
        judgements: by statistic.
        networks: contrast and statistics of the network ("trained") and of each control, for a table.
    """

    trained: Metric
    controls: Controls
    found: Gaps
    judgements: dict[str, Judgement]
    networks: list[dict[str, Any]]

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """The controls that could not be had, each with its reason."""
        return [
            {"kind": kind, "seed": seed, "reason": reason} for (kind, seed), reason in self.controls.left_out.items()
        ]

    def rows(self, network: str, space: str, distance: str, **more: Any) -> list[dict[str, Any]]:
        """A row for each statistic, as a record keeps it, with more of what is known of the network."""
        return [
            row_entry(Row(network, space, distance, statistic, judged), **more)
            for statistic, judged in self.judgements.items()
        ]


class Beside(NamedTuple):
    """A network beside one control of each kind, and what is judged of a claim.

    Attributes:
        networks: contrast and `own_statistics` of the network and of each kind, by name; none without two latents.
        judged: by statistic of the claim.
        source: where that was judged, in words.
    """

    networks: dict[str, dict[str, Any]]
    judged: dict[str, Judgement]
    source: str

    def rows(self, *columns: str) -> list[dict[str, Any]]:
        """The networks as rows of a table."""
        return [
            {"Network": name} | {column.capitalize(): one[column] for column in columns}
            for name, one in self.networks.items()
        ]


def beside_controls(
    claim: str,
    generator: Generator,
    trained: Metric,
    latents: Tensor,
    distance: Distance,
    *,
    seed: int,
    record: str | Path = "",
    progress: Callable[[str], Progress] | None = None,
) -> Beside:
    """One control of each kind at `latents` `(P, n)`, and a claim judged: by a record that has the network, else here.

    Args:
        claim: "homogeneity" or "anisotropy".
        generator: the network.
        trained: its metrics, at `latents` first of all.
        latents: where the controls are measured; with fewer than two there are none.
        distance: of images.
        seed: of the controls.
        record: its path; empty: none.
        progress: gives what `sweep.metrics` takes, by kind.

    Raises:
        ValueError: a file that is no record.
    """
    own, found = trained[: len(latents)], {}
    if len(latents) > 1:
        found = controls.one_of_each(generator, latents, distance, seed, progress)
    part = part_about(record, generator, distance)
    judged = judgements(part) or judge(own, {kind: [metric] for kind, (_, metric) in found.items()})
    networks = {generator.name: (generator, own)} | found if len(latents) > 1 else {}
    return Beside(
        {
            name: own_statistics(metric) | {"contrast": controls.contrast(network, seed)}
            for name, (network, metric) in networks.items()
        },
        {name: one for name, one in judged.items() if STATISTICS[name].claim == claim},
        made(part) if part else "ours, on this page",
    )


def measure(
    generator: Generator,
    kinds: Mapping[str, Make],
    latents: Tensor,
    distance: Distance,
    seeds: Sequence[int],
    *,
    seed: int,
    candidates: Sequence[int] = (),
    store: str | Path | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> Measured:
    """Measure a network and `seeds` networks of each kind of control, and judge it by rule 1.

    Args:
        generator: the network.
        kinds: how its controls are made (`kinds_of_control`).
        latents: `(P, n)`, all of them different.
        distance: of images.
        seeds: of the controls.
        seed: of the sequence of latents whose pictures give the contrast.
        candidates: seeds of further controls that are measured and never judged against; none with matched contrast.
        store: as in `sweep.metrics`.
        progress: gives what `sweep.metrics` takes, for "trained" and for each kind and seed.

    Raises:
        ValueError: as `sweep.metrics`, of the network itself.
        FloatingPointError: likewise.
    """
    told = progress("trained") if progress else None
    trained = metrics(generator, latents, distance, store=store, progress=told)
    networks: list[dict[str, Any]] = [
        {"kind": "trained", "contrast": controls.contrast(generator, seed)} | own_statistics(trained)
    ]
    plain = {kind: make for kind, make in kinds.items() if MATCHED not in kind}
    matched = {kind: make for kind, make in kinds.items() if kind not in plain}
    beside = Controls({}, {}, {})
    for some, numbers in ((plain, (*seeds, *candidates)), (matched, tuple(seeds))):
        more = measure_controls(some, numbers, latents, distance, store=store, progress=progress)
        beside = Controls(
            beside.networks | more.networks, beside.metrics | more.metrics, beside.left_out | more.left_out
        )
    networks += [
        {"kind": kind, "seed": number, "contrast": controls.contrast(network, seed)}
        | own_statistics(beside.metrics[kind][number])
        for kind, each in beside.networks.items()
        for number, network in each.items()
    ]
    found = against(trained, beside, seeds)
    absent = [f"no control {kind} {number}: {reason}" for (kind, number), reason in beside.left_out.items()]
    judged = {
        name: replace(one, note="; ".join([*filter(None, [one.note]), *absent]))
        for name, one in judge_found(found).items()
    }
    return Measured(trained, beside, found, judged, networks)


def against(one: Metric, beside: Controls, seeds: Sequence[int]) -> Gaps:
    """Gaps of a network to the controls of each kind with these seeds."""
    return {
        kind: {seed: gaps(one, metric) for seed, metric in each.items() if seed in seeds}
        for kind, each in beside.metrics.items()
    }


def judge_found(found: Gaps) -> dict[str, Judgement]:
    """What rule 1 says of each statistic, from the gaps to each control."""
    lists = {kind: list(each.values()) for kind, each in found.items()}
    return {name: judge_gaps(name, lists) for name in STATISTICS}
