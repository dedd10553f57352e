"""The shapes world: images with known factors, networks that look at them, the quality of what imitates them."""

from geomlib.worlds.factors import Factor
from geomlib.worlds.shapes.data import FACTOR_NAMES, FACTORS, MINIMUM_CONTRAST, SHAPES, dataset, render, sample_factors

__all__ = ["FACTORS", "FACTOR_NAMES", "MINIMUM_CONTRAST", "SHAPES", "Factor", "dataset", "render", "sample_factors"]
