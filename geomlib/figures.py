"""Pictures of results that are handed in: every function returns a new `matplotlib` figure and computes no result."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from torch import Tensor

Parameters = ParamSpec("Parameters")
MARKERS = "osD^vPX*<>"


def _styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """One house style for all figures, applied for the drawing alone and never globally."""

    @wraps(draw)
    def styled(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        settings = {
            "axes.prop_cycle": cycler(color=sns.color_palette("colorblind")),
            "axes.titlesize": 11, "axes.labelsize": 11, "legend.fontsize": 9, "axes.grid": True, "grid.alpha": 0.4,
            "figure.facecolor": "white", "axes.axisbelow": True, "svg.hashsalt": "geomlib",
        }  # fmt: skip
        with mpl.rc_context(
            {**sns.axes_style("ticks"), **sns.plotting_context("notebook", font_scale=0.9), **settings}
        ):
            return draw(*args, **kwargs)

    return styled


def _array(values: Any) -> Any:
    return values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    # Built without pyplot: no global list of open figures, nothing shown twice in a notebook.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


@_styled
def montage(
    images: Tensor, row_labels: Sequence[str] = (), column_labels: Sequence[str] = (), title: str = ""
) -> Figure:  # fmt: skip
    """A grid of images `(R, C, 1 or 3, H, W)` in [0, 1], with labels beside the rows and above the columns."""
    rows, columns = images.shape[:2]
    size = min(7.5 / columns, 1.1)
    figure, axes = _figure(
        columns * size + (1.1 if row_labels else 0), rows * size + 0.35 * bool(column_labels), rows, columns
    )
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0))
    pixels = _array(images.expand(-1, -1, 3, -1, -1)).transpose(0, 1, 3, 4, 2)
    for row in range(rows):
        for column in range(columns):
            axis = axes[row, column]
            axis.imshow(pixels[row, column].clip(0, 1), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row == 0 and column_labels:
                axis.set_title(column_labels[column], fontsize=9)
            if column == 0 and row_labels:
                axis.set_ylabel(row_labels[row], rotation=0, ha="right", va="center", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


@_styled
def curves(
    x: Any, lines: Mapping[str, Any], xlabel: str, ylabel: str, *, logy: bool = False, square: bool = False
) -> Figure:  # fmt: skip
    """Several curves over one `x`, told apart by colour and by marker."""
    figure, axes = _figure(5.2 if square else 7.0, 4.0)
    for index, (label, y) in enumerate(lines.items()):
        axes[0, 0].plot(
            _array(x), _array(y), label=label, marker=MARKERS[index % len(MARKERS)], markersize=4,
            markevery=max(1, len(_array(x)) // 12),
        )  # fmt: skip
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, yscale="log" if logy else "linear")
    axes[0, 0].legend(frameon=True)
    return figure


@_styled
def panels(
    x: Any, groups: Mapping[str, Mapping[str, Any]], xlabel: str, ylabel: str, *, logx: bool = False, logy: bool = False
) -> Figure:
    """Small multiples, two beside each other: one panel a key, in each the same curves over one `x`; one legend."""
    rows = -(-len(groups) // 2)
    figure, axes = _figure(7.0, 0.9 + (3.0 if rows == 1 else 1.9 * rows), rows, 2, sharex=True, sharey=True)
    for axis, (title, lines) in zip(axes.flat, groups.items(), strict=False):
        for index, (label, y) in enumerate(lines.items()):
            axis.plot(
                _array(x), _array(y), label=label, lw=1.5, ls=("-", "--", ":", "-.")[index % 4],
                marker=MARKERS[index % len(MARKERS)], markersize=4, markevery=max(1, len(_array(x)) // 8),
            )  # fmt: skip
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


@_styled
def spectra(eigenvalues: Mapping[str, Tensor], floors: Mapping[str, float] | None = None) -> Figure:
    """Spectra `(P, n)` by rank, each over the largest of its mean: the mean, and a band from 5 to 95 % of positions."""
    figure, axes = _figure(7.0, 4.0)
    for index, (label, values) in enumerate(eigenvalues.items()):
        spectrum = _array(values)
        ranks, mean = np.arange(1, spectrum.shape[1] + 1), spectrum.mean(0)
        positive = mean > 0
        low, high = np.percentile(spectrum, [5, 95], axis=0) / mean.max()
        line = axes[0, 0].plot(
            ranks[positive], mean[positive] / mean.max(), label=label,
            marker=MARKERS[index], markersize=4, markevery=max(1, len(ranks) // 16),
        )[0]  # fmt: skip
        axes[0, 0].fill_between(ranks, low.clip(1e-16), high.clip(1e-16), color=line.get_color(), alpha=0.2, lw=0)
        if floors and label in floors:
            axes[0, 0].axhline(floors[label], color=line.get_color(), lw=1, ls=":")
    axes[0, 0].set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue / largest mean eigenvalue")
    axes[0, 0].legend(frameon=True)
    return figure


@_styled
def histograms(values: Mapping[str, Any], xlabel: str, bins: int = 40) -> Figure:
    """Overlaid histograms as densities on common bins, with their means as vertical lines."""
    figure, axes = _figure(7.0, 3.6)
    arrays = {label: _array(part).ravel() for label, part in values.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), bins)
    for index, (label, part) in enumerate(arrays.items()):
        colour, style = sns.color_palette("colorblind")[index], ("-", "--", ":", "-.")[index % 4]
        axes[0, 0].hist(part, edges, density=True, alpha=0.25, color=colour)
        axes[0, 0].hist(part, edges, density=True, histtype="step", color=colour, ls=style, lw=1.6, label=label)
        axes[0, 0].axvline(part.mean(), color=colour, ls=style, lw=1)
    axes[0, 0].set(xlabel=xlabel, ylabel="density")
    axes[0, 0].legend(frameon=True)
    return figure


@_styled
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
    figure, axes = _figure(3.3 * columns + 0.8, 3.3 * rows, rows, columns, sharex=True, sharey=True)
    scale = [_array(matrix) for matrix in values.values()]
    low, high = (np.nanmin(scale) if low is None else low), (np.nanmax(scale) if high is None else high)
    for axis, (label, matrix) in zip(axes.flat, values.items(), strict=False):
        drawn = axis.imshow(_array(matrix), cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
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
    figure.colorbar(drawn, ax=axes.ravel().tolist(), shrink=0.9)
    return figure


@_styled
def scatter_grid(transfer: Tensor, eigenvalues: Tensor, names: Sequence[str]) -> Figure:
    """`L_ij` over the target's eigenvalues for `K` positions: `transfer` `(K, K, n)`, `eigenvalues` `(K, n)`.

    Row = source of the axes, column = target of the metric; the dashed line is equality. On the diagonal, the
    histogram of the position's own spectrum.
    """
    count = len(eigenvalues)
    figure, axes = _figure(7.0, 6.6, count, count)
    lines, spectrum = _array(transfer).clip(1e-300), _array(eigenvalues).clip(1e-300)
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


@_styled
def outlines(filled: Tensor, dashed: Tensor, xlabel: str, ylabel: str) -> Figure:
    """Closed curves `(P, 2, K)` in a plane: one set filled, another dashed over it."""
    figure, axes = _figure(6.4, 4.6)
    for curve in _array(filled):
        axes[0, 0].fill(*curve, color="C0", alpha=0.45, lw=0)
    for curve in _array(dashed):
        axes[0, 0].plot(*curve, "k--", lw=1)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure


@_styled
def surface(grid: Tensor, patches: Tensor) -> Figure:
    """A surface `(U, V, 3)` in space with small flat patches `(P, 3, K)` lying on it; what is behind is hidden."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axis = figure.add_subplot(projection="3d", proj_type="ortho")
    axis.view_init(elev=38, azim=-60)
    points = _array(grid)
    faces = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], 2).reshape(-1, 4, 3)
    elevation, azimuth = np.radians([axis.elev, axis.azim])
    viewer = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 3] - faces[:, 0])
    shade = 0.72 + 0.2 * np.abs(normals @ viewer) / np.linalg.norm(normals, axis=1).clip(1e-12)
    # Patches are lifted towards the viewer, which moves nothing in the projection and settles what is drawn last.
    lifted = _array(patches).transpose(0, 2, 1) + 0.1 * np.ptp(points) * viewer
    colours = [*np.repeat(shade[:, None], 3, 1), *[sns.color_palette("colorblind")[0]] * len(lifted)]
    axis.add_collection3d(Poly3DCollection([*faces, *lifted], facecolors=colours, edgecolors=colours, linewidths=0.2))
    low, high = points.min((0, 1)), points.max((0, 1))
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), aspect="equal")
    axis.set_axis_off()
    return figure


