"""The opening of every experiment: the generator, the distance, and the folder for what is found."""

from typing import NamedTuple

from geomlib._arguments import checked
from geomlib._literals import generator_options
from geomlib.distances import Distance, load_distance
from geomlib.findings.claims import kind_of
from geomlib.findings.results import Results
from geomlib.generators import Generator, load_generator


class Experiment(NamedTuple):
    """What a notebook works with."""

    generator: Generator
    distance: Distance
    results: Results


@checked()
def open_experiment(
    results: str,
    generator: str,
    space: str = "",
    options: str = "",
    weights: str = "",
    distance: str = "",
    device: str = "cpu",
    otherwise: str = "",
) -> Experiment:
    """Load what the parameters of a notebook name; an empty distance is the generator's own, or `otherwise` for none.

    Raises as `load_generator` and `load_distance`.
    """
    made = load_generator(generator, space=space, weights=weights or None, device=device, **generator_options(options))
    measure = load_distance(distance or made.default_distance or otherwise, device=device)
    out = Results(results)
    out.network = kind_of(made.name)
    return Experiment(made, measure, out)
