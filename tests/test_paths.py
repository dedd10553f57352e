"""Moves through latent space."""

import math

import pytest
import torch

import geomlib

z = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64)
v = torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64)
steps = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)


def test_linear() -> None:
    path = geomlib.latents_along(z, v, steps)
    assert torch.allclose(path, torch.tensor([[3.0, -1.0, 4.0], [3.0, 0.0, 4.0], [3.0, 0.5, 4.0]]).double())


def test_spherical_stays_on_the_shell() -> None:
    path = geomlib.latents_along(z, v + 7 * z, torch.tensor([0.0, math.pi / 2], dtype=torch.float64), "spherical")
    assert torch.allclose(path, torch.stack([z, torch.tensor([0.0, 5.0, 0.0]).double()]), atol=1e-7)
    curve = geomlib.latents_along(z, v, torch.linspace(-3, 3, 9), "spherical")
    assert torch.allclose(curve.norm(dim=1), torch.full((9,), 5.0, dtype=torch.float64))


@pytest.mark.parametrize("geometry", ["linear", "spherical"])
def test_metric_units_change_the_image_equally(geometry: str) -> None:
    """For a small step t, d² = t² / 2 along every axis."""
    G = geomlib.load_generator("linear", dtype=torch.float64)
    d, start, t = geomlib.load_distance("mse"), G.sample(1, seed=0)[0], 1e-6
    metric = geomlib.metric_tensor(G, start, d)
    for axis in (0, 7, 15):
        images = geomlib.traverse(
            G, start, metric.eigenvectors[:, axis], torch.tensor([0.0, t]), geometry, "metric", metric
        )
        assert float(d(images[:1], images[1:])) == pytest.approx(t**2 / 2, rel=1e-3)


def test_traverse_gives_images() -> None:
    G = geomlib.load_generator("torus")
    start = G.sample(1, seed=0)[0]
    images = geomlib.traverse(G, start, torch.tensor([1.0, 0.0]), torch.linspace(0, 1, 5))
    assert images.shape == (5, 3)
    assert torch.allclose(images[0], G(start[None])[0])


def test_errors() -> None:
    with pytest.raises(ValueError, match="geometry: expected one of 'linear', 'spherical', got 'round'"):
        geomlib.latents_along(z, v, steps, "round")
    with pytest.raises(ValueError, match="units: expected"):
        geomlib.latents_along(z, v, steps, units="pixels")
    with pytest.raises(ValueError, match="metric: expected"):
        geomlib.latents_along(z, v, steps, units="metric")
    with pytest.raises(ValueError, match="v: expected a direction"):
        geomlib.latents_along(z, 2 * z, steps, "spherical")
    with pytest.raises(ValueError, match="v: expected a direction"):
        geomlib.latents_along(z, 0 * v, steps)
