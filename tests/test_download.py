"""Downloads from a real server on this machine: whole, broken off, wrong, lost; and what stands in the cache."""

import hashlib
import http.server
import logging
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from geomlib._files import cache_folder
from geomlib.generators import download
from geomlib.generators.download import fetch, how_to_get, local_path, status
from geomlib.generators.published import PUBLISHED, Published

NAME = "dcgan-fashion"
LARGE = 3 * download.CHUNK + 12345  # bytes: a few chunks and a part of one


class Server:
    """Serves `content`, in the manner that the path asks for; `requests` lists the paths that were asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests: list[str] = []
        self.stop = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                getattr(outer, self.path.strip("/").split(".")[0])(self)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def address(self, manner: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{manner}.pth"

    def close(self) -> None:
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def send(
        self, to: http.server.BaseHTTPRequestHandler, body: bytes, length: int | None = None, **headers: str
    ) -> None:
        to.send_response(200)
        for key, value in headers.items():
            to.send_header(key.replace("_", "-"), value)
        if length is not None:
            to.send_header("Content-Length", str(length))
        to.end_headers()
        to.wfile.write(body)

    def whole(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content, len(self.content))

    def named(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content, len(self.content), Content_Disposition='attachment; filename="../../evil.pth"')

    def cut(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content[:-1000], len(self.content))

    def unknown(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content)

    def unknown_cut(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content[:-1000])

    def silent(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.stop.wait(20)

    def stalled(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content[:1000], len(self.content))
        to.wfile.flush()
        self.stop.wait(20)

    def reset(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, self.content[: len(self.content) // 2], len(self.content))
        to.connection.close()

    def lost(self, to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_error(404)

    def closed(self, to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_error(503)

    def moved(self, to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(302)
        to.send_header("Location", "/whole.pth?name=../../evil.pth")
        to.end_headers()

    def circle(self, to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(302)
        to.send_header("Location", "/circle.pth")
        to.end_headers()

    def elsewhere(self, to: http.server.BaseHTTPRequestHandler) -> None:
        to.send_response(302)
        to.send_header("Location", "file:///etc/hostname")
        to.end_headers()

    def page(self, to: http.server.BaseHTTPRequestHandler) -> None:
        body = b"<!DOCTYPE html>\n<html><title>Too many users have viewed this file</title></html>"
        self.send(to, body, len(body), Content_Type="text/html")

    def empty(self, to: http.server.BaseHTTPRequestHandler) -> None:
        self.send(to, b"", 0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("source") / "a.pth"
    torch.save({"a": torch.rand(LARGE // 4)}, path)
    return path.read_bytes()


@pytest.fixture
def server(checkpoint: bytes) -> Iterator[Server]:
    server = Server(checkpoint)
    yield server
    server.close()


Publish = Callable[..., Published]


@pytest.fixture
def publish(server: Server, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Moves a catalogue entry to the server on this machine."""

    def move(manner: str, sha256: str = "") -> Published:
        entry = replace(PUBLISHED[NAME], url=server.address(manner), sha256=sha256)
        monkeypatch.setitem(PUBLISHED, NAME, entry)
        return entry

    return move


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("known", [0, 8, 64], ids=["no hash", "short hash", "whole hash"])
@pytest.mark.parametrize("manner", ["whole", "moved", "named", "unknown"])
def test_a_whole_file_arrives_under_its_own_name(
    tmp_path: Path, server: Server, publish: Publish, manner: str, known: int
) -> None:
    """Through redirects and whatever names the server gives, and no more than the file and its hash is written."""
    entry = publish(manner, sha256=sha256(server.content)[:known])
    folder = tmp_path / "new" / "cache"
    path = fetch(NAME, folder)
    assert path == folder / entry.file
    assert path.read_bytes() == server.content
    assert (folder / f"{entry.file}.sha256").read_text() == f"{sha256(server.content)}  {entry.file}\n"
    assert left_in(tmp_path) == sorted(["new", "cache", entry.file, f"{entry.file}.sha256"])


def test_a_second_fetch_asks_no_server(tmp_path: Path, server: Server, publish: Publish) -> None:
    publish("whole")
    first = fetch(NAME, tmp_path)
    assert len(server.requests) == 1
    assert fetch(NAME, tmp_path) == local_path(NAME, tmp_path) == first
    assert len(server.requests) == 1


