"""`H v` at one latent without the matrix: the metric, and the Hessian of any objective of the image."""

from geomlib.operators.base import Operator
from geomlib.operators.hessian import FiniteDifferenceOperator, HessianOperator
from geomlib.operators.methods import METHODS, metric_operator
from geomlib.operators.pullback import PullbackOperator

__all__ = [
    "METHODS",
    "FiniteDifferenceOperator",
    "HessianOperator",
    "Operator",
    "PullbackOperator",
    "metric_operator",
]
