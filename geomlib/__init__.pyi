from . import distances, eigen, generators, homogeneity, layers, metric, operators, paths, spectrum, sweep
from ._literals import generator_options
from .applications import controls, coordinates, directions, factors, geodesics, inversion, riemannian, search
from .check import check_generator
from .distances import Distance, load_distance
from .eigen import top_eigenpairs
from .generators import Generator, load_generator
from .metric import Metric, average, estimate, load_metric, metric_tensor
from .operators import metric_operator
from .paths import latents_along, traverse

__version__: str
__all__ = [
    "Distance",
    "Generator",
    "Metric",
    "average",
    "check_generator",
    "controls",
    "coordinates",
    "directions",
    "distances",
    "eigen",
    "estimate",
    "factors",
    "generator_options",
    "generators",
    "geodesics",
    "homogeneity",
    "inversion",
    "latents_along",
    "layers",
    "load_distance",
    "load_generator",
    "load_metric",
    "metric",
    "metric_operator",
    "metric_tensor",
    "operators",
    "paths",
    "riemannian",
    "search",
    "spectrum",
    "sweep",
    "top_eigenpairs",
    "traverse",
]
