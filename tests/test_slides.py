"""Slides: what a page has, once and in order; in Chromium from the disk: arrow keys, formulas, all of it in sight."""

import base64
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from playwright.sync_api import Browser

from geomlib.course.slides import slides, write_slides

DOT = base64.b64encode((ROOT / "book/_static/axes.png").read_bytes()).decode()
PAGE = f"""<html><body><article><section id="c"><h1>2 · A chapter<a class="headerlink" href="#c">#</a></h1>
<p><em>About 20 minutes.</em></p>
<div class="tip admonition"><p class="admonition-title">This chapter</p><dl><dt>Questions</dt><dd>Which?</dd></dl></div>
<section id="one"><h2>Lengths<a class="headerlink" href="#one">#</a></h2><p>Running text.</p>
<div class="proof definition admonition" id="def"><p class="admonition-title">Definition 1</p>
<section class="definition-content" id="proof-content">
<p>A length <span class="math">\\(\\sqrt{{v^\\top g v}}\\)</span></p></section></div>
<div class="proof admonition" id="proof"><p>By the chain rule.</p></div>
<figure id="fig"><img alt="Faces." src="data:image/png;base64,{DOT}">
<figcaption><p>Fig. 1 Faces. <span class="figure-data"><a href="x.csv">data (CSV)</a></span></p></figcaption></figure>
<div class="warning admonition"><p class="admonition-title">Misconception: long</p><p>{"Many words. " * 250}</p></div>
</section>
<section id="two"><h2>Text alone</h2><p>First words.</p><p>More words.</p></section>
<section id="three"><h2>Exercises</h2>
<div class="exercise admonition" id="ex"><p class="admonition-title">Exercise (2.1)</p>
<section><p>Derive it.</p></section></div>
<div class="solution dropdown admonition"><p>The answer is seven.</p><figure><img alt="x" src="x.png"></figure></div>
</section>
</section></article></body></html>"""


def test_each_statement_figure_and_exercise_has_one_slide() -> None:
    deck = BeautifulSoup(slides(PAGE, "course_2.html", "static"), "html.parser")
    found = [one.get_text(" ", strip=True) for one in deck.select(".slides > section")]
    assert [text[:22] for text in found] == [
        "2 · A chapter About 20", "2 · A chapter This cha", "Lengths Definition 1 A", "Lengths Fig. 1 Faces.",
        "Lengths Misconception:", "Text alone First words", "Exercises Exercise (2.",
    ]  # fmt: skip
    whole = " ".join(found)
    assert all(text not in whole for text in ("seven", "chain rule", "data (CSV)", "#", "More words"))
    assert deck.select_one(".slides > section a")["href"] == "course_2.html"
    assert not deck.select(".slides [id]")
    assert deck.select_one('meta[name="description"]')["content"].startswith("Slides of the chapter 2 · A chapter")
    with pytest.raises(ValueError, match="x.html: no chapter"):
        slides("<html></html>", "x.html", "static")


def shown(browser: Browser, deck: Path) -> int:
    """Goes through a deck with the arrow keys; returns the number of its slides."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if not one.url.startswith(("file:", "data:")) else None)
    page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: problems.append(str(one)))
    page.goto(deck.as_uri())
    page.wait_for_selector("html[data-slides=ready]", state="attached")
    count = int(page.evaluate("Reveal.getTotalSlides()"))
    for number in range(count):
        assert page.evaluate("Reveal.getState().indexh") == number
        size = page.evaluate("(({scrollWidth, scrollHeight}) => [scrollWidth, scrollHeight])(Reveal.getCurrentSlide())")
        assert size[0] <= 1280 and size[1] <= 720, f"{deck.name}, slide {number + 1}: {size}"
        formulas = "(slide => [slide.querySelectorAll('.math').length, slide.querySelectorAll('mjx-container').length])"
        there, drawn = page.evaluate(f"{formulas}(Reveal.getCurrentSlide())")
        assert drawn >= there
        page.keyboard.press("ArrowRight")
    assert page.locator("mjx-merror").count() == 0
    assert page.evaluate("Reveal.isLastSlide()")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("Reveal.getState().indexh") == count - 2
    assert not asked and not problems
    page.close()
    return count


@pytest.mark.browser
def test_a_deck_opens_from_the_disk_and_fits(browser: Browser, tmp_path: Path) -> None:
    pages = tmp_path / "book/executed"
    pages.mkdir(parents=True)
    (pages / "course_2_x.html").write_text(PAGE, encoding="utf-8")
    shutil.copytree(ROOT / "book/_static", tmp_path / "_static")
    [deck] = write_slides(pages)
    assert write_slides(pages) == [deck], "a deck is no chapter"
    assert shown(browser, deck) == 7
