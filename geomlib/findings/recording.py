"""Records under way: with what code they are made, what is kept meanwhile, and how they are written, whole or not."""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import geomlib
from geomlib._files import sha256
from geomlib.findings.record import read_record
from geomlib.sweep.fingerprint import NUMERICS, numerics_hash

Arrays = dict[str, np.ndarray]
Key = tuple[str, str]  # label and distance of a part


def code_of(script: Path, modules: Sequence[str]) -> dict[str, Any]:
    """What decides a part: the hash over the numerics, the package's `modules` and the script, and the commit.

    Call it when the script is loaded: what is edited while it runs does not count.
    """
    package = Path(geomlib.__file__).parent
    total = hashlib.sha256(numerics_hash().encode())
    for file in (*(package / name for name in modules), script):
        total.update(sha256(file).encode())

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=script.parent, capture_output=True, text=True).stdout.strip()

    files = [str(package / name) for name in (*NUMERICS, *modules)]
    return {
        "code": total.hexdigest(),
        "commit": git("rev-parse", "HEAD"),
        "edited since": bool(git("status", "--porcelain", "--", *files, str(script))),
    }


def command_line(description: str | None, networks: Sequence[str]) -> argparse.Namespace:
    """What a script that makes a record is asked: `only`, the networks to measure, here all or some, and `again`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="NETWORK", help="these networks alone")
    parser.add_argument("--again", action="store_true", help="also parts that other code made")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.only) - set(networks)):
        parser.error(f"expected networks of {', '.join(networks)}, got {', '.join(unknown)}")
    asked.only = asked.only or list(networks)
    return asked


def manifest(code: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """When, with what code and on what a part was made; `seconds` it took."""
    return dict(code) | {
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
        "seconds": round(seconds),
    }


@dataclass(frozen=True)
class Kept:
    """Results in a folder, one file each, so that a run that was stopped goes on where it was.

    Attributes:
        folder: where they are; made when missing.
        code: hash of the code that they rest on; what other code made is made anew.
    """

    folder: Path
    code: str

    def get(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of this name, computed by `make` where they are not there; `seconds` is added to them."""
        path = self.folder / (name.replace(" ", "-").replace(",", "") + ".npz")
        if path.is_file():
            with np.load(path) as there:
                if str(there["code"]) == self.code:
                    return {key: there[key] for key in there if key != "code"}
        start = time.monotonic()
        made = make()
        made["seconds"] = np.array(time.monotonic() - start)
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npz")
        np.savez_compressed(unfinished, allow_pickle=False, code=np.array(self.code), **made)
        os.replace(unfinished, path)
        return made


@dataclass
class Recorder:
    """A record that grows by one part at a time.

    Attributes:
        path: of the JSON; the arrays stand beside it, with the ending npz.
        wanted: label and distance of all parts, in their order.
        manifest: what is true of all parts.
        reasons: why a part is missing.
    """

    path: Path
    wanted: Sequence[Key]
    manifest: dict[str, Any]
    reasons: dict[Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts: dict[Key, dict[str, Any]] = {}
        self.arrays: Arrays = {}
        if self.path.is_file():
            parts = read_record(self.path)["parts"]
            self.parts = {(part["label"], part["distance"]): part for part in parts}
            with np.load(self.path.with_suffix(".npz")) as kept:
                self.arrays = dict(kept)

    def add(self, part: dict[str, Any], arrays: Arrays) -> None:
        """Take a part, with its arrays in place of those it had, and write."""
        key = part["label"], part["distance"]
        place = "|".join(key)
        self.parts[key] = part
        others = {name: values for name, values in self.arrays.items() if not name.startswith(f"{place}|")}
        self.arrays = others | {f"{place}|{name}": values for name, values in arrays.items()}
        self.write()

    def fill(self, makers: Mapping[Key, Callable[[], tuple[dict[str, Any], Arrays]]], code: str, again: bool) -> None:
        """Make the parts that are missing, by what makes each, and say so; `again`: also those that other code made.

        A part of a network that is not here has its reason in the record.
        """
        if not self.path.is_file():
            self.write()
        for key, make in makers.items():
            if key in self.parts and not (again and self.parts[key]["made"]["code"] != code):
                continue
            try:
                self.add(*make())
            except FileNotFoundError as error:
                self.reasons[key] = str(error).splitlines()[0]
                self.write()
            print(f"{' | '.join(key)}: {self.reasons.get(key, 'done')}", flush=True)

    def write(self) -> None:
        """Write the record of what is finished, whole or not at all."""
        missing = [key for key in self.wanted if key not in self.parts]
        record = {
            "manifest": self.manifest,
            "missing": [
                {"label": key[0], "distance": key[1], "reason": self.reasons.get(key, "not run yet")} for key in missing
            ],
            "parts": [self.parts[key] for key in self.wanted if key in self.parts],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        unfinished = self.path.with_suffix(".json.part"), self.path.with_suffix(".part.npz")
        unfinished[0].write_text(text, encoding="utf-8")
        np.savez_compressed(unfinished[1], allow_pickle=False, **dict(sorted(self.arrays.items())))
        os.replace(unfinished[1], self.path.with_suffix(".npz"))
        os.replace(unfinished[0], self.path)


def arrays_of(path: str | Path, part: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The numbers of a part, by the name that they were added under; words as they are are left out."""
    place = f"{part['label']}|{part['distance']}|"
    with np.load(Path(path).with_suffix(".npz")) as kept:
        own = {name.removeprefix(place): kept[name] for name in kept if name.startswith(place)}
    return {name: torch.from_numpy(values) for name, values in own.items() if values.dtype.kind in "biufc"}


def relative_error(here: torch.Tensor, there: torch.Tensor) -> float:
    """The largest difference over the largest magnitude of what is recorded, `there`."""
    here, there = here.detach().cpu().double(), there.detach().cpu().double()
    return float((here - there).abs().max() / there.abs().max().clamp(min=torch.finfo(torch.float64).tiny))
