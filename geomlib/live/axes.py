"""Axes that are computed before the page is opened, since a browser cannot: families of ten, each with its source."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from geomlib._progress import Progress
from geomlib.applications import directions
from geomlib.distances import Distance
from geomlib.findings.axis_names import axis_names
from geomlib.generators import Generator
from geomlib.generators.latents import SEED, latents_for
from geomlib.metric import average
from geomlib.sweep.kept import metrics

COUNT = 10  # axes of a family
_SAMPLES = 500  # images whose principal components are taken


@dataclass(frozen=True)
class Family:
    """Axes by one method.

    Attributes:
        key: For the page's script.
        label: What the reader chooses by.
        told: Where the axes come from, a sentence.
        axes: Unit columns `(n, k)`.
        names: What people call each of them; "" for none.
        spectrum: All eigenvalues, falling, where the axes are eigenvectors of a metric; else empty.
    """

    key: str
    label: str
    told: str
    axes: Tensor
    names: Sequence[str]
    spectrum: Sequence[float] = ()


def families(
    generator: Generator, distance: Distance, positions: int, progress: Progress | None = None
) -> list[Family]:
    """Leading eigenvectors of the average metric, principal components, SeFa and random axes.

    Args:
        generator: of `n` latents.
        distance: that of the metric.
        positions: latents over which the metric is averaged.
        progress: `progress(done, total)` is called after each metric.
    """
    count = min(COUNT, generator.latent_dim)
    latents = latents_for("metrics", generator, positions)
    mean = average(metrics(generator, latents, distance, progress=progress))
    components = directions.ganspace(generator, "", count, latents=latents_for("samples", generator, _SAMPLES))
    factored = directions.sefa(generator, count)
    random = directions.random(generator.latent_dim, count, SEED)
    none = [""] * count
    return [
        Family(
            "average",
            f"metric under {distance.name}, average (computed beforehand)",
            f"Leading eigenvectors of the metric under {distance.name}, averaged over {positions} places. A browser "
            "cannot compute that distance, so geomlib computed these axes when the book was made.",
            mean.eigenvectors[:, :count],
            axis_names(generator, distance, positions, SEED, count),
            mean.eigenvalues.tolist(),
        ),
        Family(
            "components",
            "principal components of the images (computed beforehand)",
            f"GANSpace: directions that move {_SAMPLES} images along their principal components, by regression. "
            "geomlib computed them when the book was made.",
            components.axes,
            none[: components.axes.shape[1]],
        ),
        Family(
            "sefa",
            "SeFa, from the first weights (computed beforehand)",
            "Right singular vectors of the first layer: no image was looked at. geomlib computed them when the book "
            "was made.",
            factored.axes,
            none,
        ),
        Family("random", "random", "Random axes at right angles to each other: the control.", random.axes, none),
    ]
