"""Files of geomlib: its own weights, the cache folder of other people's, hashes, and files that are written whole."""

import glob
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

METRICS = "GEOMLIB_STORE"  # environment variable: the folder of metrics that several processes share
WEIGHTS = Path(__file__).parent / "weights"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder of downloaded checkpoints, `GEOMLIB_CACHE` or the platform's; it need not exist."""
    if given := os.environ.get("GEOMLIB_CACHE"):
        return Path(given)
    return platformdirs.user_cache_path("geomlib", appauthor=False)


def writable(folder: Path) -> None:
    """Raise `OSError` unless a folder is, or could be made, where files can be written; nothing is made."""
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(f"cannot write {folder}: {nearest} is no folder that can be written")


def writable_file(path: Path) -> None:
    """Raise `OSError` unless a file could be written there now; nothing is."""
    writable(path.parent)
    if not path.parent.is_dir() or (path.exists() and not (path.is_file() and os.access(path, os.W_OK))):
        raise OSError(f"cannot write {path}: it is no file, or in no folder")


def name_beside(path: Path) -> Path:
    """A free name beside `path` for what shall take its place; what processes that were killed left there goes.

    The name says whose it is; what belongs to another machine, on a shared file system, is left alone.
    """
    import psutil

    mine = f".{path.name}-{socket.gethostname()}-"
    for left in path.parent.glob(f"{glob.escape(mine)}*"):
        owner = left.name.removeprefix(mine).partition("-")[0]
        if not (owner.isdecimal() and psutil.pid_exists(int(owner))):
            shutil.rmtree(left, ignore_errors=True)
    return path.with_name(f"{mine}{os.getpid()}-{secrets.token_hex(4)}")


def put_in_place(made: Path, place: Path) -> None:
    """A folder takes the place of another, which is as it was where that fails.

    Raises:
        OSError: it cannot be put there.
    """
    earlier = name_beside(place)
    if place.exists():
        place.rename(earlier)
    try:
        made.rename(place)
    except BaseException:
        if earlier.exists():
            earlier.rename(place)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` in the cache folder: renamed to it at the end, removed on any error.

    Raises:
        ConnectionError: as it comes from inside.
        OSError: the folder cannot be written; the message says what to set.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except ConnectionError:  # an OSError, and nothing of this machine
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OSError(
            error.errno, f"cannot write to the cache folder {path.parent} ({reason}); set GEOMLIB_CACHE"
        ) from error
