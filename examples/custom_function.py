"""A network with a `torch.autograd.Function` of its own, which has a backward rule and no forward one.

    geomlib check examples/custom_function.py:custom_function

A JVP (forward-mode differentiation) stops at it, and `check` names the line; the metric is then had from two backward
products, which is exact but slower.  A `jvp` rule in the function, three lines here, would bring it back.
"""

from typing import Any

import torch
from torch import nn

import geomlib


class SmoothStep(torch.autograd.Function):
    """`x / sqrt(1 + x²)`, with a derivative written by hand."""

    generate_vmap_rule = True  # so that torch.vmap may batch it

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        """Return the smooth step of `x`."""
        return x * (1 + x.square()).rsqrt()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        """Keep the input; apart from `forward`, so that torch.func can transform the function."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Multiply by the derivative, in differentiable operations, so that it can be differentiated again."""
        (x,) = ctx.saved_tensors
        return gradient * (1 + x.square()).rsqrt() ** 3


class Step(nn.Module):
    """The function as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the smooth step of `x`, of the same shape."""
        return SmoothStep.apply(x)


def custom_function(weights: str | None = None) -> geomlib.Generator:
    """The factory that the command line names: 16 latents to a 16x16 image."""
    network = nn.Sequential(
        nn.Linear(16, 128), Step(), nn.Linear(128, 16 * 8 * 8), Step(), nn.Unflatten(1, (16, 8, 8)),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    else:  # random weights of unit-scale activations, so that the example runs anywhere
        random = torch.Generator().manual_seed(0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, 1.0, generator=random)
                nn.init.zeros_(layer.bias)
    return geomlib.Generator(
        network.eval(), latent_dim=16, output_range=(-1, 1), name="custom-function", default_distance="mse"
    )
