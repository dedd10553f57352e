"""The DeePSiM generators (Dosovitskiy & Brox, 2016), inverses of AlexNet's layers, with upconvGAN's layer names."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture, OutputRange

RGB_MEAN = (123.0, 117.0, 104.0)
PUBLISHED_CHANNELS = {512: 512, 256: 256, 128: 128, 64: 64, 32: 32}


class DeepSim(Architecture):
    """Latents to images `(B, 3, 64 * base_size, 64 * base_size)`, R, G, B, of scale 0..255 with the mean subtracted.

    `channels` maps a published width to the width that stands for it (None: the published ones).
    """

    output_range: OutputRange = (tuple(-mean for mean in RGB_MEAN), tuple(255.0 - mean for mean in RGB_MEAN))

    def __init__(self, head: Iterable[tuple[str, nn.Module]], inputs: int, base_size: int, widths: list[int]) -> None:
        super().__init__()
        self.base_size = base_size
        c512, c256, c128, c64, c32 = widths
        # All of these are transposed convolutions, those of kernel 3 and stride 1, too.
        body = [
            ("deconv5", nn.ConvTranspose2d(inputs, c256, 4, 2, 1)),
            ("conv5_1", nn.ConvTranspose2d(c256, c512, 3, 1, 1)),
            ("deconv4", nn.ConvTranspose2d(c512, c256, 4, 2, 1)),
            ("conv4_1", nn.ConvTranspose2d(c256, c256, 3, 1, 1)),
            ("deconv3", nn.ConvTranspose2d(c256, c128, 4, 2, 1)),
            ("conv3_1", nn.ConvTranspose2d(c128, c128, 3, 1, 1)),
            ("deconv2", nn.ConvTranspose2d(c128, c64, 4, 2, 1)),
            ("deconv1", nn.ConvTranspose2d(c64, c32, 4, 2, 1)),
            ("deconv0", nn.ConvTranspose2d(c32, 3, 4, 2, 1)),
        ]
        for name, layer in (*head, *body):
            self.add_module(name, layer)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the images with the channels in the order R, G, B."""
        return self.network(latents).flip(1)

    def network(self, latents: Tensor) -> Tensor:
        """Return the network's own output, with the channels in the order B, G, R."""
        features = self.prepare(latents)
        for name, layer in self.named_children():
            if name == "deconv5":
                features = features.reshape(len(features), -1, self.base_size, self.base_size)
            features = layer(features)
            if name != "deconv0":
                features = functional.leaky_relu(features, 0.3)
        return features

    def prepare(self, latents: Tensor) -> Tensor:
        """Check the latents and give them the shape that the first layer takes."""
        check_matrix("latents", latents, self.latent_dim)
        return latents


class DeepSimFC(DeepSim):
    """The fc6, fc7 and fc8 generators: latents `(B, latent_dim)` through three linear layers, `hidden` wide."""

    def __init__(
        self,
        latent_dim: int = 4096,
        hidden: int = 4096,
        base_size: int = 4,
        channels: Mapping[str, int] | None = None,
    ) -> None:
        widths = _widths(channels)
        head = [
            ("defc7", nn.Linear(latent_dim, hidden)),
            ("defc6", nn.Linear(hidden, hidden)),
            ("defc5", nn.Linear(hidden, widths[1] * base_size**2)),
        ]
        super().__init__(head, widths[1], base_size, widths)
        self.latent_dim = latent_dim


class DeepSimPool5(DeepSim):
    """The pool5 generator: latents `(B, latent_dim, base_size + 2, base_size + 2)`, or flat, and three convolutions.

    The argument `latent_dim` counts channels; the attribute counts all numbers of a latent.
    """

    def __init__(self, latent_dim: int = 256, base_size: int = 4, channels: Mapping[str, int] | None = None) -> None:
        widths = _widths(channels)
        c512 = widths[0]
        head = [
            ("Rconv6", nn.Conv2d(latent_dim, c512, 3, 1, 1)),
            ("Rconv7", nn.Conv2d(c512, c512, 3, 1, 1)),
            ("Rconv8", nn.Conv2d(c512, c512, 3)),
        ]
        super().__init__(head, c512, base_size, widths)
        self.latent_dim = latent_dim * (base_size + 2) ** 2

    def prepare(self, latents: Tensor) -> Tensor:
        """Check the latents, flat or not, and give them the shape `(B, C, base_size + 2, base_size + 2)`."""
        side = self.base_size + 2
        if latents.ndim == 4 and latents.shape[2:] == (side, side):
            latents = latents.flatten(1)
        check_matrix("latents", latents, self.latent_dim)
        return latents.reshape(len(latents), -1, side, side)


def _widths(channels: Mapping[str, int] | None) -> list[int]:
    """Return the five widths, largest published one first."""
    widths = PUBLISHED_CHANNELS if channels is None else {int(key): width for key, width in channels.items()}
    if widths.keys() != PUBLISHED_CHANNELS.keys():
        raise ValueError(f"channels: expected the keys {sorted(PUBLISHED_CHANNELS)}, got {sorted(widths)}")
    return [widths[key] for key in PUBLISHED_CHANNELS]
