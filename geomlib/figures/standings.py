"""Networks below each other, by how far each lies from what it was held against."""

from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap

from matplotlib.figure import Figure

from geomlib.figures.style import new_figure, styled

_OWN, _OTHER = "C3", "C0"


@styled
def standings(
    values: Mapping[str, Mapping[str, Sequence[float] | None]], own: Collection[str], none: str, reach: float = 1.0
) -> Figure:
    """A panel a quantity, a row a key of the inner mappings: value with its interval, beside a line at no difference.

    Args:
        values: by quantity and row, value and both ends; None leaves the row empty.
        own: rows that stand out, by colour, marker and weight of their name.
        none: what the line at zero is called.
        reach: ends of the horizontal axis, beyond which intervals are cut.
    """
    names = list(next(iter(values.values())))
    figure, axes = new_figure(10.0, 1.6 + 0.26 * len(names), 1, len(values), sharey=True)
    heights = range(len(names))[::-1]
    for axis, (quantity, rows) in zip(axes[0], values.items(), strict=True):
        axis.axvline(0.0, color="0.4", lw=1, ls="--")
        for height, name in zip(heights, names, strict=True):
            entry = rows.get(name)
            if entry is None:
                continue
            mark = {"color": _OWN, "marker": "D"} if name in own else {"color": _OTHER, "marker": "o"}
            axis.hlines(height, *entry[1:], lw=2.5 if name in own else 1.5, color=mark["color"])
            axis.plot(entry[0], height, markersize=4, linestyle="none", **mark)
        axis.set(
            title="\n".join(wrap(quantity, 84 // len(values))), xlim=(-reach, reach), ylim=(-0.7, len(names) - 0.3)
        )
        axis.set_yticks(heights, names)
    for label, name in zip(axes[0, 0].get_yticklabels(), names, strict=True):
        if name in own:
            label.set(fontweight="bold", color=_OWN)
    figure.supxlabel(none, fontsize=10)
    return figure
