"""Whether a generator is what the metric needs, and if not, what to change."""

from geomlib.check.report import Report, check_generator

__all__ = ["Report", "check_generator"]
