"""Sweeps: metrics at many latents in a store that outlives whatever is killed."""

from geomlib.sweep.run import Status, metrics, run, status
from geomlib.sweep.store import State

__all__ = ["State", "Status", "metrics", "run", "status"]
