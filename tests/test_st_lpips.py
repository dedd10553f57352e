"""Shift-tolerant LPIPS: against the package's own values, its blur by hand, safe derivatives, options and errors."""

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_lpips import features_of, images
from torch import Tensor

import geomlib
from geomlib.distances import st_lpips, trunks
from geomlib.distances.lpips import LpipsFeatures

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden")) / "packages" / "st_lpips.safetensors"
SMALLEST = {"alex": 21, "vgg": 18}

each = pytest.mark.parametrize("name", SMALLEST)


def loaded(name: str, dtype: torch.dtype = torch.float32, **options: Any) -> geomlib.Distance:
    return geomlib.load_distance(f"st-lpips-{name}", dtype=dtype, **options)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", ["", "128"], ids=["64", "128"])
def test_equals_the_package(name: str, dtype: torch.dtype, side: str) -> None:
    """Its own code gave the values, for images in [-1, 1]."""
    golden = {key: value.to(dtype) for key, value in load_file(GOLDEN).items()}
    x, y, expected = golden[f"x{side}"], golden[f"y{side}"], golden[f"distance{side}_{name}"]
    d = loaded(name, dtype)
    torch.testing.assert_close(d((x + 1) / 2, (y + 1) / 2), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(loaded(name, dtype, input_range=(0, 1))(x, y), expected, rtol=1e-5, atol=0)


@each
def test_feature_form(name: str) -> None:
    d, x, y = loaded(name), images(0), images(1)
    assert torch.equal(d(x, y), (features_of(d)(x) - features_of(d)(y)).square().sum(1))
    assert torch.equal(d(x, x), torch.zeros(2))
    torch.testing.assert_close(d(x, y), d(y, x))
    exact = loaded(name, torch.float64)(x.double(), y.double())
    torch.testing.assert_close(d(x, y).double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(3, 3), (8, 5), (7, 12)])
