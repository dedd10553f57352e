from .kept import metrics
from .run import Status, run, status
from .store import State

__all__ = ["State", "Status", "metrics", "run", "status"]
