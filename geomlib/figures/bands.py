"""Curves with a band around each."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from geomlib.figures.style import STROKES, array, markers, new_figure, styled


@styled
def bands(x: Any, groups: Mapping[str, Mapping[str, Tensor]], xlabel: str, ylabel: str) -> Figure:
    """Panels one below the other, one a key: curves `(3, K)` over one `x`, the middle of each with its low and high."""
    figure, axes = new_figure(7.0, 0.6 + 3.0 * len(groups), len(groups), 1, sharex=True, sharey=True)
    for axis, (title, lines) in zip(axes[:, 0], groups.items(), strict=True):
        for index, (label, values) in enumerate(lines.items()):
            middle, low, high = array(values)
            style = markers(index, len(middle), 8, size=5)
            [line] = axis.plot(array(x), middle, label=label, ls=STROKES[index % 4], lw=1.6, **style)
            axis.fill_between(array(x), low, high, color=line.get_color(), alpha=0.15, lw=0)
        axis.set(title=title, ylabel=ylabel)
        axis.legend(frameon=True, loc="best")
    axes[-1, 0].set_xlabel(xlabel)
    return figure
