"""The rendered shapes are what their factors say."""

import math

import pytest
import torch

from geomlib.worlds import shapes

COLUMN = {name: index for index, name in enumerate(shapes.FACTOR_NAMES)}


def single(**values: float) -> torch.Tensor:
    """One row of factors: a centred disc, unless told otherwise."""
    defaults = {"x": 0.5, "y": 0.5, "size": 0.2, "background_hue": 0.5, "background_brightness": 0.4}
    return torch.tensor([[{**defaults, **values}.get(name, 0.0) for name in shapes.FACTOR_NAMES]])


def cover(factors: torch.Tensor, resolution: int = 64) -> torch.Tensor:
    """How much of each pixel the shape covers; the corner pixel shows the ground, the largest difference the shape."""
    images = shapes.render(factors, resolution)
    difference = (images - images[:, :, :1, :1]).abs().amax(1)
    return difference / difference.amax((1, 2), keepdim=True)


def test_factors_fill_their_ranges_uniformly() -> None:
    factors = shapes.sample_factors(5000, seed=3)
    assert factors.shape == (5000, len(shapes.FACTORS))
    for factor, column in zip(shapes.FACTORS, factors.unbind(1), strict=True):
        assert column.min() >= factor.low and column.max() <= factor.high
        # The mean of 5000 uniform numbers deviates by 0.004 of the range; three integers by 0.006 of theirs.
        assert abs(column.mean() - (factor.low + factor.high) / 2) < 0.03 * (factor.high - factor.low), factor.name
    assert factors[:, 0].unique().tolist() == [0, 1, 2]
    # Independent: correlations of 5000 pairs deviate by 0.014.
    assert (torch.corrcoef(factors.T) - torch.eye(len(shapes.FACTORS))).abs().max() < 0.06


def test_a_seed_means_the_same_images_whatever_the_global_state() -> None:
    torch.manual_seed(1)
    first, factors = shapes.dataset(4, seed=7)
    torch.manual_seed(2)
    second, again = shapes.dataset(4, seed=7)
    assert torch.equal(first, second) and torch.equal(factors, again)
    assert not torch.equal(first, shapes.dataset(4, seed=8)[0])


def test_a_batch_is_its_images_one_by_one() -> None:
    images, factors = shapes.dataset(6, seed=0)
    assert images.shape == (6, 3, 64, 64) and images.min() >= 0 and images.max() <= 1
    torch.testing.assert_close(torch.cat([shapes.render(row[None]) for row in factors]), images, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [0.14, 0.22])
def test_the_three_shapes_have_the_area_that_size_says(size: float) -> None:
    areas = [cover(single(shape=shape, size=size), 256).mean().item() for shape in range(3)]
    assert areas == pytest.approx([math.pi * size**2] * 3, rel=0.01)


def test_shape_and_ground_always_differ() -> None:
    factors = shapes.sample_factors(2000, seed=5)
    images = shapes.render(factors)
    ground = images[:, :, 0, 0]
    index = (factors[:, [COLUMN["y"], COLUMN["x"]]] * 64).long()
    middle = images[torch.arange(len(images)), :, index[:, 0], index[:, 1]]
    assert ((middle - ground).abs().amax(1) >= shapes.MINIMUM_CONTRAST - 1e-6).all()


def test_edges_are_anti_aliased_over_one_pixel() -> None:
    row = cover(single(shape=1, size=0.2 + 0.3 / 64))[0, 32]
    partial = (row > 0) & (row < 1)
    assert partial.sum() == 2 and row.max() == 1 and row[0] == 0
    # A small move moves the image a little: what makes a generator of these images differentiable in its factors.
    moved = (shapes.render(single(x=0.5 + 1e-4)) - shapes.render(single())).abs().max()
    assert 0 < moved < 0.01


def test_position_and_colour_are_where_the_factors_say() -> None:
    covered = cover(single(shape=2, x=0.4, y=0.6, angle=25.0), 128)[0]
    axis = (torch.arange(128) + 0.5) / 128
    assert ((covered.sum(0) * axis).sum() / covered.sum()).item() == pytest.approx(0.4, abs=2e-3)
    assert ((covered.sum(1) * axis).sum() / covered.sum()).item() == pytest.approx(0.6, abs=2e-3)
    image = shapes.render(single(foreground_hue=1 / 3, background_hue=2 / 3, background_brightness=0.5))[0]
    assert image[:, 32, 32].tolist() == pytest.approx([0.2, 1.0, 0.2], abs=1e-6)
    assert image[:, 0, 0].tolist() == pytest.approx([0.2, 0.2, 0.5], abs=1e-6)


@pytest.mark.parametrize(("shape", "period"), [(1, 90.0), (2, 120.0)])
def test_angles_are_symmetric_and_otherwise_unique(shape: int, period: float) -> None:
    image = shapes.render(single(shape=shape, angle=-20.0))
    torch.testing.assert_close(shapes.render(single(shape=shape, angle=-20.0 + period)), image, atol=1e-4, rtol=0)
    assert (shapes.render(single(shape=shape, angle=20.0)) - image).abs().max() > 0.3
    mirrored = shapes.render(single(shape=shape, angle=20.0)).flip(3)
    torch.testing.assert_close(mirrored, image, atol=1e-4, rtol=0)


def test_a_disc_has_no_angle_and_a_hue_is_a_circle() -> None:
    torch.testing.assert_close(shapes.render(single(angle=33.0)), shapes.render(single()), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        shapes.render(single(foreground_hue=1.0)), shapes.render(single(foreground_hue=0.0)), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("factors", [torch.zeros(3, 7), torch.zeros(8), torch.zeros(2, 9)])
def test_another_number_of_columns_is_refused(factors: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"factors: expected shape \(N, 8\)"):
        shapes.render(factors)
