"""Is a built book fit for its readers: every page in a browser, every link, the weight of the first page."""

from collections.abc import Callable
from pathlib import Path

from geomlib.book.check import links, visits, weight
from geomlib.book.check.browser import serve
from geomlib.book.check.faults import Fault

__all__ = ["Fault", "check"]


def check(site: Path, say: Callable[[str], None] = print) -> list[Fault]:
    """Check every page of the book in the folder `site`; returns what is wrong.

    Links, anchors, downloads and descriptions are read from the files; the first page is loaded in a fresh Chromium;
    each page is opened in light and dark, wide and narrow, and as it is printed.

    Args:
        site: with ``index.html``.
        say: takes one line for each page.

    Raises:
        FileNotFoundError: there is no book.
        RuntimeError: there is no Chromium, or what reads pages in it is not installed.
    """
    if not (site / "index.html").is_file():
        others = sorted(site.parent.glob("*/html/index.html"))
        name_it = f"; there is another in {others[-1].parent}" if others else ""
        raise FileNotFoundError(f"no book in {site}: `make book` builds it{name_it}")
    pages = links.read(site)
    found = links.faults(pages)
    say(f"check-book: {len(pages)} pages, {sum(len(page.links) for page in pages.values())} links read")
    with serve(site) as address:
        found += weight.faults(site, address, say)
        shown = [name for name, page in pages.items() if not page.forwards]
        found += visits.faults(address, shown, say)
    return found
