from .architectures import build
from .archives import packaged_state
from .catalogue import load_generator, source_files, told
from .interface import Generator
from .known import card
from .packaged import Packaged

__all__ = ["Generator", "Packaged", "build", "card", "load_generator", "packaged_state", "source_files", "told"]
