"""A Chromium, and a server for the book on this machine."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUIET = ("no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update", "disable-sync")
WIDTHS = (1280, 375)  # of the windows that pages are looked at in
HINT = "no Chromium found: `apt-get install chromium`, or `.venv/bin/playwright install --with-deps chromium`"


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """Debian's Chromium, Chrome, or Playwright's own, without a window.

    Raises:
        RuntimeError: there is none, or Playwright is not installed.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise RuntimeError("playwright is not installed: requirements.txt pins it") from error
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=[f"--{flag}" for flag in QUIET])
        except Error as error:
            raise RuntimeError(f"{HINT}\n{error}") from error
        yield opened
        opened.close()


def show(page: "Page", theme: Any, width: int) -> None:
    """As a reader with this colour scheme and window sees it."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("theme => (document.documentElement.dataset.theme || theme) === theme", arg=theme)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Requests are not told."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves a page breaks off what it has asked for."""


@contextlib.contextmanager
def serve(site: Path) -> Iterator[str]:
    """The folder `site` on a free port of this machine; gives its address, with a slash at the end."""
    with _Server(("127.0.0.1", 0), partial(_Silent, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
