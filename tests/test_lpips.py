"""LPIPS: against the package `lpips` with the same trunk, safe derivatives, options, and where weights come from."""

import hashlib
import http.server
import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import geomlib
from geomlib.distances import trunks
from geomlib.distances.lpips import LpipsFeatures
from geomlib.distances.torchvision_import import import_torchvision
from geomlib.distances.trunks import LAYOUTS, Trunk, load_trunk, untrained, weights_file, weights_url

Reference = Callable[[Tensor, Tensor], Tensor]


def images(seed: int, dtype: torch.dtype = torch.float32, channels: int = 3, side: int = 64) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(2, channels, side, side, generator=random, dtype=torch.float64).to(dtype)


def untrained_lpips(name: str, dtype: torch.dtype = torch.float32, **options: Any) -> geomlib.Distance:
    return geomlib.load_distance(f"lpips-{name}", dtype=dtype, pretrained=False, **options)


def features_of(d: geomlib.Distance) -> Callable[[Tensor], Tensor]:
    assert d.features is not None
    return d.features


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Reference]:
    """The package's own LPIPS over our untrained trunk; it takes images in [-1, 1]."""

    def make(name: str, dtype: torch.dtype = torch.float32, trunk: Trunk | None = None) -> Reference:
        import_torchvision()
        package = importlib.import_module("lpips")
        layers = nn.Sequential(*(trunk or load_trunk(name, pretrained=False)).layers)
        classifiers = {LAYOUTS[name].classifier: lambda pretrained: SimpleNamespace(features=layers)}
        monkeypatch.setattr(package.pretrained_networks, "tv", SimpleNamespace(**classifiers))
        network = package.LPIPS(net=name, pnet_rand=True, verbose=False).to(dtype)
        return lambda x, y: network(x, y).flatten()

    return make


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LAYOUTS)
def test_equals_the_package(name: str, dtype: torch.dtype, reference: Callable[..., Reference]) -> None:
    d, theirs, side = untrained_lpips(name, dtype), reference(name, dtype), 32 if name == "vgg" else 64
    x, y = images(0, dtype, side=side), images(1, dtype, side=side)
    torch.testing.assert_close(d(x, y), theirs(2 * x - 1, 2 * y - 1), rtol=1e-6, atol=0)
    near = (x + 0.02 * (y - 0.5)).clamp(0, 1)  # features nearly cancel: more rounding, in the package's value as well
    tolerance = 2e-5 if dtype == torch.float32 else 1e-6
    torch.testing.assert_close(d(x, near), theirs(2 * x - 1, 2 * near - 1), rtol=tolerance, atol=0)
    assert torch.equal(d(x, y), (features_of(d)(x) - features_of(d)(y)).square().sum(1))
    assert torch.equal(d(x, x), x.new_zeros(2))
    torch.testing.assert_close(d(x, y), d(y, x))


def test_options(reference: Callable[..., Reference]) -> None:
    theirs, x, y = reference("squeeze"), images(0), images(1)
    authors = untrained_lpips("squeeze", input_range=(0, 1))
    torch.testing.assert_close(authors(x, y), theirs(x, y), rtol=1e-6, atol=0)
    assert authors.name == "lpips-squeeze(pretrained=False, input_range=(0, 1))"
    assert torch.equal(geomlib.load_distance(**(authors.spec or {}))(x, y), authors(x, y))

    grey, other = images(2, channels=1), images(3, channels=1)
    d = untrained_lpips("squeeze")
    torch.testing.assert_close(d(grey, other), d(grey.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1)))

    resized = untrained_lpips("squeeze", size=32)
    half = nn.functional.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(features_of(resized)(x), features_of(d)(half))
    assert features_of(untrained_lpips("squeeze", size=20))(images(0, side=8)).isfinite().all()

    assert not torch.equal(untrained_lpips("squeeze", seed=1)(x, y), d(x, y))


