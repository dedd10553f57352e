"""Building the book: what it holds, what a build that fails leaves, and what it is built from."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from conftest import PAGES, ROOT, SETUP, write_notebook

from geomlib import course
from geomlib.book import build as book
from geomlib.book import highlights, notebook, runner
from geomlib.book import plan as plans


class Tags(HTMLParser):
    """Start tags of a page with their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))


def toc(*pages: str) -> str:
    chapters = "".join(f"  - file: {page}\n" for page in pages)
    return f"format: jb-book\nroot: book/index\nchapters:\n{chapters}"


@pytest.fixture
def toy_book(toy: Path, warm: None) -> Path:
    """A project with a landing page and one cheap experiment."""
    shutil.copytree(ROOT / "book" / "_static", toy / "book" / "_static")
    shutil.copyfile(ROOT / "book" / "references.bib", toy / "book" / "references.bib")
    (toy / "book" / "index.md").write_text("# Landing\n\nSee {cite}`wang2021geometry` and {numref}`fig-toy-line`.\n")
    (toy / "book" / "bibliography.md").write_text("# Bibliography\n\n```{bibliography}\n```\n")
    (toy / "_toc.yml").write_text(toc("book/executed/toy", "book/executed/execution_record", "book/bibliography"))
    return toy


def test_the_first_edition_shows_what_is_there_and_the_last_one_all(
    toy_book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = "import time\nfrom pathlib import Path\nwhile not Path('_build/html/index.html').exists(): time.sleep(0.1)"
    write_notebook(toy_book, "late", SETUP, waits)
    (toy_book / "_toc.yml").write_text(toc("book/executed/toy", "book/executed/late", "book/executed/execution_record"))
    (toy_book / "book/index.md").write_text("# Landing\n")
    monkeypatch.setattr("geomlib.book.site.FIRST_AFTER", 0)
    first: list[str] = []

    def say(line: str) -> None:
        if "can be read" in line:
            first.append(line)
            pages = toy_book / "_build/html/book"
            first.append((pages / "executed/late.html").read_text() + (pages / "index.html").read_text())
            assert "being computed" not in (pages / "executed/toy.html").read_text()

    page = book.build(say=say)
    assert first[0].startswith("book: 1 of 2 pages") and "being computed" in first[1] and "still being made" in first[1]
    pages = page.parent / "book"
    assert "being computed" not in (pages / "executed/late.html").read_text()
    assert "still being made" not in (pages / "index.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_edition_ends_with_the_book_that_is_told_to_end(toy_book: Path, number: signal.Signals) -> None:
    write_notebook(toy_book, "late", SETUP, "import time; time.sleep(600)")
    (toy_book / "_toc.yml").write_text(toc("book/executed/toy", "book/executed/late", "book/executed/execution_record"))
    code = "from geomlib.book import site; site.FIRST_AFTER = 0; from geomlib.cli import main; main()"
    book_process = subprocess.Popen(
        [sys.executable, "-c", code, "book"],
        cwd=toy_book,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 120
    while not list(toy_book.glob("_build/.*/log")) and time.monotonic() < limit:
        time.sleep(0.2)
    time.sleep(1)
    processes = psutil.Process(book_process.pid).children(recursive=True)
    assert any("jupyter_book" in " ".join(one.cmdline()) for one in processes)
    book_process.send_signal(number)
    book_process.wait(30)
    assert not psutil.wait_procs(processes, timeout=10)[1], "all have ended"
    # Slow machines: an edition that was finished before it was told to end is whole.
    assert all((place / "index.html").exists() for place in toy_book.glob("_build/[!.]*"))
    assert not list(toy_book.glob("_build/.*")) and not list(toy_book.glob("results/*/.*"))


def test_a_highlight_needs_the_numbers_that_it_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prose = tmp_path / "book/highlights/toy.md"
    prose.parent.mkdir(parents=True)
    prose.write_text("Judged: {glue:text}`executed/toy.ipynb::ratio:.1f` times.\n")
    summary = tmp_path / "toy/summary.json"
    summary.parent.mkdir()
    summary.write_text(json.dumps({"numbers": {"ratio": 2.0}, "figures": {}}))
    assert highlights.text([summary.parent]).startswith("Judged")
    summary.write_text(json.dumps({"numbers": {"other": 2.0}, "figures": {}}))
    assert "Judged" not in highlights.text([summary.parent])


def figure_offers_its_data(page: Path) -> None:
    [link] = [one for tag, one in Tags(page).found if tag == "a" and one.get("href", "").endswith(".csv")]
    assert "download" in link and not re.match(r"\w+:", link["href"])
    rows = (page.parent / link["href"]).resolve().read_text(encoding="utf-8").splitlines()
    assert rows[0] == "kind,x,y" and len(rows) == 4
    assert float(rows[1].split(",")[2]) == pytest.approx(0.6369617), "the first number of the generator with seed 0"


def test_book_is_built_once_and_a_failing_build_leaves_it(toy_book: Path) -> None:
    lines: list[str] = []
    page = book.build(say=lines.append)
    assert page == toy_book / "_build/html/index.html"
    assert page.is_file()
    figure_offers_its_data(page.parent / "book/executed/toy.html")
    lines.clear()
    book.build(say=lines.append)
    assert lines == ["toy: unchanged", "book: unchanged"]

    before = page.read_bytes()
    (toy_book / "book/index.md").write_text("# Landing\n\n{numref}`no-such-figure`\n")
    with pytest.raises(book.BookError, match="no-such-figure"):
        book.build(say=lines.append)
    write_notebook(toy_book, "toy", SETUP, "1 / 0")
    with pytest.raises(runner.NotebookError, match="ZeroDivisionError"):
        book.build(say=lines.append)
    assert page.read_bytes() == before
    assert [path.name for path in (toy_book / "_build").glob("[!.]*")] == ["html"]


def test_another_run_has_a_folder_of_its_own_and_what_does_not_apply_says_so(toy_book: Path) -> None:
    write_notebook(toy_book, "toy", SETUP, "out.does_not_apply('a torus has no factors')", "1 / 0")
    (toy_book / "book/index.md").write_text("# Landing\n\n{cite}`wang2021geometry`\n")
    page = book.build(settings={"generator": "torus"})
    assert page == toy_book / "_build/torus--z--mse--quick/html/index.html"
    text = (page.parent / "book/executed/toy.html").read_text(encoding="utf-8")
    assert re.search("admonition-title.*Does not apply", text)
    assert "a torus has no factors" in text


def test_an_executed_notebook_with_an_error_is_refused(project: Path) -> None:
    folder = project / "results/run/toy"
    folder.mkdir(parents=True)
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [error]}
    (folder / "toy.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}}))
    with pytest.raises(book.BookError, match="holds an error"):
        book.collect([folder])


def test_the_execution_record_says_what_a_page_is_about(toy: Path) -> None:
    settings = {"generator": "shapes-biggan", "space": "noise", "options": "class_index=2"}
    plan = runner.make_plan(toy, "toy", settings, {})
    one = {
        "experiment": "toy", "parameters": plan.parameters | {"distance": ""}, "about": dataclasses.asdict(plan.run),
        "seed": 0, "seconds": 1.0, "peak_memory": None, "commit": None, "dirty": None, "device": "x", "threads": 1,
        "cores": 2, "versions": {"torch": "2"},
    }  # fmt: skip
    own = plan.run.distance
    assert f"| {{doc}}`toy <toy>` | shapes-biggan, noise, class_index=2 | {own} | 3 | 0 |" in book.execution_record(
        [one]
    )
    about_none = one | {"parameters": {}}
    assert "| {doc}`toy <toy>` | – | – | – | 0 |" in book.execution_record([about_none])


def test_committed_book_runs_the_planned_experiments() -> None:
    assert {"metric_tensor", "top_eigenvectors", "anisotropy", "homogeneity"} <= set(PAGES)
    assert [path.stem for path in course.chapters(ROOT)] == [name for name in PAGES if name.startswith("course_")]
    assert all(plans.source_of(ROOT, name).is_file() for name in PAGES), "_toc.yml names a notebook that is not there"
    assert all(notebook.read(plans.source_of(ROOT, name))["cells"] for name in PAGES)


def test_pages_are_read_from_the_table_of_contents_as_yaml(tmp_path: Path) -> None:
    """Names of any kind, quoted or not, with an ending or not, in sections; comments and other files do not count."""
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n- chapters:\n  - file: book/executed/my-page.v2\n"
        "    sections: [{file: 'book/executed/two words'}]\n  - {file: \"book/executed/third.ipynb\"}\n"
        "  # - file: book/executed/left_out\n  - file: book/other\n  - file: book/executed/execution_record\n"
    )
    assert book.pages(tmp_path) == ["my-page.v2", "two words", "third"]
    (tmp_path / "_toc.yml").write_text("a: [")
    with pytest.raises(ValueError, match="^_toc.yml is no YAML: "):
        book.pages(tmp_path)
