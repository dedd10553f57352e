"""The first page as a newcomer's browser loads it: how many bytes, in what time."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geomlib.book.check.browser import chromium
from geomlib.book.check.faults import Fault

MOST_BYTES = 3_000_000  # of all files that the page asks for
MOST_SECONDS = 2.0  # from the address to the end of loading, from a server on this machine
TRIES = 3  # with a new browser each; other work on the machine only adds to the time


def faults(site: Path, address: str, say: Callable[[str], None] = print) -> list[Fault]:
    """Whether the first page of the book at `address` weighs or waits too much; `site` holds its files."""
    size, seconds = measure(site, address)
    say(f"check-book: the first page: {size / 1e6:.2f} MB of files, loaded in {seconds:.2f} s")
    found = []
    if size > MOST_BYTES:
        found.append(Fault("index.html", "weight", "files", detail=f"{size / 1e6:.2f} MB, at most {MOST_BYTES / 1e6}"))
    if seconds > MOST_SECONDS:
        found.append(Fault("index.html", "weight", "seconds", detail=f"{seconds:.2f}, at most {MOST_SECONDS}"))
    return found


def measure(site: Path, address: str) -> tuple[int, float]:
    """Bytes of the files that the first page asks for, and the least of `TRIES` times until it is loaded, in seconds.

    Each time a browser is started that has seen nothing yet, so that nothing lies in its cache. A page that
    ``index.html`` forwards to is the first page, and its time begins with its own address.
    """
    times, asked = list[float](), set[str]()
    for _ in range(TRIES):
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.on("request", lambda request: asked.add(unquote(urlsplit(request.url).path).lstrip("/")))
            page.goto(f"{address}index.html")
            page.wait_for_load_state("networkidle")
            milliseconds = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            times.append(float(milliseconds) / 1000)
    files = [site / name for name in asked]
    return sum(file.stat().st_size for file in files if file.is_file()), min(times)