@_styled
def bars(values: Mapping[str, Mapping[str, float]], ylabel: str, rotate: bool = False) -> Figure:
    """Grouped bars: one group a key of the inner mappings, one colour and hatch a key of the outer."""
    figure, axes = _figure(7.0, 3.6)
    groups = list(next(iter(values.values())))
    width = 0.8 / len(values)
    for index, (label, row) in enumerate(values.items()):
        offsets = np.arange(len(groups)) + (index - (len(values) - 1) / 2) * width
        axes[0, 0].bar(offsets, [row[group] for group in groups], width, label=label, hatch=("", "//", "..")[index % 3])
    axes[0, 0].set_xticks(range(len(groups)), groups, rotation=30 if rotate else 0, ha="right" if rotate else "center")
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].grid(False, axis="x")
    figure.legend(loc="outside upper right", ncols=len(values), frameon=False)
    return figure


@_styled
def intervals(
    values: Mapping[str, Mapping[str, Sequence[float]]], nulls: Mapping[str, Mapping[str, float]], null: str
) -> Figure:  # fmt: skip
    """A panel a quantity, a row a key of the inner mappings: value with its interval; a cross for the `null` model."""
    figure, axes = _figure(7.0, 1.4 + 0.28 * len(next(iter(values.values()))), 1, len(values), sharey=True)
    for axis, (quantity, rows) in zip(axes[0], values.items(), strict=True):
        middle, low, high = np.array(list(rows.values())).T
        heights = np.arange(len(rows))[::-1]
        axis.hlines(heights, low, high, lw=2)
        axis.plot(middle, heights, "o", label="mean and interval")
        axis.plot(list(nulls[quantity].values()), heights, "x", color="0.4", label=null)
        axis.set_yticks(heights, list(rows))
        axis.set_xlabel(quantity)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure


@_styled
def scatter(x: Any, groups: Mapping[str, Any], xlabel: str, ylabel: str) -> Figure:
    """Several groups of points over one `x`, told apart by colour and marker."""
    figure, axes = _figure(7.0, 3.8)
    for index, (label, y) in enumerate(groups.items()):
        axes[0, 0].plot(_array(x), _array(y), MARKERS[index], ms=2.5, alpha=0.4, lw=0, label=label)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel)
    axes[0, 0].legend(frameon=True, markerscale=2)
    return figure
