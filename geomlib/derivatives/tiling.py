"""Memory: a stated budget, the tile of columns that fits it, and tiles that shrink where a device runs out."""

import logging
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from geomlib._checks import shown

logger = logging.getLogger(__name__)

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
LARGEST_TILE = 64
# The largest intermediate result of one tile. Measured on a CPU with 32 MB of cache: tiles of 32 to 64 are the fastest
# at 64 px, of 1 to 4 at 256 px. A GPU needs more work at a time: its value is a guess.
TILE_BYTES = {"cpu": 32 * 2**20, "cuda": 2**30}


def parse_bytes(memory: str | int) -> int:
    """Bytes of `"4GB"`, `"512 MiB"` or a plain number; raises `ValueError` for anything else, or for none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B?)\s*", str(memory), re.IGNORECASE)
    unit = match[2].upper() if match else "?"
    unit = unit + "B" if unit and not unit.endswith("B") else unit.removeprefix("B")
    if match is None or unit not in _UNITS or not (count := int(float(match[1]) * _UNITS[unit])):
        raise ValueError(f"memory: expected bytes such as '4GB' or '512MiB', got {shown(memory)}")
    return count


def free_bytes(device: torch.device) -> int:
    """Memory that is free now on a device, or in the machine; 4 GB where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    table = Path("/proc/meminfo")
    if table.is_file() and (match := re.search(r"MemAvailable:\s*(\d+) kB", table.read_text())):
        return int(match[1]) * 1024
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 * 10**9


@dataclass(frozen=True)
class Footprint:
    """Bytes of one sample on its way through a function: the largest result, all of them, and the output.

    `random` is the first operation on this way that draws random numbers.
    """

    largest: int
    total: int
    output: int
    random: str = ""


class Draws(TorchDispatchMode):
    """Notes the first operation that draws random numbers, `name`; there may be none."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: else PyTorch would import its compiler, which takes a second, and nothing here is compiled."""
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.name = self.name or str(func.overloadpacket)
        return func(*args, **(kwargs or {}))


class _Sizes(Draws):
    """Adds up what each operation allocates."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if not func.is_view and not func._schema.is_mutable:
            for part in result if isinstance(result, tuple | list) else (result,):
                if isinstance(part, Tensor):
                    self.largest = max(self.largest, part.nbytes)
                    self.total += part.nbytes
        return result


@torch.no_grad()
def footprint(function: Callable[[Tensor], Tensor], z: Tensor) -> Footprint:
    """Run `function` at `z` once and add up its intermediate results."""
    with _Sizes() as sizes:
        output = function(z)
    return Footprint(max(sizes.largest, output.nbytes), max(sizes.total, output.nbytes), output.nbytes, sizes.name)


@dataclass
class Tiling:
    """How many columns are computed, and kept, at a time.

    `tile` columns are computed and `block` columns of `J` are kept, within `memory` bytes, of which `bytes` are likely
    to be used.  Where autograd keeps a graph, of `graph` bytes a column, tiles are smaller if need be.  All latents of
    one call share it, so that a tile which was too large for the device at one of them is not tried at the next.
    """

    tile: int
    block: int
    memory: int
    bytes: int
    graph: int = 1

    def passes(self, columns: int) -> float:
        """How often a column of `J` is computed, on average, because only `block` of them are kept."""
        return sum(columns - start for start in range(0, columns, self.block)) / columns

    def run(self, function: Callable[[Tensor], Tensor], rows: Tensor, graph: bool = False) -> Tensor:
        """`function` of all `rows`, a tile at a time; where memory runs out, of fewer of them from there on."""
        parts: list[Tensor] = []
        done = 0
        while done < len(rows):
            tile = min(self.tile, max(1, self.memory // self.graph)) if graph else self.tile
            try:
                parts.append(function(rows[done : done + tile]))
                done += len(parts[-1])
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.tile == 1:
                    raise
                self._halve(len(rows))
            if rows.is_cuda and done < len(rows):
                torch.cuda.empty_cache()
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _halve(self, columns: int) -> None:
        """Half of the tile that did not fit, for good, with a warning."""
        self.tile = max(1, min(self.tile, columns) // 2)
        logger.warning("out of memory: going on with tiles of %d columns", self.tile)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the CPU allocator, could not give what was asked for."""
    told = any(text in str(error) for text in ("can't allocate memory", "not enough memory"))
    return isinstance(error, torch.OutOfMemoryError) or told


def make_tiling(
    sizes: Footprint,
    columns: int,
    device: torch.device,
    *,
    smallest_tile: int = 1,
    tile: int | None = None,
    memory: str | int | None = None,
    second_order: bool = False,
) -> Tiling:
    """The tile and the block for `columns` latent dimensions.

    The tile follows from the size of the largest intermediate result alone, so that it is the same in each run; the
    budget, by default half of what is free, only caps it.

    Args:
        sizes: of one sample on its way through the function.
        columns: how many there are.
        device: where they are computed.
        smallest_tile: what a tile has at least, for a large function; the budget comes first.
        tile: columns at a time, in place of what follows from the sizes.
        memory: the budget, such as "4GB".
        second_order: whether the whole graph of a sample is alive in each column.

    Raises:
        ValueError: for a `tile` or `memory` that is none, and where `memory` is given and one column does not fit.
    """
    if tile is not None and tile < 1:
        raise ValueError(f"tile: expected a positive integer, got {tile}")
    budget = parse_bytes(memory) if memory is not None else free_bytes(device) // 2
    # A tangent is alive beside its input and output; the outputs are gathered once more.
    column = 4 * sizes.total if second_order else 3 * sizes.largest + 2 * sizes.output
    least = sizes.total + (0 if second_order else sizes.output)
    fits = (budget - least) // column
    if fits < 1 and memory is not None:
        raise ValueError(f"memory: expected at least {least + column} bytes, for one column, got {memory!r}")
    by_size = TILE_BYTES.get(device.type, TILE_BYTES["cuda"]) // sizes.largest
    wanted = tile or min(LARGEST_TILE, max(smallest_tile, by_size))
    most = max(1, min(wanted, fits, columns))
    size = most if tile else math.ceil(columns / math.ceil(columns / most))  # no small one at the end
    used = sizes.total + size * column
    block = columns if second_order else max(1, min(columns, (budget - used) // sizes.output))
    needed = used if second_order else used + block * sizes.output
    return Tiling(size, block, budget, needed, graph=2 * sizes.total)
