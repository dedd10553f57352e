"""What a file of weights is by its first bytes, and whether its envelope can be trusted; nothing is unpacked."""

import re
import zipfile
from pathlib import Path

EXPANSION = 2  # what is unpacked, in units of the file's size: torch.save does not compress


def check_file(path: Path) -> str:
    """The format of a file, "safetensors", "zip" or "pickle", by its first bytes, its envelope checked.

    Raises:
        FileNotFoundError: no file.
        ValueError: one that is damaged, hostile or no checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError(f"weights: no file {path}")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise ValueError(f"weights: {path} is empty")
    if start[8:9] == b"{":
        header = int.from_bytes(start[:8], "little")
        if header > size - 8:
            raise ValueError(f"weights: {path} declares a header of {header} bytes and has {size}; damaged or cut off")
        return "safetensors"
    if start.startswith(b"PK\x03\x04"):
        _check_archive(path, size)
        return "zip"
    if start[257:262] == b"ustar":
        raise ValueError(f"weights: {path} is a tar archive, not a checkpoint that can be read safely")
    if start[0] == 0x80 and len(start) > 1 and start[1] <= 5:
        return "pickle"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--", b"<?xml")):
        raise ValueError(f"weights: {path} is an HTML page, not a checkpoint; probably an error page of the download")
    raise ValueError(f"weights: {path} is neither safetensors nor from torch.save; it begins with {start[:20]!r}")


def _check_archive(path: Path, size: int) -> None:
    """Refuse an archive that is cut off, unpacks to more than the file, or has names that lead elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:
        raise ValueError(f"weights: {path} is damaged or cut off ({error})") from error
    if any(entry.filename.rpartition("/")[2] == "constants.pkl" for entry in entries):
        raise ValueError(
            f"weights: {path} is a TorchScript archive, which holds code: load it by torch.jit.load in a factory of "
            "your own"
        )
    declared = sum(entry.file_size for entry in entries)
    if declared > EXPANSION * size:
        raise ValueError(f"weights: {path} has {size} bytes and unpacks to {declared}; no checkpoint does that")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError(
            f"weights: {path} is compressed, and checkpoints are not; unpack it, if a checkpoint is inside"
        )
    names = [entry.filename for entry in entries]
    strange = [name for name in names if re.search(r"^/|^[A-Za-z]:|\\|(^|/)\.\.(/|$)", name)]
    if strange:
        raise ValueError(f"weights: {path} holds a name that leads elsewhere, {strange[0][:100]!r}; no checkpoint does")
    if len(set(names)) < len(names):
        raise ValueError(f"weights: {path} holds two files of one name; no checkpoint does")
