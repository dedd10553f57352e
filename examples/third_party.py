"""Classes of other packages, taken as they are: what they expect and return is said by options, no line is changed.

    geomlib check examples/third_party.py:third_party
    geomlib check examples/third_party.py:with_attention

`pip install --no-deps dcgan-pytorch attn-gan-pytorch` installs them.  The weights here are random.
"""

import torch
from torch import nn

import geomlib


def third_party(weights: str | None = None) -> geomlib.Generator:
    """`dcgan_pytorch.Generator` takes latents `(B, 100, 1, 1)`."""
    from dcgan_pytorch import Generator

    torch.manual_seed(0)
    network = Generator.from_name("g-mnist")
    if weights:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    size = network.noise
    return geomlib.Generator(network.eval(), latent_shape=(size, 1, 1), name="dcgan-pytorch", default_distance="mse")


def with_attention() -> geomlib.Generator:
    """`attn_gan_pytorch`: its attention returns a pair, of which the images are the first."""
    from attn_gan_pytorch.CustomLayers import SelfAttention
    from attn_gan_pytorch.Networks import Generator

    torch.manual_seed(0)
    layers = [
        nn.ConvTranspose2d(24, 16, 4), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3, padding=1),
        nn.Tanh(), SelfAttention(3, squeeze_factor=1),
    ]  # fmt: skip
    network = Generator(layers, latent_size=24)
    return geomlib.Generator(
        network.eval(), latent_shape=(24, 1, 1), output=0, name="attn-gan-pytorch", default_distance="mse"
    )
