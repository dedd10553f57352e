"""Matrices, bars and intervals."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geomlib.figures.style import array, new_figure, styled


@styled
def matrices(
    values: Mapping[str, Any],
    xlabel: str,
    ylabel: str,
    low: float | None = None,
    high: float | None = None,
    *,
    names: Sequence[str] = (),
) -> Figure:
    """Matrices as heat maps on one colour scale, two beside each other; `names` stand at every row and column."""
    columns = min(2, len(values))
    rows = -(-len(values) // columns)
    figure, axes = new_figure(3.3 * columns + 0.8, 3.3 * rows, rows, columns, sharex=True, sharey=True)
    scale = [array(matrix) for matrix in values.values()]
    low, high = (np.nanmin(scale) if low is None else low), (np.nanmax(scale) if high is None else high)
    for axis, (label, matrix) in zip(axes.flat, values.items(), strict=False):
        picture = axis.imshow(array(matrix), cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        axis.set(title=label)
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(MaxNLocator(integer=True))
            if names:
                side.set_ticks(range(len(names)), names)
        if max(map(len, names), default=0) > 3:
            axis.tick_params("x", rotation=90)
        axis.grid(False)
    for axis in axes.flat[len(values) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    figure.colorbar(picture, ax=axes.ravel().tolist(), shrink=0.9)
    return figure


@styled
def bars(values: Mapping[str, Mapping[str, float]], ylabel: str, rotate: bool = False) -> Figure:
    """Grouped bars: one group a key of the inner mappings, one colour and hatch a key of the outer."""
    figure, axes = new_figure(7.0, 3.6)
    groups = list(next(iter(values.values())))
    width = 0.8 / len(values)
    for index, (label, row) in enumerate(values.items()):
        offsets = np.arange(len(groups)) + (index - (len(values) - 1) / 2) * width
        axes[0, 0].bar(offsets, [row[group] for group in groups], width, label=label, hatch=("", "//", "..")[index % 3])
    axes[0, 0].set_xticks(range(len(groups)), groups, rotation=30 if rotate else 0, ha="right" if rotate else "center")
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].grid(False, axis="x")
    figure.legend(loc="outside upper right", ncols=len(values) if len(values) < 5 else 3, frameon=False)
    return figure


@styled
def intervals(
    values: Mapping[str, Mapping[str, Sequence[float]]], nulls: Mapping[str, Mapping[str, float] | float], null: str
) -> Figure:
    """A panel a quantity, a row a key of the inner mappings: value with its interval; a cross for the `null` model.

    A row that a panel lacks is empty there. Where all rows of a panel have one null, it is a number.
    """
    names = list(dict.fromkeys(key for rows in values.values() for key in rows))
    labels = ["\n".join(wrap(name, 36, break_on_hyphens=False)) for name in names]
    lines = sum(0.16 * label.count("\n") + 0.28 for label in labels)
    figure, axes = new_figure(7.0, 1.4 + lines, 1, len(values), sharey=True)
    heights = dict(zip(names, reversed(range(len(names))), strict=True))
    for axis, (quantity, rows) in zip(axes[0], values.items(), strict=True):
        middle, low, high = np.array(list(rows.values())).T
        places = [heights[name] for name in rows]
        axis.hlines(places, low, high, lw=2)
        axis.plot(middle, places, "o", label="mean and interval")
        beside = nulls[quantity]
        crosses = [beside[name] if isinstance(beside, Mapping) else beside for name in rows]
        axis.plot(crosses, places, "x", color="0.4", label=null)
        axis.set_yticks(list(heights.values()), labels)
        axis.set_xlabel("\n".join(wrap(quantity, 48 // len(values), break_on_hyphens=False, break_long_words=False)))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure
