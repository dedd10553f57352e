"""The one interface to every generator: latents in, images out."""

import copy
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from geomlib._arguments import checked
from geomlib._checks import as_count, check_choice, check_device, check_matrix, check_precision
from geomlib._state import isolated, seeded
from geomlib.generators.adapters import Adapter, Shape, View, refusal
from geomlib.generators.architectures.base import OutputRange, to_unit_range
from geomlib.generators.checkpoints import state_hash
from geomlib.generators.hidden import hidden_modules, in_training

Sampler = Callable[[int, torch.Generator], Tensor]
# How many latents a sampler is asked for, always, so that each sample is the beginning of all longer ones.
TOGETHER = 16
WORLDS = ("shapes", "tones")


def _normal(latent_dim: int) -> Sampler:
    return lambda count, random: torch.randn(count, latent_dim, generator=random, dtype=torch.float32)


def _ascends(output_range: OutputRange) -> bool:
    low, high = (torch.as_tensor(bound) for bound in output_range)
    return bool((low < high).all())


class Generator:
    """A differentiable map from latents `(B, latent_dim)` to images `(B, C, H, W)` in [0, 1], or to any raw output.

    `module` is an `nn.Module` in evaluation mode or any differentiable callable; it is never changed.  An affine map
    takes `output_range` to [0, 1], then `clamp` cuts what is outside; a bound is one number or one for each channel;
    `output_range=None` leaves the output as it is (audio in [-1, 1], surfaces).  With `size`, images are resized before
    the clamp (bilinear, aligned corners).  `sampler(count, torch_generator)` draws latents, standard normal by default;
    it is asked for 16 at a time.

    A network of another form is met by four options, which keep the latents flat, `(B, latent_dim)`: `latent_shape` is
    what one latent is for the network, as (4, 32, 32), or a list of shapes for one that takes a list of tensors;
    `output` is the place in a pair, the key, the attribute or the function that takes the images out of what it
    returns; `condition` is what it is given beside the latents, a label or noise (see `adapters.Adapter`); with
    `channels_last` images come as (B, H, W, C). With `latent_shape`, `latent_dim` can be left out.

    `spaces` are the spaces that the network has and `space` is the one of these latents, the first by default.
    `deterministic=False` says that equal latents give different images, as with layer noise drawn at each call.
    `world` says whose known factors the outputs show: "shapes" (images like those of `worlds.shapes`, 3 x 64 x 64),
    "tones" (sounds like those of `worlds.tones`), or None: no factors are known.

    Raises:
        ValueError: another world, or a module in training mode, or a callable that holds one (in a closure, an
            attribute or a global): batch statistics would tie the samples of a batch together.
    """

    checkpoint: str = ""  # SHA-256 of the file that `load_generator` handed to a factory
    about: str = ""  # what a file of weights was found to be
    spec: dict[str, Any] | None = None  # `load_generator(**spec)` builds it anew; None where it was made by hand
    control_of: dict[str, Any] | None = None  # the `spec` of the generator that this one is a control of

    @checked()
    def __init__(
        self,
        module: Callable[[Tensor], Tensor],
        latent_dim: int | None = None,
        output_range: OutputRange | None = (-1, 1),
        clamp: bool = True,
        sampler: Sampler | None = None,
        name: str | None = None,
        default_distance: str = "",
        size: int | None = None,
        spaces: tuple[str, ...] = ("z",),
        space: str = "",
        deterministic: bool = True,
        world: str | None = None,
        latent_shape: Shape | list[Shape] | None = None,
        output: int | str | Callable[[Any], Tensor] | None = None,
        condition: Any = None,
        channels_last: bool = False,
    ) -> None:
        """Wrap `module`; nothing is run."""
        if not callable(module):
            raise TypeError(f"module: expected an nn.Module or a callable, got {type(module).__name__}")
        name = name or type(module).__name__
        if latent_shape is not None or output is not None or condition is not None or channels_last:
            module = Adapter(module, latent_shape, output, condition, channels_last)
            latent_dim = module.latent_dim if latent_dim is None else latent_dim
            if module.latent_dim not in (None, latent_dim):
                raise ValueError(f"latent_shape: expected {latent_dim} numbers (latent_dim), got {latent_shape}")
        latent_dim = as_count("latent_dim", latent_dim)
        if output_range is not None and not _ascends(output_range):
            raise ValueError(f"output_range: expected (low, high) with low < high, got {output_range}")
        if size is not None and output_range is None:
            raise ValueError(f"size: expected a positive integer, and an output_range (images), got {size!r}")
        size = None if size is None else as_count("size", size)
        check_choice("space", space or spaces[0], spaces)
        check_choice("world", world, (*WORLDS, None))
        self.module = module
        self.latent_dim = latent_dim
        self.output_range = output_range
        self.clamp = clamp
        self.size = size
        self.spaces = spaces
        self.space = space or spaces[0]
        self.deterministic = deterministic
        self.world = world
        self.sampler = sampler or _normal(latent_dim)
        self.name = name
        if default_distance:
            self.default_distance = default_distance
        training = [key for key, part in hidden_modules(module).items() if in_training(part)]
        if training:
            key = training[0].removeprefix(f"{type(module).__name__}.").removeprefix("network.")
            raise ValueError(f"module: '{key}' of {self.name} is in training mode; call .eval() first")
        tensors = [*module.parameters(), *module.buffers()] if isinstance(module, nn.Module) else []
        first = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
        self.device, self.dtype = first.device, first.dtype

    @isolated(differentiable=True)
    def __call__(self, latents: Tensor) -> Tensor:
        """Images `(B, *image_shape)` of `latents` `(B, n)`, differentiable; raises `ValueError` for another shape."""
        check_matrix("latents", latents, self.latent_dim)
        output = self.module(latents.to(self.device, self.dtype, copy=True))  # its first layer may work in place
        if not isinstance(output, Tensor):
            raise TypeError(refusal(self.name, output))
        if self.output_range is None:
            return output
        return to_unit_range(output, self.output_range, self.size, self.clamp)

    @isolated(torch.float32)
    @torch.no_grad()
    def sample(self, count: int, seed: int) -> Tensor:
        """Latents `(count, n)` from the generator's own distribution, the same for a seed on every device.

        They are the first of every larger `count`.

        Raises:
            ValueError: a negative count, or a sampler that does not give what it is asked for, or gives the same again.
        """
        if count < 0:
            raise ValueError(f"count: expected 0 or more, got {count}")
        random, sampler = seeded(seed), f"sampler of {self.name}"
        parts: list[Tensor] = []
        for _ in range(max(1, -(-count // TOGETHER))):
            before, part = random.get_state(), self.sampler(TOGETHER, random)
            check_matrix(sampler, part, self.latent_dim)
            if len(part) != TOGETHER:
                raise ValueError(f"{sampler}: expected {TOGETHER} latents, as many as it is asked for, got {len(part)}")
            parts.append(part.to(self.device, self.dtype))
            if len(parts) == 2 and torch.equal(before, random.get_state()) and torch.equal(*parts):
                raise ValueError(f"{sampler}: it repeats itself; draw from the torch.Generator that it is given")
        return torch.cat(parts)[:count]

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """The bare network, whose submodules have the published names: what a `View` shows, else `module` itself."""
        return self.module.network if isinstance(self.module, View) else self.module

    @cached_property
    def default_distance(self) -> str:
        """The distance to use where none is named: the one given, else `lpips-squeeze` for images of three channels."""
        is_colour_image = self.output_range is not None and len(self.image_shape) == 3 and self.image_shape[0] == 3
        return "lpips-squeeze" if is_colour_image else ""

    @cached_property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one output, found by one forward pass."""
        with torch.no_grad():
            return tuple(self(self.sample(1, seed=0)).shape[1:])

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over the names and values of the module's state, and of `checkpoint`; empty where there is no state.

        A factory can make of its checkpoint what no state shows, so that file counts as well.
        """
        state = self.module.state_dict() if isinstance(self.module, nn.Module) else {}
        own = state_hash(state) if state else ""
        return hashlib.sha256(f"{own} {self.checkpoint}".encode()).hexdigest() if own and self.checkpoint else own

    @isolated()
    def to(self, device: str | torch.device, dtype: torch.dtype) -> "Generator":
        """This generator on another device or in another precision; a copy where anything has to change."""
        check_device(device)
        check_precision(dtype)
        if (torch.device(device), dtype) == (self.device, self.dtype):
            return self
        moved = copy.copy(self)
        if isinstance(self.module, nn.Module):
            moved.module = copy.deepcopy(self.module).to(device, dtype)
        moved.device, moved.dtype = torch.device(device), dtype
        vars(moved).pop("weights_hash", None)
        return moved

    def __repr__(self) -> str:
        return (
            f"Generator({self.name!r}, latent_dim={self.latent_dim}, space={self.space!r}, {self.dtype}, {self.device})"
        )
