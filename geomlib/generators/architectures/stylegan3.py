"""StyleGAN3, the alias-free generator, with the layer names of NVIDIA's files (stylegan3): translation and rotation."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib.generators.architectures.layers import low_pass, spread
from geomlib.generators.architectures.nvidia import FullyConnected, NvidiaStyleGAN, clamped

FILTER_SIZE, MARGIN = 6, 10  # taps of a filter for each factor of sampling, and pixels around the picture


class Level(NamedTuple):
    """What lies between two layers: channels, pixels on a side; in cycles per picture, the sampling and the filter."""

    width: int
    size: int
    rate: float
    cutoff: float
    half_width: float


def design(size: int, cutoff: float, width: float, rate: float, radial: bool) -> Tensor:
    """Taps `(size,)`, or `(size, size)` where radial, of a low-pass filter with a Kaiser window, of unit sum.

    `cutoff`, the `width` of the passage and the sampling `rate` are in one unit.
    """
    from scipy import signal, special  # not needed where the filters come from a file

    if size == 1:
        return torch.ones(1)
    if not radial:
        return torch.from_numpy(signal.firwin(size, cutoff, width=width, fs=rate)).float()
    x = (np.arange(size) - (size - 1) / 2) / rate
    radius = np.hypot(*np.meshgrid(x, x))
    radius[radius == 0] = np.finfo(float).eps
    window = np.kaiser(size, signal.kaiser_beta(signal.kaiser_atten(size, width / (rate / 2))))
    values = special.j1(2 * cutoff * np.pi * radius) / (np.pi * radius) * np.outer(window, window)
    return torch.from_numpy(values / values.sum()).float()


class SynthesisInput(nn.Module):
    """Waves of fixed frequencies, turned and moved as the style says, mixed to channels."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, style_dim: int, level: Level) -> None:
        super().__init__()
        self.size, self.rate, self.bandwidth = level.size, level.rate, level.cutoff
        channels, bandwidth = level.width, level.cutoff
        frequencies = torch.randn(channels, 2)
        radii = frequencies.norm(dim=1, keepdim=True)
        self.register_buffer("freqs", frequencies / (radii * radii.square().exp().pow(0.25)) * bandwidth)
        self.register_buffer("phases", torch.rand(channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnected(style_dim, 4)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.affine.weight)  # at the start no style turns or moves the waves
        with torch.no_grad():
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, style: Tensor) -> Tensor:
        """Styles `(B, w_dim)` to features `(B, C, size, size)`."""
        moved = self.affine(style)
        moved = moved / moved[:, :2].norm(dim=1, keepdim=True)
        cosine, sine, right, down = moved.unbind(1)
        rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
        # The whole map is rotation times translation times `transform`, in homogeneous coordinates.
        shift = torch.stack([-right, -down], 1)
        linear = rotation @ self.transform[:2, :2]
        offset = rotation @ (self.transform[:2, 2] + shift * self.transform[2, 2])[:, :, None]
        phases = self.phases + (self.freqs @ offset)[:, :, 0]
        frequencies = self.freqs @ linear
        beyond = (frequencies.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = (1.0 - beyond).clamp(0.0, 1.0)
        steps = torch.arange(self.size, dtype=style.dtype, device=style.device)
        places = (2 * steps + 1 - self.size) / (2 * self.rate)
        along_x = places[:, None] * frequencies[:, None, :, 0]
        along_y = places[:, None] * frequencies[:, None, :, 1]
        angles = along_x[:, None] + along_y[:, :, None] + phases[:, None, None]
        waves = torch.sin(2 * math.pi * angles) * amplitudes[:, None, None]
        mixed: Tensor = waves @ (self.weight / math.sqrt(len(self.weight))).T
        return mixed.permute(0, 3, 1, 2)


class SynthesisLayer(nn.Module):
    """Modulated convolution, then a leaky ReLU at a higher sampling rate, between two low-pass filters."""

    magnitude_ema: Tensor
    up_filter: Tensor
    down_filter: Tensor

    def __init__(
        self, style_dim: int, ends: tuple[Level, Level], kernel: int, radial: bool, last: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.last, self.clamp = last, clamp
        before, after = ends
        kernel = 1 if last else kernel
        self.affine = FullyConnected(style_dim, before.width, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after.width, before.width, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after.width))
        self.register_buffer("magnitude_ema", torch.ones([]))
        rate = max(before.rate, after.rate) * (1 if last else 2)
        self.up, self.down = round(rate / before.rate), round(rate / after.rate)
        counts = [FILTER_SIZE * factor if factor > 1 and not last else 1 for factor in (self.up, self.down)]
        for name, count, level in zip(("up_filter", "down_filter"), counts, ends, strict=True):
            turns = radial and name == "down_filter"
            # A filter of one tap does nothing, and the files have none of them.
            taps = design(count, level.cutoff, 2 * level.half_width, rate, turns) if count > 1 else None
            self.register_buffer(name, taps)
        total = (after.size - 1) * self.down + 1 - (before.size + kernel - 1) * self.up + sum(counts) - 2
        start = (total + self.up) // 2
        self.padding = (start, total - start, start, total - start)

    def reset_parameters(self) -> None:
        """Draw new ones, as for a network before its training."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        self.magnitude_ema.fill_(1.0)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Map `(B, in, H, W)` and styles `(B, w_dim)` to `(B, out, s, s)`."""
        scales: Tensor = self.affine(style)
        weight: Tensor = self.weight
        if self.last:
            scales = scales / math.sqrt(weight[0].numel())
        else:
            weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
            scales = scales * scales.square().mean(1, keepdim=True).rsqrt()
        gain = self.magnitude_ema.rsqrt()
        mixed = functional.conv2d(features * (scales * gain)[:, :, None, None], weight, padding=weight.shape[-1] - 1)
        if not self.last:
            power = scales.square() @ weight.square().sum((2, 3)).T
            mixed = mixed * torch.rsqrt(power + 1e-8)[:, :, None, None]
        return self._activate(mixed + self.bias[:, None, None])

    def _activate(self, features: Tensor) -> Tensor:
        features = functional.pad(spread(features, self.up), self.padding)
        if self.up_filter is not None:
            features = low_pass(features, self.up_filter * float(self.up**self.up_filter.ndim))
        slope, gain = (1.0, 1.0) if self.last else (0.2, math.sqrt(2.0))
        features = clamped(functional.leaky_relu(features, slope) * gain, self.clamp)
        if self.down_filter is not None:
            features = low_pass(features, self.down_filter)
        return features[:, :, :: self.down, :: self.down]


class StyleGAN3(NvidiaStyleGAN):
    """Latents `(B, z_dim)` or styles to images `(B, img_channels, s, s)`, about [-1, 1].

    `widths` are the channels of the `num_layers` layers (None: as `channel_base` and `channel_max` say);
    `conv_kernel=1` with `use_radial_filters` is the network that turns with its input.
    """

    def __init__(
        self,
        img_resolution: int = 256,
        img_channels: int = 3,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        mapping_layers: int = 2,
        num_layers: int = 14,
        num_critical: int = 2,
        widths: Sequence[int] | None = None,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_kernel: int = 3,
        use_radial_filters: bool = False,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        output_scale: float = 0.25,
        conv_clamp: float | None = 256.0,
    ) -> None:
        super().__init__(z_dim, c_dim, w_dim, mapping_layers)
        self.style_count, self.output_scale = num_layers + 2, output_scale
        last = img_resolution / 2
        growth = np.minimum(np.arange(num_layers + 1) / (num_layers - num_critical), 1.0)
        cutoffs = first_cutoff * (last / first_cutoff) ** growth
        stopbands = first_stopband * (last * last_stopband_rel / first_stopband) ** growth
        rates = np.exp2(np.ceil(np.log2(np.minimum(stopbands * 2, img_resolution))))
        half_widths = np.maximum(stopbands, rates / 2) - cutoffs
        sizes = rates + 2 * MARGIN
        sizes[-2:] = img_resolution
        if widths is None:
            widths = [round(min(channel_base / 2 / cutoff, channel_max)) for cutoff in cutoffs[:-1]]
        if len(widths) != num_layers:
            raise ValueError(f"widths: expected {num_layers} entries, one for each layer, got {list(widths)}")
        columns = [[*widths, img_channels], sizes, rates, cutoffs, half_widths]
        levels = [Level(int(a), int(b), *map(float, others)) for a, b, *others in zip(*columns, strict=True)]
        self.synthesis = nn.Module()
        self.synthesis.input = SynthesisInput(w_dim, levels[0])
        self.names = []
        for index, level in enumerate(levels):
            radial = use_radial_filters and index < num_layers - num_critical
            ends = levels[max(index - 1, 0)], level
            layer = SynthesisLayer(w_dim, ends, conv_kernel, radial, index == num_layers, conv_clamp)
            self.names.append(f"L{index}_{level.size}_{level.width}")
            self.synthesis.add_module(self.names[-1], layer)

    def images(self, styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        """Styles `(B, style_count, w_dim)` to images; there is no noise."""
        if noise:
            raise ValueError("noise: a StyleGAN3 has none")
        first, *others = styles.unbind(1)
        features: Tensor = self.synthesis.get_submodule("input")(first)
        for name, style in zip(self.names, others, strict=True):
            features = self.synthesis.get_submodule(name)(features, style)
        return features * self.output_scale
