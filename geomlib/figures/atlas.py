"""Axes of a latent space at a glance: what each does to an image, and to each factor."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from geomlib.figures.style import array, new_figure, styled


@styled
def atlas(images: Tensor, titles: Sequence[str], columns: int = 2) -> Figure:
    """One strip of images `(A, S, 1 or 3, H, W)` in [0, 1] for each axis, its title above, `columns` beside each other.

    Reads down the first column, then down the next.
    """
    count, steps, _, height, width = images.shape
    rows = -(-count // columns)
    figure, axes = new_figure(7.5, rows * (7.5 / columns / steps * height / width + 0.24), rows, columns)
    pixels = array(images.expand(-1, -1, 3, -1, -1)).transpose(0, 3, 1, 4, 2)
    gap = max(1, width // 32)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, title in enumerate(titles):
        axis = axes[index % rows, index // rows]
        strip = np.ones((height, steps, width + gap, 3))
        strip[:, :, :width] = pixels[index].clip(0, 1)
        axis.imshow(strip.reshape(height, -1, 3)[:, :-gap], interpolation="nearest")
        axis.set_title(title, fontsize=9, loc="left", pad=2)
    return figure


@styled
def heat_map(values: Tensor, row_labels: Sequence[str], column_labels: Sequence[str]) -> Figure:
    """A matrix `(R, C)` of shares as a heat map from 0 to 1, numbers from 0.05 on as text; grey where there is none."""
    numbers = array(values)
    figure, axes = new_figure(7.5, 1.3 + 0.27 * len(numbers))
    axis = axes[0, 0]
    axis.set_facecolor("0.85")
    axis.imshow(numbers, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(numbers):
        if value >= 0.05:
            colour = "white" if value < 0.6 else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axis.set_yticks(range(len(row_labels)), row_labels, fontsize=9)
    axis.set_xticks(
        range(len(column_labels)), column_labels, fontsize=9, rotation=40, ha="left", rotation_mode="anchor"
    )
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.grid(False)
    return figure
