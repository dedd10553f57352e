"""Inner products of the columns of a Jacobian, exact enough for small eigenvalues."""

import torch
from torch import Tensor

# Features at a time: small enough for the cache, large enough for the matrix product.
CHUNK = 4096
# Below this many columns a symmetric product is not split any further.
_SPLIT = 256
# Compute capabilities of NVIDIA GPUs that multiply float64 at half or a quarter of the float32 rate.
_FAST_FLOAT64 = {(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)}


def gram(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right.mT` of rows `(a, m)` and `(b, m)`: `(a, b)` float64 on the CPU, summed over tiles of `m`.

    The rows keep their dtype: one tile at a time is converted to float64.  Where `left is right` only one triangle is
    computed, and on a device with slow float64 it comes from a QR decomposition in the rows' dtype, which knows small
    eigenvalues as well.
    """
    if left is right and slow_float64(left.device):
        factor = triangle(left).double()
        return factor.mT @ factor
    total = torch.zeros(len(left), len(right), dtype=torch.float64, device=_float64_device(left))
    for start in range(0, left.shape[1], CHUNK):
        part = left[:, start : start + CHUNK].to(total.device, torch.float64)
        if left is right:
            _add_triangle(total, part)
        else:
            total += part @ right[:, start : start + CHUNK].to(total).mT
    if left is right:
        total = total.triu() + total.triu(1).mT
    return total.cpu()


def _add_triangle(total: Tensor, part: Tensor) -> None:
    """Add the upper triangle of `part @ part.mT` to `total`, in place, by halves."""
    half = len(part) // 2
    if half < _SPLIT // 2:
        total += part @ part.mT
        return
    _add_triangle(total[:half, :half], part[:half])
    _add_triangle(total[half:, half:], part[half:])
    total[:half, half:] += part[:half] @ part[half:].mT


def triangle(rows: Tensor) -> Tensor:
    """`R` `(n, n)` on the CPU with `RᵀR = rows @ rows.mT`, by QR decompositions of tiles, in the dtype of the rows."""
    n = len(rows)
    factor = rows.new_zeros(0, n)
    for part in rows.split(max(CHUNK, 4 * n), dim=1):
        factor = torch.linalg.qr(torch.cat([factor, part.mT]), mode="r").R
    return factor.cpu()


def slow_float64(device: torch.device) -> bool:
    """Whether float64 is missing, or many times slower than float32."""
    return device.type == "mps" or (
        device.type == "cuda" and torch.cuda.get_device_capability(device) not in _FAST_FLOAT64
    )  # fmt: skip


def _float64_device(rows: Tensor) -> torch.device:
    return torch.device("cpu") if rows.device.type == "mps" else rows.device
