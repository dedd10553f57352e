"""The generator of short sounds of gengli (CTGAN), with its layer names: dilated convolutions of a latent signal."""

from torch import Tensor, nn

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture

KERNEL, SLOPE = 5, 0.2
LENGTHS = (120, 150, 170, 235, 470, 942)  # to which each layer's input is repeated (nearest neighbours)
DILATIONS = (2, 4, 6, 8, 16, 1)


class CTGAN(Architecture):
    """Latents `(B, latent_dim)`, read as a signal of one channel, to waveforms `(B, 1, 938)` in [-1, 1].

    `num_channel_G` is the width before the last layer; each earlier layer has twice the channels of the next.
    """

    def __init__(self, latent_dim: int = 100, num_channel_G: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        widths = [1, *(num_channel_G * 2**power for power in (4, 3, 2, 1, 0)), 1]
        for index, (length, dilation) in enumerate(zip(LENGTHS, DILATIONS, strict=True)):
            inputs, outputs = widths[index : index + 2]
            end = [nn.BatchNorm1d(outputs), nn.LeakyReLU(SLOPE)] if index < len(LENGTHS) - 1 else [nn.Tanh()]
            convolution = nn.Conv1d(inputs, outputs, KERNEL, dilation=dilation, bias=False)
            self.add_module(f"conv{index + 1}", nn.Sequential(nn.Upsample(size=length), convolution, *end))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the waveforms."""
        check_matrix("latents", latents, self.latent_dim)
        features = latents[:, None]
        for block in self.children():
            features = block(features)
        return features
