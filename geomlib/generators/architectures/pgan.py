"""Progressive GAN with the layer names of the pytorch_GAN_zoo checkpoint."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from geomlib._checks import check_matrix
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.layers import double_size, equalised_scale, pixel_norm


class ScaledLayer(nn.Module):
    """`(W x + b) * sqrt(2 / fan_in)`: here the equalised learning rate's constant multiplies the bias, too."""

    def __init__(self, module: nn.Linear | nn.Conv2d, equalized: bool) -> None:
        super().__init__()
        self.module = module
        self.scale = equalised_scale(module.weight) if equalized else 1.0
        if equalized:
            nn.init.normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        self.register_load_state_dict_pre_hook(_accept_plain_keys)  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor) -> Tensor:
        """Apply the layer and the constant."""
        output: Tensor = self.module(features)
        return output * self.scale


class PGAN(Architecture):
    """Latents `(B, latent_dim)` to images `(B, dim_output, s, s)`, about [-1, 1], s = 4 * 2 ** len(depth_other_scales).

    `depth_scale0` and `depth_other_scales` are the channels at 4 x 4 and at each later size.
    """

    def __init__(
        self,
        latent_dim: int = 512,
        depth_scale0: int = 512,
        depth_other_scales: Sequence[int] = (512, 512, 512, 256, 128, 64),
        dim_output: int = 3,
        leaky: float = 0.2,
        normalization: bool = True,
        equalized_lr: bool = True,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.leaky = leaky
        self.normalization = normalization

        def convolution(inputs: int, outputs: int, kernel: int) -> ScaledLayer:
            return ScaledLayer(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), equalized_lr)

        depths = [depth_scale0, *depth_other_scales]
        self.formatLayer = ScaledLayer(nn.Linear(latent_dim, 16 * depth_scale0), equalized_lr)
        self.groupScale0 = nn.ModuleList([convolution(depth_scale0, depth_scale0, 3)])
        self.scaleLayers = nn.ModuleList(
            nn.ModuleList([convolution(inputs, outputs, 3), convolution(outputs, outputs, 3)])
            for inputs, outputs in zip(depths[:-1], depths[1:], strict=True)
        )
        self.toRGBLayers = nn.ModuleList(convolution(depth, dim_output, 1) for depth in depths)

    def forward(self, latents: Tensor, *, alpha: float = 0.0) -> Tensor:
        """Return the images; `alpha` in [0, 1] is the share of the upsampled image of the scale before the last."""
        check_matrix("latents", latents, self.latent_dim)
        if not 0.0 <= alpha <= 1.0 or (alpha and not self.scaleLayers):
            raise ValueError(f"alpha: expected a number in [0, 1], 0 for a network of one scale, got {alpha!r}")
        features = self._activate(self.formatLayer(self._normalise(latents)))
        features = self._normalise(features.reshape(len(latents), -1, 4, 4))
        scales: list[nn.Module] = [self.groupScale0, *self.scaleLayers]
        lower = features
        for index, layers in enumerate(scales):
            lower = features
            if index:
                features = double_size(features)
            for layer in layers.children():
                features = self._normalise(self._activate(layer(features)))
        image: Tensor = self.toRGBLayers[-1](features)
        if alpha:
            image = alpha * double_size(self.toRGBLayers[-2](lower)) + (1.0 - alpha) * image
        return image

    def _activate(self, features: Tensor) -> Tensor:
        return functional.leaky_relu(features, self.leaky)

    def _normalise(self, features: Tensor) -> Tensor:
        return pixel_norm(features) if self.normalization else features


def _accept_plain_keys(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    # Some published files leave the inner "module." out; the repository's own loader accepts both.
    for name in ("weight", "bias"):
        if prefix + name in state:
            state[f"{prefix}module.{name}"] = state.pop(prefix + name)
