"""The geometry of deep generative image models: metric tensors of generators and what follows from them."""

from geomlib import homogeneity, spectrum
from geomlib.distances import Distance, load_distance
from geomlib.generators import Generator, load_generator
from geomlib.metric import Metric, average, load_metric, metric_tensor
from geomlib.paths import latents_along, traverse

__version__ = "0.1.0"
__all__ = [
    "Distance",
    "Generator",
    "Metric",
    "average",
    "homogeneity",
    "latents_along",
    "load_distance",
    "load_generator",
    "load_metric",
    "metric_tensor",
    "spectrum",
    "traverse",
]
