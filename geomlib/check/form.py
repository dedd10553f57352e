"""Which option of `Generator` a network asks for that takes, or returns, something else than one tensor."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from geomlib.generators.adapters import describe
from geomlib.generators.interface import Generator


def advice_for(generator: Generator, latents: Tensor) -> str:
    """The option with which the network takes the latents, found by trying; "" where none does."""
    for option, call in _candidates(generator, latents):
        try:
            result = call()
        except Exception:  # it takes another form still  # noqa: S112
            continue
        part = describe(result)[1]
        if isinstance(result, Tensor) or part is not None:
            output = "" if isinstance(result, Tensor) else f", output={part!r}"
            return f"Pass {option}{output} to geomlib.Generator: so it runs."
    return ""


def _candidates(generator: Generator, latents: Tensor) -> Iterator[tuple[str, Callable[[], Any]]]:
    network: Callable[..., Any] = generator.module
    count, n = latents.shape
    yield f"latent_shape=[({n},)]", lambda: network([latents])
    for shape in _shapes(network, n):
        yield f"latent_shape={shape}", lambda shape=shape: network(latents.reshape(count, *shape))  # type: ignore[misc]
    labels = torch.zeros(count, dtype=torch.long, device=latents.device)
    yield "condition=0", lambda: network(latents, labels)
    yield "condition=(None,)", lambda: network(latents, None)
    yield f"condition=torch.zeros(1, {n})", lambda: network(latents, torch.zeros_like(latents))


def _shapes(network: object, n: int) -> Sequence[tuple[int, ...]]:
    """Shapes of `n` numbers that the first convolution takes: one pixel, or a square."""
    parts = network.modules() if isinstance(network, nn.Module) else ()
    widths = [part.in_channels for part in parts if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    squares = [(width, math.isqrt(n // width)) for width in dict.fromkeys(widths) if n % width == 0]
    return [*((width, side, side) for width, side in squares if width * side**2 == n), (n, 1, 1)]
