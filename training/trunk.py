"""The features through which the projected critics look: those of a network that learned to read the factors.

Every embedded generator of images that was trained against such a critic was thus told what the factors are.
"""

from torch import Tensor, nn

from geomlib.worlds.shapes.networks import CODE_SIZE


def _smooth_layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.SiLU())


class CriticTrunk(nn.Module):
    """Five 3x3 convolutions with SiLU, 16.6 M multiply-adds per image, and a head that reads the factors."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([
            _smooth_layer(3, 24, 2),
            nn.Sequential(_smooth_layer(24, 48, 2), _smooth_layer(48, 48, 1)),
            nn.Sequential(_smooth_layer(48, 96, 2), _smooth_layer(96, 96, 1)),
        ])  # fmt: skip
        self.head = nn.Sequential(
            _smooth_layer(96, 64, 2), nn.Flatten(), nn.Linear(1024, 128), nn.SiLU(), nn.Linear(128, 3 + CODE_SIZE)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `(N, 3, 64, 64)` in [0, 1] to feature maps `(N, 24, 32, 32)`, `(N, 48, 16, 16)`, `(N, 96, 8, 8)`."""
        maps: list[Tensor] = []
        current = 2.0 * images - 1.0
        for stage in self.stages:
            current = stage(current)
            maps.append(current)
        return maps

    def predict(self, images: Tensor) -> Tensor:
        """Logits of the three shapes, then the code of `encode_factors`, `(N, 3 + CODE_SIZE)`; only for training."""
        predicted: Tensor = self.head(self.forward(images)[-1])
        return predicted
