"""Published checkpoints in the user's cache folder: download, check by SHA-256, find.

The folder is `GEOMLIB_CACHE`, or the platform's cache folder of geomlib. Nothing is written outside it, and no name
comes from a server. Beside a checkpoint stands its SHA-256 as it was on first use, in `<file>.sha256`.
"""

import logging
import re
from pathlib import Path

from geomlib._checks import check_choice
from geomlib._files import cache_folder, sha256, written_whole
from geomlib.generators.envelope import check_file
from geomlib.generators.published import PUBLISHED, Published

TIMEOUT = 30.0  # seconds without an answer
CHUNK = 1 << 20  # bytes

logger = logging.getLogger(__name__)


def status(name: str, folder: Path | None = None) -> str:
    """How things stand: "present", "absent" (`fetch` gets it), "by hand" or "no public file"; nothing is read."""
    entry = _entry(name)
    if _place(entry, folder).is_file():
        return "present"
    if not entry.public:
        return "no public file"
    return "absent" if entry.url and not entry.needs_browser else "by hand"


def how_to_get(name: str, folder: Path | None = None) -> str:
    """What to do by hand to have the file of a published generator, and where to put it, in one line."""
    entry = _entry(name)
    address = f" at {entry.url}" if entry.url else ""
    return (
        f"{entry.file}{address}: {entry.by_hand} (source repository: {entry.source}); "
        f"put the file at {_place(entry, folder)} or pass weights=PATH"
    )


def local_path(name: str, folder: Path | None = None) -> Path:
    """The checkpoint of a published generator in the cache folder, downloaded or put there by hand, its hash checked.

    Raises:
        FileNotFoundError: it is not there; the message says how to get it.
        ValueError: an unknown name, a file that is no checkpoint, or one whose SHA-256 is not the published one or not
            that of the first use.
    """
    entry = _entry(name)
    path = _place(entry, folder)
    if not path.is_file():
        automatic = f"run `geomlib fetch {name}`, or get " if status(name, folder) == "absent" else ""
        raise FileNotFoundError(f"weights: {name} is not in the cache; {automatic}{how_to_get(name, folder)}")
    check_file(path)
    _check_hash(entry, path, path)
    return path


def fetch(name: str, folder: Path | None = None, progress: bool = False) -> Path:
    """The checkpoint of a published generator, downloaded unless it is in the cache folder already.

    It is written under a temporary name, checked (size, format, SHA-256) and renamed when whole; on any error nothing
    is left behind. `progress` shows a bar in the terminal.

    Raises:
        FileNotFoundError: there is no address, or one for a browser only; the message says what to do by hand.
        ConnectionError: the address does not answer, answers with an error, or breaks off.
        ValueError: an unknown name; what came is a web page or damaged; another SHA-256 than the published one.
        OSError: no space or no permission to write.
    """
    entry = _entry(name)
    path = _place(entry, folder)
    if path.is_file():
        return local_path(name, folder)
    by_hand = how_to_get(name, folder)
    if not entry.public:
        raise FileNotFoundError(f"{name}: no public file; {by_hand}")
    if entry.url is None or entry.needs_browser:
        raise FileNotFoundError(f"{name}: cannot be downloaded from here; get {by_hand}")
    with written_whole(path) as part:
        _download(entry.url, part, progress, f"{name}: download failed", by_hand)
        try:
            check_file(part)
        except ValueError as error:
            reason = str(error).replace(str(part), "what came")
            raise ValueError(f"{name}: download failed; {reason}; get {by_hand}") from error
        _check_hash(entry, part, path)
    return path


def _entry(name: str) -> Published:
    check_choice("name", name, PUBLISHED)
    return PUBLISHED[name]


def _place(entry: Published, folder: Path | None) -> Path:
    return (cache_folder() if folder is None else Path(folder)) / entry.file


def _download(url: str, part: Path, progress: bool, failed: str, by_hand: str) -> None:
    """Write what the address gives to `part`; redirects are followed."""
    import requests
    from pooch import HTTPDownloader

    try:
        HTTPDownloader(progressbar=progress, chunk_size=CHUNK, timeout=TIMEOUT)(url, str(part), None)
    except (requests.RequestException, ValueError) as error:
        raise ConnectionError(f"{failed} ({_reason(error)}); get {by_hand}") from error


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT:g} s"
    # Beneath several layers of wrapping stands what the system said, or how many bytes are wanting.
    match = re.search(r"\[Errno -?\d+\] ([^'\")]+)|IncompleteRead\(([^)]*)\)", str(error))
    return next(filter(None, match.groups())) if match else str(error).split("\n")[0][:200]


def _check_hash(entry: Published, file: Path, path: Path) -> None:
    """Compare the SHA-256 of `file`, which stands or will stand at `path`, with what is known of it; record it."""
    digest = sha256(file)
    if not digest.startswith(entry.sha256):
        raise ValueError(
            f"weights: {entry.name}: {path} is not the published file: its SHA-256 begins with {digest[:12]} instead "
            f"of {entry.sha256[:12]}"
        )
    record = path.with_name(f"{path.name}.sha256")
    if record.is_file():
        known = record.read_text(encoding="utf-8", errors="replace")[:64]
        if known != digest:
            raise ValueError(
                f"weights: {entry.name}: {path} is not the file of the first use: SHA-256 {digest[:12]}..., recorded "
                f"{known[:12]}...; if that is as it should be, delete {record}"
            )
        return
    try:
        record.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    except OSError as error:
        logger.warning("%s: the SHA-256 cannot be recorded in %s (%s)", entry.name, record, error.strerror)
        return
    source = f"begins as published, {entry.sha256}" if entry.sha256 else "none is published"
    logger.warning("%s: SHA-256 %s (%s), recorded in %s and checked from now on", entry.name, digest, source, record)