def test_the_blur_by_hand(shape: tuple[int, int]) -> None:
    """Each entry is the mean, weighted by [1 2 1]², around a second entry of the reflected map."""
    maps = images(0, torch.float64, channels=4, side=12)[..., : shape[0], : shape[1]]
    padded = np.pad(maps.numpy(), [(0, 0), (0, 0), (2, 2), (2, 2)], mode="reflect")
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    rows, columns = ((side + 1) // 2 + 1 for side in shape)
    expected = np.empty((2, 4, rows, columns))
    for i in range(rows):
        for j in range(columns):
            expected[:, :, i, j] = (padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * weights).sum((2, 3))
    np.testing.assert_allclose(st_lpips.Blur()(maps).numpy(), expected, rtol=1e-12)


@each
def test_the_metric_is_twice_the_gram_matrix_of_the_features(name: str) -> None:
    """In float64: the pullback, the Hessian by backward over backward, and `2 JᵀJ` by hand."""
    random = torch.Generator().manual_seed(0)
    basis = torch.randn(4, 3 * 24 * 24, generator=random, dtype=torch.float64)
    centre = images(0, torch.float64, side=24)[0]

    def network(z: Tensor) -> Tensor:
        return (centre + 0.02 * (z @ basis).unflatten(1, centre.shape)).sigmoid()

    G = geomlib.Generator(network, 4, (0, 1)).to("cpu", torch.float64)
    d, z = loaded(name, torch.float64), torch.randn(4, generator=random, dtype=torch.float64)
    pullback, backward = (geomlib.metric_tensor(G, z, d, method).matrix for method in ("pullback", "backward"))
    axes = torch.eye(4, dtype=z.dtype)
    columns = [torch.func.jvp(lambda z: features_of(d)(network(z[None]))[0], (z,), (v,))[1] for v in axes]
    J = torch.stack(columns, 1)
    torch.testing.assert_close(pullback, 2 * J.mT @ J, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(pullback, backward, rtol=1e-9, atol=1e-12)


@each
def test_every_operation_has_a_rule_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is differentiated anew at each replay would make a metric many times slower."""
    module = importlib.import_module("geomlib.derivatives.linearise")

    def refuse(operation: Any, values: Any) -> Any:
        raise AssertionError(f"{operation.func} has no rule")

    monkeypatch.setattr(module, "_general", refuse)
    G = geomlib.load_generator("shapes-dcgan")
    assert geomlib.metric_tensor(G, G.sample(1, seed=0)[0], loaded(name)).settings["recorded"] == "True"


@each
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_derivatives_are_finite_on_flat_images(name: str, value: float) -> None:
    d, x = loaded(name), torch.full((1, 3, 32, 32), value)
    tangents = torch.cat([torch.ones_like(x), images(0, side=32)])[:, None]
    assert torch.func.vmap(lambda v: torch.func.jvp(features_of(d), (x,), (v,))[1])(tangents).isfinite().all()
    gradient = torch.func.grad(lambda image: d(image, x)[0])
    assert gradient(x).isfinite().all()
    assert torch.func.jvp(gradient, (x,), (tangents[1],))[1].isfinite().all()


def test_derivatives_are_finite_where_all_channels_are_zero() -> None:
    d, x, y = loaded("alex"), images(0), images(1)
    assert isinstance(d.features, LpipsFeatures)
    for parameter in d.features.trunk.layers[0].parameters():
        parameter.zero_()
    gradient = torch.func.grad(lambda image: d(image, y).sum())
    assert torch.equal(d(x, y), torch.zeros(2))
    assert gradient(x).isfinite().all()
    assert torch.func.jvp(d.features, (x,), (x,))[1].isfinite().all()
    assert torch.func.jvp(gradient, (x,), (x,))[1].isfinite().all()


def test_options() -> None:
    x, y, d = images(0), images(1), loaded("alex")
    grey, other = images(2, channels=1), images(3, channels=1)
    torch.testing.assert_close(d(grey, other), d(grey.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1)))

    resized = loaded("alex", size=32)
    half = torch.nn.functional.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(features_of(resized)(x), features_of(d)(half))
    assert resized.name == "st-lpips-alex(size=32)"
    assert torch.equal(geomlib.load_distance(**(resized.spec or {}))(x, y), resized(x, y))

    state = torch.get_rng_state()
    controls = [loaded("alex", pretrained=False, seed=seed)(x, y) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(controls[0], controls[1])
    assert not torch.equal(controls[0], controls[2]) and not torch.equal(controls[0], d(x, y))


@each
def test_too_small_images(name: str) -> None:
    smallest, d = SMALLEST[name], loaded(name)
    assert float(d(images(0, side=smallest), images(1, side=smallest)).min()) > 0
    with pytest.raises(ValueError, match=f"images: expected at least {smallest} pixels a side, got"):
        d(images(0, side=smallest - 1), images(1, side=smallest - 1))
    with pytest.raises(ValueError, match=f"size: expected at least {smallest} pixels for st-lpips-{name}"):
        loaded(name, size=smallest - 1)


def test_the_smallest_image_is_as_small_as_the_trunk_allows() -> None:
    for name, smallest in SMALLEST.items():
        features = features_of(loaded(name))
        features.smallest = 1  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="Padding size"):
            features(images(0, side=smallest - 1))


def test_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    d = loaded("alex")
    with pytest.raises(ValueError, match=r"images: expected shape \(B, 3, H, W\) or"):
        d(images(0, channels=2), images(1, channels=2))
    with pytest.raises(ValueError, match=r"images: expected torch.float32 on cpu, .* got torch.float64 on cpu"):
        d(images(0, torch.float64), images(1, torch.float64))
    with pytest.raises(ValueError, match="input_range: expected"):
        loaded("alex", input_range=(1, 0))

    specs = {"gone": None, "empty": importlib.machinery.ModuleSpec("p", None, origin=str(tmp_path / "__init__.py"))}
    monkeypatch.setattr(trunks.importlib.util, "find_spec", lambda name: specs["gone"])  # type: ignore[attr-defined]
    with pytest.raises(FileNotFoundError, match="stlpips-pytorch, .* is not installed; pip install stlpips-pytorch$"):
        loaded("alex")
    monkeypatch.setattr(trunks.importlib.util, "find_spec", lambda name: specs["empty"])  # type: ignore[attr-defined]
    with pytest.raises(FileNotFoundError, match=r"distance: no file .*alex_shift_tolerant\.pth; pip install"):
        loaded("alex")


def test_nothing_of_the_package_is_imported() -> None:
    """Its blur is under a licence of its own; torchvision, and the compiler of PyTorch, take seconds to import."""
    code = (
        "import sys, geomlib; G = geomlib.load_generator('shapes-biggan', 'class');"
        "geomlib.metric_tensor(G, G.sample(1, 0), geomlib.load_distance('st-lpips-alex'), tile=1);"
        "others = ('stlpips_pytorch', 'torchvision', 'lpips', 'torch._dynamo');"
        "print([name for name in sys.modules if name.startswith(others)])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
