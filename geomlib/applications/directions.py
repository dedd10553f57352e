"""Axes of a latent space that other methods find, and how they relate to the metric (Wang & Ponce 2021, discussion).

Closed-form factorisation of the first weights (SeFa, Shen & Zhou 2021), principal components of activations (GANSpace,
Härkönen et al. 2020), the Jacobian of a layer at one latent (Local Basis, Choi et al. 2022), random axes, and published
ones from a file.  None of the three methods knows an image distance.  Cost is counted in passes: a forward pass of one
latent counts as one, and so does one Jacobian-vector product.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from geomlib import homogeneity
from geomlib._arguments import checked
from geomlib._checks import as_count, check_choice, check_finite, check_up_to, shown
from geomlib._progress import Progress
from geomlib._state import isolated
from geomlib.distances import Distance
from geomlib.generators.contents import read_content
from geomlib.generators.interface import Generator
from geomlib.generators.pickles import as_tensor
from geomlib.layers import activation_view, layer_metrics, layer_names
from geomlib.metric import Metric, metric_tensor, signs_fixed

_BATCH = 250
_ARRAY = Tensor | np.ndarray
# Latents by which sefa finds the first weights.
_PROBES = 5
# Operations that are linear in one argument, and the place of that argument.
_LINEAR: dict[Callable[..., Tensor], int] = dict.fromkeys(
    [getattr(functional, f"{kind}{n}d") for kind in ("conv", "conv_transpose") for n in (1, 2, 3)]
    + [functional.linear, torch.mm, torch.matmul, Tensor.mm, Tensor.matmul],
    0,
) | {torch.addmm: 1}


@dataclass(frozen=True)
class Directions:
    """Axes of a latent space by one method, most important first.

    `axes` `(n, k)` are unit columns in float64, not always orthogonal; `strengths` `(k,)` is what the method orders
    them by; `passes` is what finding them cost, in forward passes of one latent.
    """

    name: str
    axes: Tensor
    strengths: Tensor
    passes: int


class _FirstWeights(TorchFunctionMode):
    """While it lasts, sums `WᵀW` `(n, n)` over the linear operations that take the components of `latents`."""

    def __init__(self, latents: Tensor) -> None:
        super().__init__()
        self.latents = latents
        self.squares = torch.zeros(latents.shape[1], latents.shape[1], dtype=torch.float64)

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        place = _LINEAR.get(func, len(args))
        if place < len(args) and args[place].ndim > 1 and len(args[place]) == len(self.latents):
            factors = _components(args[place].flatten(1), self.latents)
            if factors is not None:
                self._add(func, list(args), kwargs or {}, place, factors)
        return func(*args, **(kwargs or {}))

    def _add(
        self, function: Callable[..., Tensor], args: list[Any], kwargs: dict[str, Any], place: int, factors: Tensor
    ) -> None:
        # What the operation makes of one component at a time, which enters wherever its factor is not zero.
        used = factors.any(1).nonzero()[:, 0]
        args = [part.double() if isinstance(part, Tensor) else part for part in args]
        units = factors[used].reshape(-1, *args[place].shape[1:]).to(args[place])
        args[place] = torch.cat([torch.zeros_like(units[:1]), units])
        outputs = function(*args, **kwargs).flatten(1)
        columns = (outputs[1:] - outputs[0]).cpu()
        self.squares[used[:, None], used] += columns @ columns.mT


@isolated()
def sefa(generator: Generator, k: int) -> Directions:
    """The first `k` right singular vectors of the first weights: closed-form factorisation (Shen & Zhou 2021).

    The weights are those of all linear layers and convolutions whose input holds components of the latent itself, at
    most each times a constant, beside constants: the first layer of DCGAN or WaveGAN; all layers that make styles, one
    below the other, for StyleGAN in W; first layer and conditional norms for BigGAN.  They are identified by watching
    latents of equal length pass, among which a pixel norm is such a constant: behind one, in Z of StyleGAN or PGAN, it
    is the first layer after it.  Weights are taken as they act, equalised or spectrally normalised; unlike in the
    published code, rows are not scaled to length one.  `strengths` are the singular values; the 5 `passes` serve to
    find the layers.

    Raises:
        ValueError: no layer takes the latent, as in a function without weights, or `k` not in 1 to `n`.
    """
    n = generator.latent_dim
    check_up_to("k", k, n)
    random = torch.Generator().manual_seed(0)
    latents = functional.normalize(torch.randn(_PROBES, n, generator=random)) * n**0.5
    with torch.no_grad(), _FirstWeights(latents) as watched:
        generator(latents)
    if not watched.squares.any():
        raise ValueError(
            f"generator: no linear layer of {generator.name} takes the latent itself, so there are no first weights"
        )
    values, vectors = torch.linalg.eigh(watched.squares)
    singular = values.flip(0)[:k].clamp(min=0).sqrt()
    return Directions("SeFa", signs_fixed(vectors.flip(1)[:, :k]), singular, _PROBES)


def _components(inputs: Tensor, latents: Tensor) -> Tensor | None:
    """Factors `(n, m)` by which each of `inputs` `(B, m)` follows one component of the latents; None if not so."""
    spread = inputs - inputs.mean(0)
    scale = spread.norm(dim=0)
    moving = (scale > 1e-5 * scale.max()).nonzero()[:, 0].cpu()
    centred = latents.double() - latents.double().mean(0)
    lengths = centred.norm(dim=0)
    # A few of them tell whether it is worth looking at all.
    for some in (moving[:64], moving):
        columns = spread[:, some.to(spread.device)].cpu().double()
        cosines, component = ((centred / lengths).mT @ functional.normalize(columns, dim=0)).abs().max(0)
        if not len(some) or not (cosines > 1 - 1e-5).all():
            return None
    factors = torch.zeros(latents.shape[1], inputs.shape[1], dtype=torch.float64)
    factors[component, moving] = (centred[:, component] * columns).sum(0) / lengths[component].square()
    return factors


@isolated(shapes={"latents": "N n"})
def ganspace(
    generator: Generator,
    layer: str,
    k: int,
    *,
    latents: Tensor,
    progress: Progress | None = None,
) -> Directions:
    """Principal components of activations, carried to the latents by regression: GANSpace (Härkönen et al. 2020).

    Of `latents` `(N, n)`, with coordinates `x` of their activations along the first principal
    components, axis `j` is the column `u_j` of the matrix that minimises `Σ |U x − z|²`.  `layer` is one of
    `layers.layer_names`, "" for the generator's output, or "latent" for the latents themselves: their own principal
    components, as is done in W.  The axes are not orthogonal in general, and sampling turns them by an angle of about
    `sqrt(n / N)`.  `strengths` are the standard deviations of the coordinates.  There are fewer than `k` axes where
    the activations vary in fewer directions.  (`factors.principal_axes` fits one linear map instead.)

    Raises:
        ValueError: an unknown layer, fewer than two latents, or activations that do not vary.
    """
    check_up_to("k", k, generator.latent_dim)
    if len(latents) < 2:
        raise ValueError(f"latents: expected at least two, got {len(latents)}")
    if layer not in ("", "latent"):
        check_choice("layer", layer, ["", "latent", *layer_names(generator)])
    watched = activation_view(generator, [layer]) if layer not in ("", "latent") else generator
    parts: list[Tensor] = []
    for part in latents.split(_BATCH) if layer != "latent" else ():
        with torch.no_grad():
            parts.append(watched(part).flatten(1).cpu())
        if progress:
            progress(sum(map(len, parts)), len(latents))
    centred = latents.cpu().double() - latents.cpu().double().mean(0)
    activations = centred if layer == "latent" else torch.cat(parts)
    check_finite(f"activations of {layer or 'the output'}", activations)
    if not activations.shape[1]:
        raise ValueError("generator: expected images of at least one value, got none")
    activations = activations - activations.mean(0)
    # Both Gram matrices have the same eigenvalues; the smaller one is decomposed.
    tall = activations.shape[0] > activations.shape[1]
    squares = (activations.mT @ activations if tall else activations @ activations.mT).double()
    values, vectors = torch.linalg.eigh(squares)
    k = min(k, int((values > 1e-6 * values[-1]).sum()))
    if not k:
        raise ValueError(f"layer: the activations of {layer or 'the output'} do not vary")
    vectors = vectors.flip(1)[:, :k]
    coordinates = (activations.double() @ vectors) if tall else vectors
    axes = functional.normalize(centred.mT @ coordinates, dim=0)
    passes = 0 if layer == "latent" else len(latents)
    label = {"": "output", "latent": "latents"}.get(layer, layer)
    deviations = (values.flip(0)[:k] / (len(latents) - 1)).sqrt()
    return Directions(f"GANSpace ({label})", signs_fixed(axes), deviations, passes)


@isolated(shapes={"z": "n"})
def local_basis(generator: Generator, z: Tensor, layer: str, k: int) -> Directions:
    """The first `k` right singular vectors of the Jacobian of a layer at the latent `z` `(n,)` (Choi et al. 2022).

    They are eigenvectors of the layer's metric (`layers.layer_metrics`); `layer=""` is the generator's output.  Choi et
    al. take the mapping network of StyleGAN and go on with the left singular vectors, in W.  `strengths` are the
    singular values.

    Raises:
        ValueError: several latents, or `k` not in 1 to `n`; else as `layer_metrics`.
    """
    check_up_to("k", k, generator.latent_dim)
    if layer:
        metric = layer_metrics(generator, z, [layer])[layer]
    else:
        metric = metric_tensor(generator, z, Distance("sum", lambda output: output.flatten(1)))
    values = (metric.eigenvalues[:k].clamp(min=0) / 2).sqrt()
    return Directions(f"Local Basis ({layer or 'output'})", metric.eigenvectors[:, :k], values, generator.latent_dim)


@checked()
def random(n: int, k: int, seed: int) -> Directions:
    """`k` orthonormal axes, uniform over rotations, of strength one: the control."""
    axes = homogeneity.random_frame(n, k, seed)
    return Directions("random", axes, torch.ones(k, dtype=torch.float64), 0)


@checked()
def load_directions(
    path: str | Path, latent_dim: int, *, key: str = "", stored: str = "", layers: int = 1
) -> Directions:
    """Published axes from a file: safetensors, `.npy`, `.npz`, of `torch.save`, or a pickle (read without running it).

    The array is `(k, n)` or `(n, k)`, distinguished by `latent_dim`, or one axis `(n,)`; dimensions of size one do not
    count.  In W+, whose latents hold a style of `m` numbers for each of `layers`, it is also `(layers, m)`, one axis,
    or `(k, layers, m)`; an array `(m,)` or `(k, m)`, of W, then moves all layers alike.  `stored` ("rows" or "columns")
    says which where both sides are equal.  Of several arrays that fit, `key` names the one to take ("lat_comp" in files
    of GANSpace, "smile.axis" inside of another dictionary).  The order is that of the file, `strengths` are the
    lengths.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file without such an array or with several, an axis of length zero, or
            a square array of which `stored` does not say what it holds.
        FloatingPointError: numbers that are not finite.
    """
    path, latent_dim, layers = Path(path), as_count("latent_dim", latent_dim), as_count("layers", layers)
    check_choice("stored", stored, ("", "rows", "columns"))
    held = _arrays(path)
    arrays = {name: value for name, value in held.items() if key in ("", name)}
    if key and not arrays:
        raise ValueError(
            f"key: expected one of {', '.join(map(repr, held)) or 'none'} in {path.name}, got {shown(key)}"
        )
    fitting = {
        name: one for name, value in arrays.items() if (one := _as_axes(value, latent_dim, layers, stored)) is not None
    }
    if len(fitting) != 1:
        shapes = ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in arrays.items()) or "nothing"
        raise ValueError(
            f"path: expected one array of axes of {latent_dim} numbers in {path.name}, found {shapes}"
            + (": name one by key" if fitting else "")
        )
    [(name, axes)] = fitting.items()
    axes = axes.double()
    shape = arrays[name].shape
    if len(shape) == 2 and shape[0] == shape[1] and shape.numel() != latent_dim and not stored:
        raise ValueError(f"stored: expected 'rows' or 'columns': {name!r} in {path.name} is square")
    if len(axes) != latent_dim or (stored == "rows" and axes.shape == (latent_dim, latent_dim)):
        axes = axes.mT
    check_finite(f"axes of {path.name}", axes)
    lengths = axes.norm(dim=0)
    if not lengths.all():
        raise ValueError(f"path: axis {int(lengths.argmin())} of {path.name} has length zero")
    return Directions(path.stem, axes / lengths, lengths, 0)


def _as_axes(value: Tensor, n: int, layers: int, stored: str) -> Tensor | None:
    """An array as axes `(n, k)` or `(k, n)`; None where it can hold none."""
    if value.ndim == 1 and len(value) == n:
        return value[:, None]
    if value.ndim == 2 and n in value.shape:
        return value
    if value.ndim == 2 and value.numel() == n:
        return value.reshape(n, 1)
    if value.ndim == 3 and value.shape[1:].numel() == n:
        return value.flatten(1)
    if layers > 1 and value.ndim <= 2 and n // layers in value.shape and n % layers == 0:
        if value.ndim == 1:
            return value.repeat(layers)[:, None]
        columns = value.shape[1] != n // layers or (len(value) == n // layers and stored == "columns")
        return (value.mT if columns else value).repeat(1, layers)
    return None


def _arrays(path: Path) -> dict[str, Tensor]:
    """All arrays of floating-point numbers in a file, by name, without dimensions of size one."""
    if not path.is_file():
        raise FileNotFoundError(f"path: no file {path}")
    try:
        if path.suffix in (".npy", ".npz"):
            content: Any = np.load(path, allow_pickle=False)
            if isinstance(content, Mapping):  # a member is read when it is asked for, and may be damaged
                with content:  # type: ignore[attr-defined]
                    content = dict(content)
        else:
            content = read_content(path).value
        if not isinstance(as_tensor(content), Mapping | list | tuple | Tensor | np.ndarray):
            raise ValueError(f"it holds a {type(content).__name__}")
    except Exception as error:  # a damaged file can raise anything
        reason = str(error).removeprefix("weights: ").splitlines()[0].replace(str(path), "it")
        if "allow_pickle" in reason:
            reason = "it holds objects of Python in the place of numbers: save the arrays alone, by numpy.savez"
        raise ValueError(f"path: {path.name} is no whole file of arrays ({reason})") from error
    tensors = {name: torch.as_tensor(value) for name, value in _flat(content, "", 4)}
    return {name or "axes": value.detach().squeeze() for name, value in tensors.items() if value.is_floating_point()}


def _flat(content: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The arrays in dictionaries and lists, with the way to each."""
    value = as_tensor(content)
    if isinstance(value, _ARRAY):
        yield name, value
    elif isinstance(content, Mapping | list | tuple) and depth:
        items = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, inner in items:
            yield from _flat(inner, f"{name}.{key}".lstrip("."), depth - 1)


