"""Generators: the interface, the catalogue and the architectures."""

from geomlib.generators.architectures import build
from geomlib.generators.archives import packaged_state
from geomlib.generators.catalogue import card, load_generator, source_files, told
from geomlib.generators.interface import Generator
from geomlib.generators.packaged import Packaged

__all__ = ["Generator", "Packaged", "build", "card", "load_generator", "packaged_state", "source_files", "told"]
