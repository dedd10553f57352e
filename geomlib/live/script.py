"""The scripts that the page loads: text that defines a network, since a page on a disk can load nothing else."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from geomlib.live.axes import Family
from geomlib.live.folding import Folded


def encoded(values: Tensor) -> str:
    """Base64 of numbers in their own precision, little endian."""
    array = values.detach().cpu().contiguous().numpy()
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def network_script(told: Mapping[str, Any], folded: Folded, codes: Tensor, axes: Sequence[Family]) -> str:
    """Script with a network: what is told of it, weights, latents to begin with and axes.

    Args:
        told: `name` and what the page says of the network.
        folded: its weights.
        codes: latents `(P, n)`.
        axes: the families.
    """
    content = {
        **told,
        "latent": folded.latent_dim,
        "widths": folded.widths,
        "codes": [encoded(code.float()) for code in codes],
        "families": [
            {
                "key": family.key,
                "label": family.label,
                "told": family.told,
                "axes": [encoded(axis.float()) for axis in family.axes.mT],
                "names": list(family.names),
                "spectrum": list(family.spectrum),
            }
            for family in axes
        ],
        "weights": encoded(folded.numbers()),
    }
    return f"geomlibLive.offer({json.dumps(content, sort_keys=True)});\n"


def list_script(networks: Sequence[Mapping[str, Any]]) -> str:
    """Script with the list of networks, which the page loads at once."""
    return f"geomlibLive.networks = {json.dumps(list(networks), sort_keys=True)};\n"
