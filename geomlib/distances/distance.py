"""What a distance is: a function of two batches of images, known by its features where it has them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geomlib._arguments import checked
from geomlib._state import isolated

FeatureMap = Callable[[Tensor], Tensor]
Value = Callable[[Tensor, Tensor], Tensor]


class Distance:
    """`d(x, y)`, `(B,)`, of two batches of images, and `features(x)`, `(B, m)`, or None where there is no such form.

    With features, `d(x, y) = ‖φ(x) − φ(y)‖²`.  Without, `d` is any squared distance that is smooth at `x = y`, where
    it is zero and smallest.
    """

    @checked()
    def __init__(
        self,
        name: str,
        features: FeatureMap | None = None,
        spec: dict[str, Any] | None = None,
        *,
        value: Value | None = None,
    ) -> None:
        """A distance from `features`, or from `value(x, y)`; `load_distance(**spec)` builds it anew.

        Raises:
            TypeError: both of them, or neither.
        """
        if (features is None) == (value is None):
            raise TypeError(f"features, value: expected exactly one of them for distance {name!r}")
        self.name = name
        self.features = features
        self.spec = spec
        self._value = value

    @isolated(differentiable=True, shapes={"x": "B *", "y": "C *"})
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Squared distance of each pair, `(B,)`; either batch may hold one image, which is compared with each.

        Raises:
            ValueError: the numbers of images or the shapes of one image differ, or features or values are not of the
                shape above.
        """
        if len(x) != len(y) and 1 not in (len(x), len(y)):
            raise ValueError(f"y: expected {len(x)} images as in x, or one, got {len(y)}")
        if x.shape[1:] != y.shape[1:]:
            raise ValueError(f"y: expected images of shape {tuple(x.shape[1:])} as x, got {tuple(y.shape[1:])}")
        if self.features is not None:
            first, second = self.features(x), self.features(y)
            if first.ndim != 2:
                raise ValueError(f"features of {self.name}: expected shape (B, m), got {tuple(first.shape)}")
            return (first - second).square().sum(1)
        assert self._value is not None
        x, y = torch.broadcast_tensors(x, y)
        values = self._value(x, y)
        if values.shape != x.shape[:1]:
            raise ValueError(f"distance {self.name}: expected values of shape ({len(x)},), got {tuple(values.shape)}")
        return values

    def __repr__(self) -> str:
        return f"Distance({self.name!r})"