FAILURES = {
    "cut": (ConnectionError, "1000 more expected"),
    "reset": (ConnectionError, r"more expected|reset"),
    "unknown_cut": (ValueError, "what came is damaged or cut off"),
    "stalled": (ConnectionError, "timed out|no answer within 0.2 s"),
    "silent": (ConnectionError, "no answer within 0.2 s"),
    "lost": (ConnectionError, "HTTP 404 Not Found"),
    "closed": (ConnectionError, "HTTP 503 Service Unavailable"),
    "circle": (ConnectionError, "Exceeded 30 redirects"),
    "elsewhere": (ConnectionError, "No connection adapters were found for 'file:///etc/hostname'"),
    "page": (ValueError, "what came is an HTML page, not a checkpoint"),
    "empty": (ValueError, "what came is empty"),
}


@pytest.mark.parametrize("manner", FAILURES)
def test_a_failure_is_one_line_that_helps_and_leaves_nothing(
    tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    entry = publish(manner)
    kind, words = FAILURES[manner]
    with pytest.raises(kind, match=words) as caught:
        fetch(NAME, tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{NAME}: download failed")
    for needed in (entry.url, entry.source, str(tmp_path / entry.file)):
        assert str(needed) in message
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.pth", "http://no-such-host.invalid/a.pth"])
def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setitem(PUBLISHED, NAME, replace(PUBLISHED[NAME], url=address))
    with pytest.raises(ConnectionError, match=f"^{NAME}: download failed [^\n]*put the file at {tmp_path}[^\n]*$"):
        fetch(NAME, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("known", ["1d67302", "0" * 64])
def test_another_file_than_the_published_one_is_refused(tmp_path: Path, publish: Publish, known: str) -> None:
    publish("whole", sha256=known)
    with pytest.raises(ValueError, match=f"not the published file: its SHA-256 begins with .* instead of {known[:12]}"):
        fetch(NAME, tmp_path)
    assert left_in(tmp_path) == []


def test_the_hash_of_the_first_use_is_recorded_and_checked(
    tmp_path: Path, server: Server, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    publish("whole")
    with caplog.at_level(logging.INFO, download.__name__):
        path = fetch(NAME, tmp_path)
        local_path(NAME, tmp_path)
    assert len(caplog.messages) == 1
    assert f"{NAME}: SHA-256 {sha256(server.content)} (none is published), recorded in" in caplog.messages[0]
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    for look in (local_path, fetch):
        with pytest.raises(ValueError, match=r"not the file of the first use: .*; if that is as it should be, delete"):
            look(NAME, tmp_path)
    path.unlink()
    server.content = bytes(content)
    with pytest.raises(ValueError, match="not the file of the first use"):
        fetch(NAME, tmp_path)  # the server gives another file than the first time
    assert left_in(tmp_path) == [f"{path.name}.sha256"]


def test_a_file_that_was_put_there_by_hand_is_used(tmp_path: Path, server: Server) -> None:
    """Also where there is no address; a saved web page is refused before its hash is recorded."""
    name = "stylegan2-cat-256"
    entry = PUBLISHED[name]
    with pytest.raises(FileNotFoundError, match=f"{name} is not in the cache; {re.escape(entry.file)}: take NVIDIA's"):
        local_path(name, tmp_path)
    path = tmp_path / entry.file
    path.write_bytes(b"<html>Sign in</html>")
    with pytest.raises(ValueError, match="HTML page"):
        local_path(name, tmp_path)
    path.write_bytes(server.content)
    assert local_path(name, tmp_path) == fetch(name, tmp_path) == path
    assert left_in(tmp_path) == [entry.file, f"{entry.file}.sha256"]


@pytest.mark.skipif(sys.platform == "win32", reason="a read-only folder is something else there")
def test_a_cache_that_cannot_be_written_still_serves(
    tmp_path: Path, server: Server, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    entry = publish("whole")
    (tmp_path / entry.file).write_bytes(server.content)
    (tmp_path / f"{entry.file}.sha256").symlink_to(tmp_path / "nowhere" / "record")
    assert local_path(NAME, tmp_path) == tmp_path / entry.file
    assert "cannot be recorded" in caplog.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "wavegan-piano",
            "no public file; gan_piano.tar: the authors of the paper trained it themselves and could supply",
        ),
        ("stylegan2-car-512", "cannot be downloaded from here; get stylegan2-car-config-f.pt: take NVIDIA's .pkl"),
        (
            "stylegan-face-256",
            "cannot be downloaded from here; get stylegan-256px-new.model at https://drive.google.com",
        ),
    ],
)
def test_what_no_download_can_get_says_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    folder = tmp_path / "cache"
    with pytest.raises(FileNotFoundError, match=f"^{name}: {re.escape(words)}") as caught:
        fetch(name, folder)
    assert str(folder / PUBLISHED[name].file) in str(caught.value)
    assert not folder.exists()


def test_states_of_all_entries(tmp_path: Path) -> None:
    states = {name: status(name, tmp_path) for name in PUBLISHED}
    by_hand = {name for name in PUBLISHED if name.startswith("stylegan")}
    assert {name for name, state in states.items() if state == "by hand"} == by_hand
    assert {name for name, state in states.items() if state == "no public file"} == {"wavegan-piano"}
    assert {state for name, state in states.items() if name not in by_hand | {"wavegan-piano"}} == {"absent"}
    for name, entry in PUBLISHED.items():
        (tmp_path / entry.file).touch()
        assert status(name, tmp_path) == "present"
        assert "\n" not in how_to_get(name, tmp_path)


@pytest.mark.parametrize("look", [fetch, local_path, status, how_to_get])
def test_an_unknown_name_lists_the_known(look: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="^name: expected one of 'deepsim-fc6', .*, got '../evil'$"):
        look("../evil")


def test_the_cache_folder_is_the_platforms_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOMLIB_CACHE", raising=False)
    assert "geomlib" in cache_folder().parts
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert not cache_folder().exists()
    assert str(tmp_path / "mine" / PUBLISHED[NAME].file) in how_to_get(NAME)


@pytest.mark.parametrize("manner", ["whole", "unknown"])
def test_progress_on_the_terminal(
    tmp_path: Path, publish: Publish, manner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(manner)
    fetch(NAME, tmp_path, progress=True)
    written = capsys.readouterr()
    assert written.out == ""
    assert ("100%" if manner == "whole" else "B/s") in written.err  # of an unknown number of bytes there is no share
    (tmp_path / PUBLISHED[NAME].file).unlink()
    fetch(NAME, tmp_path)
    assert capsys.readouterr() == ("", "")


# Where nothing can be written


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of that kind there")
def test_a_process_that_may_write_no_more(tmp_path: Path, publish: Publish) -> None:
    """A real limit of the operating system in the middle of a transfer."""
    import resource

    publish("whole")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (download.CHUNK + 1000, hard))
    try:
        with pytest.raises(
            OSError, match=r"cannot write to the cache folder .* \(File too large\); set GEOMLIB_CACHE$"
        ):
            fetch(NAME, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_full_disk(tmp_path: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is a link to the device that has no space left."""
    entry = publish("whole")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0")
    (tmp_path / f"{entry.file}.0.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"cannot write to the cache folder .* \(No space left on device\)"):
        fetch(NAME, tmp_path)
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path, server: Server, publish: Publish) -> None:
    publish("whole")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write to the cache folder .*; set GEOMLIB_CACHE"):
        fetch(NAME, tmp_path / "file" / "cache")
    assert server.requests == []
    assert left_in(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_a_folder_without_permission_to_write(publish: Publish) -> None:
    """As another user for a moment where the tests run as root, who may write everywhere."""
    publish("whole")
    user = os.geteuid()
    with TemporaryDirectory() as name:
        folder = Path(name) / "cache"
        folder.mkdir()
        for place in (folder, folder.parent):
            place.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            for place in (folder, folder / "new"):
                with pytest.raises(OSError, match=r"cannot write to the cache folder .* \(Permission denied\)"):
                    fetch(NAME, place)
        finally:
            os.seteuid(user)
            folder.parent.chmod(0o755)
        assert left_in(folder) == []
        folder.chmod(0o755)
