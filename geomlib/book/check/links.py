"""Links, anchors, downloads and descriptions of a book, read from its files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from geomlib.book.check.faults import Fault

ADDRESSES = ("href", "src", "poster")
HERE = "http://book/"  # stands for the folder of the book while addresses are put together


@dataclass
class Page:
    """What a page holds of links: where they lead, what can be linked to, and what it says of itself."""

    site: Path
    name: str
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    descriptions: list[str] = field(default_factory=list)
    forwards: bool = False  # to another page, at once


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a start tag says."""
        held = {name: value or "" for name, value in attrs}
        self.page.links += [held[name] for name in ADDRESSES if name in held]
        self.page.anchors |= {held[name] for name in (("id", "name") if tag == "a" else ("id",)) if name in held}
        if tag == "meta" and held.get("name") == "description":
            self.page.descriptions.append(" ".join(held.get("content", "").split()))
        if tag == "meta" and held.get("http-equiv", "").lower() == "refresh":
            self.page.forwards = True
            self.page.links.append(held.get("content", "").partition("url=")[2])


def read(site: Path) -> dict[str, Page]:
    """All pages of the folder `site`, by their path in it."""
    pages = {}
    for file in sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts):
        name = file.relative_to(site).as_posix()
        pages[name] = Page(site, name)
        _Reader(pages[name]).feed(file.read_text(encoding="utf-8"))
    return pages


def faults(pages: Mapping[str, Page]) -> list[Fault]:
    """What leads nowhere, and pages that do not say what they are, or say the same as another."""
    return [*_broken(pages), *_undescribed(pages)]


def _broken(pages: Mapping[str, Page]) -> Iterator[Fault]:
    for page in pages.values():
        for link in dict.fromkeys(page.links):
            there = urlsplit(urljoin(HERE + page.name, link))
            if f"{there.scheme}://{there.netloc}/" != HERE:
                continue
            name, anchor = unquote(there.path).lstrip("/"), unquote(there.fragment)
            file = page.site / name
            if not file.is_file():
                yield Fault(page.name, "link", link, detail="no such file")
            elif anchor and name in pages and anchor not in pages[name].anchors:
                yield Fault(page.name, "anchor", link, detail="no such place on that page")


def _undescribed(pages: Mapping[str, Page]) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for page in pages.values():
        if page.forwards:
            continue
        said = page.descriptions[0] if len(page.descriptions) == 1 else ""
        if not said:
            yield Fault(page.name, "description", "meta", detail=f"expected one, got {len(page.descriptions)}")
        elif said in first:
            yield Fault(page.name, "description", "meta", detail=f"the same as of {first[said]}")
        first.setdefault(said, page.name)
