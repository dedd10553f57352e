"""The page's default state as pictures: what a reader without JavaScript sees, and what is printed."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from geomlib.applications import geodesics
from geomlib.distances import load_distance
from geomlib.figures import on_surface
from geomlib.figures.style import array, new_figure, styled
from geomlib.generators import Generator, load_generator
from geomlib.live.axes import Family
from geomlib.metric import Metric, metric_tensor

REACH = 3.0  # how far the page's sliders go to each side, in units of the latent
_SHOWN = 7  # images along the axis
_TURN = torch.linspace(0, 2 * torch.pi, 61, dtype=torch.float64)
_ENDS = ((0.5, 0.4), (2.6, 2.2))  # of the path on the torus, as on the page


@torch.no_grad()
def draw(generator: Generator, code: Tensor, family: Family, place: Path) -> None:
    """Write `axis.png`, `metric.png` and `surface.png` into a folder.

    Args:
        generator: with a latent space of at least two dimensions.
        code: latent `(n,)` at which all begins.
        family: axes, of which the first two are shown.
        place: an existing folder.
    """
    mse = load_distance("mse")
    axes = family.axes.to(code)
    steps = torch.linspace(-REACH, REACH, 41)
    along = generator(code + steps[:, None] * axes[:, 0])
    change = mse(along, generator(code[None]).expand_as(along))
    shown = generator(code + torch.linspace(-REACH, REACH, _SHOWN)[:, None] * axes[:, 0])
    here = metric_tensor(generator, code, mse)
    strengths = (family.axes * (here.matrix @ family.axes)).sum(0)
    _save(_axis(shown, steps, change, strengths), place / "axis.png")
    grid = torch.cartesian_prod(torch.linspace(-2, 2, 3), torch.linspace(-2, 2, 3))
    places = metric_tensor(generator, code + grid @ axes[:, :2].T, mse)
    _save(_metric(grid, _in_plane(places, family.axes[:, :2]), here, family), place / "metric.png")
    _save(_surface(), place / "surface.png")


def _in_plane(metric: Metric, axes: Tensor) -> Tensor:
    return axes.mT @ metric.matrix @ axes


def ellipses(metrics: Tensor, size: float) -> Tensor:
    """Steps `(P, 2, K)` that a metric `(P, 2, 2)` calls equal; their mean radius at the middle one is `size`."""
    values, vectors = torch.linalg.eigh(metrics)
    circle = torch.stack([_TURN.cos(), _TURN.sin()])
    middle = float(values[len(values) // 2].prod()) ** 0.25
    steps: Tensor = size * middle * vectors @ (circle / values.clamp(min=1e-30).sqrt()[:, :, None])
    return steps


@styled
def _axis(images: Tensor, steps: Tensor, change: Tensor, strengths: Tensor) -> Figure:
    """Images along the axis; the distance along it; how strong each axis of the family is."""
    figure, _ = new_figure(7.4, 3.9)
    figure.clear()
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.0, 2.2])[:, 0]
    for axis, image, step in zip(
        top.subplots(1, len(images)), images, np.linspace(-REACH, REACH, len(images)), strict=True
    ):
        axis.imshow(array(image.expand(3, -1, -1)).transpose(1, 2, 0), interpolation="nearest")
        axis.set(xticks=[], yticks=[], title=f"{step:+.0f}")
    left, right = bottom.subplots(1, 2)
    left.plot(array(steps), array(change), color="C0", label="distance")
    edge = float((2 * change.max() / strengths[0].clamp(min=1e-12)).sqrt().clamp(max=REACH))
    near = np.linspace(-edge, edge, 41)
    left.plot(near, float(strengths[0]) / 2 * near**2, "--", color="C1", label="½ metric × step²")
    left.legend()
    left.set(xlabel="step along axis 1", ylabel="mean squared difference")
    right.bar(range(1, len(strengths) + 1), array(strengths), color=["C1", *["C0"] * (len(strengths) - 1)])
    right.set(xlabel="axis", ylabel="strength here, under mse")
    return figure


@styled
def _metric(places: Tensor, metrics: Tensor, here: Metric, family: Family) -> Figure:
    """Ellipses in the plane of two axes; the whole spectrum."""
    figure, axes = new_figure(7.4, 3.6, 1, 2)
    left, right = axes[0]
    for place, steps in zip(array(places), array(ellipses(metrics, 0.5)), strict=True):
        left.fill(*(place[:, None] + steps), color="C0", alpha=0.4, lw=0)
        left.plot(*place, "k.", ms=3)
    left.set(xlabel="step along axis 1", ylabel="step along axis 2", aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    index = range(1, len(here.eigenvalues) + 1)
    right.semilogy(index, array(here.eigenvalues / here.eigenvalues[0]), color="C0", label="mse, at this code")
    if family.spectrum:
        average = np.array(family.spectrum)
        right.semilogy(index, average / average[0], "--", color="C1", label="average, computed beforehand")
        right.legend()
    right.set(xlabel="axis", ylabel="share of the largest")
    return figure


def _surface() -> Figure:
    """A geodesic of the torus beside the line that is straight on the map."""
    torus = load_generator("torus")
    first, second = (torch.tensor(end, dtype=torch.float64) for end in _ENDS)
    found = geodesics.geodesic(torus, first, second, load_distance("mse"), points=40, iterations=200)
    angles = torch.cartesian_prod(torch.linspace(0, 2 * torch.pi, 41), torch.linspace(0, 2 * torch.pi, 61))
    grid = torus(angles).view(41, 61, 3)
    straight = geodesics.straight(first, second, 40)
    curves = {"geodesic": torus(found.curve), "straight on the map": torus(straight)}
    return on_surface(grid, curves)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})
