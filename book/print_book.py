"""Print the built book into one PDF with bookmarks: Chromium prints each page, pypdf binds them.

Call as `python book/print_book.py` in the project, after `geomlib book`; `make pdf` does both.
"""

import argparse
import io
import mimetypes
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import yaml
from playwright.sync_api import Browser, Page, Route
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject

from geomlib.book.check.browser import chromium

SITE = "http://book.invalid/"  # the address under which the browser sees the folder: no path of this machine is printed
MARGIN = {"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"}
FOOT = (
    '<div style="font-size: 8px; color: #57606a; width: 100%; padding: 0 15mm; text-align: {}">'
    '<span class="{}"></span></div>'
)
# The list of contents has become bookmarks; code that a page folds stays out, and what it unfolds is there at once.
STYLE = """
#jb-print-toc, .whole-book, article details.hide { display: none !important }
article pre, article div[class*="highlight"], article .cell_input {
  break-inside: auto !important; display: block !important
}
article h1 { margin-bottom: 1rem !important }
* { animation: none !important; transition: none !important }
mjx-container svg > g { stroke: none } /* a line of no width would be drawn as a thin one */
"""


def parts(toc: Path) -> Iterator[tuple[str, list[str]]]:
    """Caption and pages of each part, in the order of the table of contents; the first page stands alone."""

    def files(chapters: Sequence[dict[str, Any]]) -> Iterator[str]:
        for chapter in chapters:
            if "file" in chapter:
                yield chapter["file"]
            yield from files(chapter.get("sections", []))

    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    yield "", [content["root"]]
    for part in content.get("parts") or [{"chapters": content.get("chapters", [])}]:
        yield part.get("caption", ""), list(files(part["chapters"]))


def serve(site: Path, route: Route) -> None:
    """Answer from the folder of the site, and from nowhere else."""
    file = site / route.request.url.split("?")[0].split("#")[0].removeprefix(SITE)
    if route.request.url.startswith(SITE) and file.is_file():
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        route.fulfill(body=file.read_bytes(), content_type=kind)
    else:
        route.fulfill(status=404)


def printed(page: Page, name: str) -> tuple[str, bytes]:
    """Title and PDF of one page, with its formulas drawn, its pictures there, and what is folded unfolded."""
    page.goto(f"{SITE}{name}.html", wait_until="load")
    page.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise.then(() => true)", timeout=120_000)
    page.add_style_tag(content=STYLE)
    page.evaluate("document.querySelectorAll('article details').forEach(one => { one.open = true })")
    page.evaluate("""Promise.all([...document.images].map(image => {
        image.loading = 'eager';
        return image.decode().catch(() => null);
    }))""")
    title = str(page.evaluate("document.querySelector('article h1')?.firstChild?.textContent ?? document.title"))
    page.evaluate("title => { document.title = title }", title)
    return title, on_paper(page, "left", "title", outline=True, tagged=True, print_background=True, scale=0.8)


def on_paper(page: Page, side: str, word: str, **options: Any) -> bytes:
    """The PDF of a page, with its title or its number at the foot."""
    foot = {"header_template": "<span></span>", "footer_template": FOOT.format(side, word)}
    return page.pdf(format="A4", margin=MARGIN, display_header_footer=True, **foot, **options)


def number(page: Page, writer: PdfWriter) -> None:
    """Number all sheets, from 1 on: with the feet of as many empty ones."""
    page.set_content("<p style='break-after: page'>&nbsp;</p>" * (len(writer.pages) - 1) + "&nbsp;")
    for sheet, empty in zip(
        writer.pages, PdfReader(io.BytesIO(on_paper(page, "right", "pageNumber"))).pages, strict=True
    ):
        sheet.merge_page(empty)


def bind(browser: Browser, site: Path, toc: Path, out: Path) -> int:
    """Print all pages and bind them; returns the number of sheets."""
    page = browser.new_context(color_scheme="light").new_page()
    page.route("**/*", lambda route: serve(site, route))
    writer, begins = PdfWriter(), dict[str, int]()
    for caption, names in parts(toc):
        part = None
        for name in names:
            start = time.monotonic()
            title, content = printed(page, name)
            begins[name] = len(writer.pages)
            writer.append(io.BytesIO(content), import_outline=False)
            if caption and part is None:
                part = writer.add_outline_item(title=caption, page_number=begins[name])
            chapter = writer.add_outline_item(title=title, page_number=begins[name], parent=part)
            sections = [one for one in PdfReader(io.BytesIO(content)).outline if isinstance(one, list)]
            _outline(writer, PdfReader(io.BytesIO(content)), sections, begins[name], chapter)
            sheets = len(writer.pages) - begins[name]
            print(f"{title}: {sheets} pages in {time.monotonic() - start:.1f} s", flush=True)
    _link(writer, begins)
    number(page, writer)
    writer.add_metadata({"/Title": "The Geometry of Deep Generative Image Models"})
    writer.compress_identical_objects()
    partial = out.with_suffix(".partial")
    writer.write(partial)
    partial.replace(out)
    return len(writer.pages)


def _outline(writer: PdfWriter, reader: PdfReader, outline: Sequence[Any], begin: int, parent: Any) -> None:
    """Sections of a page under its bookmark: the level below its title, and no deeper."""
    for one in outline:
        for item in one:
            if not isinstance(item, list):
                number = reader.get_destination_page_number(item)
                title = str(item.title)
                half = title[: len(title) // 2]  # a heading at the end of a sheet is told twice
                title = half if title == 2 * half else title
                writer.add_outline_item(title=title, page_number=begin + (number or 0), parent=parent)


def _link(writer: PdfWriter, begins: dict[str, int]) -> None:
    """Links to pages of the book lead to them in the PDF; those to its files, which are not there, are taken out."""
    for page in writer.pages:
        kept = ArrayObject()
        for reference in page.get("/Annots") or ():
            action = reference.get_object().get("/A", {})
            address = str(action.get("/URI", ""))
            if address.startswith(SITE):
                name = address.removeprefix(SITE).split("#")[0].removesuffix(".html")
                if name not in begins:
                    continue
                target = writer.pages[begins[name]].indirect_reference
                goto = ArrayObject([target, NameObject("/XYZ"), NumberObject(0), NumberObject(842), NumberObject(0)])
                action = DictionaryObject({NameObject("/S"): NameObject("/GoTo"), NameObject("/D"): goto})
                reference.get_object()[NameObject("/A")] = action
            kept.append(reference)
        if "/Annots" in page:
            page[NameObject("/Annots")] = kept


def fail(what: str) -> NoReturn:
    """End with one line."""
    print(f"print_book: {what}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=Path("_build/html"), help="folder of the built book")
    parser.add_argument("--toc", type=Path, default=Path("_toc.yml"))
    parser.add_argument("--out", type=Path, default=Path("_build/geometry-of-generators.pdf"))
    given = parser.parse_args()
    if not (given.site / "index.html").is_file():
        fail(f"no book in {given.site}; `geomlib book` builds it")
    start = time.monotonic()
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except RuntimeError as error:
            fail(str(error).partition("\n")[0])
        sheets = bind(browser, given.site, given.toc, given.out)
    size = given.out.stat().st_size / 1e6
    print(f"{given.out}: {sheets} pages, {size:.1f} MB, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
