"""The tones world: notes with known factors, a network that listens to them, the quality of what imitates them."""

from geomlib.worlds.tones.data import FACTOR_NAMES, FACTORS, LENGTH, NOTES, SAMPLE_RATE, dataset, render, sample_factors

__all__ = ["FACTORS", "FACTOR_NAMES", "LENGTH", "NOTES", "SAMPLE_RATE", "dataset", "render", "sample_factors"]
