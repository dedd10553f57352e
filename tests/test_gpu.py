"""On a GPU all is as on the CPU; where PyTorch sees none that is skipped, and the comparison itself is tested."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, load_script
from torch import Tensor

import geomlib
from geomlib.generators.known import EMBEDDED
from geomlib.operators import METHODS, HessianOperator

gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here (torch.cuda.is_available())"),
]
DEVICES = ["cpu", pytest.param("cuda", marks=gpu)]
# Those that need no download: trunks are random, or come with a package.
DISTANCES = {
    "mse": {},
    "ssim": {},
    "st-lpips-alex": {},
    "st-lpips-vgg": {},
    "lpips-squeeze": {"pretrained": False},
    "lpips-alex": {"pretrained": False},
    "lpips-vgg": {"pretrained": False},
}
SOUND_DISTANCES = ("stft", "stft-short")
# In float32 the input of a ReLU may fall on the other side of its kink.
ALLOWED = {torch.float64: 1e-8, torch.float32: 1e-2}


def difference(one: Tensor, other: Tensor) -> float:
    """Frobenius norm of the difference, as a share of the other's; in float64 on the CPU."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    return float((one - other).norm() / other.norm())


def problem(
    device: str, dtype: torch.dtype, generator: str = "shapes-dcgan", distance: str = "mse"
) -> tuple[geomlib.Generator, Tensor, geomlib.Distance]:
    G = geomlib.load_generator(generator, device=device, dtype=dtype)
    d = geomlib.load_distance(distance, device, dtype, **DISTANCES.get(distance, {}))
    return G, G.sample(1, seed=0)[0], d


def dtypes_compared(device: str, *names: str, method: str = "pullback") -> dict[torch.dtype, float]:
    """How far the metric on a device is from that on the CPU in float64, by the network's precision there."""
    exact = geomlib.metric_tensor(*problem("cpu", torch.float64, *names)).matrix
    return {
        dtype: difference(geomlib.metric_tensor(*problem(device, dtype, *names), method).matrix, exact)
        for dtype in (ALLOWED if method != "forward" else [torch.float64])
    }


def assert_close(differences: dict[torch.dtype, float], allowed: dict[torch.dtype, float] = ALLOWED) -> None:
    assert all(value <= allowed[dtype] for dtype, value in differences.items()), differences


def test_the_comparison_sees_a_difference() -> None:
    matrix = torch.eye(4)
    assert difference(matrix, matrix) == 0
    assert difference(matrix * (1 + 1e-3), matrix) == pytest.approx(1e-3, rel=1e-3)
    assert difference(matrix.half() * 2, matrix) == 1
    with pytest.raises(AssertionError):
        assert_close({torch.float64: 1e-7, torch.float32: 1e-7})


@pytest.mark.parametrize(
    ("device", "method"), [("cpu", "pullback"), *(pytest.param("cuda", method, marks=gpu) for method in METHODS)]
)
def test_methods(device: str, method: str) -> None:
    # differences of a gradient are right to some digits only
    assert_close(
        dtypes_compared(device, method=method), ALLOWED | ({torch.float64: 1e-3} if method == "forward" else {})
    )


@pytest.mark.parametrize("distance", [pytest.param(name, marks=gpu) for name in DISTANCES])
def test_distances_of_images(distance: str) -> None:
    assert_close(dtypes_compared("cuda", "shapes-dcgan", distance))


@pytest.mark.parametrize("distance", [pytest.param(name, marks=gpu) for name in SOUND_DISTANCES])
def test_distances_of_sounds(distance: str) -> None:
    assert_close(dtypes_compared("cuda", "tones-wavegan", distance))


@pytest.mark.parametrize("name", [pytest.param(name, marks=gpu) for name in EMBEDDED])
def test_generators(name: str) -> None:
    (G, _, _), (H, _, _) = problem("cuda", torch.float32, name), problem("cpu", torch.float32, name)
    latents = G.sample(3, seed=0)
    assert torch.equal(latents.cpu(), H.sample(3, seed=0)), "a seed gives the same latents on every device"
    assert difference(G(latents), H(latents.cpu())) < 1e-3
    assert_close(dtypes_compared("cuda", name))


