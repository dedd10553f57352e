"""What a notebook says: numbers, figures, claims, and the names that people gave to axes."""

from geomlib.findings.experiment import Experiment, open_experiment
from geomlib.findings.intervals import Interval, listed
from geomlib.findings.paired import Paired, paired_test
from geomlib.findings.results import DoesNotApply, Results, progress

__all__ = [
    "DoesNotApply",
    "Experiment",
    "Interval",
    "Paired",
    "Results",
    "listed",
    "open_experiment",
    "paired_test",
    "progress",
]
