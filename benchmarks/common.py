"""What the benchmarks share: the problem, alternating timed runs, peak memory, the machine, peers, the result file."""

import argparse
import copy
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import geomlib
from geomlib.book.provenance import processor
from geomlib.generators.architectures import ARCHITECTURES
from geomlib.generators.architectures.pgan import ScaledLayer
from geomlib.operators import PullbackOperator

RESULTS = Path(__file__).parent / "results"
PEERS = {"curvlinops": "curvlinops-for-pytorch", "hessian_eigenthings": "hessian-eigenthings"}
Case = Callable[[], Any]


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--generator", default="dcgan", help="an architecture (random weights), or any generator")
    parser.add_argument("--space", default="", help="latent space, where a generator has several")
    parser.add_argument("--distance", default="", help="default: lpips-squeeze, or that of a trained generator")
    parser.add_argument("--pretrained", action="store_true", help="LPIPS with its own trunk, not a random one")
    parser.add_argument(
        "--decades", type=float, default=0.0, help="let the latents' strengths fall over so many decades"
    )
    parser.add_argument("--size", type=int, default=0, help="resize images to this many pixels; 0: as they are")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="alternating runs, of which the median is taken")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small network, seconds in all")
    parser.add_argument("--output", type=Path, help="JSON file; default: benchmarks/results/<what>--<generator>.json")
    return parser


def begin_with_threads(options: argparse.Namespace) -> None:
    """Begin anew where NumPy, which reads it when it starts, was told another number of threads."""
    threads = str(options.threads)
    if os.environ.get("OPENBLAS_NUM_THREADS") != threads:
        os.environ["OPENBLAS_NUM_THREADS"] = threads
        os.execv(sys.executable, [sys.executable, *sys.argv])


def unit_scale(network: Any, latents: Tensor) -> None:
    """Scale the weights of each layer in turn so that its output has standard deviation one (but for its bias).

    The last layer's is a quarter of the range of images instead: of full contrast, and few pixels are clamped.
    """
    plain = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
    wrappers = {part.module: part for part in network.modules() if isinstance(part, ScaledLayer)}
    layers = [part for part in network.modules() if type(part) in plain]
    last: list[nn.Module] = []

    def scaling(layer: nn.Module) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def scale(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            last[:] = [layer]
            return output * multiply(layer, 1 / output.std().clamp(min=1e-12))

        return scale

    def multiply(layer: Any, factor: Tensor) -> Tensor:
        layer.weight.data *= factor
        if layer.bias is not None:
            layer.bias.data *= factor
        return factor

    handles = [wrappers.get(layer, layer).register_forward_hook(scaling(layer)) for layer in layers]
    low, high = (torch.as_tensor(bound).flatten()[0] for bound in network.output_range)
    with torch.no_grad():
        network(latents)
        multiply(last[0], (high - low) / 4)
    for handle in handles:
        handle.remove()


class Problem:
    """A generator, a latent and a distance, in the working precision and in float64."""

    def __init__(self, options: argparse.Namespace) -> None:
        begin_with_threads(options)
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        if options.quick:
            small = geomlib.generators.build("dcgan", latent_dim=24, dim_g=4, depth=2)
            self.generator = self._random("dcgan-small", small, options.seed)
        elif options.generator in ARCHITECTURES:
            network = geomlib.generators.build(options.generator, **getattr(options, "config", {}))
            self.generator = self._random(options.generator, network, options.seed)
        else:
            self.generator = geomlib.load_generator(options.generator, options.space)
        self.generator = self.generator.to(options.device, torch.float32)
        if options.size or options.decades:
            self.generator = copy.copy(self.generator)
            self.generator.module = Wrapped(self.generator.module, self.generator.latent_dim, options)
        self.z = self.generator.sample(1, seed=options.seed)[0]
        name = "mse" if options.quick else options.distance or self.generator.default_distance
        chosen = {"pretrained": options.pretrained} if name.startswith("lpips") else {}
        self.distance = geomlib.load_distance(name, device=options.device, **chosen)
        self._exact_distance = geomlib.load_distance(name, dtype=torch.float64, **chosen)
        self.columns = len(self.z)

    @staticmethod
    def _random(name: str, network: Any, seed: int) -> geomlib.Generator:
        network = network.eval().requires_grad_(False)
        random = torch.Generator().manual_seed(seed)
        unit_scale(network, torch.randn(16, network.latent_dim, generator=random))
        return geomlib.Generator(network, network.latent_dim, network.output_range, name=name)

    def exact(self, count: int = 0) -> Tensor:
        """The matrix, or the block of its first `count` rows and columns, from a float64 run on the CPU."""
        if not 0 < count < self.columns:
            return geomlib.metric_tensor(*self.exact_parts()).matrix
        columns = PullbackOperator(*self.exact_parts()).columns(torch.eye(self.columns).double()[:count])
        return 2 * columns @ columns.mT

    def parts(self) -> tuple[geomlib.Generator, Tensor, geomlib.Distance]:
        """Generator, latent and distance."""
        return self.generator, self.z, self.distance

    def exact_parts(self) -> tuple[geomlib.Generator, Tensor, geomlib.Distance]:
        """Generator, latent and distance in float64 on the CPU."""
        return self.generator.to("cpu", torch.float64), self.z.cpu().double(), self._exact_distance

    def features(self, latents: Tensor) -> Tensor:
        assert self.distance.features is not None
        return self.distance.features(self.generator(latents))

    def forward_passes(self, count: int, batch: int) -> None:
        with torch.no_grad():
            for latents in self.z.repeat(count, 1).split(batch):
                self.features(latents)


class Wrapped(nn.Module):
    """A network whose latents act with falling strength, as those of a trained one, and whose images are resized."""

    def __init__(self, inner: nn.Module, latent_dim: int, options: argparse.Namespace) -> None:
        super().__init__()
        self.inner, self.size, self.training = inner, options.size, False
        self.register_buffer("strengths", torch.logspace(0, -options.decades, latent_dim, device=options.device))

    def forward(self, latents: Tensor) -> Tensor:
        images = self.inner(latents * self.strengths)
        if not self.size:
            return images
        return functional.interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=True)


