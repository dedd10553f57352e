"""Statistics of spectra against cases worked by hand and against sampling."""

import pytest
import torch

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
