"""Readers: against the packages' own values, readings by hand, the two uses of a classifier, and a trap."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from conftest import ROOT
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import geomlib
from geomlib.operators import HessianOperator
from geomlib.readers import Classifier, FaceReader, FaceReadings, load_classifier, load_face_reader
from geomlib.worlds.quality import frechet_distance

GOLDEN = Path(os.environ.get("GOLDEN_DIR", ROOT / "tests" / "golden")) / "packages" / "face_landmarks.safetensors"
MILITARY_UNIFORM = 652
Fetched = Callable[[str], Path]

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
networks = pytest.mark.parametrize("name", ["dcgan-portraits", "dcgan-faces"])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlation(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


# Faces


@dtypes
def test_landmarks_are_those_of_the_package(dtype: torch.dtype, fetched: Fetched) -> None:
    fetched("face-landmarks")
    golden = {key: value.to(dtype) for key, value in load_file(GOLDEN).items()}
    reader = load_face_reader(dtype=dtype)
    torch.testing.assert_close(reader.crop(golden["image"]), golden["crop"], rtol=0, atol=1e-5)
    readings = reader(golden["image"])
    torch.testing.assert_close(readings.probability, golden["probability"], rtol=0, atol=1e-5)
    torch.testing.assert_close(readings.landmarks.mT.flatten(1), golden["landmarks"], rtol=0, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in reader.parameters())


def test_readings_by_hand() -> None:
    """A network that says the same of every picture: eyes 5 apart on a slope, and a mouth as wide as 10."""
    reader = FaceReader().double().eval().requires_grad_(False)
    reader.dense6_3.weight.zero_()
    reader.dense6_3.bias.copy_(torch.tensor([1.0, 5.0, 4.0, 0.0, 6.0, 2.0, 5.0, 6.0, 10.0, 18.0]))
    reader.dense6_1.weight.zero_()
    reader.dense6_1.bias.copy_(torch.tensor([0.0, np.log(3.0)]))
    images = random(2, 3, 64, 64)
    images[..., 3:-3] = 0.9
    images[0, ..., :3], images[0, ..., -3:] = 0.25, 0.75
    readings = reader(images)
    for values, expected in (
        (readings.yaw, (4 - 3) / 5), (readings.pitch, (6 - 3.5) / 5), (readings.mouth, 10 / 5),
        (readings.probability, 0.75),
    ):  # fmt: skip
        torch.testing.assert_close(values, torch.full_like(values, expected))
    assert float(readings.background[0]) == pytest.approx(0.5)
    outer = images[1][..., [0, 1, 2, 61, 62, 63]]
    torch.testing.assert_close(readings.background[1], outer.mean())


@networks
@torch.no_grad()
def test_a_mirrored_picture_looks_the_other_way(name: str, fetched: Fetched) -> None:
    """The reader is not exact, but what it says follows the picture, not the place of its box."""
    fetched(name), fetched("face-landmarks")
    G, reader = geomlib.load_generator(name), load_face_reader()
    images = G(G.sample(200, seed=0))
    plain, mirrored = reader(images), reader(images.flip(3))
    assert float((plain.probability > 0.7).float().mean()) > 0.95
    assert correlation(plain.yaw, mirrored.yaw) < -0.9
    assert min(correlation(plain.mouth, mirrored.mouth), correlation(plain.pitch, mirrored.pitch)) > 0.8
    torch.testing.assert_close(plain.background, mirrored.background)
    for shift in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        moved: FaceReadings = reader(images, shift=shift)
        assert 0.95 < correlation(plain.yaw, moved.yaw) < 1
        assert torch.equal(plain.background, moved.background)


def test_a_reading_has_a_gradient_in_the_latent(fetched: Fetched) -> None:
    fetched("dcgan-portraits"), fetched("face-landmarks")
    G = geomlib.load_generator("dcgan-portraits", dtype=torch.float64)
    reader, z, v = load_face_reader(dtype=torch.float64), G.sample(1, seed=1), G.sample(1, seed=2)

    def readings(latent: Tensor) -> Tensor:
        found = reader(G(latent))
        return torch.cat([found.yaw, found.pitch, found.mouth, found.background, found.probability])

    tangent = torch.func.jvp(readings, (z,), (v,))[1]
    with torch.no_grad():
        difference = (readings(z + 1e-6 * v) - readings(z - 1e-6 * v)) / 2e-6
    assert float(tangent.abs().min()) > 0
    torch.testing.assert_close(tangent, difference, rtol=1e-4, atol=1e-7)


def test_errors_of_the_face_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FaceReader()
    with pytest.raises(ValueError, match=r"images: expected shape \(N, 3, 64, 64\), got \(1, 3, 32, 32\)"):
        reader(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"images: expected torch.float32 on cpu, .* got torch.float64 on cpu"):
        reader(torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"shift: expected rows in \[-14, 4\] and columns in \[-9, 9\], got \(0, 10\)"):
        reader(torch.zeros(1, 3, 64, 64), shift=(0, 10))
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path))
    for name, load in (("face-landmarks", load_face_reader), ("efficientnet-lite0", load_classifier)):
        with pytest.raises(
            FileNotFoundError, match=f"weights: {name} is not in the cache .* run `geomlib fetch {name}"
        ):
            load()


# Kinds of object


def untrained(seed: int = 0) -> Classifier:
    """Random weights under which activations keep their scale and some reach ReLU6's upper kink."""
    random, classifier = torch.Generator().manual_seed(seed), Classifier()
    for layer in classifier.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
        if isinstance(layer, nn.BatchNorm2d):
            for values, low, high in (
                (layer.running_mean, -0.5, 0.5), (layer.running_var, 0.5, 1.0), (layer.weight, 0.8, 1.2),
                (layer.bias, 0.0, 1.0),
            ):  # fmt: skip
                nn.init.uniform_(values, low, high, generator=random)  # type: ignore[arg-type]
    return classifier.double().eval().requires_grad_(False)


def preprocessed(images: Tensor) -> Tensor:
    """As the package's description of its class asks, by hand."""
    mean, deviation = (images.new_tensor(values) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (images - mean[:, None, None]) / deviation[:, None, None]


def reference(classifier: Classifier) -> nn.Module:
    """The package's own class with the same weights."""
    theirs: nn.Module = EfficientNet.from_name("efficientnet-lite0").to(classifier._fc.weight.dtype).eval()
    theirs.load_state_dict(classifier.state_dict())
    return theirs


@torch.no_grad()
def test_equals_the_packages_class_untrained() -> None:
    classifier, images = untrained(), random(2, 3, 224, 224)
    theirs = reference(classifier)
    features = classifier.features(images)
    assert float(features.std()) > 0.1 and 0 <= features.min() < features.max() <= 6
    maps = theirs.extract_features(preprocessed(images))
    assert bool((maps == 6).any()) and bool((maps == 0).any())
    torch.testing.assert_close(features, maps.mean((2, 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(classifier(images), theirs(preprocessed(images)), rtol=1e-6, atol=1e-6)


@dtypes
@torch.no_grad()
def test_equals_the_packages_class_trained(dtype: torch.dtype, fetched: Fetched) -> None:
    fetched("efficientnet-lite0")
    classifier, images = load_classifier(dtype=dtype), random(2, 3, 224, 224).to(dtype)
    torch.testing.assert_close(classifier(images), reference(classifier)(preprocessed(images)), rtol=1e-5, atol=1e-5)
    small = random(1, 3, 48, 64).to(dtype)
    large = nn.functional.interpolate(small, size=(224, 224), mode="bilinear", antialias=True)
    assert torch.equal(classifier(small), classifier(large))


@torch.no_grad()
def test_a_photograph_is_recognised(fetched: Fetched) -> None:
    """Grace Hopper in uniform, which comes with matplotlib; upside down and in false colours the class is lost."""
    fetched("efficientnet-lite0")
    classifier = load_classifier()
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as picture:
        side = min(picture.size)
        photograph = torch.tensor(np.asarray(picture.convert("RGB").crop((0, 0, side, side)))).permute(2, 0, 1) / 255
    assert int(classifier(photograph[None]).argmax()) == MILITARY_UNIFORM
    log_probability = classifier.log_probability(MILITARY_UNIFORM)
    assert -2 < float(log_probability(photograph[None])) < 0
    assert float(log_probability(1 - photograph[None].flip(2))) < -4


@torch.no_grad()
def test_as_a_judge(fetched: Fetched) -> None:
    """By the Fréchet distance of its features, a blurred sample is farther from another than a sharp one."""
    fetched("dcgan-portraits"), fetched("efficientnet-lite0")
    G, classifier = geomlib.load_generator("dcgan-portraits"), load_classifier()
    images, others = G(G.sample(12, seed=0)), G(G.sample(12, seed=1))
    blurred = nn.functional.interpolate(nn.functional.avg_pool2d(others, 4), scale_factor=4, mode="bilinear")
    first, sharp, soft = (classifier.features(pictures) for pictures in (images, others, blurred))
    assert 1.5 * frechet_distance(first, sharp) < frechet_distance(first, soft)


def linear(z: Tensor) -> Tensor:
    return 0.5 + 0.2 * (z @ (random(3, 3 * 16 * 16, seed=1) - 0.5)).unflatten(1, (3, 16, 16))


def curved(z: Tensor) -> Tensor:
    return torch.sigmoid(4 * (linear(z) - 0.5))


def generator(function: Callable[[Tensor], Tensor]) -> geomlib.Generator:
    return geomlib.Generator(function, 3, (0, 1)).to("cpu", torch.float64)


def test_the_second_derivative_of_a_log_probability() -> None:
    """Behind a generator that is linear: `−Jᵀ (diag p − p pᵀ) J`, and that of finite differences."""
    G, classifier, z = generator(linear), untrained(), torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    objective = classifier.log_probability(7)
    found = HessianOperator(G, z, objective).to_dense()
    axes = torch.eye(3, dtype=z.dtype)
    J = torch.stack([torch.func.jvp(lambda z: classifier(linear(z[None]))[0], (z,), (v,))[1] for v in axes], 1)
    p = classifier(linear(z[None])).softmax(1)[0]
    expected = -J.mT @ (torch.diag(p) - torch.outer(p, p)) @ J
    assert float(expected.norm()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_a_logit_behind_relu6_has_no_second_derivative() -> None:
    """The trap: zero behind a generator that is linear, and else that of the generator alone.

    The gradient changes all the same, in jumps that no second derivative at a point sees.
    """
    classifier, z = untrained(), torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)

    def logit(image: Tensor) -> Tensor:
        return classifier(image)[0, 7]

    assert torch.equal(HessianOperator(generator(linear), z, logit).to_dense(), torch.zeros(3, 3).double())
    here, there = (torch.func.grad(lambda z: logit(linear(z[None])))(z + step) for step in (0.0, 0.1))
    assert float((there - here).norm()) > 0.1 * float(here.norm())

    gradient = torch.func.grad(logit)(curved(z[None]))
    found = HessianOperator(generator(curved), z, logit).to_dense()
    alone = HessianOperator(generator(curved), z, lambda image: (image * gradient).sum()).to_dense()
    assert float(alone.norm()) > 1e-3
    torch.testing.assert_close(found, alone, rtol=1e-9, atol=1e-12)


def test_errors_of_the_classifier() -> None:
    classifier = Classifier()
    for number in (-1, 1000):
        with pytest.raises(ValueError, match=f"class_index: expected a number from 0 to 999, got {number}"):
            classifier.log_probability(number)
    with pytest.raises(ValueError, match=r"images: expected shape \(N, 3, H, W\), got \(1, 1, 32, 32\)"):
        classifier(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"images: expected torch.float32 on cpu, .* got torch.float64 on cpu"):
        classifier(torch.zeros(1, 3, 32, 32, dtype=torch.float64))
