"""What Sphinx does for this book beyond its settings: a description for every page, what was found before how.

Folded cells without a picture between them are one, and nothing is loaded without use.
"""

import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LEAD = "lead"  # the tag of a cell that a reader sees first: what was found, and its picture
LONGEST = 200  # characters of a description; search engines and previews cut there
OWN_TITLES = {"genindex": "Index", "search": "Search"}  # pages that Sphinx makes
_FOLDED = "tag_hide-input"  # the class of a cell whose code is folded
_ICON = re.compile(r"\bfa-([a-z0-9-]+)")
_DRAWING = re.compile(r'"?([\w-]+)"?:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+","[^"]*"\],?')
_IN_BRACKETS = re.compile(r"^ ?\((?:[^()]|\([^()]*\))*\)")
_CITATION = re.compile(r"\s*(?:\(\[[^\]]+\]\)|\[[^\]]+\](?!,))")
_TOGGLE = '<summary><span class="toctree-toggle"'  # of the side bar: a picture without a name
_ASIDE = (nodes.Admonition, nodes.caption, nodes.figure, nodes.footnote, nodes.table, nodes.topic)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("doctree-read", lambda app, document: lead_first(document))
    app.connect("doctree-read", lambda app, document: fold_together(document))
    app.connect("html-page-context", _settle, priority=900)  # after MathJax has put itself there
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lead_first(document: nodes.document) -> None:
    """Move cells tagged ``lead`` that show something right behind what the page begins with, before all other cells.

    On the page alone: the notebook that a reader downloads is in the order in which it runs.
    """
    cells = _cells(document)
    leading = [one for one in cells if f"tag_{LEAD}" in one["classes"] and _shows(one)]
    others = [one for one in cells if one not in leading]
    for cell in leading if others else ():
        cell.parent.remove(cell)
        others[0].parent.insert(others[0].parent.index(others[0]), cell)


def fold_together(document: nodes.document) -> None:
    """Put the code of a folded cell that shows nothing into the folded cell that follows at once: one bar for both."""
    cells = _cells(document)
    for cell in cells:
        after = cell.next_node(descend=False, siblings=True)
        if after in cells and not _shows(cell) and all(_FOLDED in one["classes"] for one in (cell, after)):
            after[0].insert(0, cell[0].children)
            cell.parent.remove(cell)


def _cells(document: nodes.document) -> list[nodes.container]:
    return [one for one in document.findall(nodes.container) if "cell" in one["classes"]]


def _shows(cell: nodes.Element) -> bool:
    return any("cell_output" in part["classes"] for part in cell.children if isinstance(part, nodes.container))


def _settle(app: "Sphinx", name: str, template: str, context: dict[str, Any], document: nodes.document | None) -> None:
    """Describe a page that does not do so itself, load MathJax only where there is maths, mend the body."""
    if 'name="description"' not in (context.get("metatags") or ""):
        title = re.sub(r"<[^>]+>", "", str(context.get("title") or OWN_TITLES.get(name, name)))
        said = (description(document) if document else "") or f"{title}: {app.config.html_title}"
        tag = f'<meta name="description" content="{escape(said)}" />'
        context["metatags"] = f"{context.get('metatags') or ''}\n    {tag}"
    body = context["body"] = _mend(context.get("body") or "")
    # Sphinx takes the first page to hold the maths of all pages that its table of contents names.
    in_titles = any(next(title.findall(nodes.math), None) for title in app.env.titles.values())
    if 'class="math' not in body and not in_titles:
        scripts = context["script_files"]
        scripts[:] = [one for one in scripts if not _is_mathjax(one)]


def _mend(body: str) -> str:
    """What theme and docutils leave out of reach: a table that scrolls takes the keyboard, a role fits its element."""
    scrolls = '<div class="pst-scrollable-table-container"'
    body = body.replace(f"{scrolls}>", f'{scrolls} tabindex="0">')
    return body.replace(' role="doc-biblioentry"', "").replace(
        'role="list" class="citation-list"', 'class="citation-list"'
    )


