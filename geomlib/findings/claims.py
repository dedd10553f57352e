"""The vocabulary of claims, as pages use it: words, intervals, and whose network it is.  The rules are in `rules`."""

from geomlib.findings import rules
from geomlib.findings.intervals import Interval
from geomlib.findings.rules import verdict
from geomlib.generators.known import EMBEDDED
from geomlib.generators.packaged import PACKAGED
from geomlib.generators.published import PUBLISHED

__all__ = ["NOT_YET", "WORDS", "Interval", "kind_of", "verdict"]

# Of claims that are recorded as provisional: it goes with the last of them.
NOT_YET = "not yet judged"
WORDS = rules.WORDS | {
    NOT_YET: "today's rule is passed by most control networks: a network of others waits for a better one"
}


def kind_of(name: str) -> str:
    """Whose network a generator is: "of others" (packaged or published), "own" (embedded), or "yours"."""
    return "of others" if name in {*PACKAGED, *PUBLISHED} else "own" if name in EMBEDDED else "yours"
