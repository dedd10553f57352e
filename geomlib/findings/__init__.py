"""What a notebook says: numbers, figures, verdicts, and the names that people gave to axes."""

from geomlib.findings.results import DoesNotApply, Results, progress

__all__ = ["DoesNotApply", "Results", "progress"]
