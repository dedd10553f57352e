"""A distance between sounds: log-magnitude spectrograms at several window sizes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from geomlib.distances.distance import Distance

_OVERLAP = 4  # windows over each sample


def stft(
    device: str | torch.device,
    dtype: torch.dtype,
    window_sizes: Sequence[int] = (256, 512, 1024),
    floor: float = 1e-3,
) -> Distance:
    """Mean squared difference of log magnitudes of sounds `(B, C, L)` in [-1, 1]: per window size, then over them.

    The feature is `log(|X|² + floor²) / 2`, natural logarithm, with `X` the short-time Fourier transform under a Hann
    window, scaled so that `|X| = 1` for a sine of amplitude 1 at the centre of a frequency bin.  A window of
    `window_sizes` (samples, multiples of 4) moves by a quarter of itself, over the sound with half a window of silence
    before it and at least as much after it.  `floor`, an amplitude (1e-3 is 60 dB below full scale), keeps it smooth
    at silence.  In the way of multi-resolution losses (Yamamoto et al. 2020, section 2.2); the paper does not state
    its own parameters.

    Raises:
        ValueError: a wrong option, and on use for another shape or a sound shorter than a window.
    """
    sizes = tuple(window_sizes)
    if not sizes or any(size < _OVERLAP or size % _OVERLAP for size in sizes):
        raise ValueError(f"window_sizes: expected positive multiples of {_OVERLAP}, got {sizes}")
    if not floor > 0:
        raise ValueError(f"floor: expected a positive amplitude, got {floor}")
    windows = [torch.hann_window(size, dtype=torch.float64) for size in sizes]
    scaled = [(2 * window / window.sum()).to(device=device, dtype=dtype) for window in windows]

    def features(sounds: Tensor) -> Tensor:
        if sounds.ndim != 3 or sounds.shape[2] < max(sizes):
            raise ValueError(f"sounds: expected shape (B, C, L), L at least {max(sizes)}, got {tuple(sounds.shape)}")
        return torch.cat([_log_magnitudes(sounds, window, floor) / math.sqrt(len(sizes)) for window in scaled], 1)

    return Distance("stft", features)


def stft_short(device: str | torch.device, dtype: torch.dtype, floor: float = 1e-3) -> Distance:
    """`stft` for sounds from 256 samples on: windows of 64, 128 and 256."""
    distance = stft(device, dtype, (64, 128, 256), floor)
    distance.name = "stft-short"
    return distance


def _log_magnitudes(sounds: Tensor, window: Tensor, floor: float) -> Tensor:
    size, hop = len(window), len(window) // _OVERLAP
    padded = functional.pad(sounds, (size // 2, size // 2 + -sounds.shape[2] % hop))
    # Frames are put together from slices: `unfold` has a slow second derivative under vmap.
    pieces = padded.unflatten(2, (-1, hop))
    count = pieces.shape[2] - _OVERLAP + 1
    frames = torch.cat([pieces[:, :, start : start + count] for start in range(_OVERLAP)], 3)
    spectrum = torch.view_as_real(torch.fft.rfft(frames * window))
    logarithm = (spectrum.square().sum(-1) + floor**2).log() / 2
    return logarithm.flatten(1) / math.sqrt(logarithm[0].numel())
