"""Coordinates go forth and back, and scaled ones make the metric a multiple of the identity."""

import pytest
import torch

import geomlib
from geomlib.applications import coordinates


def metric(n: int = 6) -> geomlib.Metric:
    factor = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return geomlib.Metric.from_matrix(factor @ factor.mT, torch.zeros(()))


def test_they_are_inverse_to_each_other() -> None:
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for chosen in (coordinates.standard(6), coordinates.eigen(metric()), coordinates.eigen(metric(), 0.5)):
        assert torch.allclose(chosen.latents(chosen.coordinates(z)), z)
    assert torch.equal(coordinates.standard(6).latents(z), z)


def test_fewer_axes_project() -> None:
    z = torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    H = metric()
    top = H.eigenvectors[:, :2]
    assert torch.allclose(
        coordinates.eigen(H, 0.5, 2).latents(coordinates.eigen(H, 0.5, 2).coordinates(z)), top @ top.mT @ z
    )


def test_the_metric_in_scaled_coordinates_is_a_multiple_of_the_identity() -> None:
    H = metric()
    chosen = coordinates.eigen(H, 0.5, smallest=1e-12)
    J = chosen.frame * chosen.scales
    assert torch.allclose(J.mT @ H.matrix @ J, H.eigenvalues[0] * torch.eye(6).double(), atol=1e-9)


def test_wrong_arguments() -> None:
    H = metric()
    with pytest.raises(ValueError, match="k: expected an integer from 1 to 6, got 7"):
        coordinates.eigen(H, k=7)
    several = geomlib.Metric.from_matrix(H.matrix[None], torch.zeros(1))
    with pytest.raises(ValueError, match="metric: expected one matrix"):
        coordinates.eigen(several)
