"""The whole book, built once at the smallest parameters: complete, captioned, at rest, and sound in a browser.

All that needs it stands in this file, so that one of the test processes builds it and no other one waits.
"""

import json
import mimetypes
import re
from pathlib import Path
from typing import Literal

import pytest
from conftest import PAGES, ROOT
from playwright.sync_api import Browser, ConsoleMessage, Page, Route
from sphinx.search.en import SearchEnglish
from test_book import Tags
from test_browser import heard, wrong_on_paper
from test_slides import shown

from geomlib.book import plan as plans
from geomlib.course import chapters
from geomlib.course.slides import ENDING

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
SITE = "http://book.test/"
FILES = ["book/index"] + re.findall(r"file:\s*(\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))


class Visit:
    """One page, loaded once, in whatever colour scheme and window; collects what goes wrong."""

    def __init__(self, browser: Browser, built: Path, name: str) -> None:
        self.built, self.problems = built, list[str]()
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.page.on("console", self.console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.context.route("**/*", self.serve)
        self.page.goto(f"{SITE}{name}.html", wait_until="load")
        self.page.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise.then(() => true)")

    def show(self, scheme: Literal["light", "dark"], width: int) -> None:
        """As a reader with this colour scheme and window sees it."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)

    def console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def serve(self, route: Route) -> None:
        """Answer from the built book; what is not in it counts as a problem."""
        url = route.request.url.split("?")[0].split("#")[0]
        file = self.built / url.removeprefix(SITE)
        if url.startswith(SITE) and file.is_file():
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            route.fulfill(body=file.read_bytes(), content_type=kind)
        elif not url.endswith("favicon.ico"):
            self.problems.append(f"asked for {url}")
            route.abort()
        else:
            route.fulfill(status=204)


def test_every_page_is_there_and_loads_nothing_from_outside(built: Path) -> None:
    pages = sorted(built.rglob("*.html"))
    assert {f"book/executed/{name}.html" for name in PAGES} <= {page.relative_to(built).as_posix() for page in pages}
    for page in pages:
        for tag, attributes in Tags(page).found:
            place = attributes.get(LOADED.get(tag, ""), "")
            assert not re.match(r"(https?:)?//", place), f"{page.name} loads {place}"
    for sheet in (built / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import ['\"]?http", sheet.read_text(encoding="utf-8")), sheet


def test_every_figure_has_its_alternative_text_and_caption(built: Path, shared: Path, smallest: dict[str, str]) -> None:
    for name in PAGES:
        text = (built / f"book/executed/{name}.html").read_text(encoding="utf-8")
        images = [attributes for tag, attributes in Tags(built / f"book/executed/{name}.html").found if tag == "img"]
        folder = shared / "results" / plans.make_plan(ROOT, name, smallest, {}).run.name / name
        figures = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["figures"]
        shown = [image.get("alt", "") for image in images]
        for figure, said in figures.items():
            assert said["alt"] in shown, f"{name}: {figure}"
            assert f'id="fig-{name}-{figure}"'.replace("_", "-") in text.replace("_", "-"), f"{name}: {figure}"
        assert text.count("<figcaption") >= len(figures)
        assert 'class="geomlib-table"' in text or "Does not apply" in text


def test_every_figure_of_numbers_offers_them(built: Path, shared: Path, smallest: dict[str, str]) -> None:
    for name in PAGES:
        folder = shared / "results" / plans.make_plan(ROOT, name, smallest, {}).run.name / name
        page = built / f"book/executed/{name}.html"
        places = [one.get("href", "") for tag, one in Tags(page).found if tag == "a"]
        offered = {Path(place).name for place in places if place.endswith(".csv")}
        assert offered == {file.name for file in folder.glob("*.csv")}, name
        assert all((page.parent / place).is_file() for place in places if place.endswith(".csv")), name


def test_the_execution_record_tells_of_every_experiment(built: Path) -> None:
    text = (built / "book/executed/execution_record.html").read_text(encoding="utf-8")
    for name in PAGES:
        assert f'href="{name}.html"' in text
    assert "GiB" in text
    assert "torch" in text


def test_search_finds_every_word_of_the_glossary(built: Path) -> None:
    index = json.loads((built / "searchindex.js").read_text(encoding="utf-8").partition("(")[2].rpartition(")")[0])
    glossary = index["docnames"].index("book/glossary")
    source = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^([^\s:`#].*)\n  \S", source.partition(":::{glossary}")[2], re.MULTILINE)
    assert len(words) > 30 and {"metric tensor", "Jacobian-vector product", "great circle"} <= set(words)
    english = SearchEnglish({})
    for word in words:
        for part in english.split(word):
            stem = english.stem(part.lower())
            pages = index["terms"].get(stem, index["terms"].get(part.lower(), []))
            assert glossary in (pages if isinstance(pages, list) else [pages]) or part.lower() in english.stopwords, (
                word
            )


@pytest.mark.browser
@pytest.mark.parametrize("name", FILES)
def test_page_is_sound(browser: Browser, built: Path, name: str) -> None:
    visit = Visit(browser, built, name)
    page = visit.page
    for scheme, width in (("light", 1280), ("dark", 390)):
        visit.show(scheme, width)
        assert not visit.problems, f"{scheme}, {width} pixels: {visit.problems}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} pixels"
    assert page.locator("mjx-merror").count() == 0, "a formula is not understood"
    for image in page.locator("article img").all():
        alt = image.get_attribute("alt") or ""
        assert alt.strip(), f"{name}: {image.get_attribute('src')} has no alternative text"
        assert not re.search(r"\.(png|svg|jpe?g)$|^\.*/", alt), f"{name}: {alt} is a path"
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert wrong_on_paper(page) == []
    visit.context.close()


@pytest.mark.browser
def test_opens_from_the_disk(browser: Browser, built: Path) -> None:
    page = browser.new_page()
    outside, errors = heard(page)
    page.goto((built / "index.html").as_uri())
    page.wait_for_url("**/book/index.html")
    page.goto((built / "book/executed/metric_tensor.html").as_uri())
    page.wait_for_selector("mjx-container")
    assert not outside
    assert not errors
    page.close()


@pytest.mark.browser
def test_every_chapter_has_its_deck_and_links_to_it(browser: Browser, built: Path) -> None:
    for source in chapters(ROOT):
        deck = built / f"book/executed/{source.stem}{ENDING}"
        assert shown(browser, deck) >= 12, "the chapter's, and its exercises"
        assert f'href="{deck.name}"' in deck.with_name(f"{source.stem}.html").read_text(encoding="utf-8")
        assert f'href="executed/{deck.name}"' in (built / "book/teaching.html").read_text(encoding="utf-8")
