"""Networks that take or return something else than one tensor of latents and one of images."""

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from geomlib.generators.hidden import in_training

Shape = Sequence[int]


class View(nn.Module):
    """A network together with the settings of its calls, so that latents alone are left as input."""

    def __init__(self, network: nn.Module) -> None:
        """Take the network as it is, in evaluation mode or not."""
        super().__init__()
        self.network = network
        self.training = in_training(network)


class Adapter(View):
    """A network behind the plain form of a generator: latents `(B, n)` in, images out.

    Args:
        network: any callable.
        latent_shape: what one latent is for the network, as (4, 8, 8); a list of such, for one that takes a list.
        output: what is taken of a result: a place in a pair, a key, the name of an attribute, or a function of it.
        condition: what is given beside the latents: a whole number (a label), a tensor of one sample, a tuple of
            arguments or a dictionary of keywords. Tensors are repeated for the batch.
        channels_last: whether images come as (B, H, W, C).

    Raises:
        ValueError: a shape that is none, or a tensor in `condition` that is not of one sample.
    """

    def __init__(
        self,
        network: Callable[..., Any],
        latent_shape: Shape | list[Shape] | None,
        output: int | str | Callable[[Any], Tensor] | None,
        condition: Any,
        channels_last: bool,
    ) -> None:
        super().__init__(network)  # type: ignore[arg-type]
        self.takes_list = isinstance(latent_shape, list) and not all(isinstance(one, int) for one in latent_shape)
        shapes = latent_shape if self.takes_list else [latent_shape] if latent_shape is not None else []
        self.shapes = [tuple(map(operator.index, shape)) for shape in shapes]  # type: ignore[union-attr, arg-type]
        if not all(shape and min(shape) > 0 for shape in self.shapes):
            raise ValueError(f"latent_shape: expected positive integers, as (4, 8, 8), or a list, got {latent_shape}")
        self.output, self.channels_last = output, channels_last
        self.arguments, self.keywords = _call(condition)
        for name, value in self._given():
            if isinstance(value, Tensor):
                if value.ndim and len(value) != 1:
                    raise ValueError(
                        f"condition: expected tensors of one sample, (1, ...), got {tuple(value.shape)} for {name}"
                    )
                self.register_buffer(f"condition_{name}", value.detach().clone(), persistent=False)

    def _given(self) -> list[tuple[str, Any]]:
        return [*((str(place), value) for place, value in enumerate(self.arguments)), *self.keywords.items()]

    def _beside(self, batch: int) -> dict[str, Any]:
        """What is given beside the latents, for a batch, by place or name."""
        held = {name: getattr(self, f"condition_{name}", value) for name, value in self._given()}
        return {
            name: value.expand(batch, *value.shape[1:]) if isinstance(value, Tensor) else value
            for name, value in held.items()
        }

    def forward(self, latents: Tensor) -> Tensor:
        """Return what the network makes of the latents."""
        shapes = self.shapes or [latents.shape[1:]]
        parts = latents.split([math.prod(shape) for shape in shapes], 1)
        shaped = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
        beside = self._beside(len(latents))
        places = [beside[str(place)] for place in range(len(self.arguments))]
        named = {name: beside[name] for name in self.keywords}
        image = taken(self.network(shaped if self.takes_list else shaped[0], *places, **named), self.output)
        return image.movedim(-1, 1) if self.channels_last and isinstance(image, Tensor) else image

    @property
    def latent_dim(self) -> int | None:
        """How many numbers the shapes hold; None where there are none."""
        return sum(map(math.prod, self.shapes)) if self.shapes else None

    def told(self) -> str:
        """What is done for the network, in a sentence."""
        shown = ", ".join(f"(B, {', '.join(map(str, shape))})" for shape in self.shapes)
        names = [f"{name}={_shown(value)}" if not name.isdigit() else _shown(value) for name, value in self._given()]
        said = [f"takes {'a list of ' if self.takes_list else ''}{shown}"] if shown else []
        said += [f"is given {', '.join(names)} beside the latents"] if names else []
        said += [f"gives its output {self.output!r}"] if isinstance(self.output, int | str) else []
        said += ["gives what a function takes of its output"] if callable(self.output) else []
        said += ["has its channels moved from last to first"] if self.channels_last else []
        return f"The network {'; '.join(said)}."


def _call(condition: Any) -> tuple[list[Any], dict[str, Any]]:
    """Arguments and keywords that stand for a condition."""
    if condition is None:
        return [], {}
    if isinstance(condition, Mapping):
        return [], dict(condition)
    if isinstance(condition, tuple | list):
        return list(condition), {}
    if isinstance(condition, Tensor):
        return [condition], {}
    try:
        return [torch.tensor([operator.index(condition)])], {}
    except TypeError:
        return [condition], {}


def taken(result: Any, output: int | str | Callable[[Any], Tensor] | None) -> Any:
    """The part of a result that `output` names.

    Raises:
        ValueError: it has no such part.
    """
    if output is None:
        return result
    if callable(output):
        return output(result)
    try:
        if isinstance(output, str) and not isinstance(result, Mapping):
            return getattr(result, output)
        return result[output]
    except (LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"output: {_kind(result)} has no {output!r}; it {describe(result)[0]}") from error


def describe(result: Any) -> tuple[str, int | str | None]:
    """What a network returned, in words, and the part of it that looks like images."""
    if isinstance(result, Mapping):
        parts: list[tuple[int | str, Any]] = [(str(key), value) for key, value in result.items()]
    elif isinstance(result, tuple | list):
        parts = list(enumerate(result))
    elif dataclasses.is_dataclass(result):
        parts = [(one.name, getattr(result, one.name)) for one in dataclasses.fields(result)]
    else:
        parts = [(key, value) for key, value in getattr(result, "__dict__", {}).items() if isinstance(value, Tensor)]
    floats = [(key, part) for key, part in parts if isinstance(part, Tensor) and part.is_floating_point()]
    images = [key for key, part in floats if part.ndim == 4] or [key for key, _ in floats]
    held = ", ".join(f"{key}: {_shown(part)}" for key, part in parts[:6])
    return f"holds {held or 'no tensors'}", images[0] if images else None


def refusal(name: str, result: Any) -> str:
    """Why a result that is no tensor is refused, and what to do."""
    held, part = describe(result)
    advice = f"pass output={part!r} to geomlib.Generator" if part is not None else "return the images alone"
    return f"generator: {name} returns a {_kind(result)} that {held}, expected a tensor; {advice}"


def _kind(value: object) -> str:
    return type(value).__name__


def _shown(value: Any) -> str:
    return f"tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
