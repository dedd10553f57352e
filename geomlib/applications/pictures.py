"""Pictures from files, of every mode that Pillow has: each is brought to [0, 1] by its own range, or refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

# Modes of 8 bits a band, which Pillow converts to RGB by their own definitions.
_BYTES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WAY_OUT = "save it as a PNG of 8 bits, RGB or grey"


def read_image(path: Path, shape: tuple[int, ...]) -> tuple["Tensor", str]:
    """A picture as `(C, H, W)` in [0, 1] of the given shape, its middle where the sides differ; and what was done.

    It is turned as its EXIF data say.  Grey of more than 8 bits keeps its precision: of 16 (or as many as a TIFF
    states), of integers from 0 to 65535, of floating-point numbers from 0 to 1.  What is transparent is laid on white.
    Colours are taken as sRGB, whatever profile is embedded.  The second result says what of this was done.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no picture, a mode that is not known, values whose range cannot be told, or a `shape`
            that is no image.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"image: this generator makes outputs of shape {shape}, expected images of 1 or 3 channels")
    if not path.is_file():
        raise FileNotFoundError(f"image: no file {path}")
    try:
        with Image.open(path) as opened:
            frames = getattr(opened, "n_frames", 1)
            opened.load()
            turned, tags = ImageOps.exif_transpose(opened), getattr(opened, "tag_v2", {})
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"image: {path} is not a picture that Pillow can read ({type(error).__name__})") from error
    note = f"{path}: {turned.width} x {turned.height}"
    if frames > 1:
        note += f", the first of {frames}"
    picture, more = _of_bytes(turned, shape[0]) if turned.mode in _BYTES else _of_numbers(turned, tags, path)
    note += more
    size = (shape[2], shape[1])
    if picture.size != size:
        if picture.width * size[1] != picture.height * size[0]:
            note += ", its middle"
        note += f", resized to {size[0]} x {size[1]}"
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(picture, dtype=np.float32))
    # Numbers are in [0, 1] already, but resizing may leave it.
    pixels = pixels.clamp(0, 1) if picture.mode == "F" else pixels / 255
    return (pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(shape)).contiguous(), note


def _of_bytes(picture: "Image", channels: int) -> tuple["Image", str]:
    """The picture in RGB or grey, on white where it is transparent; and a note of that."""
    from PIL import Image

    note = ""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            note = ", transparent parts on white"
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    # By way of RGB: not every mode has a way to grey.
    colour = picture.convert("RGB")
    return (colour, note) if channels == 3 else (colour.convert("L"), note)


def _of_numbers(picture: "Image", tags: Mapping[int, Any], path: Path) -> tuple["Image", str]:
    """Grey of more than 8 bits as floating-point numbers in [0, 1]; and the range that it was taken from.

    `tags` are those of a TIFF: Pillow reads one of 9 to 15 bits as if of 16, and where white is 0 does not turn it.

    Raises:
        ValueError: a mode that is not known, or values whose range cannot be told.
    """
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16"):
        bits: int = tags[_BITS_PER_SAMPLE][0] if _BITS_PER_SAMPLE in tags else 16
        white = 2.0**bits - 1
    elif picture.mode == "I" and 255 < high <= 65535 and low >= 0:
        white = 65535.0
    elif picture.mode == "F" and 0 <= low <= high <= 1:
        white = 1.0
    elif picture.mode in ("I", "F"):
        expected = "from 0 to 65535, some above 255" if picture.mode == "I" else "from 0 to 1"
        raise ValueError(
            f"image: {path} holds grey values from {low:g} to {high:g} (mode {picture.mode}), expected {expected}; "
            f"{_WAY_OUT}"
        )
    else:
        raise ValueError(f"image: {path} has the mode {picture.mode!r}, which is not known here; {_WAY_OUT}")
    note = f", grey from 0 (black) to {white:g} (white)"
    unit = values / white
    if tags.get(_PHOTOMETRIC, 1) == 0:
        unit, note = 1 - unit, f", grey from 0 (white) to {white:g} (black)"
    if "transparency" in picture.info:
        unit[values == picture.info["transparency"]] = 1.0
        note += ", transparent parts on white"
    return Image.fromarray(unit.astype(np.float32)), note
