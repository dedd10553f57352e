"""Moves through latent space."""

import math

import pytest
import torch

import geomlib
from geomlib.paths import distinct, metric_length

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
        images = geomlib.traverse(G, start, metric.eigenvectors[:, axis], [0.0, t], geometry, "metric", distance=d)
        own = geomlib.traverse(G, start, metric.eigenvectors[:, axis], [0.0, t], geometry, "metric")
        assert torch.equal(own, images)
        assert float(d(images[:1], images[1:])) == pytest.approx(t**2 / 2, rel=1e-3)


def test_metric_length_is_the_square_root_of_the_quadratic_form() -> None:
    G, d = geomlib.load_generator("torus", dtype=torch.float64), geomlib.load_distance("mse")
    point, direction = G.sample(1, seed=1)[0], torch.tensor([0.3, -1.2], dtype=torch.float64)
    H = geomlib.metric_tensor(G, point, d).matrix
    assert float(metric_length(G, point, direction, d)) == pytest.approx(float(direction @ H @ direction) ** 0.5)


def test_traverse_gives_images() -> None:
    G = geomlib.load_generator("torus")
    start = G.sample(1, seed=0)[0]
    images = geomlib.traverse(G, start, torch.tensor([1.0, 0.0]), torch.linspace(0, 1, 5))
    assert images.shape == (5, 3)
    assert torch.allclose(images[0], G(start[None])[0])


def test_errors() -> None:
    with pytest.raises(ValueError, match="geometry: expected one of 'linear', 'spherical', got 'round'"):
        geomlib.latents_along(z, v, steps, "round")
    G = geomlib.load_generator("normalised", dtype=torch.float64)
    with pytest.raises(ValueError, match="units: expected"):
        geomlib.traverse(G, z, v, steps, units="pixels")
    flat = geomlib.Generator(lambda p: 0 * p, 3, output_range=None, default_distance="mse")
    with pytest.raises(ValueError, match="a direction that changes the image"):
        geomlib.traverse(flat, z, v, steps, units="metric")
    with pytest.raises(ValueError, match="v: expected a direction"):
        geomlib.latents_along(z, 2 * z, steps, "spherical")
    with pytest.raises(ValueError, match="v: expected a direction"):
        geomlib.latents_along(z, 0 * v, steps)


def test_distinct_latents_keep_their_order() -> None:
    latents = torch.tensor([[2.0, 1.0], [0.0, 5.0], [2.0, 1.0], [0.0, 4.0], [0.0, 5.0]])
    assert distinct(latents).tolist() == [[2.0, 1.0], [0.0, 5.0], [0.0, 4.0]]
    normal = geomlib.load_generator("shapes-dcgan").sample(20, seed=0)
    assert torch.equal(distinct(normal), normal)
