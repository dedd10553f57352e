"""The names of `factors` under which they were known before."""

from geomlib.applications.factors import (
    AxisEffects,
    Reading,
    axis_effects,
    axis_names,
    completeness,
    disentanglement,
    gap,
    read_shapes,
    read_tones,
    total_effects,
)

__all__ = [
    "AxisEffects",
    "Reading",
    "axis_effects",
    "axis_names",
    "completeness",
    "disentanglement",
    "gap",
    "read_shapes",
    "read_tones",
    "total_effects",
]
