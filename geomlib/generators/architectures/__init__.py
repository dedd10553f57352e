"""The published architectures by name: `build` constructs one from the keys of its configuration.

Each module maps latents `(B, latent_dim)` to its raw output, and has the attributes `latent_dim` and `output_range`;
`base.to_unit_range(raw, module.output_range)` gives what is shown, in [0, 1]. Keywords that a call can take:

- pgan: `alpha`
- biggan_deep: `class_vector` (latents are then noise alone), `truncation`
- stylegan: `space` ("z", "w"), `truncation` with `mean_style`, `noise`, `step`
- stylegan2_ada, stylegan3: `space` ("z", "w", "w+"), `class_vector`, `truncation` with `mean_style`, and of the first
  `noise`
- r3gan: `class_vector`
- stylegan2: `space` ("z", "w", "w+"), `truncation` with `mean_style`, `noise`, `mix_with` with `inject_index`
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from geomlib._arguments import checked
from geomlib._checks import check_choice
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.bigbigan import BigBiGAN
from geomlib.generators.architectures.biggan_deep import BigGANDeep
from geomlib.generators.architectures.ctgan import CTGAN
from geomlib.generators.architectures.dcgan import DCGAN
from geomlib.generators.architectures.deepsim import DeepSimFC, DeepSimPool5
from geomlib.generators.architectures.mlp import MLP
from geomlib.generators.architectures.pgan import PGAN
from geomlib.generators.architectures.r3gan import R3GAN
from geomlib.generators.architectures.stylegan import StyleGAN
from geomlib.generators.architectures.stylegan2 import StyleGAN2
from geomlib.generators.architectures.stylegan2_ada import StyleGAN2ADA
from geomlib.generators.architectures.stylegan3 import StyleGAN3
from geomlib.generators.architectures.tutorial_dcgan import ConditionalDCGAN, TutorialDCGAN
from geomlib.generators.architectures.wavegan import WaveGAN

_CONSTRUCTORS: dict[str, Callable[..., Architecture]] = {
    "dcgan": DCGAN,
    "pgan": PGAN,
    "deepsim_fc6": DeepSimFC,
    "deepsim_fc7": DeepSimFC,
    "deepsim_fc8": partial(DeepSimFC, latent_dim=1000),
    "deepsim_pool5": DeepSimPool5,
    "biggan_deep": BigGANDeep,
    "bigbigan": BigBiGAN,
    "stylegan": StyleGAN,
    "stylegan2": StyleGAN2,
    "stylegan2_ada": StyleGAN2ADA,
    "stylegan3": StyleGAN3,
    "r3gan": R3GAN,
    "wavegan": WaveGAN,
    "tutorial_dcgan": TutorialDCGAN,
    "conditional_dcgan": ConditionalDCGAN,
    "mlp": MLP,
    "ctgan": CTGAN,
}
ARCHITECTURES = tuple(_CONSTRUCTORS)

# Where a published configuration key is no name for an argument.
_ARGUMENTS = {
    "bigbigan": {
        "G_ch": "channel_width",
        "dim_z": "latent_dim",
        "n_classes": "class_count",
        "G_attn": "attention_sizes",
        "SN_eps": "spectral_eps",
        "BN_eps": "norm_eps",
    }
}


def config_keys(architecture: str) -> dict[str, str]:
    """Configuration keys that `build` takes for an architecture, each with the constructor's argument it stands for."""
    check_choice("architecture", architecture, ARCHITECTURES)
    published = {argument: key for key, argument in _ARGUMENTS.get(architecture, {}).items()}
    arguments = inspect.signature(_CONSTRUCTORS[architecture]).parameters
    return {published.get(argument, argument): argument for argument in arguments}


@checked()
def build(architecture: str, **config: Any) -> Architecture:
    """Construct an architecture with random weights, in training mode as any module: `.eval()` is the caller's.

    `config` takes the keys of `config` in the golden files; what is left out has the published full-size value. State
    dicts of the published checkpoints load strictly.

    Raises:
        ValueError: an unknown architecture or key (the message lists the known ones), or an impossible value.
    """
    keys = config_keys(architecture)
    unknown = [key for key in config if key not in keys]
    if unknown:
        raise ValueError(f"config of {architecture}: unknown {', '.join(unknown)}; known: {', '.join(keys)}")
    return _CONSTRUCTORS[architecture](**{keys[key]: value for key, value in config.items()})
