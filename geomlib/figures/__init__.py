"""Pictures of results that are handed in: every function returns a new `matplotlib` figure and computes no result."""

from geomlib.figures.atlas import atlas, heat_map
from geomlib.figures.bands import bands
from geomlib.figures.costs import cost_curves, paired
from geomlib.figures.images import montage, outlines
from geomlib.figures.lines import curves, histograms, panels, scatter, scatter_grid, shares, spectra
from geomlib.figures.sounds import spectrograms
from geomlib.figures.space import on_surface, surface
from geomlib.figures.standings import standings
from geomlib.figures.summaries import bars, intervals, matrices

__all__ = [
    "atlas",
    "bands",
    "bars",
    "cost_curves",
    "curves",
    "heat_map",
    "histograms",
    "intervals",
    "matrices",
    "montage",
    "on_surface",
    "outlines",
    "paired",
    "panels",
    "scatter",
    "scatter_grid",
    "shares",
    "spectra",
    "spectrograms",
    "standings",
    "surface",
]
