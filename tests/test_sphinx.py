"""The way out of Jupyter Book: plain Sphinx builds the pages, with the same head that every page of the book has."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from docutils import nodes
from docutils.core import publish_doctree

from geomlib.book.extension import LONGEST, description, fold_together, lead_first

INDEX = """# Two pages

**The claim** ({cite}`wang2021geometry`, Figure 2). A page without formulas says so, and loads nothing to draw them.

| Name | What |
|---|---|
| a | {doc}`formulas` |
"""
FORMULAS = (
    "# Formulas\n\n*About ten minutes.*\n\nThe metric is $H = 2 J^\\top J$, and nothing else on this page is one.\n"
)


def test_plain_sphinx_builds_the_book_from_the_same_configuration(project: Path) -> None:
    (project / "book").mkdir()
    shutil.copytree(ROOT / "book" / "_static", project / "book" / "_static")
    shutil.copyfile(ROOT / "book" / "references.bib", project / "book" / "references.bib")
    (project / "book" / "index.md").write_text(INDEX)
    (project / "book" / "formulas.md").write_text(FORMULAS)
    (project / "book" / "bibliography.md").write_text("# Bibliography\n\n```{bibliography}\n```\n")
    chapters = "chapters:\n- file: book/formulas\n  sections:\n  - file: book/bibliography\n"
    (project / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\n{chapters}")
    settings = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "config", "sphinx", "."]
    subprocess.run(settings, check=True, capture_output=True)
    sphinx = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-b", "html", ".", "html"]
    answer = subprocess.run(sphinx, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    first, second, third = (
        Path("html/book", f"{name}.html").read_text() for name in ("index", "formulas", "bibliography")
    )
    said = [re.findall(r'<meta [^>]*name="description"[^>]*>', page) for page in (first, second, third)]
    assert '"A page without formulas says so, and loads nothing to draw them."' in said[0][0]
    assert '"The metric is H = 2 Jᵀ J, and nothing else' in said[1][0]
    assert [len(tags) for tags in said] == [1, 1, 1]
    assert "tex-svg.js" in second and "MathJax" not in first + third
    assert "<summary aria-label=" in first and "<summary>" not in first
    assert 'class="pst-scrollable-table-container" tabindex="0"' in first
    icons = next(Path("html/_static/vendor/fontawesome").glob("*/js/all.min.js"))
    text = icons.read_text()
    used = set(re.findall(r"\bfa-([a-z0-9-]+)", first + second)) - {"solid", "regular", "lg"}
    assert used and all(re.search(rf'[{{,"]{name}"?:\[\d|\["[^\]]*\b{name}"', text) for name in used)
    assert icons.stat().st_size < 100_000 and not list(icons.parents[1].glob("webfonts"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("*A remark, which is not what the page is about at all.*\n\nWhat the page is about comes second.", 1),
        ("A first sentence that is long enough to stand alone. " + "And words " * 30, 2),
        ("word " * 100, 3),
        (".. note:: what stands in a box is not what the page begins with\n\n* a list", 4),
    ],
)
def test_a_description_is_the_first_sentences_in_plain_text(source: str, expected: int) -> None:
    document: nodes.document = publish_doctree(source)
    text = description(document)
    assert len(text) <= LONGEST and "\n" not in text
    if expected == 1:
        assert text == "What the page is about comes second."
    elif expected == 2:
        assert text == "A first sentence that is long enough to stand alone."
    elif expected == 3:
        assert text.endswith("word…") and len(text) > LONGEST - 10
    else:
        assert text == ""


def test_what_leads_comes_before_the_method() -> None:
    """Cells tagged so that show something come before all others; one that shows nothing stays where it is."""

    def cell(text: str, tag: str, kind: str = "cell_output") -> nodes.container:
        part = nodes.container("", nodes.paragraph("", text), classes=[kind])
        return nodes.container("", part, classes=["cell", tag])

    method = nodes.section("", nodes.title("", "Method"), cell("found", "tag_lead"), cell("made", "tag_other"))
    silent, drawn = cell("silent", "tag_lead", "cell_input"), cell("drawn", "tag_lead")
    document = publish_doctree("Title\n=====\n\nClaim.\n")
    document += [cell("a", "tag_other"), silent, method, drawn]
    lead_first(document)
    order = [node.astext() for node in document.findall(nodes.TextElement)]
    assert order == ["Title", "Claim.", "found", "drawn", "a", "silent", "Method", "made"]
    alone = publish_doctree("Title\n=====\n")
    alone += cell("found", "tag_lead")
    lead_first(alone)
    assert alone.astext().split() == ["Title", "found"]


def test_folded_cells_without_a_picture_between_them_are_one() -> None:
    """In their order, under the next folded one; an open cell, a picture or a text between them keeps them apart."""

    def cell(code: str, tag: str = "tag_hide-input", shown: str = "") -> nodes.container:
        parts = [nodes.container("", nodes.literal_block("", code), classes=["cell_input"])]
        parts += [nodes.container("", nodes.paragraph("", shown), classes=["cell_output"])] if shown else []
        return nodes.container("", *parts, classes=["cell", tag])

    document = publish_doctree("Title\n=====\n")
    document += [cell("a"), cell("b"), cell("c", shown="picture"), cell("d"), nodes.paragraph("", "text"), cell("e")]
    document += [cell("f", tag="tag_other"), nodes.section("", nodes.title("", "Next"), cell("g"))]
    fold_together(document)
    cells = [one for one in document.findall(nodes.container) if "cell" in one["classes"]]
    assert [one.astext().split() for one in cells] == [["a", "b", "c", "picture"], ["d"], ["e"], ["f"], ["g"]]
    assert [len(one) for one in cells] == [2, 1, 1, 1, 1]  # one input each
