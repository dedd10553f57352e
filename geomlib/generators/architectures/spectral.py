"""Linear layers and convolutions with spectral normalisation, under the key names of the two published BigGAN ports."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpectralLayer(nn.Module):
    """Linear layer (`kernel=0`) or "same" convolution with the weight `W / sigma`, sigma an estimate of W's norm.

    In training mode each forward pass makes one power-iteration step and stores it.
    """

    bias: nn.Parameter | None

    def __init__(self, inputs: int, outputs: int, kernel: int = 0, bias: bool = True) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.build(0.02 * torch.randn(outputs, inputs, *[kernel] * (2 if kernel else 0)))

    @abstractmethod
    def build(self, weight: Tensor) -> None:
        """Register the weight and the vectors of its power iteration."""

    @abstractmethod
    def normalised_weight(self) -> Tensor:
        """Return the weight divided by the estimate of its norm."""

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`, or `(B, in, H, W)` to `(B, out, H, W)`."""
        weight = self.normalised_weight()
        if weight.ndim == 2:
            return functional.linear(features, weight, self.bias)
        return functional.conv2d(features, weight, self.bias, padding=self.padding)


class StoredSpectral(SpectralLayer):
    """Keys `weight_orig`, `weight_u`, `weight_v`: `sigma = u^T W v` with the stored vectors, as in torch's old hook."""

    weight_u: Tensor
    weight_v: Tensor

    def build(self, weight: Tensor) -> None:
        """Register `weight_orig` and the unit vectors `weight_u` `(out,)` and `weight_v` `(in * k * k,)`."""
        self.weight_orig = nn.Parameter(weight)
        matrix = weight.flatten(1)
        left = functional.normalize(torch.randn(matrix.shape[0]), dim=0)
        self.register_buffer("weight_u", left)
        self.register_buffer("weight_v", functional.normalize(left @ matrix, dim=0))

    def normalised_weight(self) -> Tensor:
        """Return `W / (u^T W v)`."""
        left, right, matrix = self.weight_u, self.weight_v, self.weight_orig.flatten(1)
        if self.training:
            with torch.no_grad():
                right = functional.normalize(left @ matrix, dim=0)
                left = functional.normalize(matrix @ right, dim=0)
                self.weight_u.copy_(left)
                self.weight_v.copy_(right)
        return self.weight_orig / (left @ matrix @ right)


class IteratedSpectral(SpectralLayer):
    """Keys `weight`, `u0`, `sv0`: sigma after one power-iteration step from `u0`, which eval mode does not store.

    `sv0` is a record of the last sigma in training, is never read, and may be missing from a state dict.
    """

    u0: Tensor
    sv0: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int = 0, bias: bool = True, eps: float = 1e-4) -> None:
        super().__init__(inputs, outputs, kernel, bias)
        self.eps = eps
        self.register_load_state_dict_pre_hook(_supply_sv0)  # type: ignore[no-untyped-call]

    def build(self, weight: Tensor) -> None:
        """Register `weight`, `u0` `(1, out)` and `sv0` `(1,)`."""
        self.weight = nn.Parameter(weight)
        self.register_buffer("u0", torch.randn(1, weight.shape[0]))
        self.register_buffer("sv0", torch.ones(1))

    def normalised_weight(self) -> Tensor:
        """Return `W / (v W^T u^T)` with `v = normalize(u0 W)` and `u = normalize(v W^T)`."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            right = functional.normalize(self.u0 @ matrix, eps=self.eps)
            left = functional.normalize(right @ matrix.T, eps=self.eps)
        sigma = (right @ matrix.T @ left.T).squeeze()
        if self.training:
            with torch.no_grad():
                self.u0.copy_(left)
                self.sv0.copy_(sigma)
        return self.weight / sigma


def _supply_sv0(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    state.setdefault(prefix + "sv0", torch.ones(1))
