"""Squared distances: values, feature forms, derivatives, second implementations, own ones and errors."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

import geomlib
from geomlib.distances import normalised_features

DISTANCES: list[tuple[str, dict[str, Any]]] = [
    ("mse", {}),
    ("lpips-squeeze", {"pretrained": False}),
    ("st-lpips-alex", {}),
    ("st-lpips-vgg", {}),
    ("ssim", {}),
    ("stft", {"window_sizes": (64, 256)}),
    ("stft-short", {}),
]


def images(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(3, 3, 64, 64, generator=random, dtype=torch.float64).to(dtype)


def inputs(name: str, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images, or for a distance of sounds what is flattened of them, in [-1, 1]."""
    return 2 * images(seed, dtype).flatten(2) - 1 if name.startswith("stft") else images(seed, dtype)


@pytest.mark.parametrize(("name", "options"), DISTANCES)
def test_every_distance(name: str, options: dict[str, Any]) -> None:
    """Zero from itself, symmetric, positive, equal to its feature form, right in float32, rebuilt by its spec."""
    d, x, y = geomlib.load_distance(name, **options), inputs(name, 0), inputs(name, 1)
    values = d(x, y)
    assert values.shape == (3,) and bool((values > 0).all())
    assert torch.equal(d(x, x), torch.zeros(3))
    torch.testing.assert_close(values, d(y, x))
    torch.testing.assert_close(d(x, y[:1]), torch.stack([d(x[i : i + 1], y[:1])[0] for i in range(3)]))
    if d.features is not None:
        torch.testing.assert_close(values, (d.features(x) - d.features(y)).square().sum(1))
    exact = geomlib.load_distance(name, dtype=torch.float64, **options)
    torch.testing.assert_close(values.double(), exact(x.double(), y.double()), rtol=2e-5, atol=0)
    assert d.spec == {"source": name, **options}
    assert torch.equal(geomlib.load_distance(**d.spec)(x, y), values)


@pytest.mark.parametrize(("name", "options"), DISTANCES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_derivatives_are_finite_on_flat_inputs(name: str, options: dict[str, Any], value: float) -> None:
    d, x = geomlib.load_distance(name, **options), torch.full_like(inputs(name, 0)[:1], value)
    tangents = inputs(name, 1)[:2, None]
    gradient = torch.func.grad(lambda image: d(image, x)[0])
    assert gradient(x).isfinite().all() and float(gradient(x).abs().max()) < 1e-6
    curvature = torch.func.vmap(lambda v: torch.func.jvp(gradient, (x,), (v,))[1])(tangents)
    assert curvature.isfinite().all()
    if d.features is not None:
        features = d.features
        derivative = torch.func.vmap(lambda v: torch.func.jvp(features, (x,), (v,))[1])(tangents)
        assert derivative.isfinite().all()


@pytest.mark.parametrize(("name", "options"), DISTANCES)
def test_second_derivative_is_that_of_the_features(name: str, options: dict[str, Any]) -> None:
    """In float64 at `x = y`: the Hessian along tangents is `2 JᵀJ`, or for SSIM that of small steps, `d ≈ vᵀHv / 2`."""
    d = geomlib.load_distance(name, dtype=torch.float64, **options)
    x, v, w = (inputs(name, seed, torch.float64)[:1] for seed in (0, 1, 2))
    gradient = torch.func.grad(lambda image: d(image, x)[0])
    product = torch.func.jvp(gradient, (x,), (v,))[1]
    if d.features is not None:
        along = [torch.func.jvp(d.features, (x,), (t,))[1] for t in (v, w)]
        torch.testing.assert_close((product * w).sum(), 2 * (along[0] * along[1]).sum())
    else:
        step = 1e-4
        torch.testing.assert_close((product * v).sum(), 2 * d(x + step * v, x)[0] / step**2, rtol=1e-2, atol=0)


def test_mse_is_the_mean() -> None:
    x, y = images(0), images(1)
    assert torch.allclose(geomlib.load_distance("mse")(x, y), (x - y).square().mean((1, 2, 3)))


def test_normalised_features_by_hand() -> None:
    maps = [torch.tensor([[[[3.0]], [[4.0]]]]), torch.zeros(1, 2, 2, 2)]
    assert torch.allclose(normalised_features(maps), torch.tensor([[0.6, 0.8] + 8 * [0.0]]))
    start = torch.zeros(1, 2, 2, 2, requires_grad=True)
    normalised_features([start]).sum().backward()
    assert start.grad is not None and bool(torch.isfinite(start.grad).all())


def test_an_untrained_trunk_is_a_control() -> None:
    state, x, y = torch.get_rng_state(), images(0), images(1)
    first, other = (geomlib.load_distance("st-lpips-alex", pretrained=False, seed=seed) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.name == "st-lpips-alex(pretrained=False, seed=0)"
    trained = geomlib.load_distance("st-lpips-alex")
    assert len({round(float(d(x, y)[0]), 6) for d in (first, other, trained)}) == 3


def test_ssim_by_a_second_implementation() -> None:
    """Local moments by scipy's Gaussian filter in float64, where the window lies inside the image."""
    x, y = images(0, torch.float64), (0.7 * images(0, torch.float64) + 0.3 * images(1, torch.float64))
    d = geomlib.load_distance("ssim", dtype=torch.float64)

    def mean(values: Any) -> Any:
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    for index, (a, b) in enumerate(zip(x.numpy(), y.numpy(), strict=True)):
        maps = []
        for p, q in zip(a, b, strict=True):
            covariance = mean(p * q) - mean(p) * mean(q)
            variances = mean(p * p) - mean(p) ** 2 + mean(q * q) - mean(q) ** 2
            luminance = (2 * mean(p) * mean(q) + 1e-4) / (mean(p) ** 2 + mean(q) ** 2 + 1e-4)
            maps.append(luminance * (2 * covariance + 9e-4) / (variances + 9e-4))
        assert float(d(x, y)[index]) == pytest.approx(1 - np.mean(maps), rel=1e-10)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_ssim_of_flat_images(data_range: float) -> None:
    d = geomlib.load_distance("ssim", dtype=torch.float64, data_range=data_range)
    a, b, c1 = 0.2, 0.7, (0.01 * data_range) ** 2
    x, y = (torch.full((1, 1, 12, 16), value, dtype=torch.float64) for value in (a, b))
    assert float(d(x, y)) == pytest.approx(1 - (2 * a * b + c1) / (a * a + b * b + c1), rel=1e-9)
    assert float(d(x, x)) == 0


def test_the_hessian_of_ssim_is_positive_semi_definite() -> None:
    d, x = geomlib.load_distance("ssim", dtype=torch.float64), images(0, torch.float64)[:1, :1, :14, :13]
    hessian = torch.func.hessian(lambda image: d(image.reshape(x.shape), x)[0])(x.flatten())
    torch.testing.assert_close(hessian, hessian.T)
    eigenvalues = torch.linalg.eigvalsh(hessian)
    assert float(eigenvalues[-1]) > 0
    assert float(eigenvalues[0]) > -1e-13 * float(eigenvalues[-1])


def test_ssim_tells_near_images_apart_in_single_precision() -> None:
    """Equal images differ by nothing, and a difference of 1e-4 is right to 1 %, far below 1's own rounding."""
    x, step = images(0, torch.float64), 1e-4 * (images(1, torch.float64) - 0.5)
    rough, exact = (geomlib.load_distance("ssim", dtype=dtype) for dtype in (torch.float32, torch.float64))
    y = (x + step).float()
    torch.testing.assert_close(rough(x.float(), y).double(), exact(x.float().double(), y.double()), rtol=1e-2, atol=0)


def test_stft_by_a_second_implementation() -> None:
    """A plain loop over frames in numpy, with a length that is no multiple of the window's step."""
    sizes, floor, length = (64, 128), 1e-3, 1001
    d = geomlib.load_distance("stft", dtype=torch.float64, window_sizes=sizes, floor=floor)
    x, y = (inputs("stft", seed, torch.float64)[:1, :1, :length] for seed in (0, 1))

    def log_magnitudes(sound: Any, size: int) -> Any:
        window = np.sin(np.pi * np.arange(size) / size) ** 2
        count = math.ceil(length / (size // 4)) + 1
        padded = np.zeros(count * size // 4 + size)
        padded[size // 2 : size // 2 + length] = sound
        frames = [padded[start * size // 4 : start * size // 4 + size] * window for start in range(count)]
        spectra = [np.abs(np.fft.rfft(frame)) * 2 / window.sum() for frame in frames]
        return np.log(np.square(spectra) + floor**2) / 2

    parts = [np.mean((log_magnitudes(x[0, 0], size) - log_magnitudes(y[0, 0], size)) ** 2) for size in sizes]
    assert float(d(x, y)) == pytest.approx(np.mean(parts), rel=1e-10)


def test_short_sounds_are_measured_with_short_windows() -> None:
    x, y = (inputs("stft", seed, torch.float64)[:, :1, :300] for seed in (0, 1))
    short = geomlib.load_distance("stft-short", dtype=torch.float64, floor=0.01)
    same = geomlib.load_distance("stft", dtype=torch.float64, window_sizes=(64, 128, 256), floor=0.01)
    assert torch.equal(short(x, y), same(x, y))
    assert short.name == "stft-short(floor=0.01)"
    with pytest.raises(ValueError, match="L at least 256, got"):
        short(x[..., :255], y[..., :255])


def test_stft_in_closed_form() -> None:
    """The log of a gain far above the floor is the distance's root; a sine at a bin's centre has its amplitude."""
    d = geomlib.load_distance("stft", dtype=torch.float64, window_sizes=(64,), floor=1e-9)
    x = inputs("stft", 0, torch.float64)[:1]
    assert float(d(x, 0.3 * x)) == pytest.approx(math.log(0.3) ** 2, rel=1e-6)
    sine = 0.4 * torch.sin(2 * math.pi * 5 / 64 * torch.arange(1024, dtype=torch.float64))[None, None]
    assert d.features is not None
    frames = d.features(sine).reshape(-1, 33)
    centre = frames[len(frames) // 2, 5] * math.sqrt(frames.numel())
    assert float(centre) == pytest.approx(math.log(0.4), abs=1e-9)


OWN = """
import torch
import geomlib


def red():
    return lambda x: x[:, 0]


def gain(factor=1.0, dtype=torch.float32):
    return lambda x, y: ((x - y) * torch.tensor([factor], dtype=dtype)).square().mean((1, 2, 3))


def ready():
    return geomlib.Distance("ready", lambda x: x.flatten(1))


class Convolution(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Dropout())

    def forward(self, x):
        return self.layer(x)


def text():
    return "x"


def three():
    return lambda x, y, z: x


def scalar():
    return lambda x, y: (x - y).square().mean()


def constant(x, y):
    return x
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def test_own_distances(own: str) -> None:
    x, y = images(0), images(1)
    torch.testing.assert_close(geomlib.load_distance(f"{own}:red")(x, y), (x - y)[:, 0].square().sum((1, 2)))

    gain = geomlib.load_distance(f"{own}:gain", dtype=torch.float64, factor=3.0)
    assert gain.features is None and gain.name == f"{own}:gain(factor=3.0)"
    assert gain.spec == {"source": f"{own}:gain", "factor": 3.0}
    assert gain(x, y).dtype == torch.float64
    torch.testing.assert_close(gain(x, y), 9 * (x - y).double().square().mean((1, 2, 3)))

    ready = geomlib.load_distance(f"{own}:ready")
    assert ready.name == "ready" and ready.spec == {"source": f"{own}:ready"}

    network = geomlib.load_distance(f"{own}:Convolution", dtype=torch.float64)
    assert network.features is not None
    assert network.features(x.double()).shape == (3, 2 * 62 * 62)
    assert torch.equal(network.features(x.double()), network.features(x.double()))  # no dropout
    assert not network.features(x.double()).requires_grad


def test_errors_of_own_distances(own: str) -> None:
    x, y = images(0), images(1)
    with pytest.raises(TypeError, match="returned str, expected a Distance, a feature map"):
        geomlib.load_distance(f"{own}:text")
    with pytest.raises(TypeError, match="expected one or two arguments"):
        geomlib.load_distance(f"{own}:three")
    with pytest.raises(ValueError, match=r"expected values of shape \(3,\), got \(\)"):
        geomlib.load_distance(f"{own}:scalar")(x, y)
    with pytest.raises(ValueError, match="unexpected keyword argument 'size'; it takes factor"):
        geomlib.load_distance(f"{own}:gain", size=3)
    with pytest.raises(ValueError, match="missing a required argument: 'x'; it takes x, y"):
        geomlib.load_distance(f"{own}:constant")


def test_errors() -> None:
    with pytest.raises(ValueError, match="distance: expected one of 'mse', 'lpips-squeeze', .* got 'l2'"):
        geomlib.load_distance("l2")
    with pytest.raises(ValueError, match="none was given .* mse, lpips-squeeze, .* or file.py:factory"):
        geomlib.load_distance("")
    with pytest.raises(ValueError, match="lpips-alex cannot be made with these options: .* it takes input_range, size"):
        geomlib.load_distance("lpips-alex", resize=3)
    with pytest.raises(ValueError, match="y: expected images of shape"):
        geomlib.load_distance("mse")(images(0), images(0)[:, :2])
    with pytest.raises(TypeError, match="features, value: expected exactly one"):
        geomlib.Distance("none")
    with pytest.raises(ValueError, match=r"features of map: expected shape \(B, m\)"):
        geomlib.Distance("map", lambda x: x)(images(0), images(1))
    with pytest.raises(ValueError, match="at least 11 pixels a side"):
        geomlib.load_distance("ssim")(images(0)[..., :8], images(1)[..., :8])
    with pytest.raises(ValueError, match="data_range: expected a positive number"):
        geomlib.load_distance("ssim", data_range=0.0)
    with pytest.raises(ValueError, match="window_sizes: expected positive multiples of 4"):
        geomlib.load_distance("stft", window_sizes=(30,))
    with pytest.raises(ValueError, match="floor: expected a positive amplitude"):
        geomlib.load_distance("stft", floor=0.0)
    with pytest.raises(ValueError, match="sounds: expected shape .* at least 1024"):
        geomlib.load_distance("stft")(torch.zeros(1, 1, 1000), torch.zeros(1, 1, 1000))


def test_images_that_are_no_pairs_are_refused() -> None:
    mse, ssim = geomlib.load_distance("mse"), geomlib.load_distance("ssim")
    with pytest.raises(ValueError, match="y: expected 2 images as in x, or one, got 3"):
        mse(torch.zeros(2, 3, 16, 16), torch.zeros(3, 3, 16, 16))
    with pytest.raises(ValueError, match="images: expected torch.float32 on cpu, for which the distance"):
        ssim(images(0, torch.float64), images(1, torch.float64))
