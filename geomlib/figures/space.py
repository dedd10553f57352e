"""Patches and curves on a surface in space; what is behind is hidden."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from torch import Tensor

from geomlib.figures.style import array, styled


class _Scene:
    """A grey surface `(U, V, 3)`, shaded by its slope, to which coloured polygons are added."""

    def __init__(self, grid: Tensor, width: float, height: float, elevation: float) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.axis = self.figure.add_subplot(projection="3d", proj_type="ortho")
        self.axis.view_init(elev=elevation, azim=-60)
        points = array(grid)
        self.low, self.high, self.size = points.min((0, 1)), points.max((0, 1)), np.ptp(points)
        faces = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], 2).reshape(-1, 4, 3)
        up, around = np.radians([elevation, -60])
        self.viewer = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
        normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 3] - faces[:, 0])
        shade = 0.73 + 0.2 * np.abs(normals @ self.viewer) / np.linalg.norm(normals, axis=1).clip(1e-12)
        self.polygons: list[Any] = [*faces]
        self.colours: list[Any] = [*np.repeat(shade[:, None], 3, 1)]

    def lifted(self, points: Any, share: float) -> Any:
        """Points moved towards the viewer, which moves nothing in the projection and settles what is drawn last."""
        return points + share * self.size * self.viewer

    def add(self, polygons: Any, colour: Any) -> None:
        self.polygons += [*polygons]
        self.colours += [colour] * len(polygons)

    def drawn(self, zoom: float) -> Figure:
        collection = Poly3DCollection(self.polygons, facecolors=self.colours, edgecolors=self.colours, linewidths=0.2)
        # Limits are set below; those that it would find hold the unset ends of shorter polygons.
        self.axis.add_collection3d(collection, autolim=False)
        (x, y, z), (right, back, top) = self.low, self.high
        self.axis.set(xlim=(x, right), ylim=(y, back), zlim=(z, top))
        self.axis.set_box_aspect(self.high - self.low, zoom=zoom)
        self.axis.set_axis_off()
        return self.figure


@styled
def surface(grid: Tensor, patches: Tensor) -> Figure:
    """A surface `(U, V, 3)` in space with small flat patches `(P, 3, K)` lying on it; what is behind is hidden."""
    scene = _Scene(grid, 6.4, 4.4, 38)
    scene.add(scene.lifted(array(patches).transpose(0, 2, 1), 0.1), sns.color_palette("colorblind")[0])
    return scene.drawn(1.25)


@styled
def on_surface(grid: Tensor, curves: Mapping[str, Tensor]) -> Figure:
    """A surface `(U, V, 3)` in space with curves `(S, 3)` on it, told apart by colour; what is behind is hidden."""
    scene, handles = _Scene(grid, 5.4, 4.8, 48), []
    for index, (label, curve) in enumerate(curves.items()):
        colour = sns.color_palette("colorblind")[index]
        # Ribbons across the line of sight.
        middle = scene.lifted(array(curve), 0.06)
        aside = np.cross(np.gradient(middle, axis=0), scene.viewer)
        aside *= 0.005 * scene.size / np.linalg.norm(aside, axis=1, keepdims=True).clip(1e-12)
        left, right = middle - aside, middle + aside
        scene.add(np.stack([left[:-1], left[1:], right[1:], right[:-1]], 1), colour)
        handles.append(Line2D([], [], color=colour, lw=3, label=label))
    figure = scene.drawn(1.25)
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure
