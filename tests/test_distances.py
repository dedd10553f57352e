"""Squared distances: values, feature forms, gradients and errors."""

from pathlib import Path

import pytest
import torch

import geomlib
from geomlib.distances import normalised_features

NAMES = ("mse", "perceptual-shapes")


def images(seed: int) -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_mse_is_the_mean() -> None:
    x, y = images(0), images(1)
    assert torch.allclose(geomlib.load_distance("mse")(x, y), (x - y).square().mean((1, 2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_a_distance_is_that_of_its_features(name: str) -> None:
    d, x, y = geomlib.load_distance(name), images(0), images(1)
    assert torch.allclose(d(x, y), (d.features(x) - d.features(y)).square().sum(1))
    assert torch.equal(d(x, x), torch.zeros(3))
    assert torch.allclose(d(x, y), d(y, x))
    assert bool((d(x, y) > 0).all())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_derivatives_are_finite_on_flat_images(name: str, value: float) -> None:
    d, x = geomlib.load_distance(name), torch.full((1, 3, 64, 64), value)
    derivative = torch.func.jvp(d.features, (x,), (torch.ones_like(x),))[1]
    assert bool(torch.isfinite(derivative).all())


def test_normalised_features_by_hand() -> None:
    maps = [torch.tensor([[[[3.0]], [[4.0]]]]), torch.zeros(1, 2, 2, 2)]
    assert torch.allclose(normalised_features(maps), torch.tensor([[0.6, 0.8] + 8 * [0.0]]))
    start = torch.zeros(1, 2, 2, 2, requires_grad=True)
    normalised_features([start]).sum().backward()
    assert bool(torch.isfinite(start.grad).all())


def test_perceptual_distance_sees_what_mse_does_not() -> None:
    """A shifted shape moves both, a change of shape at equal colours moves the perceptual distance relatively more."""
    from geomlib import shapes

    base = torch.tensor([[0.0, 0.5, 0.5, 0.2, 0.0, 0.1, 0.6, 0.3]])
    changed = base.clone()
    changed[0, 0] = 2.0
    noisy = (shapes.render(base) + 0.03 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )
    x, triangle = shapes.render(base), shapes.render(changed)
    mse, perceptual = (geomlib.load_distance(name) for name in NAMES)
    assert perceptual(x, triangle) / perceptual(x, noisy) != mse(x, triangle) / mse(x, noisy)
    assert float(perceptual(x, triangle)) > 0


def test_own_distance(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("def red():\n    return lambda x: x[:, 0].flatten(1)\n\ndef wrong():\n    return 'x'\n")
    x, y = images(0), images(1)
    assert torch.allclose(geomlib.load_distance(f"{path}:red")(x, y), (x - y)[:, 0].square().sum((1, 2)))
    with pytest.raises(TypeError, match="expected a Distance or a feature map"):
        geomlib.load_distance(f"{path}:wrong")


def test_errors() -> None:
    with pytest.raises(ValueError, match="distance: expected one of 'mse', 'perceptual-shapes', got 'l2'"):
        geomlib.load_distance("l2")
    with pytest.raises(ValueError, match="y: expected images of shape"):
        geomlib.load_distance("mse")(images(0), images(0)[:, :2])
