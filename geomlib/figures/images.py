"""Pictures: images in a grid, curves in a plane."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from geomlib.figures.style import array, new_figure, styled


@styled
def montage(
    images: Tensor, row_labels: Sequence[str] = (), column_labels: Sequence[str] = (), title: str = ""
) -> Figure:
    """A grid of images `(R, C, 1 or 3, H, W)` in [0, 1], with labels beside the rows and above the columns."""
    rows, columns = images.shape[:2]
    size = min(7.5 / columns, 1.1)
    figure, axes = new_figure(
        columns * size + (1.1 if row_labels else 0), rows * size + 0.35 * bool(column_labels), rows, columns
    )
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0))
    pixels = array(images.expand(-1, -1, 3, -1, -1)).transpose(0, 1, 3, 4, 2)
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


@styled
def outlines(filled: Tensor, dashed: Tensor, xlabel: str, ylabel: str) -> Figure:
    """Closed curves `(P, 2, K)` in a plane: one set filled, another dashed over it."""
    figure, axes = new_figure(6.4, 4.6)
    for curve in array(filled):
        axes[0, 0].fill(*curve, color="C0", alpha=0.45, lw=0)
    for curve in array(dashed):
        axes[0, 0].plot(*curve, "k--", lw=1)
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure
