"""What follows from the metric: directions, factors, controls, geodesics, search and inversion."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