# Peers, on the same problem: the latent is the parameter of a model, the loss the squared feature distance.


class LatentModel(nn.Module):
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.z, self._problem = nn.Parameter(problem.z.clone()), [problem]

    def forward(self, ignored: Tensor) -> Tensor:
        return self._problem[0].features(self.z[None])


def installed(peer: str) -> bool:
    return importlib.util.find_spec(peer) is not None


def curvlinops_operator(problem: Problem) -> Any:
    from curvlinops import GGNLinearOperator

    model, loss = LatentModel(problem), nn.MSELoss(reduction="sum")
    target, nothing = model(torch.empty(0)).detach(), torch.zeros(1, 1, device=problem.z.device)
    return GGNLinearOperator(model, loss, list(model.parameters()), [(nothing, target)], check_deterministic=False)


def eigenthings_operator(problem: Problem) -> Any:
    from hessian_eigenthings import HessianOperator

    model = LatentModel(problem)
    target, nothing = model(torch.empty(0)).detach(), torch.zeros(1, 1, device=problem.z.device)
    return HessianOperator(model, [(nothing, target)], lambda model, batch: (model(batch[0]) - batch[1]).square().sum())


# Measuring.


def reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: str) -> int | None:
    """Peak memory since the last reset: of the card, or of this process where the system tells."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)


def alternate(cases: dict[str, Case], repeats: int, device: str) -> dict[str, dict[str, Any]]:
    """Run all cases in turn, `repeats` times: seconds (median and all), peak memory, and the last result."""
    rows: dict[str, dict[str, Any]] = {name: {"all_seconds": []} for name in cases}
    for turn in range(repeats):
        for name, case in cases.items():
            reset_peak(device)
            start = time.perf_counter()
            rows[name]["result"] = case()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            rows[name]["all_seconds"].append(time.perf_counter() - start)
            rows[name]["peak_bytes"] = peak_bytes(device)
            print(f"{turn + 1}/{repeats} {name}: {rows[name]['all_seconds'][-1]:.3g} s", file=sys.stderr)
    for row in rows.values():
        row["seconds"] = statistics.median(row["all_seconds"])
    return rows


def versions() -> dict[str, str]:
    names = ["torch", "numpy", "scipy", "geomlib"] + [PEERS[peer] for peer in PEERS if installed(peer)]
    return {name: importlib.metadata.version(name) for name in names}


def write(what: str, options: argparse.Namespace, problem: Problem, rows: dict[str, Any], **more: Any) -> Path:
    """Write the JSON that the book shows; returns its path."""
    cuda = options.device.startswith("cuda")
    content = {
        "benchmark": what,
        "generator": problem.generator.name,
        "space": problem.generator.space,
        "decades": options.decades,
        "distance": problem.distance.name,
        "columns": problem.columns,
        "image_shape": problem.generator.image_shape,
        "device": torch.cuda.get_device_name() if cuda else processor(),
        "threads": options.threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # of the machine, in processes, at the end
        "repeats": options.repeats,
        "seed": options.seed,
        "python": platform.python_version(),
        "versions": versions(),
        **more,
        "rows": rows,
    }
    marks = [f"{options.size}px" * bool(options.size), "steep" * bool(options.decades), options.space]
    name = "-".join(filter(None, [problem.generator.name, *marks]))
    path = options.output or RESULTS / f"{what}--{name}--{options.device.split(':')[0]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(path)
    return path
