"""Whatever comes in, only documented errors come out: damaged, spliced and hostile input for every reader.

`make fuzz` tries 100,000 inputs, a test run 2,000; FUZZ sets the number.
"""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save as safe

import geomlib
from geomlib import _literals
from geomlib.applications.directions import load_directions
from geomlib.applications.pictures import read_image
from geomlib.book import parameters
from geomlib.generators.checkpoints import read_state
from geomlib.generators.contents import read_content

EACH = int(os.environ.get("FUZZ", "2000")) // 6
fuzz = settings(
    max_examples=EACH,
    deadline=None,
    database=None,
    derandomize=EACH < 1000,  # a test run tries the same ones each time
    suppress_health_check=list(HealthCheck),
)
DOCUMENTED = (ValueError, FileNotFoundError)
MARK = "/tmp/geomlib-fuzz-was-here"


class Hostile:
    """What a stranger would put in the place of weights."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (MARK,)


def torch_bytes(value: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def image_bytes(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    values = np.arange(3 * 12 * 12, dtype=np.uint8).reshape(12, 12, 3)
    Image.fromarray(values).convert(mode).save(file, kind)
    return file.getvalue()


def array_bytes(value: Any, **more: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, axes=value, **more) if more else np.save(file, value)
    return file.getvalue()


def zip_bytes(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


STATE = {"main.weight": torch.arange(12.0).reshape(3, 4), "main.bias": torch.zeros(3)}
FILES = {
    "a.pt": torch_bytes(STATE),
    "b.pt": torch_bytes({"g_ema": STATE, "step": 3}),
    "c.pt": torch_bytes(STATE, zipped=False),
    "d.safetensors": safe(STATE),
    "e.pt": torch_bytes({"weights": Hostile()}),
    "f.pt": zip_bytes(**{"x/data.pkl": pickle.dumps({"a": 1}), "x/version": b"3"}),
}
PICKLES = {
    f"{protocol}.pkl": pickle.dumps({"G_ema": {"weights": np.eye(3), "names": ["a", ("b", 2.0)]}}, protocol)
    for protocol in range(2, 6)
} | {"hostile.pkl": pickle.dumps([Hostile()]), "deep.pkl": b"(" * 50 + b"l" * 50 + b"."}
PICTURES = {"a.png": image_bytes("PNG"), "b.jpg": image_bytes("JPEG"), "c.gif": image_bytes("GIF", "P")} | {
    "d.tiff": image_bytes("TIFF"),
    "e.bmp": image_bytes("BMP", "L"),
    "f.png": image_bytes("PNG", "LA"),
}
ARRAYS = {
    "a.npy": array_bytes(np.eye(8)),
    "b.npz": array_bytes(np.eye(8), others=np.ones(3)),
    "c.pt": torch_bytes({"axes": torch.eye(8)}),
    "d.safetensors": safe({"axes": torch.eye(8)}),
    "e.pkl": pickle.dumps({"smile": np.ones((1, 8))}),
    "f.npy": array_bytes(np.array([Hostile()], dtype=object)),
}


def damaged(files: dict[str, bytes]) -> st.SearchStrategy[tuple[str, bytes]]:
    """One of the files with a name, after some cuts, changes of bytes and splices."""
    names = st.sampled_from(sorted(files))
    place = st.floats(0, 1, exclude_max=True)
    change = st.tuples(st.sampled_from(["cut", "drop", "set", "insert", "splice", "double"]), place, place, st.binary())

    def apply(drawn: tuple[str, str, list[tuple[str, float, float, bytes]]]) -> tuple[str, bytes]:
        name, other, changes = drawn
        content = files[name]
        for kind, here, there, piece in changes:
            first, last = sorted((int(here * len(content)), int(there * len(content))))
            content = {
                "cut": content[:last],
                "drop": content[:first] + content[min(last, first + 9) :],
                "set": content[:first] + piece + content[first + len(piece) :],
                "insert": content[:first] + piece + content[first:],
                "splice": content[:first] + files[other][last:],
                "double": content[:last] + content[first:],
            }[kind][:100_000]
        return name, content

    return st.tuples(names, names, st.lists(change, max_size=4)).map(apply)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def tried(place: Path, given: tuple[str, bytes], read: Callable[[Path], object]) -> None:
    """Write, read, and see that nothing else happened."""
    name, content = given
    path = place / name
    path.write_bytes(content)
    try:
        read(path)
    except DOCUMENTED as error:
        assert str(error).strip(), "an error without words"
    finally:
        assert path.read_bytes() == content, "the file was changed"
        path.unlink()
    assert not os.path.exists(MARK), "code of the file ran"
    assert not list(place.iterdir()), "something was left behind"


@fuzz
@given(damaged(FILES))
def test_checkpoints(place: Path, given: tuple[str, bytes]) -> None:
    tried(place, given, read_state)


@fuzz
@given(damaged(PICKLES))
def test_pickles(place: Path, given: tuple[str, bytes]) -> None:
    tried(place, given, read_content)


@fuzz
@given(damaged(PICTURES))
def test_pictures(place: Path, given: tuple[str, bytes]) -> None:
    tried(place, given, lambda path: read_image(path, (3, 12, 12)))


@fuzz
@given(damaged(ARRAYS))
def test_directions(place: Path, given: tuple[str, bytes]) -> None:
    tried(place, given, lambda path: load_directions(path, 8))


WORDS = st.text(max_size=30) | st.sampled_from(
    ["shapes-dcgan", "../shapes-dcgan", "shapes-dcgan.safetensors", "linear", "/etc/passwd", "con", "w+", "z", ""]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@fuzz
@given(WORDS.filter(lambda text: ":" not in text), WORDS, st.dictionaries(WORDS, VALUES, max_size=2))
def test_catalogue(name: str, space: str, options: dict[str, Any]) -> None:
    """Of names alone: a factory, with a colon in its name, is the caller's own code."""
    for key in ("space", "weights", "device", "name"):
        options.pop(key, None)
    try:
        geomlib.load_generator(name, space=space, **options)
    except (*DOCUMENTED, TypeError) as error:
        assert str(error).strip()


KNOWN = parameters.inspect(ROOT / "notebooks/inversion.ipynb")


@fuzz
@given(st.dictionaries(st.sampled_from(sorted(KNOWN)) | WORDS, VALUES, max_size=3), WORDS, st.lists(WORDS, max_size=3))
def test_parameters(values: dict[str, Any], text: str, pieces: list[str]) -> None:
    tries: list[Callable[[], object]] = [
        lambda: parameters.check("inversion", KNOWN, values),
        lambda: _literals.literal(text),
        lambda: _literals.generator_options(text),
        lambda: _literals.read_options(pieces, "options"),
        lambda: json.dumps(_literals.options_text({"a": text})),
    ]
    for one in tries:
        try:
            one()
        except (ValueError, TypeError) as error:
            assert str(error).strip()
