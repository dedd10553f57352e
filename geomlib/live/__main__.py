"""`python -m geomlib.live PLACE POSITIONS SEAL NAME...`: `make` as a process of its own; an error is one line."""

import sys
from pathlib import Path

from geomlib.live.make import make


def main(place: str, positions: str, seal: str, *names: str) -> int:
    """Make, and tell each step on a line; the exit code."""
    try:
        make(names, Path(place), positions=int(positions), seal=seal, say=lambda line: print(line, flush=True))
    except (ValueError, TypeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
