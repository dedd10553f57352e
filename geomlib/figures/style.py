"""The house style, applied for one drawing alone and never globally."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import seaborn as sns
from cycler import cycler
from matplotlib.figure import Figure
from torch import Tensor

from geomlib._arguments import check_arguments
from geomlib._checks import shown

Parameters = ParamSpec("Parameters")
MARKERS = "osD^vPX*<>"
STROKES = ("-", "--", ":", "-.")


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """One house style for all figures, applied for the drawing alone and never globally; arguments are checked."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        check_arguments(draw, args, kwargs, finite=False)
        settings = {
            "axes.prop_cycle": cycler(color=sns.color_palette("colorblind")),
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "legend.fontsize": 9,
            "axes.grid": True,
            "grid.alpha": 0.4,
            "figure.facecolor": "white",
            "axes.axisbelow": True,
            "svg.hashsalt": "geomlib",
        }
        with mpl.rc_context(
            {**sns.axes_style("ticks"), **sns.plotting_context("notebook", font_scale=0.9), **settings}
        ):
            try:
                return draw(*args, **kwargs)
            except Exception as error:  # of NumPy and Matplotlib, whose words do not name what does not fit
                given = inspect.signature(draw).bind(*args, **kwargs).arguments
                words = ", ".join(f"{name} {_shape(value)}" for name, value in given.items())
                reason = " ".join(str(error).split()) or type(error).__name__
                raise ValueError(f"{draw.__name__}: cannot draw {words}: {reason[:200]}") from error

    drawn.checked = True  # type: ignore[attr-defined]
    return drawn


def _shape(value: Any) -> str:
    """What was handed in, by its shape, its names or its kind."""
    if isinstance(value, Mapping):
        return f"of {len(value)}: {', '.join(shown(key) for key in list(value)[:5])}"
    if hasattr(value, "shape"):
        return str(tuple(value.shape))
    return f"of {len(value)}" if isinstance(value, list | tuple) else shown(value)


def markers(index: int, points: int, shown: int, size: int = 4) -> dict[str, Any]:
    """Options that tell curve number `index` from others without colour: `shown` markers, or so, on its `points`."""
    return {"marker": MARKERS[index % len(MARKERS)], "markersize": size, "markevery": max(1, points // shown)}


def array(values: Any) -> Any:
    """A numpy array of numbers or of a tensor, which is float64 then."""
    return values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of `width` by `height` inches and its axes `(rows, columns)`."""
    # Built without pyplot: no global list of open figures, nothing shown twice in a notebook.
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)
