"""Pictures of results that are handed in: every function returns a new `matplotlib` figure and computes no result."""

from geomlib.figures.images import montage, outlines, surface
from geomlib.figures.lines import curves, histograms, panels, scatter, scatter_grid, spectra
from geomlib.figures.summaries import bars, intervals, matrices

__all__ = [
    "bars",
    "curves",
    "histograms",
    "intervals",
    "matrices",
    "montage",
    "outlines",
    "panels",
    "scatter",
    "scatter_grid",
    "spectra",
    "surface",
]
