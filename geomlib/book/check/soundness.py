"""What a reader would meet on a page that is open in Chromium, and what print would lose of it."""

import re
from typing import TYPE_CHECKING

from geomlib.book.check.browser import WIDTHS, show
from geomlib.book.check.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Response

# Wide first: some of the theme's tables stay wide in a window that was narrow.
SHOWN = tuple(zip(("light", "dark"), WIDTHS, strict=True))
PAPER = 718  # pixels: the width of A4 between Chromium's margins

# Where an element of the article begins to be more than the paper is wide, empty, or folded without a word.
_ON_PAPER = """width => {
  const seen = one => one.getClientRects().length > 0 && getComputedStyle(one).visibility !== 'hidden';
  const article = document.querySelector('article'), wrong = [];
  if (!article) return wrong;
  const say = (what, one) => wrong.push([what, one.outerHTML.slice(0, 120)]);
  for (const one of article.querySelectorAll('*')) {
    if (one.closest('svg, .live-hidden, mjx-assistive-mml') && one.tagName !== 'svg' || !seen(one)) continue;
    if (one.getBoundingClientRect().right > width + 1) say('cut off', one);
  }
  article.querySelectorAll('.toggle-hidden').forEach(one => say('folded', one));
  article.querySelectorAll('details:not([open])').forEach(one => {
    const summary = one.querySelector('summary');
    if (seen(one) && !(summary && seen(summary) && summary.innerText.trim())) say('folded without a word', one);
  });
  const live = [...article.querySelectorAll('.live, .live-start, canvas, #live-playground')];
  live.filter(seen).forEach(one => say('an instrument', one));
  const still = [...article.querySelectorAll('.live-still, .live-still-surface')];
  if (live.length && !still.length) say('no still picture', live[0]);
  still.filter(one => !seen(one)).forEach(one => say('no still picture', one));
  const wide = document.documentElement.scrollWidth;
  if (wide > width) wrong.push(['width', `${wide} pixels`]);
  return wrong;
}"""
_PICTURES = """() => Promise.all([...document.querySelectorAll('article img')].map(one =>
  one.decode().then(() => one.naturalWidth > 0, () => false).then(
    drawn => [one.getAttribute('src').slice(0, 80), one.getAttribute('alt'), drawn])))"""


class Heard:
    """The errors of a page's console and scripts, and what it asks for in vain or outside of the book, from now on."""

    def __init__(self, page: "Page", address: str) -> None:
        self.address = address
        self.found: list[tuple[str, str]] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(("error", str(error))))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", self._answered)

    def _console(self, message: "ConsoleMessage") -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # told as a request
            self.found.append(("error", message.text))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.found.append(("outside", url))

    def _answered(self, response: "Response") -> None:
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):
            self.found.append(("request", response.url.removeprefix(self.address)))


def faults(page: "Page", name: str, heard: Heard) -> list[Fault]:
    """What is wrong with the open page `name` as it is read and as it is printed; leaves it on the screen, as it was.

    Rules: an error of a script, a request that fails or leaves the book, a page wider than its window, a formula that
    is not understood, a picture that is not there or whose description is missing or a path, and `on_paper`.
    """
    found = []
    for theme, width in SHOWN:
        show(page, theme, width)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(Fault(name, "width", "html", theme, width, f"{wide} pixels"))
    pictures: list[tuple[str, str | None, bool]] = page.evaluate(_PICTURES)
    for source, alt, drawn in pictures:
        if not drawn:
            found.append(Fault(name, "picture", source, detail="it cannot be drawn"))
        if not (alt or "").strip() or re.search(r"\.(png|svg|jpe?g)$|^\.*/", alt or ""):
            found.append(Fault(name, "picture", source, detail=f"its description is {alt!r}"))
    for formula in page.locator("mjx-merror").all():
        found.append(Fault(name, "formula", "mjx-merror", detail=formula.get_attribute("title") or ""))
    found += [Fault(name, "print", rule, width=PAPER, detail=element) for rule, element in on_paper(page)]
    return found + [Fault(name, rule, element) for rule, element in dict.fromkeys(heard.found)]


def on_paper(page: "Page") -> list[tuple[str, str]]:
    """What would be lost in print, each with the element; leaves the page on the screen."""
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wrong: list[tuple[str, str]] = page.evaluate(_ON_PAPER, PAPER)
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    return [(rule, element) for rule, element in wrong]