@checked(shapes={"H": "* m m", "axes": "m k"})
def strength(H: Tensor, axes: Tensor) -> Tensor:
    """`aᵀ H a` `(..., k)` of each column `a` of `axes` `(n, k)`, normalised, for a metric tensor `H` `(..., n, n)`."""
    axes = functional.normalize(axes.double(), dim=0)
    return (axes * (H.double() @ axes)).sum(-2)


@checked(shapes={"axes": "m k"})
def energy_rank(metric: Metric, axes: Tensor, share: float) -> Tensor:
    """Rank `(k,)`, from 1, of the eigenvector up to which `share` in (0, 1] of the axis lies.

    The energy of an axis `a` on the first `r` eigenvectors is `Σ_{j≤r} (a · v_j)²`, with `a` normalised.

    Raises:
        ValueError: a share out of range or the metric at several positions.
    """
    if len(axes) != metric.matrix.shape[-1]:
        raise ValueError(f"axes: expected shape ({metric.matrix.shape[-1]}, k), got {tuple(axes.shape)}")
    if not 0 < share <= 1 or metric.matrix.ndim != 2:
        raise ValueError(
            f"share, metric: expected a number in (0, 1] and one matrix (n, n), got {share} and "
            f"{tuple(metric.matrix.shape)}"
        )
    energy = (metric.eigenvectors.mT @ functional.normalize(axes.double(), dim=0)).square().cumsum(0)
    return 1 + (energy < share * (1 - 1e-9)).sum(0)
