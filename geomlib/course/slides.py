"""Slides of a chapter, taken from its page in the built book: no text has a second copy.

The structure of the page decides: the title, what the chapter asks, and of each section its definitions and statements,
misconceptions, figures and key points, one slide each; the exercises at the end, without their answers.  Sphinx loads
this module as an extension.
"""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

ENDING = "_slides.html"
STATEMENTS = ("definition", "theorem", "proposition", "lemma", "corollary", "example", "remark")
SHOWN = ", ".join((*(f"div.proof.{kind}" for kind in STATEMENTS), "figure", "div.admonition.warning"))
SHOWN += ", div.admonition.important, div.exercise"
ANSWERS = "div.solution, details, div.toggle, .figure-data, a.headerlink"
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Slides of the chapter {title}, one for each statement, figure and exercise.">
<title>{title} · slides</title>
<link rel="stylesheet" href="{static}/reveal/reveal.css">
<link rel="stylesheet" href="{static}/slides.css">
<script>window.MathJax = {{options: {{ignoreHtmlClass: "slides", processHtmlClass: "math"}}}};</script>
<script src="{static}/mathjax/tex-svg.js"></script>
<script src="{static}/reveal/reveal.js"></script>
<script src="{static}/slides.js" defer></script>
</head>
<body>
<main><div class="reveal"><div class="slides">
{slides}
</div></div></main>
</body>
</html>
"""


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls: slides are made when the pages are."""
    app.connect("build-finished", lambda app, error: None if error else write_slides(Path(app.outdir, "book/executed")))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_slides(pages: Path, static: str = "../../_static") -> list[Path]:
    """Lay beside each built page of a chapter, `course_*.html`, its slides; returns their files.

    Args:
        pages: the folder of the pages.
        static: where the book's static files are, as seen from there.
    """
    made = []
    for page in sorted(pages.glob("course_*.html")):
        if not page.name.endswith(ENDING):
            deck = page.with_name(f"{page.stem}{ENDING}")
            deck.write_text(slides(page.read_text(encoding="utf-8"), page.name, static), encoding="utf-8", newline="\n")
            made.append(deck)
    return made


def slides(page: str, address: str, static: str) -> str:
    """The slides of one page.

    Args:
        page: HTML as Sphinx wrote it.
        address: of the page, for the link on the first slide.
        static: where the book's static files are.

    Raises:
        ValueError: the page is no chapter.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    chapter = soup.select_one("article > section")
    if chapter is None or chapter.h1 is None:
        raise ValueError(f"{address}: no chapter")
    for one in chapter.select(ANSWERS):
        one.decompose()
    title = chapter.h1.get_text().strip()
    about = chapter.select_one("section > p")
    told = about.decode_contents() if about else ""
    link = f'<p><a href="{address}">The chapter</a> · arrow keys move, <kbd>O</kbd> shows all slides</p>'
    made = [f"<section><h1>{html.escape(title)}</h1><p>{told}</p>{link}</section>"]
    made += [_slide(soup, chapter.h1, box) for box in chapter.select(":scope > div.admonition.tip")[:1]]
    for section in chapter.find_all("section", recursive=False):
        shown = [one for one in section.select(SHOWN) if one.find_parent(["figure", "div"], class_="proof") is None]
        first = [] if shown else section.find_all("p", recursive=False)[:1]
        made += [_slide(soup, section.find("h2"), one) for one in [*shown, *first]]
    return _PAGE.format(title=html.escape(title), static=static, slides="\n".join(made))


def _slide(soup: "BeautifulSoup", heading: "Tag | None", content: "Tag") -> str:
    """One slide: the section's heading, and what is shown under it."""
    slide = soup.new_tag("section")
    if heading:
        top = soup.new_tag("h2")
        top.extend([part.__copy__() for part in heading.contents])
        slide.append(top)
    copied = content.__copy__()
    for one in [copied, *copied.find_all(True)]:
        del one["id"]  # those of two slides may be one
    slide.append(copied)
    return str(slide)
