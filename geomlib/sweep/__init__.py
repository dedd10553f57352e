"""Sweeps: metrics at many latents in a store that outlives whatever is killed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
