"""Networks with the settings of their calls: the space of the latents, truncation, class, layer noise."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from geomlib._state import seeded
from geomlib.generators.adapters import View
from geomlib.generators.architectures.biggan_deep import BigGANDeep
from geomlib.generators.architectures.nvidia import NvidiaStyleGAN
from geomlib.generators.architectures.stylegan import StyleGAN
from geomlib.generators.architectures.stylegan2 import StyleGAN2
from geomlib.generators.architectures.styles import truncate
from geomlib.generators.architectures.tutorial_dcgan import ConditionalDCGAN


def draw_maps(sizes: Sequence[int], like: Tensor, random: torch.Generator) -> list[Tensor]:
    """New maps `(B, 1, s, s)` for a batch of latents.

    Raises:
        RuntimeError: under `vmap`, where each sample of the batch would have to draw for itself.
    """
    try:
        shapes = [(len(like), 1, size, size) for size in sizes]
        maps = [torch.randn(shape, generator=random, dtype=torch.float32) for shape in shapes]
    except RuntimeError as error:
        if "random operation" not in str(error):
            raise
        raise RuntimeError(
            "noise: fresh layer noise cannot be drawn under vmap; use noise='fixed', or method='backward'"
        ) from error
    return [values.to(like) for values in maps]


class StyleView(View):
    """StyleGAN or StyleGAN2 on latents of one space: "z" or "w" `(B, n)`, "w+" `(B, style_count * n)`.

    `mean_style` `(1, n)` is what the styles are truncated towards. Layer noise is fixed; with a `noise_seed` it is new
    for each sample at each call, drawn on the CPU, so that the seed gives the same sequence of maps on every device.
    `step` is the block of StyleGAN to stop at (None: the last).
    """

    network: StyleGAN | StyleGAN2
    mean_style: Tensor | None

    def __init__(
        self,
        network: StyleGAN | StyleGAN2,
        space: str,
        truncation: float = 1.0,
        mean_style: Tensor | None = None,
        noise_seed: int | None = None,
        step: int | None = None,
    ) -> None:
        super().__init__(network)
        self.space, self.truncation = space, truncation
        self.step: dict[str, Any] = {} if isinstance(network, StyleGAN2) else {"step": step}
        self.register_buffer("mean_style", mean_style)
        self.random = None if noise_seed is None else seeded(noise_seed)

    @property
    def style_count(self) -> int:
        """How many styles a latent of "w+" holds: one for each layer of StyleGAN2, for each block of StyleGAN."""
        network = self.network
        return network.style_count if isinstance(network, StyleGAN2) else len(network.noise_sizes(**self.step))

    def draw_noise(self, like: Tensor) -> list[Tensor] | None:
        """New maps for a batch of latents, as `draw_maps`; None where the noise is fixed."""
        return None if self.random is None else draw_maps(self.network.noise_sizes(**self.step), like, self.random)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the raw images."""
        noise = self.draw_noise(latents)
        if self.space == "w+" and isinstance(self.network, StyleGAN):
            styles = latents.reshape(len(latents), self.style_count, -1)
            styles = truncate(styles, self.truncation, self.mean_style)
            return style_by_block(self.network, styles, noise)
        images: Tensor = self.network(
            latents,
            space=self.space,
            truncation=self.truncation,
            mean_style=self.mean_style,
            noise=noise,
            **self.step,
        )
        return images


class NvidiaView(View):
    """A StyleGAN2-ADA or StyleGAN3 on latents of one space: "z" `(B, z_dim)`, "w" `(B, w_dim)`, "w+", flat.

    `label` `(1, c_dim)` is the class of a conditional network; else as `StyleView`.
    """

    network: NvidiaStyleGAN
    mean_style: Tensor | None
    label: Tensor | None

    @property
    def style_count(self) -> int:
        """How many styles a latent of "w+" holds."""
        return self.network.style_count

    def __init__(
        self,
        network: NvidiaStyleGAN,
        space: str,
        truncation: float = 1.0,
        mean_style: Tensor | None = None,
        label: Tensor | None = None,
        noise_seed: int | None = None,
    ) -> None:
        super().__init__(network)
        self.space, self.truncation = space, truncation
        self.register_buffer("mean_style", mean_style)
        self.register_buffer("label", label)
        self.random = None if noise_seed is None else seeded(noise_seed)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the raw images."""
        noise = None if self.random is None else draw_maps(self.network.noise_sizes(), latents, self.random)
        images: Tensor = self.network(
            latents,
            class_vector=self.label if self.space == "z" else None,
            space=self.space,
            truncation=self.truncation,
            mean_style=self.mean_style,
            noise=noise,
        )
        return images


def style_by_block(network: StyleGAN, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
    """Images of StyleGAN from one style for each block, `(B, blocks, n)`, as the reference mixes styles."""
    if noise is None:
        noise = [network.get_buffer(f"default_noise_{index}") for index in range(styles.shape[1])]
    features: Tensor | int = len(styles)
    blocks = list(network.generator.progression)[: len(noise)]
    for block, style, values in zip(blocks, styles.unbind(1), noise, strict=True):
        features = block(features, style, values)
    images: Tensor = network.generator.to_rgb[len(noise) - 1](features)
    return images


class ClassView(View):
    """BigGAN-deep at one truncation, on condition vectors `(B, n)` or on a part of them.

    The latents of the space "noise" stand before the `fixed` embedding `(1, class_embed_dim)`, those of "class" after
    the `fixed` noise `(1, z_dim)`.
    """

    network: BigGANDeep
    fixed: Tensor | None

    def __init__(self, network: BigGANDeep, space: str, truncation: float, fixed: Tensor | None = None) -> None:
        super().__init__(network)
        self.space, self.truncation = space, truncation
        self.register_buffer("fixed", fixed)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the raw images."""
        if self.fixed is not None:
            fixed = self.fixed.expand(len(latents), -1)
            latents = torch.cat([latents, fixed] if self.space == "noise" else [fixed, latents], 1)
        images: Tensor = self.network(latents, truncation=self.truncation)
        return images


class LabelView(View):
    """A conditional DCGAN on noise alone, with the `label` `(1, labels)` fixed."""

    network: ConditionalDCGAN
    label: Tensor

    def __init__(self, network: ConditionalDCGAN, label: Tensor) -> None:
        super().__init__(network)
        self.register_buffer("label", label)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the raw images."""
        images: Tensor = self.network(torch.cat([latents, self.label.expand(len(latents), -1)], 1))
        return images
