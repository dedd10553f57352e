"""The committed networks do what their cards say, and the quality measures measure."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch

import geomlib
from geomlib.worlds import shapes
from geomlib.worlds.quality import Coverage, coverage, frechet_distance
from geomlib.worlds.reader import Readings
from geomlib.worlds.shapes import networks, quality

WEIGHTS = Path(geomlib.__file__).parent / "weights"


@pytest.fixture(scope="module")
def reader() -> networks.FactorReader:
    return networks.load_factor_reader()


@pytest.fixture(scope="module")
def held_out() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of a seed that neither training nor a card used, with their factors."""
    return shapes.dataset(600, seed=987)


@pytest.fixture(scope="module")
def readings(reader: networks.FactorReader, held_out: tuple[torch.Tensor, torch.Tensor]) -> Readings:
    return reader.read(held_out[0])


def blend(images: torch.Tensor) -> torch.Tensor:
    """Images of two shapes far apart, half and half."""
    return (images + images.flip(0)) / 2


def blurred(images: torch.Tensor) -> torch.Tensor:
    axis = torch.arange(-12.0, 13.0)
    kernel = torch.exp(-0.5 * (axis / 4) ** 2)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2).expand(3, 1, 25, 25)
    return torch.nn.functional.conv2d(torch.nn.functional.pad(images, (12,) * 4, mode="replicate"), kernel, groups=3)


def noise(images: torch.Tensor) -> torch.Tensor:
    return torch.rand(images.shape, generator=torch.Generator().manual_seed(0))


def empty(images: torch.Tensor) -> torch.Tensor:
    return images[:, :, :1, :1].expand_as(images)


def stretched(images: torch.Tensor) -> torch.Tensor:
    """Ellipses, oblongs and flat triangles."""
    return torch.nn.functional.interpolate(images, (64, 108), mode="bilinear", antialias=True)[..., 22:86]


def test_code_of_factors_is_inverted_exactly() -> None:
    factors = shapes.sample_factors(300, seed=1)
    code = networks.encode_factors(factors)
    assert code.shape == (300, networks.CODE_SIZE) and code.abs().max() <= 1 + 1e-6
    back = networks.decode_factors(code, factors[:, 0])
    disc = factors[:, 0] == 0
    assert back[disc, 4].isnan().all()
    factors[disc, 4] = back[disc, 4] = 0
    torch.testing.assert_close(back, factors, atol=1e-4, rtol=0)
    below_zero = networks.encode_factors(factors[:1])
    below_zero[0, 4:6] = torch.tensor([1.0, -1e-12])
    assert networks.decode_factors(below_zero, factors[:1, 0])[0, 5] == 0


