"""The trained network that listens to tones: which note, and with what brightness, even harmonics, attack, decay."""

import math

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from geomlib._files import WEIGHTS
from geomlib.generators.checkpoints import trained
from geomlib.worlds.factors import from_code, to_code
from geomlib.worlds.reader import Reader
from geomlib.worlds.tones.data import FACTORS, LENGTH, NOTES

CLASSES = len(NOTES) + 1  # the last one: no single clean note
CODE_SIZE = len(FACTORS) - 1
FLOOR = 1e-3  # amplitude, 60 dB below full scale


def check_sounds(sounds: Tensor) -> None:
    """Raise `ValueError` unless `sounds` is `(N, 1, LENGTH)`."""
    if sounds.ndim != 3 or tuple(sounds.shape[1:]) != (1, LENGTH):
        raise ValueError(f"sounds: expected shape (N, 1, {LENGTH}), got {tuple(sounds.shape)}")


def spectrogram(sounds: Tensor, window: int, hop: int) -> Tensor:
    """Power of sounds `(N, 1, LENGTH)`, `(N, window // 2 + 1, LENGTH // hop)`; 1 for a full sine at a bin's centre.

    Hann windows, the first one centred on the middle of the first hop, silence around the sound.
    """
    padded = functional.pad(sounds[:, 0].float(), ((window - hop) // 2,) * 2)
    hann = torch.hann_window(window, device=sounds.device)
    spectrum = torch.view_as_real(torch.fft.rfft(padded.unfold(1, window, hop) * (2 * hann / hann.sum())))
    return spectrum.square().sum(-1).mT


def log_spectrogram(sounds: Tensor, window: int, hop: int, floor: float = FLOOR) -> Tensor:
    """The logarithm of `spectrogram`, from -1 at the amplitude `floor` to 1 at that of a full sine."""
    return 1.0 - (spectrogram(sounds, window, hop) + floor**2).log10() / math.log10(floor)


def encode_factors(factors: Tensor) -> Tensor:
    """All factors but the note, their ranges to [-1, 1]: `(N, 5)` to `(N, CODE_SIZE)`."""
    return to_code(factors[:, 1:], FACTORS[1:])


def decode_factors(code: Tensor, note: Tensor) -> Tensor:
    """Invert `encode_factors`: `code` `(N, CODE_SIZE)` and `note` `(N,)`, indices into `NOTES`, to factors `(N, 5)`."""
    return torch.cat([note.to(code)[:, None], from_code(code, FACTORS[1:])], 1)


class ToneReader(Reader):
    """Reads note and factors off a log spectrogram: convolutions over time with SiLU, the frequencies as channels.

    The last class, "none", is for sounds that are no single clean note: noise, silence, two notes, glides, beating.
    """

    kinds = len(NOTES)
    decode = staticmethod(decode_factors)

    def __init__(self, window: int = 1024, hop: int = 256, width: int = 96, floor: float = FLOOR) -> None:
        super().__init__()
        self.window, self.hop, self.floor = window, hop, floor
        channels = [window // 2 + 1, width, width, width, width]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv1d(inputs, outputs, 3 if index == 0 else 4, 1 if index == 0 else 2, 1), nn.SiLU())
            for index, (inputs, outputs) in enumerate(zip(channels[:-1], channels[1:], strict=True))
        )
        self.hidden = nn.Linear(width * (LENGTH // hop // 8), 128)
        self.output = nn.Linear(128, CLASSES + CODE_SIZE)

    def maps(self, sounds: Tensor) -> list[Tensor]:
        """Feature maps `(N, width, frames)`, of 1, 1/2, 1/4 and 1/8 of the spectrogram's frames.

        Raises:
            ValueError: sounds that are not `(N, 1, LENGTH)`.
        """
        check_sounds(sounds)
        current, maps = log_spectrogram(sounds, self.window, self.hop, self.floor), []
        for stage in self.stages:
            current = stage(current)
            maps.append(current)
        return maps

    def features(self, sounds: Tensor) -> Tensor:
        """Sounds `(N, 1, LENGTH)` in [-1, 1] to the last hidden layer, `(N, 128)`."""
        return functional.silu(self.hidden(self.maps(sounds)[-1].flatten(1)))


def load_tone_reader(device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> ToneReader:
    """The trained reader `tones-factors`, in eval mode, its parameters without gradient."""
    return trained(ToneReader(), load_file(WEIGHTS / "tones-factors.safetensors"), device, dtype)