def test_single_precision_agrees_with_double() -> None:
    x, y = images(0, torch.float64), images(1, torch.float64)
    exact = untrained_lpips("alex", torch.float64)(x, y)
    torch.testing.assert_close(untrained_lpips("alex")(x.float(), y.float()).double(), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_derivatives_are_finite_on_flat_images(name: str, value: float) -> None:
    d, x = untrained_lpips(name), torch.full((1, 3, 32, 32), value)
    tangents = torch.cat([torch.ones_like(x), images(0, side=32)])[:, None]
    assert torch.func.vmap(lambda v: torch.func.jvp(features_of(d), (x,), (v,))[1])(tangents).isfinite().all()
    gradient = torch.func.grad(lambda image: d(image, x)[0])
    assert gradient(x).isfinite().all()
    assert torch.func.jvp(gradient, (x,), (tangents[1],))[1].isfinite().all()


def test_derivatives_are_finite_where_all_channels_are_zero(reference: Callable[..., Reference]) -> None:
    """There the package's own derivative in forward mode is not a number."""
    trunk = load_trunk("alex", pretrained=False)
    for parameter in trunk.layers[0].parameters():
        parameter.zero_()
    theirs = reference("alex", trunk=trunk)
    features = LpipsFeatures(trunk, trunks.load_parts("alex", False, 0)[1], (-1, 1), None, 31).float()
    d, x = geomlib.Distance("zero", features), images(0)
    assert torch.equal(d(x, images(1)), torch.zeros(2))
    gradient = torch.func.grad(lambda image: d(image, images(1)).sum())
    assert gradient(x).isfinite().all()
    assert torch.func.jvp(features, (x,), (x,))[1].isfinite().all()
    assert torch.func.jvp(gradient, (x,), (x,))[1].isfinite().all()
    assert torch.func.jvp(lambda image: theirs(image, images(1)), (x,), (x,))[1].isnan().any()


def test_forward_mode_gives_the_jacobian() -> None:
    """Under vmap, in float64, against reverse mode and against central differences."""
    d, start = untrained_lpips("squeeze", torch.float64), images(0, torch.float64, side=24)[:1]
    axes = torch.randn(3, 1, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    forward = torch.func.vmap(lambda v: torch.func.jvp(features_of(d), (start,), (v,))[1])(axes)[:, 0]
    weights = images(5, torch.float64, side=1).flatten()[0] * torch.linspace(-1, 1, forward.shape[1], dtype=start.dtype)
    backward = torch.func.grad(lambda image: features_of(d)(image)[0] @ weights)(start)
    torch.testing.assert_close(forward @ weights, axes.flatten(1) @ backward.flatten())
    differences = (
        torch.stack([features_of(d)(start + 1e-6 * v) - features_of(d)(start - 1e-6 * v) for v in axes])[:, 0] / 2e-6
    )
    assert float((forward - differences).norm() / forward.norm()) < 1e-4  # a few features have a kink within the step


def test_an_untrained_trunk_repeats_and_keeps_unit_scale() -> None:
    state = torch.get_rng_state()
    first, again, other = (load_trunk("alex", pretrained=False, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not any(torch.equal(a, c) for a, _, c in pairs if a.ndim == 4)
    assert not any(parameter.requires_grad for parameter in first.parameters())
    for name in LAYOUTS:
        maps = load_trunk(name, pretrained=False)((images(0) - 0.5) / 0.289)
        assert all(0.3 < float(values.square().mean().sqrt()) < 3 for values in maps)


@pytest.mark.parametrize("name", LAYOUTS)
def test_too_small_images(name: str) -> None:
    smallest = LAYOUTS[name].smallest
    d = untrained_lpips(name)
    assert float(d(images(0, side=smallest), images(1, side=smallest)).min()) > 0
    with pytest.raises(ValueError, match=f"images: expected at least {smallest} pixels a side, got"):
        d(images(0, side=smallest - 1), images(1, side=smallest - 1))
    with pytest.raises(ValueError, match=f"size: expected at least {smallest} pixels"):
        untrained_lpips(name, size=smallest - 1)


def test_errors() -> None:
    d = untrained_lpips("alex")
    with pytest.raises(ValueError, match=r"images: expected shape \(B, 3, H, W\) or"):
        d(images(0, channels=2), images(1, channels=2))
    with pytest.raises(ValueError, match=r"images: expected torch.float32 on cpu, .* got torch.float64 on cpu"):
        d(images(0, torch.float64), images(1, torch.float64))
    with pytest.raises(ValueError, match="input_range: expected"):
        untrained_lpips("alex", input_range=(1, 0))
    weights = trunks.load_parts("alex", False, 0)[1]
    weights[1][3] = -0.1
    with pytest.raises(ValueError, match=r"weights: expected none negative, .* at maps \[1\]"):
        LpipsFeatures(load_trunk("alex", pretrained=False), weights, (-1, 1), None, 31)


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Files(*a, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_trained_weights_come_from_the_cache_or_are_fetched_once(
    server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, address = server
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    classifier = untrained(import_torchvision().models.squeezenet1_1, seed=7)
    torch.save(classifier.state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()
    url = f"{address}/squeezenet-{digest[:8]}.pth"
    served = (folder / "made.pth").rename(folder / url.rpartition("/")[2])
    monkeypatch.setattr(trunks, "weights_url", lambda name: url)

    with caplog.at_level(logging.WARNING):
        d = geomlib.load_distance("lpips-squeeze")
    kept = tmp_path / "home" / "hub" / "checkpoints" / served.name
    assert f"downloading {url} to {kept}" in caplog.text
    assert d.name == "lpips-squeeze" and isinstance(d.features, LpipsFeatures)
    for ours, theirs in zip(d.features.trunk.parameters(), classifier.features.parameters(), strict=True):
        assert torch.equal(ours, theirs)

    served.unlink()
    x, y = images(0), images(1)
    assert torch.equal(geomlib.load_distance("lpips-squeeze")(x, y), d(x, y))

    kept.write_bytes(kept.read_bytes()[:-10])
    with pytest.raises(ValueError, match="damaged or another file"):
        geomlib.load_distance("lpips-squeeze")


def test_weights_that_cannot_be_had(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = server
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (folder / "other-01234567.pth").write_text("<html>")
    urls = (
        f"{address}/absent-01234567.pth",
        f"{address}/other-01234567.pth",
        "http://127.0.0.1:9/refused-01234567.pth",
    )
    for url in urls:
        path = tmp_path / "home" / "hub" / "checkpoints" / url.rpartition("/")[2]
        with pytest.raises(FileNotFoundError) as caught:
            weights_file(url)
        message = str(caught.value)
        assert message.startswith(f"distance: no file {path}, and its download failed (") and "\n" not in message
        assert f"get {url} by other means and put it there" in message
        assert message.endswith("or pass another distance: st-lpips-alex needs no download")
        assert list(path.parent.iterdir()) == []


def test_published_weights() -> None:
    names = {name: weights_url(layout.classifier).rpartition("/")[2] for name, layout in LAYOUTS.items()}
    assert names == {
        "squeeze": "squeezenet1_1-b8a52dc0.pth", "alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth",
    }  # fmt: skip
