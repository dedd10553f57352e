"""Squared image distances, each as a feature map where it has one.

A distance `d(x, y) = ‖φ(x) − φ(y)‖²` is known by its features `φ` alone, and its pullback metric is `2 JᵀJ` with `J`
the Jacobian of `φ` after the generator: positive semi-definite by construction.
"""

from geomlib.distances.distance import Distance
from geomlib.distances.load import load_distance
from geomlib.distances.plain import normalised_features

__all__ = ["Distance", "load_distance", "normalised_features"]
