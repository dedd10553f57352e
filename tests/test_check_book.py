"""The checker of the built book finds each kind of fault that is planted, and no other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import Result
from playwright.sync_api import Browser, Page
from typer.testing import CliRunner

from geomlib.book import check as book_check
from geomlib.book.check import accessibility, links, soundness, visits, weight
from geomlib.book.check.browser import serve
from geomlib.book.check.faults import THEME, Fault
from geomlib.cli import app

HEAD = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>{head}</head>'
RULES = ("error", "request", "outside", "width", "formula", "picture")
STYLE = """<style>
  .pale { color: #bbb; background: #fff } .dim { color: #000; background: #fff }
  @media (prefers-color-scheme: dark) { .dim { color: #444; background: #222 } }
  .wide { overflow-x: auto; max-width: 800px } .wide p { width: 700px }
</style>"""


def write(site: Path, name: str, body: str, description: str = "", head: str = "") -> None:
    said = f'<meta name="description" content="{description}">' if description else ""
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    page = HEAD.format(name=name, head=said + head) + f"<body><main><h1>{name}</h1>{body}</main></body></html>"
    (site / name).write_text(page, encoding="utf-8")


def command(place: Path) -> Result:
    """Of a thread of its own: the one of the tests has a browser already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(CliRunner().invoke, app, ["check-book", str(place)]).result()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def read(tab: Page, site: Path, name: str) -> list[Fault]:
    with serve(site) as address:
        return visits.look(tab, address, name, accessibility.script())


def test_links_anchors_downloads_and_descriptions(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    good = '<p id="here"><a href="../index.html#top">a</a> <a href="#here">b</a> <a href="../data.csv?v=1">c</a></p>'
    write(
        tmp_path, "sub/good.html", good + '<a href="https://example.org/x#y">d</a><a href="mailto:a@b">e</a>', "Good."
    )
    bad = '<a id="top" href="sub/gone.html">a</a><a href="sub/good.html#gone">b</a><a href="data%20.csv">c</a>'
    write(tmp_path, "index.html", bad + '<img src="gone.png" alt="d">', "First.")
    write(tmp_path, "same.html", "", "Good.")
    write(tmp_path, "silent.html", "")
    (tmp_path / "forward.html").write_text('<meta http-equiv="Refresh" content="0; url=sub/lost.html">')
    found = {(fault.page, fault.rule, fault.element) for fault in links.faults(links.read(tmp_path))}
    assert found == {
        ("index.html", "link", "sub/gone.html"),
        ("index.html", "anchor", "sub/good.html#gone"),
        ("index.html", "link", "data%20.csv"),
        ("index.html", "link", "gone.png"),
        ("forward.html", "link", "sub/lost.html"),
        ("sub/good.html", "description", "meta"),
        ("silent.html", "description", "meta"),
    }


@pytest.mark.browser
def test_each_kind_of_fault_is_found_where_it_shows(tmp_path: Path, tab: Page) -> None:
    body = (
        '<p class="pale" id="pale">pale in both themes</p><p class="dim" id="dim">dim in the dark</p>'
        '<details><summary>more</summary><p class="pale" id="folded">folded</p></details>'
        '<h4>skips a level</h4><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="><input type="text">'
        '<table><tr><th></th><th scope="col">b</th></tr><tr><td>1</td><td>2</td></tr></table>'
        '<div class="wide"><p>wider than a phone, with words that nobody sees before one scrolls to them</p></div>'
        '<div class="highlight"><pre><span class="k">one</span> <span class="k pale" id="word">two</span></pre></div>'
    )
    write(tmp_path, "bad.html", body, head=STYLE)
    found = read(tab, tmp_path, "bad.html")
    everywhere = {(theme, width) for theme in ("light", "dark") for width in (1280, 375)}
    light, dark = {("light", 1280), ("light", 375)}, {("dark", 1280), ("dark", 375)}

    def shown(rule: str, element: str = "") -> set[tuple[str, int]]:
        return {(one.theme, one.width) for one in found if one.rule == rule and element in one.element}

    for element in ("#pale", "#folded", "#word"):
        assert shown("color-contrast", element) == everywhere, element
    assert shown("color-contrast", "#dim") == dark
    assert shown("scrollable-region-focusable") == {("light", 375)}
    for rule in ("heading-order", "image-alt", "label", "empty-table-header"):
        assert shown(rule) == light, rule
    assert "bad.html  dark  375  color-contrast  #dim" in "\n".join(map(str, found))


@pytest.mark.browser
def test_what_a_reader_would_meet_is_found(tmp_path: Path, tab: Page) -> None:
    body = (
        '<article><p class="broad">wide in a narrow window</p>'
        '<mjx-merror title="Undefined control sequence">x</mjx-merror>'
        '<img src="gone.png" alt="A cat."><img src="dot.svg" alt="images/dot.svg"><img src="dot.svg" alt=" "></article>'
        '<script>console.error("said"); later();</script><script src="http://outside.test/x.js"></script>'
    )
    write(tmp_path, "bad.html", body, head="<style>.broad { width: 500px }</style>")
    (tmp_path / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"/>')
    found = [one for one in read(tab, tmp_path, "bad.html") if one.rule in (*RULES, "print")]
    told = {(one.rule, one.element, one.width) for one in found}
    assert {
        ("width", "html", 375),
        ("formula", "mjx-merror", 0),
        ("picture", "gone.png", 0),
        ("picture", "dot.svg", 0),
        ("request", "gone.png", 0),
        ("outside", "http://outside.test/x.js", 0),
        ("error", "said", 0),
        ("error", "later is not defined", 0),
    } == told
    details = [one.detail for one in found if one.rule == "picture"]
    assert details == ["it cannot be drawn", "its description is 'images/dot.svg'", "its description is ' '"]


@pytest.mark.browser
def test_what_paper_would_lose_is_found(tab: Page) -> None:
    tab.set_content(
        "<article><p style='width: 900px'>a</p><div class='toggle-hidden'>b</div><details><p>c</p></details>"
        "<section class='live'>d</section></article>"
    )
    tab.add_style_tag(content="summary { display: none }")
    rules = [rule for rule, _ in soundness.on_paper(tab)]
    assert rules == ["cut off", "folded", "folded without a word", "an instrument", "no still picture", "width"]
    tab.set_content("<article><p>a</p><details><summary>more</summary><p>c</p></details></article>")
    assert soundness.on_paper(tab) == []


@pytest.mark.browser
def test_a_sound_page_has_no_finding_and_the_theme_has_its_own(tmp_path: Path, tab: Page) -> None:
    assert all(len(reason.split()) > 5 for reason in THEME.values())
    title = '</main><div class="sidebar-primary-item">The title</div><main aria-label="second" hidden>'
    write(tmp_path, "good.html", f'<h2>Two</h2><img src="data:," alt="A dot."><div>Text.</div>{title}', head=STYLE)
    assert read(tab, tmp_path, "good.html") == []
    other = '</main><div class="stray">Outside</div><main aria-label="second" hidden>'
    write(tmp_path, "other.html", other, head=STYLE)
    assert {one.rule for one in read(tab, tmp_path, "other.html")} == {"region"}


@pytest.mark.browser
def test_the_command_tells_what_the_first_page_weighs_and_ends_with_one(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight, "TRIES", 1)
    monkeypatch.setattr(weight, "MOST_SECONDS", 1000.0)
    empty = command(tmp_path / "none")
    assert isinstance(empty.exception, FileNotFoundError) and "make book" in str(empty.exception)
    write(tmp_path, "index.html", "<p>Text.</p>", "First.")
    answer = command(tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "1/1 index.html: 0 found" in answer.output and "nothing found" in answer.output
    (tmp_path / "large.js").write_text("//" + "x" * weight.MOST_BYTES)
    write(tmp_path, "index.html", '<p>Text.</p><script src="large.js"></script>', "First.")
    answer = command(tmp_path)
    assert answer.exit_code == 1 and "index.html  -  -  weight  files: 3.00 MB, at most 3.0" in answer.output
    assert "1 found" in answer.output
    monkeypatch.setattr(weight, "MOST_SECONDS", 0.0)
    assert "weight  seconds" in command(tmp_path).output


def test_a_book_that_is_elsewhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no book in .*: `make book` builds it$"):
        book_check.check(tmp_path / "_build/html")
    write(tmp_path, "_build/mine--z--mse--quick/html/index.html", "")
    with pytest.raises(FileNotFoundError, match=r"builds it; there is another in .*mine--z--mse--quick/html$"):
        book_check.check(tmp_path / "_build/html")
