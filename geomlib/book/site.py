"""The book as a site: built by Sphinx into a folder of its own and swapped in when it is whole."""

import html
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geomlib._files import put_in_place, sha256
from geomlib.book import notebook, provenance
from geomlib.book.process import Say, StoppedError, attend

FIRST_AFTER = 120  # seconds from the start of the notebooks to the first edition
ARCHIVE = "geometry-of-generators.zip"
PACKED = (".png", ".jpg", ".zip")  # what gets no smaller
UNFINISHED = "This book is still being made: pages that have not been computed yet say so."


class BookError(RuntimeError):
    """The book could not be built; the message holds what Sphinx warned of."""


def render(place: Path, banner: str = "", *, strict: bool = True, stop: threading.Event | None = None) -> None:
    """Build the pages that `_toc.yml` lists; what was at `place` stays there unless all goes well.

    Args:
        place: the folder of the site.
        banner: stands on every page.
        strict: a warning is an error.
        stop: ends the work when it is set.

    Raises:
        BookError: Sphinx failed, or warned where that is an error.
        StoppedError: `stop` was set.
    """
    import yaml

    place.parent.mkdir(parents=True, exist_ok=True)
    fingerprint = _fingerprint(banner)
    with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as staging:
        config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
        if banner:
            options = config["sphinx"]["config"].setdefault("html_theme_options", {})
            options["announcement"] = html.escape(banner)
        settings, log = Path(staging) / "config.yml", Path(staging) / "log"
        settings.write_text(yaml.safe_dump(config), encoding="utf-8")
        start = (  # this environment's, whatever the PATH holds; it ends with this process
            "import os; from geomlib.book.kernel_main import end_with; end_with(os.getppid()); "
            "from jupyter_book.cli.main import main; main()"
        )
        command = [sys.executable, "-c", start, "build", ".", "--config", str(settings), "--path-output", staging]
        command += ["-W", "-n", "--keep-going"] if strict else []
        with log.open("wb") as stream:
            sphinx = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
            attend(sphinx, stop or threading.Event())
        built = Path(staging) / "_build" / "html"
        if sphinx.returncode or not (built / "index.html").is_file():
            lines = notebook.ESCAPES.sub("", log.read_text(encoding="utf-8", errors="replace")).splitlines()
            errors = [line for line in lines if re.search("WARNING|ERROR|rror:", line)] or lines[-20:]
            raise BookError("the book was not built; the earlier one, if any, is as it was\n" + "\n".join(errors))
        pack(built)
        _record(place).unlink(missing_ok=True)
        put_in_place(built, place)
    if strict:
        _record(place).write_text(fingerprint, encoding="utf-8")


def is_current(place: Path, banner: str = "") -> bool:
    """Whether the site at `place` was built from the pages as they are now, with this banner."""
    record = _record(place)
    built = (place / "index.html").is_file() and record.is_file()
    return built and record.read_text(encoding="utf-8") == _fingerprint(banner)


class Preview:
    """The first edition, while notebooks run: where there is no book yet, the pages that are finished after a while.

    As a context it ends what it has begun: the final build takes its place.
    """

    def __init__(
        self, place: Path, folders: Sequence[Path], gather: Callable[[Sequence[Path]], None], say: Say
    ) -> None:
        """Of the results `folders`; `gather` puts those of some of them where the pages are."""
        self.place, self.folders, self.gather, self.say = place, list(folders), gather, say
        self.finished: set[Path] = set()
        self.began, self.lock, self.stop = time.monotonic(), threading.Lock(), threading.Event()
        self.thread: threading.Thread | None = None

    def offer(self, folder: Path) -> None:
        """Results are there; the first edition begins if it is time."""
        with self.lock:
            self.finished.add(folder)
            if self.thread or time.monotonic() - self.began < FIRST_AFTER or (self.place / "index.html").exists():
                return
            ready = [one for one in self.folders if one in self.finished]
            if ready:
                self.thread = threading.Thread(target=self._build, args=[ready])
                self.thread.start()

    def _build(self, ready: Sequence[Path]) -> None:
        try:
            self.gather(ready)
            render(self.place, UNFINISHED, strict=False, stop=self.stop)
        except StoppedError:
            return
        except Exception as error:  # the final build will tell what is wrong
            self.say(f"book: no first edition: {error}")
        else:
            self.say(f"book: {len(ready)} of {len(self.folders)} pages can be read: {self.place / 'index.html'}")

    def __enter__(self) -> Self:
        """Nothing begins here."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is at work."""
        self.stop.set()
        if self.thread:
            self.thread.join()


def _record(place: Path) -> Path:
    """The file that says what the site at `place` was built from."""
    return place.with_name(f".{place.name}.sha256")


def _fingerprint(banner: str) -> str:
    """Hash of all that Sphinx reads: texts, executed notebooks, settings, this package, installed packages."""
    own = [path for path in Path("book").rglob("*") if path.is_file()]
    own += [path for pattern in ("*.md", "*.yml", "*.bib") for path in Path().glob(pattern)]
    own += provenance.PACKAGE.rglob("*.py")
    installed = sorted(f"{one.name} {one.version}" for one in distributions())
    parts: list[Any] = [banner, *installed]
    for path in sorted(own):
        parts += [path.as_posix(), sha256(path)]
    return provenance.digest(parts)


def pack(site: Path) -> Path:
    """Lay the whole site into itself as one zip, without the paragraph that links to it; returns the file.

    Unpacked it opens from the disk. Equal sites give equal files.
    """
    place = site / ARCHIVE
    files = sorted(path for path in site.rglob("*") if path.is_file() and path != place)
    with zipfile.ZipFile(place, "w") as archive:
        for path in files:
            content = path.read_bytes()
            if path.suffix == ".html":
                content = re.sub(rb'<p class="whole-book">.*?</p>\n?', b"", content, flags=re.DOTALL)
            entry = zipfile.ZipInfo(f"{place.stem}/{path.relative_to(site).as_posix()}")
            entry.external_attr = 0o644 << 16
            kind = zipfile.ZIP_STORED if path.suffix in PACKED else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, kind, compresslevel=6)
    return place
