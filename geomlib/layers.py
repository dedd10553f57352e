"""The metric of a generator's intermediate activations (Wang & Ponce 2021, Figure 4).

For layer `l` with activation `a_l` the distance is the plain sum `D_l(z') = Σ |a_l(z') − a_l(z)|²`, so that the metric
is `H_l = 2 J_lᵀ J_l` with `J_l = ∂a_l / ∂z`.  One pass in forward mode serves all layers that are asked for.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from geomlib._arguments import checked
from geomlib._checks import as_count, check_choice, check_finite
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.generators.interface import Generator
from geomlib.metric import Metric, noise_floor
from geomlib.operators import PullbackOperator


@checked()
@contextmanager
def captured(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """What the named modules put out while the context lasts, in the order of their first calls."""
    outputs: dict[str, list[Tensor]] = {}
    modules = dict(network.named_modules())

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                # A copy, for an operation in place may follow.
                outputs.setdefault(name, []).append(output.clone())

        return keep

    for name in names:
        check_choice("names", name, [known for known in modules if known])
    handles = [modules[name].register_forward_hook(hook(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _network(generator: Generator) -> nn.Module:
    network = getattr(generator, "network", generator.module)
    if not isinstance(network, nn.Module):
        raise TypeError(f"generator: expected one with an nn.Module, got {type(network).__name__}: it has no layers")
    return network


def _sizes(generator: Generator) -> dict[str, int]:
    """Size of the activation of each layer that has one, in the order of the forward pass."""
    network = _network(generator)
    names = [name for name, _ in network.named_modules() if name]
    latents = generator.sample(1, seed=0)  # before the hooks are set: in W a sample passes the mapping network
    with torch.no_grad(), captured(network, names) as outputs:
        generator(latents)
    return {name: found[0].numel() for name, found in outputs.items() if len(found) == 1 and found[0].shape[:1] == (1,)}


@isolated()
def layer_names(generator: Generator) -> list[str]:
    """Names of the layers that `layer_metrics` takes, in the order in which the forward pass ends them.

    A layer is a submodule of the network that puts out one tensor `(B, ...)`, once in a forward pass.

    Raises:
        TypeError: the generator is no `nn.Module`.
    """
    return list(_sizes(generator))


@isolated()
def main_layers(generator: Generator, count: int = 9) -> list[str]:
    """At most `count` names of the outermost layers, evenly chosen in the order of the forward pass.

    An outermost layer is held by no other, once those are gone that hold more than half of all layers.

    Raises:
        TypeError: the generator is no `nn.Module`.
    """
    count, every = as_count("count", count), layer_names(generator)
    names = [name for name in every if 2 * sum(one.startswith(f"{name}.") for one in every) <= len(every)]
    outermost = [name for name in names if not any(name.startswith(f"{one}.") for one in names)]
    places = torch.linspace(0, len(outermost) - 1, min(count, len(outermost))).round().int()
    return [outermost[place] for place in places]


@checked()
def short_names(names: Sequence[str]) -> list[str]:
    """Names without the module that most of them begin with, unless a bare number would be left."""
    roots = [f"{name.partition('.')[0]}." for name in names if "." in name]
    root = max(roots, key=roots.count, default="")
    short = [name.removeprefix(root) for name in names]
    idle = 2 * roots.count(root) > len(names) and not any(name[0].isdigit() for name in short)
    return short if idle else list(names)


@isolated(shapes={"z": "n | P n"})
def layer_metrics(
    generator: Generator,
    z: Tensor,
    names: Sequence[str],
    *,
    tile: int | None = None,
    memory: str | int | None = None,
    progress: Progress | None = None,
) -> dict[str, Metric]:
    """The metric tensor of each named layer at `z` `(n,)`, or at each of `(P, n)`; the network is not copied.

    `tile` and `memory` are those of `operators.metric_operator`; `progress(done, total)` is called after each position.
    A layer that does not depend on the latent has the metric zero.

    Raises:
        ValueError: an unknown layer, naming the known ones, no layer or position, and as `metric_tensor`.
        TypeError: the generator is no `nn.Module`.
        FloatingPointError: a metric that is not finite, naming layer and position.
    """
    positions = z if z.ndim == 2 else z[None]
    if not names:
        raise ValueError("names: expected at least one layer, got none")
    sizes = _sizes(generator)
    for name in names:
        check_choice("names", name, sizes)
    view, total = activation_view(generator, names), Distance("sum", lambda activations: activations)
    operator: PullbackOperator | None = None
    matrices, floors = [], []
    for index, position in enumerate(positions):
        if operator is None:
            operator = PullbackOperator(view, position, total, tile=tile, memory=memory)
        else:
            operator = operator.at(position)
        parts = operator.grams([sizes[name] for name in names])
        for name, matrix in zip(names, parts, strict=True):
            check_finite(f"metric tensor of {name} at position {index}", matrix)
        matrices.append(parts)
        floors.append(torch.stack([noise_floor(operator, matrix) for matrix in parts]))
        if progress:
            progress(index + 1, len(positions))
    stacked, floor = torch.stack(matrices, 1), torch.stack(floors, 1)
    if z.ndim == 1:
        stacked, floor = stacked[:, 0], floor[:, 0]
    return {name: Metric.from_matrix(H, f) for name, H, f in zip(names, stacked, floor, strict=True)}


@checked()
def activation_view(generator: Generator, names: Sequence[str]) -> Generator:
    """The same generator with the activations of `names` side by side, `(B, m)`, in place of the image."""
    network, module = _network(generator), generator.module

    def activations(latents: Tensor) -> Tensor:
        with captured(network, names) as outputs:
            module(latents)
        return torch.cat([outputs[name][0].flatten(1) for name in names], 1)

    view = copy.copy(generator)
    view.module, view.output_range = activations, None
    return view
