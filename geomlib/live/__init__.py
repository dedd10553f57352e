"""A generator for the reader's browser: weights that JavaScript can read, axes computed beforehand, still pictures."""

from geomlib.live.make import make

__all__ = ["make"]
