"""Pictures of every mode: what is read is what the file means, and what cannot be known is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geomlib.applications.pictures import read_image

SIDE = 16
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
COLOURS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype="uint8")
EXACT = 1e-6


def saved(folder: Path, picture: Image.Image, name: str, **options: object) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def grey_error(path: Path, expected: np.ndarray) -> float:
    """The largest error of a read in one channel and in three, which are to be equal."""
    one, three = (read_image(path, (channels, SIDE, SIDE))[0].double() for channels in (1, 3))
    assert one.shape == (1, SIDE, SIDE) and three.shape == (3, SIDE, SIDE)
    return max(float((pixels - torch.from_numpy(expected)).abs().max()) for pixels in (one, three))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("grey.png", "I;16"), ("grey.png", "I;16B"), ("grey.tif", "I;16"), ("grey.tif", "I;16B"),
        ("grey.jp2", "I;16"), ("grey.jp2", "I;16B"), ("grey.pgm", "I;16"),
    ],
)  # fmt: skip
def test_sixteen_bits_keep_their_precision(tmp_path: Path, name: str, mode: str) -> None:
    levels = (RAMP * 65535).round().astype("<u2" if mode == "I;16" else ">u2")
    options = {"irreversible": False} if name.endswith("jp2") else {}
    path = saved(tmp_path, Image.frombytes(mode, (SIDE, SIDE), levels.tobytes()), name, **options)
    # Half a level of 16 bits, and the rounding of float32.
    assert grey_error(path, RAMP) < 0.5 / 65535 + 1e-7
    assert read_image(path, (1, SIDE, SIDE))[1].endswith("grey from 0 (black) to 65535 (white)")


def test_thirty_two_bits_and_floating_point_numbers(tmp_path: Path) -> None:
    integers = Image.fromarray((RAMP * 65535).round().astype("int32"))
    assert integers.mode == "I" and grey_error(saved(tmp_path, integers, "grey.tif"), RAMP) < 0.5 / 65535 + 1e-7
    for name in ("float.tif", "float.pfm"):
        assert grey_error(saved(tmp_path, Image.fromarray(RAMP.astype("float32")), name), RAMP) < EXACT


def with_tags(content: bytes, pixels: bytes, tags: dict[int, int]) -> bytes:
    """The little-endian TIFF of one strip with other pixels, and other values of tags that it has."""
    changed, start = bytearray(content), int.from_bytes(content[4:8], "little") + 2
    strip = Image.open(io.BytesIO(content)).tag_v2[273][0]
    changed[strip:] = pixels
    for at in range(start, start + 12 * int.from_bytes(content[start - 2 : start], "little"), 12):
        tag, kind = (int.from_bytes(content[at + shift : at + shift + 2], "little") for shift in (0, 2))
        if tag in tags:
            width = {3: 2, 4: 4}[kind]
            changed[at + 8 : at + 8 + width] = tags[tag].to_bytes(width, "little")
    return bytes(changed)


@pytest.mark.parametrize(("bits", "white_is_zero"), [(12, False), (16, True)])
def test_tags_of_a_tiff_say_what_is_white(tmp_path: Path, bits: int, white_is_zero: bool) -> None:
    levels = (RAMP * (2**bits - 1)).round().astype("<u2")
    packed, stored = levels.tobytes(), io.BytesIO()
    Image.fromarray(levels).save(stored, "TIFF")
    if bits == 12:  # two numbers in three bytes, first bits first
        one, two = (levels.ravel()[first::2].astype(int) for first in (0, 1))
        packed = np.stack([one >> 4, (one & 15) << 4 | two >> 8, two & 255], 1).astype("uint8").tobytes()
    tags = {258: bits, 262: 0 if white_is_zero else 1, 279: len(packed)}
    (tmp_path / "grey.tif").write_bytes(with_tags(stored.getvalue(), packed, tags))
    assert grey_error(tmp_path / "grey.tif", 1 - RAMP if white_is_zero else RAMP) < 0.5 / (2**bits - 1) + 1e-7


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((RAMP * 200).astype("int32"), "grey values from 0 to 200 (mode I), expected from 0 to 65535, some above 255"),
        ((RAMP * 1e6).astype("int32"), "grey values from 0 to 1e+06 (mode I)"),
        ((RAMP * 65535 - 9).astype("int32"), "grey values from -9 to "),
        ((RAMP * 255).astype("float32"), "grey values from 0 to 255 (mode F), expected from 0 to 1"),
        ((RAMP - 0.5).astype("float32"), "grey values from -0.5 to 0.5 (mode F)"),
        (np.full((4, 4), np.nan, "float32"), "grey values from nan to nan (mode F)"),
    ],
)
def test_a_range_that_cannot_be_told_is_refused(tmp_path: Path, values: np.ndarray, said: str) -> None:
    path = saved(tmp_path, Image.fromarray(values), "grey.tif")
    with pytest.raises(ValueError, match="save it as a PNG of 8 bits, RGB or grey$") as caught:
        read_image(path, (1, SIDE, SIDE))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_mode_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, Image.fromarray(COLOURS), "picture.png")
    monkeypatch.setattr("PIL.ImageOps.exif_transpose", lambda _: Image.new("RGBa", (SIDE, SIDE)))
    with pytest.raises(ValueError, match="has the mode 'RGBa', which is not known here; save it as a PNG"):
        read_image(path, (3, SIDE, SIDE))


def test_one_bit(tmp_path: Path) -> None:
    bits = RAMP > 0.5
    for name in ("bits.png", "bits.tif", "bits.pbm", "bits.bmp"):
        assert grey_error(saved(tmp_path, Image.fromarray(bits), name), bits.astype(float)) < EXACT


def test_palette(tmp_path: Path) -> None:
    indices = np.arange(SIDE * SIDE, dtype="uint8").reshape(SIDE, SIDE) % 4
    colours = np.array([[255, 0, 0], [0, 255, 0], [10, 20, 250], [9, 8, 7]], "uint8")
    picture = Image.fromarray(indices).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(colours.tobytes())
    expected = torch.from_numpy(colours[indices] / 255.0).permute(2, 0, 1)
    for name in ("palette.png", "palette.gif", "palette.tif", "palette.bmp"):
        pixels, told = read_image(saved(tmp_path, picture, name), (3, SIDE, SIDE))
        assert (pixels - expected).abs().max() < EXACT and told.endswith("16 x 16")
    for name in ("clear.png", "clear.gif"):
        pixels, told = read_image(saved(tmp_path, picture, name, transparency=1), (3, SIDE, SIDE))
        on_white = expected.where(torch.from_numpy(indices != 1), torch.ones(()).double())
        assert (pixels - on_white).abs().max() < EXACT and told.endswith("transparent parts on white")


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("name", ["picture.png", "picture.tif", "picture.jp2"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str, name: str) -> None:
    alpha = (RAMP * 255).round().astype("uint8")
    picture = Image.fromarray(COLOURS).convert("L" if mode == "LA" else "RGB")
    colours = np.array(picture.convert("RGB"), dtype=float)
    picture.putalpha(Image.fromarray(alpha))
    assert picture.mode == mode
    options = {"irreversible": False} if name.endswith("jp2") else {}
    pixels, told = read_image(saved(tmp_path, picture, name, **options), (3, SIDE, SIDE))
    share = alpha[..., None] / 255.0
    expected = torch.from_numpy(colours / 255 * share + 1 - share).permute(2, 0, 1)
    # Pillow composites in whole levels.
    assert (pixels - expected).abs().max() < 1.01 / 255 and told.endswith("transparent parts on white")
    picture.putalpha(255)
    pixels, told = read_image(saved(tmp_path, picture, name, **options), (3, SIDE, SIDE))
    opaque = torch.from_numpy(colours / 255).permute(2, 0, 1)
    assert (pixels - opaque).abs().max() < EXACT and told.endswith("16 x 16")


@pytest.mark.parametrize(("mode", "clear"), [("1", 1), ("L", 7), ("RGB", (1, 2, 3)), ("I;16", 1000)])
def test_a_colour_that_stands_for_transparent(tmp_path: Path, mode: str, clear: int | tuple[int, ...]) -> None:
    picture = Image.new(mode, (SIDE, SIDE), 0)
    for index in range(16):
        picture.putpixel((index % 4, index // 4), clear)
    path = saved(tmp_path, picture, "picture.png", transparency=clear)
    pixels, told = read_image(path, (3, SIDE, SIDE))
    expected = torch.zeros(3, SIDE, SIDE)
    expected[:, :4, :4] = 1
    assert torch.equal(pixels, expected) and told.endswith("transparent parts on white")


def test_palette_with_alpha(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOURS).quantize(8).convert("PA")
    picture.paste((0, 0), (0, 0, 4, 4))
    pixels, told = read_image(saved(tmp_path, picture, "picture.tif"), (3, SIDE, SIDE))
    assert bool((pixels[:, :4, :4] == 1).all()) and told.endswith("transparent parts on white")


def _cmyk(values: np.ndarray) -> np.ndarray:
    return (1 - values[..., :3]) * (1 - values[..., 3:])


def _ycbcr(values: np.ndarray) -> np.ndarray:
    """ITU-T T.871 (JFIF)."""
    y, blue, red = np.moveaxis(values - np.array([0, 128, 128]) / 255, -1, 0)
    return np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1)


def _lab(values: np.ndarray) -> np.ndarray:
    """CIE 1976 under D50, then sRGB (matrix adapted to D50 after Bradford, as in its profile)."""
    lightness, a, b = 100 * values[..., 0], *np.moveaxis(255 * values[..., 1:] - 128, -1, 0)
    roots = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200], -1)
    cubes = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29)) * [0.9642, 1.0, 0.8249]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]
    ]  # fmt: skip
    linear = (cubes @ np.array(matrix).T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("mode", "name", "meaning"),
    [
        ("CMYK", "picture.tif", _cmyk),
        ("CMYK", "picture.jp2", _cmyk),
        ("YCbCr", "picture.tif", _ycbcr),
        ("LAB", "picture.tif", _lab),
    ],
)
def test_other_spaces_of_colour(tmp_path: Path, mode: str, name: str, meaning: object) -> None:
    assert callable(meaning)
    bands = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, len(mode.replace("YCbCr", "YCC"))), dtype="uint8")
    if mode == "LAB":  # near grey, where no colour leaves sRGB
        bands = (bands // 8 + 112).astype("uint8")
    picture = Image.merge(mode, [Image.fromarray(band) for band in np.moveaxis(bands, -1, 0)])
    options = {"irreversible": False} if name.endswith("jp2") else {}
    pixels, _ = read_image(saved(tmp_path, picture, name, **options), (3, SIDE, SIDE))
    expected = torch.from_numpy(np.clip(meaning(bands / 255.0), 0, 1)).permute(2, 0, 1)
    assert (pixels - expected).abs().max() < 3 / 255  # whole levels on the way, tables of 8 bits in LAB


def test_a_print_of_four_colours_as_jpeg(tmp_path: Path) -> None:
    """Of one colour, so that compression loses next to nothing; written and read inverted, as Adobe does."""
    picture = Image.new("CMYK", (SIDE, SIDE), (51, 204, 102, 0))
    pixels, _ = read_image(saved(tmp_path, picture, "picture.jpg", quality=100), (3, SIDE, SIDE))
    assert (pixels - torch.tensor([0.8, 0.2, 0.6])[:, None, None]).abs().max() < 2 / 255


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_turned_as_the_camera_says(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (SIDE, SIDE), 0)
    white = {"L": 255, "RGB": (255, 255, 255), "I;16": 65535}[mode]
    picture.paste(white, (0, 0, SIDE, 4))  # the upper edge
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise by 90 degrees
    pixels, _ = read_image(saved(tmp_path, picture, "picture.png", exif=exif), (1, SIDE, SIDE))
    expected = torch.zeros(1, SIDE, SIDE)
    expected[..., -4:] = 1
    assert torch.equal(pixels, expected)


def test_resizing_stays_in_range_and_keeps_precision(tmp_path: Path) -> None:
    step = np.zeros((64, 64), "uint16")
    step[:, 32:] = 65535
    pixels, told = read_image(saved(tmp_path, Image.fromarray(step), "step.png"), (1, SIDE, SIDE))
    assert pixels.min() == 0 and pixels.max() == 1 and told.endswith("resized to 16 x 16")
    flat = Image.fromarray(np.full((64, 64), 1000, "uint16"))
    pixels, _ = read_image(saved(tmp_path, flat, "flat.png"), (3, SIDE, SIDE))
    assert (pixels - 1000 / 65535).abs().max() < EXACT


def test_the_first_of_many_frames_is_told(tmp_path: Path) -> None:
    frames = [Image.new("L", (SIDE, SIDE), level) for level in (255, 0)]
    path = saved(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    pixels, told = read_image(path, (1, SIDE, SIDE))
    assert bool((pixels == 1).all()) and told.endswith(", the first of 2")
