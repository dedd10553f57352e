"""The decoder of a latent diffusion model: `AutoencoderKL` of diffusers, as in Stable Diffusion and its successors.

    geomlib check examples/latent_diffusion.py:latent_diffusion
    geomlib check examples/latent_diffusion.py:latent_diffusion --weights path/to/vae

A latent is no vector but 4 x h x w numbers (`latent_shape`); the decoder returns a `DecoderOutput` (`output`).  At
full size, 4 x 64 x 64, the metric is a matrix of 16,384 x 16,384; its leading eigenpairs are enough, and need none:

    E = geomlib.top_eigenpairs(G, G.sample(1, seed=0)[0], geomlib.load_distance("mse"), k=10)

Without weights the network is a small random one.  diffusers is installed by `pip install diffusers`.
"""

import torch
from torch import nn

import geomlib
from geomlib.distances.torchvision_import import import_torchvision


class Decoder(nn.Module):
    """The decoder on latents as the diffusion makes them, of about unit variance."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: torch.Tensor) -> object:
        """`DecoderOutput` of latents `(B, 4, h, w)`."""
        return self.vae.decode(latents / self.vae.config.scaling_factor)


def latent_diffusion(weights: str | None = None, side: int = 0) -> geomlib.Generator:
    """The factory that the command line names: `weights` is a folder, `side` the height and width of a latent."""
    import_torchvision()  # diffusers imports it; only needed where torchvision does not fit torch
    from diffusers import AutoencoderKL

    if weights:
        vae = AutoencoderKL.from_pretrained(weights)
    else:
        torch.manual_seed(0)
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
        vae = AutoencoderKL(block_out_channels=(8, 16), norm_num_groups=4, sample_size=16, **blocks)
    side = side or vae.config.sample_size // 2 ** (len(vae.config.block_out_channels) - 1)
    return geomlib.Generator(
        Decoder(vae).eval(), latent_shape=(4, side, side), output="sample", name="latent-diffusion",
        default_distance="mse",
    )  # fmt: skip
