"""Every page in Chromium under axe-core: the rules of WCAG 2 that a machine can judge, and best practice."""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from geomlib.book.check.browser import chromium
from geomlib.book.check.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = (1280, 375)
RULES = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},  # the others see no theme
}
BROWSERS = 2  # at once, where there are as many cores

# A change of colours that is under way has neither colour.
_STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# What is folded is read, too. Words of code that look alike are judged once, and strokes of formulas never: there are
# thousands of them, and they are most of the work.
_PREPARE = """() => {
  document.querySelectorAll('details').forEach(one => { one.open = true; });
  document.querySelectorAll('.toggle-hidden').forEach(one => one.classList.remove('toggle-hidden'));
  document.querySelectorAll('mjx-container svg').forEach(one => one.replaceChildren());
  const seen = new Set();
  document.querySelectorAll('.highlight span').forEach(one => {
    const look = one.className + '|' + one.closest('.cell_input, .cell_output, .admonition, article')?.className;
    if (seen.has(look) && !one.children.length) one.replaceWith(...one.childNodes);
    seen.add(look);
  });
  document.querySelectorAll('pre').forEach(one => one.normalize());
}"""
_SETTLED = "() => !window.MathJax?.startup || MathJax.startup.promise.then(() => true)"
_RUN = """rules => axe.run(document, {resultTypes: ['violations'], runOnly: rules}).then(
  result => result.violations.flatMap(rule => rule.nodes.map(
    node => ({rule: rule.id, element: node.target.flat().join(' '), detail: node.failureSummary}))))"""


def faults(address: str, pages: Sequence[str], say: Callable[[str], None] = print) -> list[Fault]:
    """What axe-core finds on the pages of the book at `address`, but for the theme's own faults.

    Raises:
        RuntimeError: axe-core is not installed, or there is no Chromium.
    """
    try:
        from axe_playwright_python.base import AXE_SCRIPT
    except ImportError as error:
        raise RuntimeError("axe-playwright-python is not installed: requirements.txt pins it") from error
    began = time.monotonic()
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
                here = look(page, address, name, AXE_SCRIPT)
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
    """Open one page and run axe-core on it in each theme and at each width, with all that is folded opened."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(address + name, wait_until="load")
    page.wait_for_function(_SETTLED)
    page.add_style_tag(content=_STILL)
    page.evaluate(_PREPARE)
    page.evaluate(axe)
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme, rules in RULES.items():
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.wait_for_function("theme => (document.documentElement.dataset.theme || theme) === theme", arg=theme)
            answers: list[dict[str, Any]] = page.evaluate(_RUN, rules)
            found += [
                Fault(name, one["rule"], one["element"], theme, width, _first_reason(one["detail"])) for one in answers
            ]
    return [fault for fault in found if not fault.is_of_theme]


def _first_reason(summary: str) -> str:
    """The first of the reasons that axe-core gives, which it lists under a heading."""
    return " ".join(summary.splitlines()[1:2]).strip()
