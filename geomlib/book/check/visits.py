"""Every page of a book, opened once in Chromium: sound and accessible, but for the theme's own faults."""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from geomlib.book.check import accessibility, soundness
from geomlib.book.check.browser import WIDTHS, chromium
from geomlib.book.check.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS = 2  # at once, where there are as many cores
_SETTLED = "() => !window.MathJax?.startup || MathJax.startup.promise.then(() => true)"


def faults(address: str, pages: Sequence[str], say: Callable[[str], None] = print) -> list[Fault]:
    """What is wrong with the pages of the book at `address`.

    Raises:
        RuntimeError: axe-core is not installed, or there is no Chromium.
    """
    axe, began = accessibility.script(), time.monotonic()
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in pages:
        waiting.put(name)
    found: dict[str, list[Fault]] = {}
    lock = threading.Lock()

    def work() -> None:
        with chromium() as browser:
            while not waiting.empty():
                try:
                    name = waiting.get_nowait()
                except queue.Empty:
                    return
                page = browser.new_page()  # of its own: what a large page has taken is given back
                here = look(page, address, name, axe)
                page.close()
                with lock:
                    found[name] = here
                    say(f"check-book: {len(found)}/{len(pages)} {name}: {len(here)} found")

    at_once = max(1, min(BROWSERS, os.cpu_count() or 1, len(pages)))
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(work) for _ in range(at_once)]:
            done.result()
    say(f"check-book: {len(pages)} pages read in {time.monotonic() - began:.0f} s")
    return [fault for name in pages for fault in found[name]]


def look(page: "Page", address: str, name: str, axe: str) -> list[Fault]:
    """Open one page: what a reader would meet, and then what axe-core, the text `axe`, finds."""
    heard = soundness.Heard(page, address)
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(address + name, wait_until="load")
    page.wait_for_function(_SETTLED)
    found = soundness.faults(page, name, heard) + accessibility.faults(page, name, axe)
    return [fault for fault in found if not fault.is_of_theme]
