"""Statistics of spectra against cases worked by hand and against sampling."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geomlib import spectrum


def test_dimensions_by_hand() -> None:
    eigenvalues = torch.tensor([50.0, 30.0, 15.0, 4.0, 1.0])
    assert [int(spectrum.dimensions_for(eigenvalues, share)) for share in (0.5, 0.51, 0.8, 0.95, 0.96, 0.99, 1.0)] == [
        1, 2, 2, 3, 4, 4, 5,
    ]  # fmt: skip
    assert spectrum.dimensions_for(torch.stack([eigenvalues, torch.ones(5)]), 0.5).tolist() == [1, 3]


def test_dimensions_take_magnitudes_in_any_order() -> None:
    assert int(spectrum.dimensions_for(torch.tensor([1.0, -50.0, 30.0, 15.0, 4.0]), 0.8)) == 2


@pytest.mark.parametrize("share", [0.0, 1.1, -1.0])
def test_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match="share: expected"):
        spectrum.dimensions_for(torch.ones(3), share)


def test_participation_ratio() -> None:
    assert float(spectrum.participation_ratio(torch.ones(7))) == pytest.approx(7)
    assert float(spectrum.participation_ratio(torch.tensor([5.0, 0.0, 0.0]))) == pytest.approx(1)
    assert float(spectrum.participation_ratio(torch.tensor([2.0, 1.0]))) == pytest.approx(9 / 5)
    assert spectrum.participation_ratio(torch.ones(4, 7)).shape == (4,)


def test_spectral_entropy_by_hand_and_against_scipy() -> None:
    assert float(spectrum.spectral_entropy(torch.ones(7))) == pytest.approx(math.log(7))
    assert float(spectrum.spectral_entropy(torch.tensor([5.0, 0.0, 0.0]))) == 0
    # Shares 1/2, 1/4, 1/4.
    assert float(spectrum.spectral_entropy(torch.tensor([1.0, -2.0, 1.0]))) == pytest.approx(1.5 * math.log(2))
    rows = torch.rand(3, 9, generator=torch.Generator().manual_seed(0))
    assert spectrum.spectral_entropy(rows).tolist() == pytest.approx(list(scipy.stats.entropy(rows.double(), axis=1)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_counts_of_dimensions_are_ordered(values: list[float], factor: float) -> None:
    """Rényi entropies fall with their order: 1 <= participation ratio <= effective rank <= n, at any scale."""
    eigenvalues = torch.tensor(values, dtype=torch.float64)
    ratio, rank = spectrum.participation_ratio(eigenvalues), spectrum.spectral_entropy(eigenvalues).exp()
    assert 1 - 1e-9 <= ratio <= rank * (1 + 1e-9)
    assert rank <= len(values) * (1 + 1e-9)
    torch.testing.assert_close(spectrum.spectral_entropy(factor * eigenvalues).exp(), rank)


def test_random_direction_moments_against_sampling() -> None:
    eigenvalues = torch.logspace(0, -3, 20, dtype=torch.float64)
    mean, variance = spectrum.random_direction_moments(eigenvalues)
    directions = spectrum.random_directions(200_000, 20, seed=0)
    assert torch.allclose(directions.norm(dim=1), torch.ones(200_000, dtype=torch.float64))
    values = directions.square() @ eigenvalues
    assert float(values.mean()) == pytest.approx(float(mean), rel=0.01)
    assert float(values.var()) == pytest.approx(float(variance), rel=0.02)


def test_random_direction_moments_in_one_dimension_do_not_vary() -> None:
    mean, variance = spectrum.random_direction_moments(torch.tensor([3.0]))
    assert (float(mean), float(variance)) == (3.0, 0.0)
