"""Controls that draw as much contrast as the network that they are held against.

A control with random weights draws nearly one flat picture, and the metric of a flat picture is of its own kind.  So
what a control makes before its last tanh or clamp is stretched: its deviation from the mean over latents is multiplied
by one factor, the same everywhere, for which the contrast (`controls.contrast`) is the wanted one.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from geomlib._state import isolated
from geomlib.applications.controls import contrast
from geomlib.generators.architectures.base import to_unit_range
from geomlib.generators.interface import Generator
from geomlib.generators.latents import latents_for

_BATCH = 16
_LARGEST = 1e6  # of a factor: what needs more has no deviation to stretch
_STEPS = 60
_TANH = (torch.tanh, Tensor.tanh, nn.functional.tanh)


class _LastTanh(TorchFunctionMode):
    """While it lasts, hands the input of the tanh with the number `index` to `change`, and counts them."""

    def __init__(self, index: int, change: Any) -> None:
        super().__init__()
        self.index, self.change, self.count = index, change, 0
        self.output: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in _TANH:
            return func(*args, **(kwargs or {}))
        if self.count == self.index:
            args = (self.change(args[0]), *args[1:])
        self.count += 1
        self.output = func(*args, **(kwargs or {}))
        return self.output


class Stretched(nn.Module):
    """A network whose deviation from `centre`, before its last tanh or clamp, is multiplied by `factor`.

    `tanh` is the number of the tanh that ends the network; None: it ends without one.
    """

    centre: Tensor
    factor: Tensor

    def __init__(self, network: nn.Module, tanh: int | None) -> None:
        super().__init__()
        self.network, self.tanh = network, tanh
        self.training = network.training
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("factor", torch.ones(()))

    def stretch(self, raw: Tensor) -> Tensor:
        """The values before the end, `(B, ...)`, stretched."""
        return self.centre + self.factor * (raw - self.centre)

    def forward(self, latents: Tensor) -> Tensor:
        """Raw output of the network's shape and range."""
        if self.tanh is None:
            return self.stretch(self.network(latents))
        with _LastTanh(self.tanh, self.stretch):
            output: Tensor = self.network(latents)
        return output

    def before_the_end(self, latents: Tensor) -> Tensor:
        """What is stretched, `(B, ...)`, as the network makes it."""
        if self.tanh is None:
            raw: Tensor = self.network(latents)
            return raw
        kept: list[Tensor] = []

        def keep(values: Tensor) -> Tensor:
            kept.append(values)
            return values

        with _LastTanh(self.tanh, keep):
            self.network(latents)
        return kept[0]


@isolated()
@torch.no_grad()
def with_contrast(generator: Generator, wanted: float, seed: int, count: int = 100) -> Generator:
    """A copy of a control whose `controls.contrast` at the same `seed` and `count` is `wanted`, to a part in a million.

    The factor is found by bisection of its logarithm; it is `module.factor` of the copy.

    Args:
        generator: usually a control; it stays as it is.
        wanted: the contrast of the trained network.
        seed: of the sequence of latents.
        count: how many latents of "samples" mean and contrast are of.

    Raises:
        ValueError: no module, or a contrast that cannot be had, as where nothing varies or too much would saturate.
    """
    if not isinstance(generator.module, nn.Module):
        raise ValueError(f"generator: expected one whose module is an nn.Module, got {generator.name}")
    latents = latents_for("samples", generator, count, seed)
    network = copy.deepcopy(generator.module)
    with _LastTanh(-1, None) as seen:
        output = network(latents[:1])
    ends = seen.output is not None and torch.equal(seen.output.flatten(), output.flatten())
    stretched = Stretched(network, seen.count - 1 if ends else None)
    raw = torch.cat([stretched.before_the_end(part) for part in latents.split(_BATCH)])
    stretched.centre = raw.mean(0)

    def reached(factor: float) -> float:
        stretched.factor = torch.tensor(factor, dtype=raw.dtype, device=raw.device)
        values = stretched.stretch(raw)
        values = values.tanh() if ends else values
        if generator.output_range is not None:
            shape = (len(values), *output.shape[1:])
            values = to_unit_range(values.reshape(shape), generator.output_range, generator.size, generator.clamp)
        return float(values.double().std(0).mean())

    low = high = 1.0
    while reached(high) < wanted and high <= _LARGEST:
        high *= 2
    while reached(low) > wanted and low >= 1 / _LARGEST:
        low /= 2
    if not reached(low) <= wanted <= reached(high):
        raise ValueError(
            f"wanted: no factor gives {generator.name} the contrast {wanted:.3g}; {reached(high):.3g} is near"
        )
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if reached(middle) < wanted else (low, middle)
    reached(high)
    found = copy.copy(generator)
    found.module, found.name = stretched, f"{generator.name}, contrast matched"
    found.spec = None
    vars(found).pop("weights_hash", None)
    return found


def matched_contrast(control: Generator, trained: Generator, seed: int) -> Generator:
    """A control with the contrast of the trained network, at the sequence of latents of `seed`.

    Raises:
        ValueError: as `with_contrast`.
    """
    return with_contrast(control, contrast(trained, seed), seed)
