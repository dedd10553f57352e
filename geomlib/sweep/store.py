"""A Zarr store of metrics, one chunk a position: values first, then the state of the position.

A chunk appears whole or not at all (zarr writes it under another name and renames it; nothing is forced to the disk
before that), and carries a checksum.  So any number of writers may work on one store: a position that two of them
compute has the same value, and the last rename wins.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from torch import Tensor
from zarr.codecs import Crc32cCodec, ZstdCodec

from geomlib._files import name_beside
from geomlib.sweep.fingerprint import Fingerprint, differences

KIND, FORMAT = "geomlib sweep", 1
REASON_BYTES = 400  # of the sentence that says why a position failed


class State(IntEnum):
    """What a store knows of a position; `damaged` is never written: a chunk that cannot be read says it."""

    MISSING = 0
    DONE = 1
    FAILED = 2
    DAMAGED = 3


@dataclass(frozen=True)
class Layout:
    """The sizes of what a store holds: positions, latent dimensions, leading eigenpairs, whether the matrix is kept."""

    positions: int
    dimensions: int
    pairs: int
    residuals: bool = False
    matrix: bool = False

    def variables(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Dimensions and type of each variable that a position fills."""
        variables = {
            "eigenvalues": (("position", "pair"), "float64"),
            "eigenvectors": (("position", "dimension", "pair"), "float64"),
            "noise_floor": (("position",), "float64"),
            "tile": (("position",), "int64"),
            "seconds": (("position",), "float64"),
            "reason": (("position", "byte"), "uint8"),
        }
        if self.residuals:
            variables["residuals"] = (("position", "pair"), "float64")
        if self.matrix:
            variables["matrix"] = (("position", "dimension", "column"), "float64")
        return variables

    def size(self, dimension: str) -> int:
        """How long a dimension is."""
        sizes = {"position": self.positions, "dimension": self.dimensions, "column": self.dimensions}
        return (sizes | {"pair": self.pairs, "byte": REASON_BYTES})[dimension]


