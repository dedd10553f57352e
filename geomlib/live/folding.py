"""DCGANs in the one form that the browser computes: a matrix, transposed convolutions, ReLU between, tanh last."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._state import isolated
from geomlib.generators import Generator
from geomlib.layers import activation_view

_PARTS = (nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Tanh)
_CLOSE = 1e-4  # what another order of the same sums may change in an image


@dataclass(frozen=True)
class Folded:
    """A DCGAN without its batch normalisation, in float16: what the browser gets.

    Attributes:
        latent_dim: How many numbers `n` one latent has.
        first: Matrix `(n, 4, 4, C)` from latents to 4 x 4 pixels.
        constant: What is added to it, `(4, 4, C)`.
        layers: Weights `(in, out, 4, 4)` and bias `(out,)` of each transposed convolution of stride 2.
    """

    latent_dim: int
    first: Tensor
    constant: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]

    @property
    def widths(self) -> list[int]:
        """Channels of the first map and after each layer."""
        return [self.first.shape[-1], *(len(bias) for _, bias in self.layers)]

    def numbers(self) -> Tensor:
        """All weights in a row, as the browser takes them: of each layer the weights, then the bias."""
        parts = [self.first, self.constant, *(part for layer in self.layers for part in layer)]
        return torch.cat([part.flatten() for part in parts])

    def __call__(self, latents: Tensor) -> Tensor:
        """Images `(B, C, H, W)` in [0, 1] of latents `(B, n)`, in their precision."""
        maps = torch.einsum("bn,nyxc->bcyx", latents, self.first.to(latents))
        maps = maps + self.constant.to(latents).permute(2, 0, 1)
        for weight, bias in self.layers:
            maps = functional.conv_transpose2d(maps.relu(), weight.to(latents), bias.to(latents), 2, 1)
        return (maps.tanh() + 1) / 2


@isolated()
@torch.no_grad()
def fold(generator: Generator) -> Folded:
    """The weights of a DCGAN with its batch normalisation folded into them, rounded to float16.

    Args:
        generator: any whose network is a DCGAN with kernels of width 4, whatever its modules are called; a label that
            is fixed becomes part of the first layer.

    Raises:
        ValueError: the network has other parts, or does not compute what a DCGAN with these weights does.
    """
    parts = list(_parts(generator))
    convolutions = [(name, part) for name, part in parts if isinstance(part, nn.ConvTranspose2d)]
    if len(convolutions) < 2 or not all(_fits(part, index) for index, (_, part) in enumerate(convolutions)):
        raise ValueError(f"{_not_a_dcgan(generator)}: other transposed convolutions than of width 4 and stride 2")
    scales = [_scale(parts, name) for name, _ in convolutions]
    to_first = activation_view(generator, [convolutions[0][0]])
    units = torch.cat([torch.zeros(1, generator.latent_dim), torch.eye(generator.latent_dim)])
    reached = to_first(units.to(generator.device, generator.dtype)).reshape(len(units), -1, 4, 4).permute(0, 2, 3, 1)
    factor, shift = scales[0]
    layers = []
    for (_, part), (scale, offset) in zip(convolutions[1:], scales[1:], strict=True):
        bias = torch.zeros(part.out_channels) if part.bias is None else part.bias
        layers.append((part.weight * scale[:, None, None], bias * scale + offset))
    exact = Folded(
        generator.latent_dim, (reached[1:] - reached[0]) * factor, reached[0] * factor + shift, tuple(layers)
    )
    latents = generator.sample(4, seed=0)
    if not torch.allclose(exact(latents), generator(latents), rtol=0, atol=_CLOSE):
        raise ValueError(f"{_not_a_dcgan(generator)}: its images are not those of a DCGAN with its weights")
    return Folded(
        exact.latent_dim,
        exact.first.half(),
        exact.constant.half(),
        tuple((weight.half(), bias.half()) for weight, bias in exact.layers),
    )


def _parts(generator: Generator) -> Iterator[tuple[str, Any]]:
    """The innermost modules by name, in their order."""
    network = generator.network
    if not isinstance(network, nn.Module):
        raise ValueError(f"{_not_a_dcgan(generator)}: a function, whose parts are not known")
    for name, part in network.named_modules():
        if next(part.children(), None) is None:
            if not isinstance(part, _PARTS):
                raise ValueError(f"{_not_a_dcgan(generator)}: it has a {type(part).__name__}")
            yield name, part


def _fits(part: nn.ConvTranspose2d, index: int) -> bool:
    stride, padding = (2, 1) if index else (1, 0)
    plain = part.groups == 1 and set(part.dilation) == {1} and not any(part.output_padding)
    return plain and (part.kernel_size, part.stride, part.padding) == ((4, 4), (stride,) * 2, (padding,) * 2)


def _scale(parts: list[tuple[str, Any]], name: str) -> tuple[Tensor, Tensor]:
    """Factor and offset of the batch normalisation right after a layer; one and zero where there is none."""
    index = [one for one, _ in parts].index(name)
    follower = parts[index + 1][1] if index + 1 < len(parts) else None
    if not isinstance(follower, nn.BatchNorm2d) or follower.running_mean is None or follower.running_var is None:
        return torch.ones(parts[index][1].out_channels), torch.zeros(parts[index][1].out_channels)
    factor = (follower.running_var + follower.eps).rsqrt() * (1 if follower.weight is None else follower.weight)
    return factor, (0 if follower.bias is None else follower.bias) - follower.running_mean * factor


def _not_a_dcgan(generator: Generator) -> str:
    return f"live: {generator.name} is no DCGAN, and the page computes only these"
