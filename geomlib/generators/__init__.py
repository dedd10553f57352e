"""Generators: the interface, the catalogue and the architectures."""

from geomlib.generators.architectures import build
from geomlib.generators.catalogue import card, load_generator, source_files
from geomlib.generators.interface import Generator

__all__ = ["Generator", "build", "card", "load_generator", "source_files"]
