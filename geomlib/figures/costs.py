"""What a method reaches at which cost, and the same targets under several conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from geomlib.figures.style import array, markers, new_figure, styled


@styled
def cost_curves(
    groups: Mapping[str, Mapping[str, Sequence[Any]]], xlabel: str, ylabel: str, *, logx: bool = False
) -> Figure:
    """A panel a key, in each curves with bands: `(x, middle, low, high)`, each of its own length; logarithmic `y`."""
    figure, axes = new_figure(7.0, 4.4, 1, len(groups), sharey=True)
    for axis, (title, lines) in zip(axes[0], groups.items(), strict=True):
        for index, (label, line) in enumerate(lines.items()):
            x, middle, low, high = (array(part) for part in line)
            stroke, style = ("-", "--", "-.")[index % 3], markers(index, len(x), 7)
            [curve] = axis.plot(x, middle, label=label, lw=1.6, ls=stroke, **style)
            axis.fill_between(x, low, high, color=curve.get_color(), alpha=0.15, lw=0)
        axis.set(title=title, xlabel=xlabel, yscale="log")
        if logx:
            axis.set_xscale("log")
    axes[0, 0].set_ylabel(ylabel)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


@styled
def paired(values: Mapping[str, Tensor], ylabel: str) -> Figure:
    """The same targets under several conditions `(T,)`: a grey line each; mean and standard error beside."""
    figure, axes = new_figure(7.0, 3.8)
    rows = [array(part) for part in values.values()]
    places = list(range(len(rows)))
    axes[0, 0].plot(places, rows, color="0.6", lw=0.7, alpha=0.7, marker="o", ms=2.5)
    means = [row.mean() for row in rows]
    errors = [row.std(ddof=1) / len(row) ** 0.5 for row in rows]
    axes[0, 0].errorbar(places, means, errors, color="C0", lw=2, capsize=5, marker="s", label="mean, standard error")
    axes[0, 0].set(ylabel=ylabel, yscale="log", xlim=(-0.3, len(rows) - 0.7))
    axes[0, 0].set_xticks(places, list(values))
    axes[0, 0].legend(frameon=True)
    return figure
