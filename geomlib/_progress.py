"""What long computations call: steps done, steps in all."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