@pytest.mark.parametrize("device", DEVICES)
def test_products_come_back_where_vectors_are(device: str) -> None:
    G, z, d = problem(device, torch.float64)
    operator = geomlib.metric_operator(G, z, d)
    vectors = torch.eye(len(z), dtype=torch.float64)[:, :3]
    products = operator.matmat(vectors)
    assert products.device == vectors.device
    on_device = operator.matmat(vectors.to(device))
    assert on_device.device.type == device and difference(on_device, products) < 1e-12
    assert difference(products, operator.to_dense()[:, :3]) < 1e-10


@pytest.mark.parametrize("device", DEVICES)
def test_hessian_of_an_objective(device: str) -> None:
    def objective(images: Tensor) -> Tensor:
        return images.square().mean().sin()

    products = []
    for place in ("cpu", device):
        G, z, _ = problem(place, torch.float64)
        vectors = torch.eye(len(z), dtype=torch.float64)[:, :3]
        products.append(HessianOperator(G, z, objective).matmat(vectors))
    assert difference(products[1], products[0]) < 1e-8


@pytest.mark.parametrize("device", DEVICES)
def test_leading_eigenpairs(device: str) -> None:
    (G, z, d), exact = problem(device, torch.float64), geomlib.metric_tensor(*problem("cpu", torch.float64))
    pairs = geomlib.top_eigenpairs(G, z, d, 5, tol=1e-8, seed=0)
    assert difference(pairs.eigenvalues, exact.eigenvalues[:5]) < 1e-6


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("tile", [1, 7, 64])
def test_tiles_change_nothing(device: str, tile: int) -> None:
    G, z, d = problem(device, torch.float64)
    metric = geomlib.metric_tensor(G, z, d, tile=tile)
    assert metric.settings["tile"] == str(tile)
    assert difference(metric.matrix, geomlib.metric_tensor(G, z, d).matrix) < 1e-10


@pytest.fixture
def tf32_is_on() -> Iterator[None]:
    """As a user may have set it; what PyTorch had is restored."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = True
    yield
    assert products.allow_tf32 and convolutions.allow_tf32, "a call leaves the setting as it was"
    products.allow_tf32, convolutions.allow_tf32 = before


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("precision", "allowed"), [("full", 1e-3), ("tf32", 5e-2)])
def test_tf32_is_used_only_where_it_is_asked_for(device: str, precision: str, allowed: float, tf32_is_on: None) -> None:
    exact = geomlib.metric_tensor(*problem("cpu", torch.float64)).matrix
    G, z, d = problem(device, torch.float32)
    assert difference(geomlib.metric_tensor(G, z, d, precision=precision).matrix, exact) < allowed


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=gpu)])
def test_out_of_memory_halves_the_tile(device: str) -> None:
    G, z, d = problem(device, torch.float64, "shapes-dcgan", "st-lpips-alex")
    peaks, metrics = {}, {}
    for tile in (2, 64):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        metrics[tile] = geomlib.metric_tensor(G, z, d, tile=tile)
        peaks[tile] = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((peaks[2] + peaks[64]) / 2 / total)
    try:
        metric = geomlib.metric_tensor(G, z, d, tile=64)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 <= int(metric.settings["tile"]) < 64 and metric.settings["route"] == "JVP"
    assert difference(metric.matrix, metrics[64].matrix) < 1e-8


def test_the_script_says_that_there_is_no_gpu(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=hidden, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gpu: PyTorch sees no GPU here; nothing was run\n"


def test_the_script_ends_in_time_and_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    script = load_script("benchmarks/gpu.py")

    def python(code: str) -> list[str]:
        return [sys.executable, "-c", code]

    assert script.run_all({"good": python("pass")}, 60) == []
    jobs = {"good": python("pass"), "bad": python("raise SystemExit(3)")}
    assert script.run_all(jobs, 60) == ["bad: exit status 3"]
    jobs = {"slow": python("import time; time.sleep(60)"), "next": python("pass")}
    assert script.run_all(jobs, 1.0) == ["slow: not ready in time", "next: no time left"]
    assert "good" in capsys.readouterr().out


def test_the_script_asks_for_a_gpu_in_each_benchmark() -> None:
    script = load_script("benchmarks/gpu.py")
    for name, command in script.JOBS.items():
        assert Path(command[1]).is_file() or command[1:3] == ["-m", "pytest"], name
        assert "gpu" in command or command[-2:] == ["--device", "cuda"], name