def _is_mathjax(script: Any) -> bool:
    of_its_own = str(getattr(script, "attributes", {}).get("body") or "")
    return "mathjax" in str(getattr(script, "filename", script) or "").lower() or "MathJax" in of_its_own


def description(document: nodes.document) -> str:
    """What a page begins with, as plain text of at most `LONGEST` letters; "" where it has no running text."""
    for paragraph in document.findall(nodes.paragraph):
        remark = all(isinstance(child, nodes.emphasis) for child in _said(paragraph))
        questions = isinstance(paragraph.parent, nodes.definition)
        if not remark and (questions or not _is_aside(paragraph)):
            text = _cut(_CITATION.sub("", _without_heading(paragraph)))
            if len(text) > 30:
                return text
    return ""


def _is_aside(node: nodes.Node | None) -> bool:
    while node is not None:
        if isinstance(node, _ASIDE):
            return True
        node = node.parent
    return False


def _said(paragraph: nodes.paragraph) -> Iterator[nodes.Node]:
    """The parts of a paragraph; the parser leaves empty ones between them."""
    return (child for child in paragraph.children if child.astext().strip())


def _without_heading(paragraph: nodes.paragraph) -> str:
    """Text of a paragraph without what heads it in bold, as in "**The claim** (who, where). What is claimed."."""
    first = next(_said(paragraph), None)
    text, heading = _plain(paragraph), _plain(first) if isinstance(first, nodes.strong) else ""
    rest = _IN_BRACKETS.sub("", text[len(heading) :])
    return rest.lstrip(".: ") if heading and (heading[-1] in ".?:" or rest[:1] in ".:") else text


def _plain(node: nodes.Node) -> str:
    """Text in one line; formulas without what only TeX reads."""
    parts = []
    for part in node.findall(nodes.Text):
        text = part.astext()
        if isinstance(part.parent, nodes.math):
            text = re.sub(r"\\[a-zA-Z]+|[\\{}$]", "", re.sub(r"\^(\\top\b|T\b)", "ᵀ", text))
        parts.append(text)
    return " ".join("".join(parts).split())


def _cut(text: str) -> str:
    """The first sentences, or the words of the first one, that are no longer than `LONGEST`."""
    if len(text) <= LONGEST and text.endswith((".", "?", "!")):
        return text
    ends = [end.end(1) for end in re.finditer(r"([.?!])(?= [A-Z(])", text) if 40 < end.end(1) <= LONGEST]
    return text[: ends[-1]] if ends else text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def _finish(app: "Sphinx", error: Exception | None) -> None:
    """Take out the icons that no page uses and the theme's wish to load their fonts; name what the side bar unfolds."""
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    used = set[str]()
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        used |= set(_ICON.findall(text))
        better = re.sub(r'<link rel="preload" as="font"[^>]*>\n?', "", text)
        better = better.replace(_TOGGLE, _TOGGLE.replace("<summary", '<summary aria-label="Pages of this part"'))
        if better != text:
            page.write_text(better, encoding="utf-8", newline="\n")
    for script in (site / "_static" / "scripts").glob("*.js"):
        used |= set(_ICON.findall(script.read_text(encoding="utf-8")))
    for folder in (site / "_static" / "vendor" / "fontawesome").glob("*"):
        _reduce_icons(folder, used)


def _reduce_icons(folder: Path, used: set[str]) -> None:
    """Leave of Font Awesome the drawings of the icons in use.

    A script draws them: a browser that opens a page from the disk blocks fonts and complains.
    """

    def keep(match: re.Match[str]) -> str:
        names = {match[1], *re.findall(r'"([\w-]+)"', match[2])}
        return match[0] if names & used else ""

    for script in folder.glob("js/all.min.js"):
        script.write_text(_DRAWING.sub(keep, script.read_text(encoding="utf-8")), encoding="utf-8")
    for style in folder.glob("css/all.min.css"):
        text = re.sub(r"@font-face\{[^}]*\}", "", style.read_text(encoding="utf-8"))
        text = re.sub(r'(?:\.fa-[\w-]+:{1,2}before,?)+\{content:"[^"]*"\}', "", text)
        style.write_text(text, encoding="utf-8")
    shutil.rmtree(folder / "webfonts", ignore_errors=True)
