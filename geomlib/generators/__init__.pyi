from .architectures import build
from .archives import packaged_state
from .catalogue import load_generator, source_files, told
from .checkpoints import read_state
from .interface import Generator
from .known import card
from .packaged import Packaged

__all__ = [
    "Generator",
    "Packaged",
    "build",
    "card",
    "load_generator",
    "packaged_state",
    "read_state",
    "source_files",
    "told",
]
