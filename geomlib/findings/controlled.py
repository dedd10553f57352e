"""A network beside its controls at the same latents: the statistics of rule 1, from metrics to judgements."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from geomlib.applications.kinds import MATCHED
from geomlib.findings.rules import Judgement, against_controls
from geomlib.homogeneity import consistency, off_diagonal, ranks_above_floor
from geomlib.metric import Metric
from geomlib.spectrum import dimensions_for, participation_ratio

THAN_CONTROLS = " than every kind of control"


class Statistic(NamedTuple):
    """A statistic of rule 1: its claim, whether the network should have more or less of it, and how one says that.

    `number` is what pages call it in their summaries.
    """

    claim: str
    claimed: str
    words: str
    number: str

    @property
    def sentence(self) -> str:
        """The claim in words, as every page and record has it."""
        return f"{self.words}{THAN_CONTROLS}"


STATISTICS = {
    "linear consistency": Statistic("homogeneity", "more", "more linear consistency", "linear_consistency"),
    "log consistency": Statistic("homogeneity", "more", "more log consistency", "log_consistency"),
    "axes for 99 %": Statistic("anisotropy", "less", "fewer axes for 99 % of the trace", "axes_for_99_percent"),
    "participation ratio": Statistic("anisotropy", "less", "a smaller participation ratio", "participation_ratio"),
}


class Gap(NamedTuple):
    """One control beside the network.

    Attributes:
        trained: the statistic of the network, of each latent `(P,)` or pair `(P, P)`.
        control: that of the control.
        ranks: mean number of ranks that both have, for "log consistency"; else all.
    """

    trained: Tensor
    control: Tensor
    ranks: float


def gaps(trained: Metric, control: Metric) -> dict[str, Gap]:
    """Each of `STATISTICS` of a network and of one control, at the same latents.

    Log consistency takes, in both, the ranks above both noise floors.

    Raises:
        ValueError: another number of latents or of axes.
    """
    if trained.matrix.shape != control.matrix.shape:
        raise ValueError(f"control: expected {tuple(trained.matrix.shape)}, got {tuple(control.matrix.shape)}")
    here, there = ranks_above_floor(trained), ranks_above_floor(control)
    one, other = consistency(trained, use=there), consistency(control, use=here)
    off, n = ~torch.eye(len(here), dtype=torch.bool), trained.matrix.shape[-1]
    own, its = trained.eigenvalues, control.eigenvalues
    return {
        "linear consistency": Gap(one.linear, other.linear, n),
        "log consistency": Gap(one.log, other.log, float((here & there)[off].sum(-1).double().mean())),
        "axes for 99 %": Gap(dimensions_for(own, 0.99).double(), dimensions_for(its, 0.99).double(), n),
        "participation ratio": Gap(participation_ratio(own), participation_ratio(its), n),
    }


def own_statistics(metric: Metric) -> dict[str, float | None]:
    """The means of `STATISTICS` of one network alone, and of its `ranks` above its own noise floor.

    None: at no pair of latents are there two ranks.
    """
    own = gaps(metric, metric)
    values = {name: off_diagonal(gap.trained) if gap.trained.ndim == 2 else gap.trained for name, gap in own.items()}
    means = {name: float(value.nanmean()) for name, value in values.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()} | {
        "ranks": own["log consistency"].ranks
    }


def judge(trained: Metric, controls: Mapping[str, Sequence[Metric]]) -> dict[str, Judgement]:
    """Judge each of `STATISTICS` of a network against its controls, the networks of each kind by its name.

    Raises:
        ValueError: as `gaps`.
    """
    found = {kind: [gaps(trained, one) for one in networks] for kind, networks in controls.items()}
    return {statistic: judge_gaps(statistic, found) for statistic in STATISTICS}


def judge_gaps(statistic: str, found: Mapping[str, Sequence[Mapping[str, Gap]]]) -> Judgement:
    """Judge one statistic by the `gaps` of each network of each kind of control.

    A pair of latents that two networks share fewer than two ranks at has no log consistency; the row is then not
    comparable, and says so.  Nor is it where a kind of control has no network, but one of matched contrast, which
    cannot always be had.
    """
    absent = [kind for kind, networks in found.items() if not networks and MATCHED not in kind]
    rows = {kind: [one[statistic] for one in networks] for kind, networks in found.items() if networks}
    differences = {kind: torch.stack([gap.trained - gap.control for gap in gaps]) for kind, gaps in rows.items()}
    note = ""
    if statistic == "log consistency":
        ranks = (f"{sum(gap.ranks for gap in gaps) / len(gaps):.0f} with {kind}" for kind, gaps in rows.items())
        note = f"ranks: {', '.join(ranks)}"
    for kind, values in differences.items():
        off = ~torch.eye(values.shape[-1], dtype=torch.bool) if values.ndim == 3 else slice(None)
        if not values[:, off].isfinite().all():
            note = f"{note}; at some pairs of latents fewer than two ranks in common with {kind}"
            return Judgement("not comparable", {}, values.shape[-1], "no value to compare", note)
    judged = against_controls(differences, claimed=STATISTICS[statistic].claimed, note=note)
    if absent:
        lacking = f"no network of every kind: {', '.join(absent)} cannot be had"
        judged = replace(judged, word="not comparable", note="; ".join(filter(None, [note, lacking])))
    return judged
