"""WaveGAN with the layer names of wavegan-pytorch: latents to a waveform."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_choice, check_matrix
from geomlib.generators.architectures.base import Architecture

KERNEL, FACTOR, FIRST_LENGTH = 25, 4, 16


class UpsamplingLayer(nn.Module):
    """Four times as many samples: nearest neighbours and a convolution, or a transposed convolution of that stride.

    The nearest-neighbour form upsamples by four whatever the stride and then convolves with stride `FACTOR // stride`.
    """

    def __init__(self, inputs: int, outputs: int, upsample: bool, batch_norm: bool, stride: int = FACTOR) -> None:
        super().__init__()
        self.upsample = upsample
        layers: list[nn.Module]
        if upsample:
            layers = [nn.ConstantPad1d(KERNEL // 2, 0.0), nn.Conv1d(inputs, outputs, KERNEL, FACTOR // stride)]
        else:
            layers = [nn.ConvTranspose1d(inputs, outputs, KERNEL, stride, 11, output_padding=1)]
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        self.transpose_ops = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in, L)` to `(B, out, stride * L)`."""
        if self.upsample:
            features = functional.interpolate(features, scale_factor=float(FACTOR), mode="nearest")
        output: Tensor = self.transpose_ops(features)
        return output


class WaveGAN(Architecture):
    """Latents `(B, latent_dim)` to waveforms `(B, num_channels, slice_len)` in [-1, 1].

    `slice_len` is 16384, 32768 or 65536 (32768 without `upsample` gives 32770 samples, as in the reference).
    """

    def __init__(
        self,
        latent_dim: int = 100,
        model_size: int = 64,
        upsample: bool = True,
        use_batch_norm: bool = False,
        num_channels: int = 1,
        slice_len: int = 16384,
    ) -> None:
        super().__init__()
        check_choice("slice_len", slice_len, (16384, 32768, 65536))
        self.latent_dim = latent_dim
        self.use_batch_norm = use_batch_norm
        depth = 5 if slice_len == 16384 else 6
        widths = [model_size * 2 ** (depth - 1 - index) for index in range(depth)]
        self.fc1 = nn.Linear(latent_dim, FIRST_LENGTH * widths[0])
        # In the state dict even where it is not applied.
        self.bn1 = nn.BatchNorm1d(widths[0])
        self.deconv_list = nn.ModuleList(
            UpsamplingLayer(inputs, outputs, upsample, use_batch_norm)
            for inputs, outputs in zip(widths[:-1], widths[1:], strict=True)
        )
        last_stride = 2 if slice_len == 32768 else FACTOR
        self.deconv_list.append(UpsamplingLayer(widths[-1], num_channels, upsample, False, last_stride))

    def forward(self, latents: Tensor) -> Tensor:
        """Return the waveforms."""
        check_matrix("latents", latents, self.latent_dim)
        features: Tensor = self.fc1(latents).reshape(len(latents), -1, FIRST_LENGTH)
        if self.use_batch_norm:
            features = self.bn1(features)
        for layer in self.deconv_list:
            features = layer(functional.relu(features))
        return torch.tanh(features)
