"""The vocabulary of claims, as pages use it: words, intervals, and whose network it is.  The rules are in `rules`."""

from geomlib.findings.intervals import Interval
from geomlib.findings.rules import WORDS, verdict
from geomlib.generators.known import EMBEDDED
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED

__all__ = ["WORDS", "Interval", "kind_of", "verdict"]


def kind_of(name: str) -> str:
    """Whose network a generator is: "of others" (packaged or published), "own" (embedded), or "yours"."""
    return "of others" if name in {*PACKAGED, *PUBLISHED} else "own" if name in EMBEDDED else "yours"
