"""What a notebook says: numbers, figures, claims, and the names that people gave to axes."""

from geomlib.findings.claims import Interval
from geomlib.findings.experiment import Experiment, open_experiment
from geomlib.findings.results import DoesNotApply, Results, progress

__all__ = ["DoesNotApply", "Experiment", "Interval", "Results", "open_experiment", "progress"]
