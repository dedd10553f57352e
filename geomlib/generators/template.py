"""The file that `geomlib new` writes: a factory to put a network into, with what it may need in words."""

from pathlib import Path

TEMPLATE = '''"""A generator of my own: a function that returns a `geomlib.Generator`.

    geomlib check {file}:{name}
    geomlib metric {file}:{name}
    geomlib run anisotropy homogeneity --generator {file}:{name}

The first command says in one line for each property whether the network is fit, and which option is missing.
"""

import torch
from torch import nn

import geomlib


class Network(nn.Module):
    """Put your network in its place, or import it from a file beside this one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(16, 64 * 4 * 4), nn.Unflatten(1, (64, 4, 4)), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Images `(B, 3, 16, 16)` of latents `(B, 16)`."""
        return self.layers(latents)


def {name}(weights: str | None = None) -> geomlib.Generator:
    """The factory; further parameters become options, as -o NAME=VALUE on the command line."""
    torch.manual_seed(0)
    network = Network()
    if weights:  # what --weights names; read_state takes training checkpoints and runs no code
        network.load_state_dict(geomlib.generators.read_state(weights))
    return geomlib.Generator(
        network.eval(),
        latent_dim=16,
        output_range=(-1, 1),  # of the network: (0, 1) after a sigmoid, (0, 255) for bytes, None for sound
        name="{name}",
        default_distance="mse",  # or st-lpips-alex, lpips-squeeze: a perceptual one, for images of three channels
        # latent_shape=(4, 32, 32),  # what one latent is for the network; [(16,)]: it takes a list
        # output="sample",  # what is taken of a pair (0, 1), a dictionary or a dataclass
        # condition={{"labels": torch.tensor(3)}},  # what it is given beside the latents; 3 alone is a label
        # channels_last=True,  # images come as (B, H, W, C)
        # sampler=lambda count, random: torch.randn(count, 16, generator=random),  # latents that are not normal
    )
'''


def write_template(path: Path) -> str:
    """Write the file, whose factory has its name; returns `file.py:factory`.

    Raises:
        ValueError: a name that is none of Python's.
        FileExistsError: the file is there, and stays as it is.
        FileNotFoundError: no such folder.
    """
    name = path.stem
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"path: expected a file such as my_gan.py, its name one of Python's, got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path: no folder {path.parent}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(file=path.as_posix(), name=name))
    except FileExistsError:
        raise FileExistsError(f"path: {path} is there already; it stays as it is") from None
    return f"{path}:{name}"
