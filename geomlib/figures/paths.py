"""Curves on a surface in space."""

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from torch import Tensor

from geomlib.figures.style import array, styled


@styled
def on_surface(grid: Tensor, curves: Mapping[str, Tensor]) -> Figure:
    """A surface `(U, V, 3)` in space with curves `(S, 3)` on it, told apart by colour; what is behind is hidden."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axis = figure.add_subplot(projection="3d", proj_type="ortho")
    axis.view_init(elev=48, azim=-60)
    points = array(grid)
    faces = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], 2).reshape(-1, 4, 3)
    elevation, azimuth = np.radians([axis.elev, axis.azim])
    viewer = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    normals = np.cross(faces[:, 1] - faces[:, 0], faces[:, 3] - faces[:, 0])
    shade = 0.74 + 0.2 * np.abs(normals @ viewer) / np.linalg.norm(normals, axis=1).clip(1e-12)
    polygons, colours, handles = [*faces], [*np.repeat(shade[:, None], 3, 1)], []
    for index, (label, curve) in enumerate(curves.items()):
        colour = sns.color_palette("colorblind")[index]
        # Ribbons across the line of sight, lifted towards the viewer: that moves nothing in the projection.
        lifted = array(curve) + 0.06 * np.ptp(points) * viewer
        aside = np.cross(np.gradient(lifted, axis=0), viewer)
        aside *= 0.005 * np.ptp(points) / np.linalg.norm(aside, axis=1, keepdims=True).clip(1e-12)
        left, right = lifted - aside, lifted + aside
        polygons += [*np.stack([left[:-1], left[1:], right[1:], right[:-1]], 1)]
        colours += [np.array(colour)] * (len(lifted) - 1)
        handles.append(Line2D([], [], color=colour, lw=3, label=label))
    axis.add_collection3d(Poly3DCollection(polygons, facecolors=colours, edgecolors=colours, linewidths=0.2))
    low, high = points.min((0, 1)), points.max((0, 1))
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axis.set_box_aspect(high - low, zoom=1.25)
    axis.set_axis_off()
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure
