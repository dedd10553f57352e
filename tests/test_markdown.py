"""Text from outside cannot put markup into a page."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from geomlib._markdown import as_words, without_tags
from geomlib.book import build
from geomlib.findings import Results

BRICKS = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{download}`/etc/passwd`",
        "\\",
        "`",
        "<",
        "|",
        "{",
        "$",
    ]
    + ["<!-- ", "\n:::{include} /etc/passwd\n:::\n", "\n\n", "</div>", "<?php", "a", "$x$"]
)
HOSTILE = st.lists(BRICKS | st.text(max_size=4), max_size=6).map("".join)


def kinds(text: str) -> set[str]:
    """The kinds of markup in a text, as MyST reads it."""
    from markdown_it.renderer import RendererHTML

    parser: MarkdownIt = create_md_parser(MdParserConfig(enable_extensions={"dollarmath"}), RendererHTML)
    found: set[str] = set()
    for block in parser.parse(text):
        found |= {block.type} | {inner.type for inner in block.children or ()}
    return found


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
def test_words_are_no_markup(text: str) -> None:
    harmful = {"html_block", "html_inline", "myst_role", "math_inline", "math_block", "colon_fence", "table_open"}
    assert not kinds(f"A reason: {as_words(text)}") & harmful


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
def test_captions_hold_no_html(text: str) -> None:
    assert not kinds(without_tags(f"A caption: {text}")) & {"html_block", "html_inline"}


def test_what_a_caption_may_hold_stays() -> None:
    caption = "With $a < b$, {doc}`a page` and *emphasis*, 3 < 4."
    assert without_tags(caption) == caption
    assert as_words("run `geomlib fetch x`\n now") == "run `geomlib fetch x` now"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>"])
def test_a_name_stays_a_name_on_a_page(name: str, tmp_path: Path) -> None:
    out = Results(tmp_path)
    figure = Figure((1, 1))
    figure.subplots()
    out.figure("a", figure, caption=f"Images of {name}.", alt=name)
    out.finding(f"Of {name} all.", "", f"And {name}.")
    (beside,) = out.summary["beside the finding"]
    told = out.summary["figures"]["a"]["caption"], out.summary["finding"], beside
    about = {"network": name, "space": "", "options": "", "distance": ""}
    manifest = {"experiment": "toy", "about": about, "parameters": {"generator": name}, "seed": 0, "seconds": 1.0}
    manifest |= {"peak_memory": None, "commit": "", "dirty": False, "device": "cpu", "threads": 1, "cores": 2}
    record = build.execution_record([manifest | {"versions": {}}])
    assert all(name.replace("<", "&lt;").partition(">")[0] in text for text in told)
    assert name.replace("<", "\\<").partition(">")[0] in record
