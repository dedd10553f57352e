"""How well images imitate the shapes data; see `worlds.quality`."""

from torch import Tensor

from geomlib.worlds.quality import Comparison, compare
from geomlib.worlds.quality import confident as confident_shapes
from geomlib.worlds.shapes.data import FACTORS, SHAPES
from geomlib.worlds.shapes.networks import FactorReader

__all__ = ["Quality", "confident_shapes", "measure"]


class Quality(Comparison):
    """Result of `measure`."""

    @property
    def per_shape(self) -> dict[str, float]:
        """`per_kind` by the names of the shapes."""
        return dict(zip(SHAPES, self.per_kind, strict=True))


def measure(images: Tensor, reader: FactorReader, real: Tensor) -> Quality:
    """Quality of `images` `(N, 3, 64, 64)` beside `real` ones `(M, 3, 64, 64)`, all in [0, 1]; as `quality.compare`."""
    return Quality(**vars(compare(reader.read(images), reader.read(real), FACTORS, "images")))
