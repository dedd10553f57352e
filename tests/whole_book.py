"""The book that `make book` has built is complete and captioned, and its decks can be shown.

`make check-book` runs this file after it has opened every page; `make test` does not, as there may be no book yet.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import PAGES, ROOT
from playwright.sync_api import Browser
from sphinx.search.en import SearchEnglish
from test_book import Tags
from test_browser import heard
from test_slides import shown

from geomlib.course import chapters
from geomlib.course.slides import ENDING

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


@pytest.fixture(scope="module")
def built() -> Path:
    place = ROOT / "_build/html"
    assert (place / "index.html").is_file(), "`make book` builds it"
    return place


@pytest.fixture(scope="module")
def executed() -> dict[str, nbformat.NotebookNode]:
    """The executed notebook of each page of an experiment or a chapter."""
    return {name: nbformat.read(ROOT / f"book/executed/{name}.ipynb", as_version=4) for name in PAGES}


def figures(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, str, bool]]:
    """Name, description and whether it has numbers to offer, of each figure that a notebook shows."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            said = output.get("metadata", {})
            if "figure" in said.get("geomlib", {}):
                yield said["geomlib"]["figure"], said["image/png"]["alt"], "data" in said["geomlib"]


def test_every_page_is_there_and_loads_nothing_from_outside(built: Path) -> None:
    pages = sorted(built.rglob("*.html"))
    assert {f"book/executed/{name}.html" for name in PAGES} <= {page.relative_to(built).as_posix() for page in pages}
    for page in pages:
        for tag, attributes in Tags(page).found:
            place = attributes.get(LOADED.get(tag, ""), "")
            assert not re.match(r"(https?:)?//", place), f"{page.name} loads {place}"
    for sheet in (built / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import ['\"]?http", sheet.read_text(encoding="utf-8")), sheet


def test_every_figure_has_its_description_caption_and_numbers(
    built: Path, executed: dict[str, nbformat.NotebookNode]
) -> None:
    for name, notebook in executed.items():
        page = built / f"book/executed/{name}.html"
        text, tags = page.read_text(encoding="utf-8"), Tags(page).found
        described = [one.get("alt", "") for tag, one in tags if tag == "img"]
        offered = [one.get("href", "") for tag, one in tags if tag == "a" and one.get("href", "").endswith(".csv")]
        shown = list(figures(notebook))
        for figure, alt, _ in shown:
            assert alt in described, f"{name}: {figure}"
            assert f'id="fig-{name}-{figure}"'.replace("_", "-") in text.replace("_", "-"), f"{name}: {figure}"
        assert text.count("<figcaption") >= len(shown)
        assert {Path(place).stem for place in offered} == {figure for figure, _, data in shown if data}, name
        assert all((page.parent / place).is_file() for place in offered), name
        assert 'class="geomlib-table"' in text or "Does not apply" in text


def test_what_was_found_stands_before_the_method_and_the_notebook_in_its_order(
    built: Path, executed: dict[str, nbformat.NotebookNode]
) -> None:
    found = 0
    for name, notebook in executed.items():
        text = (built / f"book/executed/{name}.html").read_text(encoding="utf-8")
        if "What we found." in text:
            found += 1
            headings = [one.start() for one in re.finditer(r'<h2>[^\n]*class="headerlink"', text)]
            assert text.index("What we found.") < min(headings, default=len(text)), name
        offered = nbformat.read(built / f"_sources/book/executed/{name}.ipynb", as_version=4)
        assert [cell.source for cell in offered.cells] == [cell.source for cell in notebook.cells], name
        counts = [cell.execution_count for cell in offered.cells if cell.get("execution_count")]
        assert counts == sorted(counts), name
    assert found > 20


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
