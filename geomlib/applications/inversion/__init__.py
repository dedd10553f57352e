"""Inversion: the latent whose image is nearest to a given one, by gradients, least squares and evolution.

Wang & Ponce 2021, Figure 5, compare optimisers in two bases at equal cost; here the metric tensor also steps itself.
"""

from geomlib.applications.inversion.costs import cost_ratio, rows_within
from geomlib.applications.inversion.invert import METHODS, Inversion, invert
from geomlib.applications.inversion.problem import Trace

__all__ = ["METHODS", "Inversion", "Trace", "cost_ratio", "invert", "rows_within"]
