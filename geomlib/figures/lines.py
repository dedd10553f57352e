"""Curves, histograms and clouds of points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from geomlib.figures.style import MARKERS, STROKES, array, markers, new_figure, styled


@styled
def curves(
    x: Any, lines: Mapping[str, Any], xlabel: str, ylabel: str, *, logy: bool = False, square: bool = False
) -> Figure:
    """Several curves over one `x`, told apart by colour and by marker."""
    figure, axes = new_figure(5.2 if square else 7.0, 4.0)
    for index, (label, y) in enumerate(lines.items()):
        axes[0, 0].plot(array(x), array(y), label=label, **markers(index, len(array(x)), 12))
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, yscale="log" if logy else "linear")
    axes[0, 0].legend(frameon=True)
    return figure


@styled
def panels(
    x: Any, groups: Mapping[str, Mapping[str, Any]], xlabel: str, ylabel: str, *, logx: bool = False, logy: bool = False
) -> Figure:
    """Small multiples, two beside each other: one panel a key, in each the same curves over one `x`; one legend."""
    rows = -(-len(groups) // 2)
    figure, axes = new_figure(7.0, 0.9 + (3.0 if rows == 1 else 1.9 * rows), rows, 2, sharex=True, sharey=True)
    for axis, (title, lines) in zip(axes.flat, groups.items(), strict=False):
        for index, (label, y) in enumerate(lines.items()):
            style = markers(index, len(array(x)), 8)
            axis.plot(array(x), array(y), label=label, lw=1.5, ls=STROKES[index % 4], **style)
        axis.set(title=title, yscale="log" if logy else "linear")
        if logx:
            axis.set_xscale("symlog", base=2, linthresh=1)
            axis.xaxis.set_major_formatter("{x:g}")
    for axis in axes.flat[len(groups) :]:
        axis.set_axis_off()
    figure.supxlabel(xlabel, fontsize=11)
    figure.supylabel(ylabel, fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2 if max(map(len, labels)) > 24 else 3)
    return figure


@styled
def spectra(eigenvalues: Mapping[str, Tensor], floors: Mapping[str, float] | None = None) -> Figure:
    """Spectra `(P, n)` by rank, each over the largest of its mean: the mean, and a band from 5 to 95 % of positions."""
    many = len(eigenvalues) > 5  # a legend among them would cover some
    figure, axes = new_figure(7.0, 5.0 if many else 4.0)
    for index, (label, values) in enumerate(eigenvalues.items()):
        spectrum = array(values)
        ranks, mean = np.arange(1, spectrum.shape[1] + 1), spectrum.mean(0)
        positive = mean > 0
        low, high = np.percentile(spectrum, [5, 95], axis=0) / mean.max()
        style = markers(index, len(ranks), 16)
        [line] = axes[0, 0].plot(ranks[positive], mean[positive] / mean.max(), label=label, **style)
        axes[0, 0].fill_between(ranks, low.clip(1e-16), high.clip(1e-16), color=line.get_color(), alpha=0.2, lw=0)
        if floors and label in floors:
            axes[0, 0].axhline(floors[label], color=line.get_color(), lw=1, ls=":")
    axes[0, 0].set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue / largest mean eigenvalue")
    if many:
        figure.legend(loc="outside upper center", ncols=2)
    else:
        axes[0, 0].legend(frameon=True)
    return figure


@styled
def histograms(values: Mapping[str, Any], xlabel: str, bins: int = 40) -> Figure:
    """Overlaid histograms as densities on common bins, with their means as vertical lines."""
    figure, axes = new_figure(7.0, 3.6)
    arrays = {label: array(part).ravel() for label, part in values.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
    for index, (label, part) in enumerate(arrays.items()):
        colour, style = sns.color_palette("colorblind")[index], STROKES[index % 4]
        axes[0, 0].hist(part, edges, density=True, alpha=0.25, color=colour)
        axes[0, 0].hist(part, edges, density=True, histtype="step", color=colour, ls=style, lw=1.6, label=label)
        axes[0, 0].axvline(part.mean(), color=colour, ls=style, lw=1)
    axes[0, 0].set(xlabel=xlabel, ylabel="density")
    axes[0, 0].legend(frameon=True)
    return figure


@styled
def scatter(
    x: Any, groups: Mapping[str, Any], xlabel: str, ylabel: str, *, logx: bool = False, logy: bool = False
) -> Figure:
    """Several groups of points over one `x` (a shorter group: over its first values), by colour and marker."""
    figure, axes = new_figure(7.0, 3.8)
    for index, (label, y) in enumerate(groups.items()):
        size = 2.5 if len(array(y)) > 50 else 5
        axes[0, 0].plot(array(x)[: len(array(y))], array(y), MARKERS[index], ms=size, alpha=0.4, lw=0, label=label)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, xscale="log" if logx else "linear", yscale="log" if logy else "linear")
    # Inside it would cover points.
    figure.legend(loc="outside upper center", ncols=2, frameon=False, markerscale=2 if size < 5 else 1)
    return figure


@styled
def scatter_grid(transfer: Tensor, eigenvalues: Tensor, names: Sequence[str]) -> Figure:
    """`L_ij` over the target's eigenvalues for `K` positions: `transfer` `(K, K, n)`, `eigenvalues` `(K, n)`.

    Row = source of the axes, column = target of the metric; the dashed line is equality. On the diagonal, the
    histogram of the position's own spectrum.
    """
    count = len(eigenvalues)
    figure, axes = new_figure(7.0, 6.6, count, count)
    lines, spectrum = array(transfer).clip(1e-300), array(eigenvalues).clip(1e-300)
    for i in range(count):
        for j in range(count):
            axis = axes[i, j]
            if i == j:
                axis.hist(np.log10(spectrum[i]), 20, color="0.6")
            else:
                axis.plot(np.log10(spectrum[j]), np.log10(lines[i, j]), "o", ms=3, alpha=0.7)
                ends = [np.log10(spectrum[j].min()), np.log10(spectrum[j].max())]
                axis.plot(ends, ends, "k--", lw=1)
            if i == count - 1:
                axis.set_xlabel(f"log10 λ at {names[j]}")
            if j == 0:
                axis.set_ylabel(f"axes of {names[i]}")
    return figure


@styled
def shares(counts: Sequence[int], n: int, sets: Mapping[str, Tensor], factors: Mapping[str, int]) -> Figure:
    """A panel a factor: the share of its variation that the first axes of each set carry, 0 without axes, 1 with `n`.

    `sets` hold shares `(K, F)` for the `K` `counts` of axes; `factors` names those of the `F` columns that are drawn.
    """
    ends = {
        name: np.pad(array(rows), ((1, 1), (0, 0)), constant_values=((0, 1), (0, 0))) for name, rows in sets.items()
    }
    groups = {
        factor.replace("_", " "): {name: rows[:, column] for name, rows in ends.items()}
        for factor, column in factors.items()
    }
    return panels([0, *counts, n], groups, f"first axes, of {n}", "share of the factor's variation", logx=True)
