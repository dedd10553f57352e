"""Inner products of the columns of a Jacobian, exact enough for small eigenvalues."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Features at a time: small enough for the cache, large enough for the matrix product.
CHUNK = 4096
# Compute capabilities of NVIDIA GPUs that multiply float64 at half or a quarter of the float32 rate.
_FAST_FLOAT64 = {(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)}


def gram(left: Tensor | Sequence[Tensor], right: Tensor | Sequence[Tensor]) -> Tensor:
    """`left @ right.mT` of rows `(a, m)` and `(b, m)`: `(a, b)` float64 on the CPU, summed over tiles of `m`.

    Rows may come in several tensors, one under the other.  They keep their dtype: one tile at a time is converted to
    float64.  Where `left is right` the result is symmetric, and on a device with slow float64 it comes from a QR
    decomposition in the rows' dtype, which knows small eigenvalues as well.
    """
    lefts, rights = ([rows] if isinstance(rows, Tensor) else list(rows) for rows in (left, right))
    if left is right and slow_float64(lefts[0].device):
        factor = triangle(torch.cat(lefts)).double()
        return factor.mT @ factor
    device, width = _float64_device(lefts[0]), min(CHUNK, lefts[0].shape[1])
    a, b = (torch.empty(sum(map(len, rows)), width, dtype=torch.float64, device=device) for rows in (lefts, rights))
    total = torch.zeros(len(a), len(b), dtype=torch.float64, device=device)
    for start in range(0, lefts[0].shape[1], CHUNK):
        first = _converted(lefts, start, a)
        total += _product(first, first if left is right else _converted(rights, start, b))
    return total.cpu()


def _converted(rows: Sequence[Tensor], start: int, buffer: Tensor) -> Tensor:
    """A tile of all rows, in the buffer."""
    tile = buffer[:, : min(CHUNK, rows[0].shape[1] - start)]
    for part, place in zip(rows, tile.split([len(part) for part in rows]), strict=True):
        place.copy_(part[:, start : start + CHUNK])
    return tile


def _product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b.mT`; NumPy saves half of the work where both are the same."""
    return a @ b.mT if a.device.type != "cpu" else torch.from_numpy(a.numpy() @ b.numpy().T)


def triangle(rows: Tensor) -> Tensor:
    """`R` `(n, n)` on the CPU with `RᵀR = rows @ rows.mT`, by QR decompositions of tiles, in the dtype of the rows."""
    n = len(rows)
    factor = rows.new_zeros(0, n)
    for part in rows.split(max(CHUNK, 4 * n), dim=1):
        factor = torch.linalg.qr(torch.cat([factor, part.mT]), mode="r").R
    return factor.cpu()


def slow_float64(device: torch.device) -> bool:
    """Whether float64 is missing, or many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) not in _FAST_FLOAT64
    return device.type == "mps"


def _float64_device(rows: Tensor) -> torch.device:
    return torch.device("cpu") if rows.device.type == "mps" else rows.device
