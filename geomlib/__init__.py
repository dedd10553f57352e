"""The geometry of deep generative image models: metric tensors of generators and what follows from them.

Start with `metric`.  What there is, and in which room, stands in `__init__.pyi`; a name is imported when it is first
used, so that a command that needs no network does not wait for torch.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
