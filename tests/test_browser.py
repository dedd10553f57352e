"""A book in headless Chromium: the zip from the disk, the PDF with bookmarks and links."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, load_script
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from geomlib.book import build, site

pytestmark = pytest.mark.browser


@pytest.fixture
def small_book(toy: Path) -> Path:
    """The folder of a book of one experiment, whose first page offers it as a zip."""
    shutil.copytree(ROOT / "book/_static", toy / "book/_static")
    shutil.copyfile(ROOT / "book/references.bib", toy / "book/references.bib")
    [offer] = re.findall(r'^<p class="whole-book">.*?</p>$', (ROOT / "book/index.md").read_text(), re.M | re.S)
    (toy / "book/index.md").write_text(
        f"# Landing\n\n{offer}\n\nSee {{doc}}`executed/toy`, {{cite}}`wang2021geometry`.\n"
    )
    (toy / "book/bibliography.md").write_text("# Bibliography\n\n```{bibliography}\n```\n")
    chapters = ("book/executed/toy", "book/executed/execution_record", "book/bibliography")
    lines = "".join(f"  - file: {name}\n" for name in chapters)
    (toy / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{lines}")
    return build.build(say=lambda line: None).parent


def heard(page: Page) -> tuple[list[str], list[str]]:
    """What a page asks for outside of the disk, and the errors of its console, from now on."""
    outside: list[str] = []
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: outside.append(request.url) if request.url.startswith("http") else None)
    return outside, errors


def test_the_zip_opens_from_the_disk_and_has_all_but_itself(browser: Browser, small_book: Path, tmp_path: Path) -> None:
    [offered] = re.findall(
        r'<p class="whole-book">.*?href="([^"]+)"', (small_book / "book/index.html").read_text(), re.S
    )
    place = (small_book / "book" / offered).resolve()
    assert place.parent == small_book
    zipfile.ZipFile(place).extractall(tmp_path / "unpacked")
    [folder] = (tmp_path / "unpacked").iterdir()
    inside = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    assert inside == {file.relative_to(small_book) for file in small_book.rglob("*") if file.is_file()} - {
        Path(place.name)
    }
    page = browser.new_page()
    outside, errors = heard(page)
    page.goto((folder / "index.html").as_uri())
    page.wait_for_url("**/book/index.html")
    assert page.locator(".whole-book").count() == 0, "a link to a file that is not there"
    page.get_by_role("link", name="toy", exact=True).first.click()
    page.wait_for_selector("figure img")
    assert page.locator("figure img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    with page.expect_download() as download:
        page.get_by_role("link", name="data (CSV)").click()
    assert Path(download.value.path()).read_text().startswith("kind,x,y\n")
    assert not outside and not errors
    page.close()
    before = place.read_bytes()
    assert site.pack(small_book).read_bytes() == before, "equal books give equal files"


def test_the_book_is_printed_with_bookmarks_and_links(browser: Browser, small_book: Path, tmp_path: Path) -> None:
    script = load_script("book/print_book.py")
    sheets = script.bind(browser, small_book, small_book.parents[1] / "_toc.yml", tmp_path / "book.pdf")
    reader = PdfReader(tmp_path / "book.pdf")
    assert len(reader.pages) == sheets >= 4
    titles = [one.title for one in reader.outline if not isinstance(one, list)]
    assert titles == ["Landing", "toy", "Execution record", "Bibliography"]
    text = [page.extract_text() for page in reader.pages]
    toy = reader.get_destination_page_number(reader.outline[titles.index("toy")])
    assert "The top is 0.64" in " ".join(text[toy].split()) and "data (CSV)" not in text[toy]
    assert text[toy].split()[-1] == str(toy + 1), "its number at the foot"
    actions = [note.get_object().get("/A", {}) for page in reader.pages for note in page.get("/Annots", [])]
    assert any(action.get("/S") == "/GoTo" for action in actions)
    assert not [one for one in actions if str(one.get("/URI", "")).startswith(("file:", script.SITE))]
    assert str(ROOT).encode() not in (tmp_path / "book.pdf").read_bytes()
