"""What StyleGAN and StyleGAN2 share: spaces of latents, truncation towards the mean style, noise maps."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geomlib._state import seeded
from geomlib.generators.architectures.layers import pixel_norm


class PixelNorm(nn.Module):
    """Divide by the root mean square over the channels."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise `(B, C, ...)`."""
        return pixel_norm(features)


def truncate(styles: Tensor, truncation: float, mean_style: Tensor | None) -> Tensor:
    """`mean + truncation * (styles - mean)`: styles `(B, ..., n)`, mean `(n,)` or `(1, n)`, truncation in [0, 1]."""
    if not 0.0 <= truncation <= 1.0:
        raise ValueError(f"truncation: expected a number in [0, 1], got {truncation!r}")
    if truncation == 1.0:
        return styles
    if mean_style is None:
        raise ValueError(f"mean_style: expected a tensor for truncation {truncation}, got None")
    if mean_style.numel() != styles.shape[-1]:
        raise ValueError(f"mean_style: expected shape ({styles.shape[-1]},), got {tuple(mean_style.shape)}")
    mean = mean_style.reshape(-1)
    return mean + truncation * (styles - mean)


@torch.no_grad()
def mean_style(mapping: nn.Module, latent_dim: int, count: int = 10_240, seed: int = 0) -> Tensor:
    """Mean `(1, n)` of the styles of `count` normal latents, which a seed determines on every device."""
    draw = torch.randn(count, latent_dim, generator=seeded(seed), dtype=torch.float64)
    reference = next(mapping.parameters())
    styles = [mapping(part.to(reference)).double() for part in torch.split(draw, 1024)]
    return torch.cat(styles).mean(0, keepdim=True).to(reference)


def draw_noise(sizes: Sequence[int], seed: int = 0) -> Iterator[Tensor]:
    """Normal noise maps `(1, 1, s, s)` on the CPU, the same for a seed everywhere."""
    generator = seeded(seed)
    for size in sizes:
        yield torch.randn(1, 1, size, size, generator=generator, device="cpu", dtype=torch.float32)


def check_noise(noise: Sequence[Tensor], sizes: Sequence[int], batch: int) -> list[Tensor]:
    """Return the maps as a list; raise ValueError unless they are `(1 or B, 1, s, s)` for the sizes in turn."""
    shapes = [tuple(values.shape) for values in noise]
    allowed = [{(1, 1, size, size), (batch, 1, size, size)} for size in sizes]
    if len(shapes) != len(allowed) or any(shape not in pair for shape, pair in zip(shapes, allowed, strict=True)):
        raise ValueError(f"noise: expected maps (1 or {batch}, 1, s, s) for s = {list(sizes)}, got shapes {shapes}")
    return list(noise)


def leaky(features: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2."""
    return functional.leaky_relu(features, 0.2)


class Constant(nn.Module):
    """The learned constant from which every image starts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        """Return `(B, C, 4, 4)`."""
        return self.input.expand(batch, -1, -1, -1)
