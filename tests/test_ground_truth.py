"""Shares of known factors, against a generator whose latents *are* factors."""

import math

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib.applications.factors import factor_shares, principal_axes
from geomlib.homogeneity import random_frame
from geomlib.worlds import shapes
from geomlib.worlds.reader import Readings
from geomlib.worlds.shapes.networks import FactorReader, load_factor_reader

COLUMNS = [shapes.FACTOR_NAMES.index(name) for name in ("x", "y", "size", "background_brightness")]


def drawn(latents: Tensor) -> Tensor:
    """Squares whose position, size and ground are linear in four latents; all else is the same."""
    low = torch.tensor([factor.low for factor in shapes.FACTORS])
    high = torch.tensor([factor.high for factor in shapes.FACTORS])
    middle, half = (low + high) / 2, (high - low) / 2
    factors = middle.repeat(len(latents), 1)
    factors[:, 0] = 1.0
    factors[:, COLUMNS] += 0.35 * half[COLUMNS] * latents.clamp(-2.8, 2.8)
    return shapes.render(factors)


@pytest.fixture(scope="module")
def squares() -> geomlib.Generator:
    return geomlib.Generator(drawn, latent_dim=4, output_range=(0, 1), name="squares")


@pytest.fixture(scope="module")
def reader() -> FactorReader:
    return load_factor_reader()


def test_shares_are_those_of_a_linear_map(squares: geomlib.Generator, reader: FactorReader) -> None:
    bases = {"factors": torch.eye(4, dtype=torch.float64), "random": random_frame(4, 4, seed=1)}
    found = factor_shares(squares, bases, (0, 1, 3, 4), reader, pairs=500, resamples=50)
    assert found.axes == ("factors", "random") and found.shares.shape == (2, 4, 8)
    for index, basis in enumerate(bases.values()):
        for place, count in enumerate((0, 1, 3, 4)):
            projection = basis[:, :count] @ basis[:, :count].T
            # Of a factor that is linear in one latent, k axes carry the squared length of its projection.
            expected = projection.diagonal()
            measured = found.shares[index, place, COLUMNS]
            assert (measured - expected).abs().max() < 0.12, (index, count)
            assert (found.rest[index, place, COLUMNS] - (1 - expected)).abs().max() < 0.12
    assert (found.low <= found.high + 1e-12)[..., COLUMNS].all()
    assert found.confident.min() > 0.95 and found.reference > 0.95
    torch.testing.assert_close(found.shares[:, 0, COLUMNS], torch.zeros(2, 4, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(found.shares[:, 3, COLUMNS], torch.ones(2, 4, dtype=torch.float64), atol=1e-6, rtol=0)


class Plain(FactorReader):
    """Takes for an image the factors themselves."""

    def read(self, images: Tensor, batch_size: int = 250) -> Readings:
        probabilities = torch.nn.functional.one_hot(images[:, 0].long(), 4).float()
        return Readings(probabilities, images, torch.zeros(len(images), 128))


def test_interactions_circles_angles_and_classes_in_closed_form() -> None:
    def factors(z: Tensor) -> Tensor:
        shape = (z[:, 5] > -0.43).float() + (z[:, 5] > 0.43).float()
        hue = (z[:, 0] + 0.5 * z[:, 3]) / (2 * math.pi)
        angle = 10 * z[:, 2] + 5 * z[:, 3]
        return torch.stack([shape, z[:, 0] * z[:, 1], z[:, 0], z[:, 1], angle, hue, z[:, 4] / 9, z[:, 4] ** 2], 1)

    def circular(first: float, other: float) -> tuple[float, float]:
        """Variance that the first part of a sum of two normal turns explains, and all, from E exp(iu) = exp(-s²/2)."""
        return math.exp(-(other**2)) * (1 - math.exp(-(first**2))), 1 - math.exp(-(first**2) - other**2)

    G = geomlib.Generator(factors, 6, output_range=None, name="factors")
    found = factor_shares(G, {"latents": torch.eye(6)}, range(7), Plain(), pairs=3000, resamples=20)
    expected = torch.zeros(7, 8, dtype=torch.float64)
    turns = [circular(fold * math.radians(10), fold * math.radians(5)) for fold in (4, 3)]
    explained, whole = circular(1, 0.5)
    # From which count on all of a factor is carried; a product of two latents is carried by both or not at all.
    for column, latents in enumerate((6, 2, 1, 2, 4, 4, 5, 5)):
        expected[latents:, column] = 1
    expected[1:4, 5] = explained / whole
    expected[3, 4] = sum(part for part, _ in turns) / sum(part for _, part in turns)
    assert (found.shares[0] - expected).abs().max() < 0.06
    reverse = factor_shares(G, {"reversed": torch.eye(6).flip(1)}, range(6, -1, -1), Plain(), pairs=3000, resamples=20)
    assert (found.rest[0] - reverse.shares[0]).abs().max() < 0.06
    assert found.rest[0, 1, 1] < 0.06, "what a product carries is an interaction"


def test_seed_decides_and_progress_counts(squares: geomlib.Generator, reader: FactorReader) -> None:
    seen: list[tuple[int, int]] = []

    def shares(seed: int) -> Tensor:
        axes = {"factors": torch.eye(4, dtype=torch.float64)}
        found = factor_shares(
            squares, axes, (1, 2), reader, pairs=20, seed=seed, resamples=5, progress=lambda *at: seen.append(at)
        )
        return found.shares[..., COLUMNS]

    first, again, other = shares(0), shares(0), shares(1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert seen[:2] == [(1, 2), (2, 2)]


def test_principal_axes_of_a_linear_map_are_its_singular_vectors() -> None:
    random = torch.Generator().manual_seed(0)
    frame = torch.linalg.qr(torch.randn(5, 5, generator=random, dtype=torch.float64)).Q
    outward = torch.linalg.qr(torch.randn(48, 5, generator=random, dtype=torch.float64)).Q
    matrix = (outward * torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])) @ frame.T
    G = geomlib.Generator(
        lambda z: (z.double() @ matrix.T).unflatten(1, (3, 4, 4)), latent_dim=5, output_range=None, name="linear map"
    )
    axes = principal_axes(G, G.sample(200, seed=0))
    assert ((axes * frame).sum(0).abs() > 1 - 1e-6).all()
    with pytest.raises(ValueError, match="expected more than 5, the dimensions"):
        principal_axes(G, G.sample(5, seed=0))


@pytest.mark.parametrize(
    ("axes", "counts", "pairs", "message"),
    [
        ({}, (1,), 10, "expected at least one"),
        ({"a": torch.eye(4)}, (), 10, "expected at least one"),
        ({"a": torch.eye(4)}, (1,), 1, "pairs: expected at least two, got 1"),
        ({"a": torch.eye(3)}, (1,), 10, r"axes 'a': expected shape \(4, m\)"),
        ({"a": torch.eye(4)[:, :2]}, (3,), 10, r"axes 'a': expected shape \(4, m\), m from 3"),
        ({"a": 2 * torch.eye(4)}, (1,), 10, "axes 'a': expected orthonormal columns"),
    ],
)
def test_impossible_arguments(
    squares: geomlib.Generator, reader: FactorReader, axes: dict[str, Tensor], counts: tuple[int, ...], pairs: int,
    message: str,
) -> None:  # fmt: skip
    with pytest.raises(ValueError, match=message):
        factor_shares(squares, axes, counts, reader, pairs=pairs)
