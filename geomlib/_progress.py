"""What long computations call: steps done, steps in all."""

from collections.abc import Callable

Progress = Callable[[int, int], None]


class Count:
    """Tells how far the work is."""

    def __init__(self, done: int, total: int, progress: Progress | None) -> None:
        """Start with so many of all steps done."""
        self.done, self.total, self.progress = done, total, progress

    def one_more(self) -> None:
        """Another step is done."""
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)
