"""Units that images of a generator drive: searches for their best images, side by side, and scores of one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from geomlib._state import isolated
from geomlib.applications.coordinates import Coordinates, eigen, standard
from geomlib.applications.search import Search, activations, maximise, unit_scores
from geomlib.applications.units import units_in_turn
from geomlib.generators.interface import Generator
from geomlib.metric import Metric

Unit = tuple[str, int]


@dataclass(frozen=True)
class Driven:
    """A network behind a generator, with what its units answer to a pool of random latents.

    Attributes:
        generator: makes the images.
        network: sees them.
        units: layer and channel, of all layers in turn (`units_in_turn`).
        answers: by layer, `(B, units)`, to the pool.
        centre: `(n,)`, float64, the mean of the pool.
        length: the root mean square distance of the pool from it: the usual length of a latent.
        batch: images that are made at a time.
    """

    generator: Generator
    network: nn.Module
    units: list[Unit]
    answers: Mapping[str, Tensor]
    centre: Tensor
    length: Tensor
    batch: int

    @isolated(differentiable=True)
    def brought_back(self, latents: Tensor) -> Tensor:
        """Latents `(..., n)` in their own direction from the centre, at the usual length from it."""
        centre = self.centre.to(latents)
        moved = latents - centre
        brought: Tensor = centre + moved * (self.length.to(latents) / moved.norm(dim=-1, keepdim=True))
        return brought

    @isolated()
    def wide(self, coordinates: Coordinates) -> Coordinates:
        """Coordinates whose unit normal cloud is as wide as latents are long, so that sigma means one width for all."""
        return replace(coordinates, scales=coordinates.scales * self.length / coordinates.scales.norm())

    def scores(self, units: Sequence[Unit], latents: Tensor) -> Tensor:
        """What each unit answers to the latents `(R, B, n)` of its row: `(R, B)`."""
        return unit_scores(self.generator, self.network, units, self.batch)(latents)

    def search(
        self,
        units: Sequence[Unit],
        coordinates: Coordinates,
        starts: Tensor,
        keep_length: bool = False,
        **options: Any,
    ) -> Search:
        """Searches from `starts` `(R, n)` for the best image of a unit each; `options` are those of `search.maximise`.

        With `keep_length`, latents are brought back to the usual length before they are scored.
        """
        score = unit_scores(self.generator, self.network, units, self.batch)
        placed = self.brought_back if keep_length else _where_it_is
        return maximise(lambda latents: score(placed(latents)), coordinates, starts, **options)

    @isolated()
    def random_answers(self, units: Sequence[Unit]) -> Tensor:
        """What each unit answers to the pool: `(R, B)`, float64 on the CPU."""
        return torch.stack([self.answers[layer][:, index] for layer, index in units]).cpu().double()


def _where_it_is(latents: Tensor) -> Tensor:
    return latents


def drive(
    generator: Generator, network: nn.Module, layers: Sequence[str], pool: Tensor, *, seed: int, batch: int = 64
) -> Driven:
    """Read what the units of `layers` answer to the latents `pool` `(B, n)`; their order is that of `seed`.

    Raises:
        ValueError: as `search.activations`.
    """
    answers = activations(generator, network, pool, layers, batch)
    latents = pool.detach().cpu().double()
    centre = latents.mean(0)
    length = (latents - centre).square().sum(1).mean().sqrt()
    return Driven(generator, network, units_in_turn(answers, seed), answers, centre, length, batch)


@isolated()
def as_shares(scores: Tensor, random: Tensor, known: Tensor, calls: int) -> Tensor:
    """Scores `(R, ...)` as shares: 0 is a unit's mean over random latents, 1 the best answer known of it.

    Args:
        scores: of `R` units.
        random: `(R, B)`, what they answer to random latents.
        known: `(R,)`, the best that searches have found.
        calls: of a search; of as many random latents the best one counts as well.
    """
    zero, one = random.mean(1), torch.maximum(known, random[:, :calls].amax(1))
    shape = (-1, *[1] * (scores.ndim - 1))
    shares: Tensor = (scores.cpu().double() - zero.view(shape)) / (one - zero).view(shape)
    return shares


def search_arms(
    metric: Metric, frame: Tensor, *, axes: int, exponent: float = 0.4, cut_exponent: float = 0.25
) -> dict[str, Coordinates]:
    """The coordinates that a search is compared in: those of a metric, and random axes in their place.

    Wang & Ponce 2021, Figure 5: scales are `λ^(−exponent)`, 1/2.5 as for BigGAN, along all axes, and
    `λ^(−cut_exponent)`, 1/4 as for FC6, along the first ones.

    Args:
        metric: one matrix, an average.
        frame: `(n, n)`, random axes.
        axes: of a cut-off.
        exponent: of the scaled axes.
        cut_exponent: of those of a cut-off.
    """
    own = standard(len(frame))
    scaled, cut = eigen(metric, exponent), eigen(metric, k=axes)
    return {
        "standard": own,
        "random rotation": replace(own, frame=frame),
        "eigenvectors": eigen(metric),
        "scaled": scaled,
        "random axes, scaled": replace(scaled, frame=frame),
        "cut-off": cut,
        "cut-off and scaled": eigen(metric, cut_exponent, axes),
        "random cut-off": replace(cut, frame=frame[:, :axes]),
    }