class Store:
    """The store at a path: made whole, or found and compared."""

    def __init__(self, path: Path) -> None:
        """Open what lies there.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: it is something else than a store of a sweep.
        """
        self.path = path
        if not path.exists():
            raise FileNotFoundError(f"store: no store {path}")
        try:
            self.group = zarr.open_group(path, mode="r+")
            about = dict(self.group.attrs)
        except (OSError, ValueError, KeyError, TypeError) as error:  # zarr's own errors are among these
            raise ValueError(f"store: {path} is no store of a sweep; name another place") from error
        if about.get("kind") != KIND or about.get("format") != FORMAT:
            raise ValueError(f"store: {path} holds something else than a sweep; name another place")
        self.fingerprint: dict[str, str] = json.loads(str(about["fingerprint"]))
        self.layout = Layout(**json.loads(str(about["layout"])))
        self._arrays: dict[str, Any] = dict(self.group.arrays())

    @classmethod
    def at(cls, path: str | Path, latents: Tensor, layout: Layout, fingerprint: Fingerprint) -> "Store":
        """The store at `path`, made if nothing is there.

        Raises:
            ValueError: what is there is of another sweep (the fields that differ are named) or no store.
            OSError: the place cannot be written.
        """
        path = Path(path)
        if not path.exists():
            cls._make(path, latents, layout, fingerprint)
        store = cls(path)
        store.check(fingerprint)
        if store.layout != layout:
            raise ValueError(f"store: {path} holds {store.layout}, expected {layout}")
        return store

    @staticmethod
    def _make(path: Path, latents: Tensor, layout: Layout, fingerprint: Fingerprint) -> None:
        """All arrays and attributes under another name, then renamed: whoever is second keeps the first one's."""
        beside = name_beside(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            about = {"kind": KIND, "format": FORMAT, "fingerprint": json.dumps(dict(fingerprint))}
            group = zarr.create_group(beside, attributes=about | {"layout": json.dumps(vars(layout))})
            variables = layout.variables() | {"state": (("position",), "int8")}
            for name, (dimensions, kind) in variables.items():
                _array(group, name, tuple(map(layout.size, dimensions)), dimensions, kind)
            kept = latents.detach().cpu().double().numpy()
            _array(group, "latents", kept.shape, ("position", "dimension"), "float64", whole=True)[:] = kept
            beside.rename(path)
        except OSError as error:
            if not path.is_dir():
                raise OSError(f"store: cannot write {path} ({error.strerror or error})") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def check(self, fingerprint: Fingerprint) -> None:
        """Raise `ValueError`, naming the fields that differ, where the store rests on something else."""
        others = differences(fingerprint, self.fingerprint)
        if others:
            raise ValueError(f"store: {self.path} is of another sweep; it differs in {'; '.join(others)}")

    def array(self, name: str) -> "zarr.Array[Any]":
        """One of the arrays; its first axis is the position."""
        array: zarr.Array[Any] = self._arrays[name]
        return array

    @cached_property
    def latents(self) -> np.ndarray[Any, Any]:
        """The list that the store was made for, `(P, n)`."""
        return np.asarray(self.array("latents")[:])

    def state(self, position: int) -> State:
        """What is known of a position, by its state alone."""
        try:
            return State(int(np.asarray(self.array("state")[position])))
        except (OSError, ValueError, RuntimeError):
            return State.DAMAGED

    def states(self) -> list[State]:
        """The states of all positions."""
        return [self.state(position) for position in range(self.layout.positions)]

    def write(self, position: int, values: Mapping[str, Any]) -> None:
        """Fill a position that is done."""
        for name, value in values.items():
            self.array(name)[position] = np.asarray(value)
        if self.state(position) is State.FAILED:
            self.array("reason")[position] = np.zeros(REASON_BYTES, np.uint8)
        self._set(position, State.DONE)

    def fail(self, position: int, reason: str, seconds: float) -> None:
        """Say why a position has no metric."""
        text = reason.encode()[:REASON_BYTES]
        self.array("reason")[position] = np.frombuffer(text.ljust(REASON_BYTES, b"\0"), np.uint8)
        self.array("seconds")[position] = seconds
        self._set(position, State.FAILED)

    def forget(self, position: int) -> None:
        """Let a position be computed again."""
        self._set(position, State.MISSING)

    def reason(self, position: int) -> str:
        """Why a position failed."""
        return np.asarray(self.array("reason")[position], np.uint8).tobytes().rstrip(b"\0").decode(errors="replace")

    def read(self, position: int) -> dict[str, np.ndarray[Any, Any]]:
        """The values of a position that is done.

        Raises:
            ValueError: a chunk is missing or damaged.
        """
        values = {}
        for name in self.layout.variables():
            if name != "reason":
                try:
                    values[name] = np.asarray(self.array(name)[position])
                except (OSError, ValueError, RuntimeError) as error:
                    raise ValueError(f"store: {name} at position {position} of {self.path} is damaged") from error
        if any(np.isnan(value).any() for value in values.values()):
            raise ValueError(f"store: a chunk at position {position} of {self.path} is missing")
        return values

    def whole(self, position: int) -> dict[str, np.ndarray[Any, Any]] | None:
        """The values of a position; None where it is not done, or not whole."""
        if self.state(position) == State.DONE:
            with contextlib.suppress(ValueError):
                return self.read(position)
        return None

    def damaged(self) -> list[int]:
        """Positions that say that they are done or failed, and are not whole: every chunk is read."""
        sound = (State.MISSING, State.FAILED)
        return [at for at, state in enumerate(self.states()) if state not in sound and self.whole(at) is None]

    def _set(self, position: int, state: State) -> None:
        self.array("state")[position] = int(state)

    def size(self) -> int:
        """Bytes of all files of the store."""
        return sum(path.stat().st_size for path in _files(self.path))


def _array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dimensions: tuple[str, ...],
    kind: str,
    whole: bool = False,
) -> Any:
    return group.create_array(
        name,
        shape=shape,
        chunks=shape if whole else (1, *shape[1:]),
        dtype=kind,
        compressors=(ZstdCodec(level=1), Crc32cCodec()),  # the checksum is of what lies on the disk
        fill_value=float("nan") if kind == "float64" else 0,
        dimension_names=dimensions,
    )


def _files(path: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)
