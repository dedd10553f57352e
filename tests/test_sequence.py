"""The book's one sequence of latents: ranges that do not overlap, and the same latents whoever asks."""

import itertools

import pytest
import torch

import geomlib
from geomlib.generators.latents import RANGES, SEED, latents_for

G = geomlib.load_generator("sphere")


def test_ranges_do_not_overlap() -> None:
    for (first, end), (later, _) in itertools.pairwise(sorted(RANGES.values(), key=lambda both: both[0])):
        assert end is not None
        assert first < end <= later
    assert [end for _, end in RANGES.values()].count(None) == 1


@pytest.mark.parametrize("use", RANGES)
def test_latents_are_those_of_the_range(use: str) -> None:
    first, _ = RANGES[use]
    assert torch.equal(latents_for(use, G, 7), G.sample(first + 7, SEED)[first:])
    assert torch.equal(latents_for(use, G, 3, seed=5, skip=4), G.sample(first + 7, 5)[first + 4 :])


@pytest.mark.parametrize("use", RANGES)
def test_fewer_latents_are_the_beginning_of_more_also_beyond_the_range(use: str) -> None:
    many = latents_for(use, G, 250)
    for count in (1, 2, 16, 39, 40, 41, 100, 101):
        assert torch.equal(latents_for(use, G, count), many[:count])


def test_no_latent_serves_two_uses_also_beyond_the_ranges() -> None:
    drawn = torch.cat([latents_for(use, G, 250) for use in RANGES])
    assert len(drawn.unique(dim=0)) == len(drawn)


@pytest.mark.parametrize(
    ("use", "count", "skip", "named"),
    [("pictures", 3, 0, "use"), ("metrics", 0, 0, "count"), ("tuning", 2, -1, "skip")],
)
def test_errors(use: str, count: int, skip: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        latents_for(use, G, count, skip=skip)
