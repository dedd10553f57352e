"""Pictures of sounds."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from geomlib.figures.style import array, new_figure, styled


@styled
def spectrograms(
    decibels: Tensor, seconds: float, kilohertz: float, row_labels: Sequence[str], column_labels: Sequence[str]
) -> Figure:
    """A grid of spectrograms `(R, C, F, T)` on one colour scale, time to the right and frequency upwards.

    The first of the `F` rows is at 0 Hz and the last at `kilohertz`; the `T` columns last `seconds`.
    """
    rows, columns = decibels.shape[:2]
    figure, axes = new_figure(7.0, 0.9 + 0.95 * rows, rows, columns, sharex=True, sharey=True)
    values = array(decibels)
    for row in range(rows):
        for column in range(columns):
            axis = axes[row, column]
            picture = axis.imshow(
                values[row, column],
                origin="lower",
                extent=(0, seconds, 0, kilohertz),
                aspect="auto",
                cmap="magma",
                vmin=values.min(),
                vmax=values.max(),
            )
            axis.grid(False)
            axis.tick_params(labelsize=8)
            if row == 0:
                axis.set_title(column_labels[column], fontsize=10)
        axes[row, 0].set_ylabel(row_labels[row], fontsize=10)
    figure.supxlabel("time in s", fontsize=10)
    figure.supylabel("frequency in kHz", fontsize=10)
    figure.colorbar(picture, ax=axes.ravel().tolist(), label="level in dB", aspect=40, pad=0.02)
    return figure