NETWORKS = [
    "shapes-biggan", "shapes-dcgan", "shapes-dcgan-pixels-1", "shapes-dcgan-pixels-2", "shapes-dcgan-rewarded",
    "shapes-factors", "shapes-factors-strict", "shapes-stylegan2",
]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_card_belongs_to_the_weights(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size < 4e6 and len(card["loss_curve"]) <= 50


@pytest.mark.parametrize("name", ["shapes-dcgan", "shapes-dcgan-pixels-1", "shapes-dcgan-pixels-2"])
def test_the_rule_of_the_honest_seeds_is_what_their_cards_say(name: str) -> None:
    """The share, in 500 samples; the distance, in the features of a classifier, takes minutes: its script prints it."""
    rule = json.loads((WEIGHTS / f"{name}.json").read_text())["rule"]
    times = rule["frechet"] / rule["frechet of shapes-dcgan-rewarded"]
    assert rule["passes"] == (rule["confident"] >= 0.7 and times <= 1.5)
    G = geomlib.load_generator(name)
    with torch.no_grad():
        images = G(G.sample(500, seed=5000))
    share = float(quality.confident_shapes(networks.load_factor_reader().read(images)).double().mean())
    assert share == pytest.approx(rule["confident"], abs=0.07)


def test_reader_reads_the_factors_of_fresh_images(
    readings: Readings, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    factors = held_out[1].double()
    assert readings.probabilities.shape == (600, 4) and readings.features.shape == (600, 128)
    right = readings.factors[:, 0] == factors[:, 0]
    assert right.double().mean() >= 0.99
    error = (readings.factors - factors).abs()
    error[:, 5:7] = torch.minimum(error[:, 5:7], 1 - error[:, 5:7])
    period = torch.tensor([math.nan, 90.0, 120.0])[factors[:, 0].long()]
    error[:, 4] = torch.minimum(error[:, 4], period - error[:, 4])
    mean = error[right].nanmean(0)
    stated = {"x": 0.004, "y": 0.004, "size": 0.003, "angle": 3.0, "foreground_hue": 0.015, "background_hue": 0.015,
              "background_brightness": 0.01}  # fmt: skip
    for name, limit in stated.items():
        assert mean[shapes.FACTOR_NAMES.index(name)] < limit, name
    assert readings.factors[readings.factors[:, 0] == 0, 4].isnan().all()
    hues = readings.factors[:, 5:7]
    assert hues.min() >= 0 and hues.max() < 1


def test_reader_accepts_real_images_and_refuses_others(
    reader: networks.FactorReader, readings: Readings, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assert quality.confident_shapes(readings).double().mean() > 0.97
    images = held_out[0][:200]
    faint_texture = (images + 0.02 * (noise(images) - 0.5)).mul(255).round() / 255
    assert quality.confident_shapes(reader.read(faint_texture)).double().mean() > 0.95
    for spoil in (blurred, noise, empty, stretched):
        assert quality.confident_shapes(reader.read(spoil(images))).double().mean() < 0.02, spoil.__name__
    # Two shapes that happen to lie over each other blend into one.
    assert quality.confident_shapes(reader.read(blend(images))).double().mean() < 0.06


def test_reader_refuses_other_shapes(reader: networks.FactorReader) -> None:
    for call in (reader, reader.read):
        with pytest.raises(ValueError, match=r"images: expected shape \(N, 3, 64, 64\)"):
            call(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("strict", [False, True])
def test_loaded_networks_are_frozen(strict: bool) -> None:
    network = networks.load_factor_reader(dtype=torch.float64, strict=strict)
    assert not network.training
    assert all(not part.requires_grad and part.dtype == torch.float64 for part in network.parameters())


def test_quality_of_real_images_is_near_perfect_and_of_noise_bad(
    reader: networks.FactorReader, held_out: tuple[torch.Tensor, torch.Tensor]
) -> None:
    images = shapes.dataset(1000, seed=654)[0]
    good = quality.measure(held_out[0][:500], reader, images)
    assert good.confident > 0.97 and sum(good.per_shape.values()) == pytest.approx(good.confident)
    for name, covered in good.coverage.items():
        assert covered.half == covered.quarter == 1, name
        assert covered.distance < 0.15, name
    assert good.frechet < 2 * good.frechet_real
    bad = quality.measure(noise(images[:200]), reader, images)
    assert bad.confident < 0.02 and bad.coverage["x"].half < 0.5 and bad.frechet > 20 * bad.frechet_real
    with pytest.raises(ValueError, match="images, real"):
        quality.measure(images[:1], reader, images)


def test_coverage_of_known_distributions() -> None:
    line, circle = shapes.Factor("x", 0.0, 1.0), shapes.Factor("hue", 0.0, 1.0, circular=True)
    even = (torch.arange(1000) + 0.5) / 1000
    assert coverage(even, even, line) == Coverage(1.0, 1.0, 0.0)
    half = coverage(even / 2, even, line)
    assert (half.half, half.quarter) == (0.5, 0.5) and half.distance == pytest.approx(0.5, abs=2e-3)
    # Where the circle is cut open must not matter.
    arcs = [coverage((even / 2 + start) % 1, even, circle).distance for start in (0.0, 0.3, 0.75)]
    assert arcs == pytest.approx([0.5] * 3, abs=2e-3)
    assert coverage(torch.tensor([math.nan]), even, line) == Coverage(0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="reference"):
        coverage(even, torch.tensor([math.nan]), line)


def test_frechet_distance_of_gaussians_known_by_hand() -> None:
    # Points +-s on each axis have mean 0 and covariance 2 s^2 / 3: deviations d_i give |shift|^2 + sum (d_i - e_i)^2.
    def cross(*lengths: float) -> torch.Tensor:
        axes = torch.diag(torch.tensor(lengths, dtype=torch.float64))
        return torch.cat([axes, -axes])

    one, two = cross(3.0, 1.0), cross(1.0, 2.0)
    shift = torch.tensor([1.0, -2.0], dtype=torch.float64)
    expected = 5.0 + (2 / 3) * ((3 - 1) ** 2 + (1 - 2) ** 2)
    assert frechet_distance(one, two + shift) == pytest.approx(expected, rel=1e-12)
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    assert frechet_distance(one @ turn, (two + shift) @ turn) == pytest.approx(expected, rel=1e-12)
    # Rotated against each other: tr (C1 C2)^(1/2) of 2x2 matrices is sqrt(tr C1 C2 + 2 sqrt(det C1 det C2)).
    first, second = one.T @ one / 3, (two @ turn).T @ (two @ turn) / 3
    root = ((first @ second).trace() + 2 * (first.det() * second.det()).sqrt()).sqrt()
    by_hand = (first.trace() + second.trace() - 2 * root).item()
    assert frechet_distance(one, two @ turn) == pytest.approx(by_hand, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="features"):
        frechet_distance(one, cross(1.0, 1.0, 1.0))
