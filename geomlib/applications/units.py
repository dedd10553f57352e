"""Networks whose units a search drives, and which of their units."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from geomlib._checks import check_choice
from geomlib._state import seeded
from geomlib.distances import trunks
from geomlib.distances.torchvision_import import import_torchvision
from geomlib.readers import load_classifier
from geomlib.worlds.shapes.networks import load_factor_reader
from geomlib.worlds.tones.networks import load_tone_reader

_MEAN, _DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet, as torchvision's classifiers expect
# Of efficientnet-lite0: ends of stages from fine to coarse, and the classes.
_EFFICIENTNET = (*(f"1._blocks.{index}" for index in (2, 4, 7, 10, 14)), "1._fc")
_FEWEST = 1e-3  # share of a layer's largest deviation below which a unit hardly answers


class _Colour(nn.Module):
    """Images `(N, 1, H, W)` to `(N, 3, H, W)`; those in colour stay."""

    def forward(self, images: Tensor) -> Tensor:
        return images.expand(-1, 3, -1, -1)


def load_network(name: str, world: str | None, device: str | torch.device = "cpu") -> tuple[nn.Module, list[str]]:
    """A network for outputs of a generator's `world`, and the layers whose units are driven, first to last.

    `"reader"` is the reader of known factors of the worlds "shapes" and "tones"; `"efficientnet-lite0"` is the packaged
    classifier of ImageNet, which sees grey images as colours that are equal; `"alexnet"` takes images in colour and is
    that of torchvision (Krizhevsky 2014), read from torch's cache.  Nothing is downloaded.

    Raises:
        ValueError: another name, or a network that does not take such outputs.
        FileNotFoundError: the weights are not in the cache; the message says how to get them.
    """
    check_choice("network", name, ("reader", "efficientnet-lite0", "alexnet"))
    if name == "reader" and world == "tones":
        return load_tone_reader(device), [*(f"stages.{index}.0" for index in range(4)), "hidden", "output"]
    if name == "reader" and world == "shapes":
        return load_factor_reader(device), ["stem", *(f"blocks.{index}" for index in range(3)), "hidden", "output"]
    if name == "reader" or world == "tones":
        raise ValueError(f"network: {name} does not fit the outputs of this generator")
    if name == "efficientnet-lite0":
        return nn.Sequential(_Colour(), load_classifier(device)), list(_EFFICIENTNET)
    url = trunks.weights_url("alexnet")
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not file.is_file():
        raise FileNotFoundError(
            f"the weights of AlexNet are not here: put {url} at {file.name} in the folder hub/checkpoints of torch's "
            "cache ($TORCH_HOME)"
        )
    torchvision = import_torchvision()
    alexnet = torchvision.models.alexnet()
    alexnet.load_state_dict(torch.load(trunks.weights_file(url), weights_only=True))
    network = nn.Sequential(
        torchvision.transforms.Resize((224, 224), antialias=True),
        torchvision.transforms.Normalize(_MEAN, _DEVIATION),
        alexnet.to(device).eval().requires_grad_(False),
    )
    features = [f"2.features.{index}" for index in (0, 3, 6, 8, 10)]
    return network, features + [f"2.classifier.{index}" for index in (1, 4, 6)]


def units_in_turn(answers: Mapping[str, Tensor], seed: int) -> list[tuple[str, int]]:
    """Units as (layer, index), in a random order, one of each layer in turn, so that the first ones are of all layers.

    `answers` `(B, units)` of each layer are those to images of the generator (`search.activations`); units that hardly
    answer differently to them are left out.

    Raises:
        ValueError: no layers.
    """
    if not answers:
        raise ValueError("answers: expected at least one layer")
    random = seeded(seed)
    layers = []
    for layer, answer in answers.items():
        alive = (answer.std(0) > _FEWEST * answer.std(0).amax()).nonzero()[:, 0].tolist()
        order = torch.randperm(len(alive), generator=random).tolist()
        layers.append([(layer, alive[index]) for index in order])
    longest = max(map(len, layers))
    return [units[turn] for turn in range(longest) for units in layers if turn < len(units)]
