"""The geometry of deep generative image models: metric tensors of generators and what follows from them."""

from geomlib import directions, eigen, evolution, geodesics, homogeneity, inversion, layers, operators, spectrum
from geomlib.check import check_generator
from geomlib.distances import Distance, load_distance
from geomlib.eigen import top_eigenpairs
from geomlib.generators import Generator, load_generator
from geomlib.literals import generator_options
from geomlib.metric import Metric, average, estimate, load_metric, metric_tensor
from geomlib.operators import metric_operator
from geomlib.paths import latents_along, traverse

__version__ = "0.1.0"
__all__ = [
    "Distance",
    "Generator",
    "Metric",
    "average",
    "check_generator",
    "directions",
    "eigen",
    "estimate",
    "evolution",
    "generator_options",
    "geodesics",
    "homogeneity",
    "inversion",
    "latents_along",
    "layers",
    "load_distance",
    "load_generator",
    "load_metric",
    "metric_operator",
    "metric_tensor",
    "operators",
    "spectrum",
    "top_eigenpairs",
    "traverse",
]
