"""What the trained networks have in common that read the factors off an output; they are used only to measure."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Readings:
    """What `Reader.read` sees in N outputs of a world with K kinds (shapes, notes) and F factors."""

    probabilities: Tensor  # (N, K + 1), of the kinds, and last of none
    factors: Tensor  # (N, F), columns as in the world's FACTOR_NAMES; nan where a factor has no meaning
    features: Tensor  # (N, 128), for a Fréchet distance


class Reader(nn.Module):
    """Reads kind and factors; there is one more kind, the last, for outputs that show no single clean one.

    `output` is the last layer: logits of the `kinds` and of none, then a code of factors for `decode(code, kind)`.
    """

    kinds: int
    decode: "staticmethod[[Tensor, Tensor], Tensor]"
    features: Callable[[Tensor], Tensor]
    output: nn.Linear

    def forward(self, outputs: Tensor) -> Tensor:
        """Logits and code; raises as `features`."""
        raw: Tensor = self.output(self.features(outputs))
        return raw

    @torch.no_grad()
    def read(self, outputs: Tensor, batch_size: int = 250) -> Readings:
        """Probabilities, factors and features of outputs `(N, ...)`, without gradient; raises as `features`.

        The kind among the factors is the likeliest one even where none is likelier still.
        """
        features = torch.cat([self.features(part.to(self.output.weight)) for part in outputs.split(batch_size)])
        raw: Tensor = self.output(features)
        logits, code = raw.tensor_split([self.kinds + 1], 1)
        return Readings(logits.softmax(1), self.decode(code, logits[:, : self.kinds].argmax(1)), features)
