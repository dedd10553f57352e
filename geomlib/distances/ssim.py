"""SSIM, the structural similarity (Wang et al. 2004), as a squared distance without features."""

import torch
from torch import Tensor
from torch.nn import functional

from geomlib._checks import check_place
from geomlib.distances.distance import Distance

_WINDOW, _SIGMA = 11, 1.5  # pixels
_K1, _K2 = 0.01, 0.03


def ssim(device: str | torch.device, dtype: torch.dtype, data_range: float = 1.0) -> Distance:
    """`1 − SSIM`, in [0, 2], of images `(B, C, H, W)` in [0, 1], mean over channels and window positions.

    Gaussian window of 11 pixels with deviation 1.5, no padding, `K1 = 0.01` and `K2 = 0.03` (Wang et al. 2004, section
    III-C).  `data_range` is the range that images are taken to have; 255, a common default, makes the constants so
    large for images in [0, 1] that little more than their squared difference is left.  Its Hessian at `x = y` is
    positive semi-definite.

    Raises:
        ValueError: a `data_range` that is not positive.
    """
    if not data_range > 0:
        raise ValueError(f"data_range: expected a positive number, got {data_range}")
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    window = (window / window.sum()).to(device=device, dtype=dtype)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2

    def local_mean(maps: Tensor) -> Tensor:
        single = maps.flatten(0, 1)[:, None]
        rows = functional.conv2d(single, window[None, None, :, None])
        means: Tensor = functional.conv2d(rows, window[None, None, None, :])[:, 0].unflatten(0, maps.shape[:2])
        return means

    def value(x: Tensor, y: Tensor) -> Tensor:
        if x.ndim != 4 or min(x.shape[2:]) < _WINDOW:
            raise ValueError(
                f"x: expected images (B, C, H, W) of at least {_WINDOW} pixels a side, got {tuple(x.shape)}"
            )
        check_place("distance", x, window)
        difference = x - y
        terms = torch.cat([x, y, x.square() + y.square(), difference, difference.square()], 1)
        mean_x, mean_y, power, mean_difference, power_difference = local_mean(terms).chunk(5, 1)
        # 1 − l is this quotient, and so is 1 − cs, with l and cs the two factors of SSIM: sums of squares over
        # positive numbers, so that nothing cancels where x and y are close.
        means = mean_x.square() + mean_y.square()
        luminance = mean_difference.square() / (means + c1)
        structure = (power_difference - mean_difference.square()) / (power - means + c2)
        dissimilarity: Tensor = luminance + structure - luminance * structure
        return dissimilarity.mean((1, 2, 3))

    return Distance("ssim", value=value)
