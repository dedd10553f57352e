"""What trainings with known factors have in common: loss, loop, held-out accuracy, weights and card."""

import argparse
import json
import logging
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from geomlib._files import sha256
from geomlib.book.provenance import processor
from geomlib.worlds import shapes
from geomlib.worlds.shapes.networks import CODE_SIZE, decode_factors, encode_factors

log = logging.getLogger(__name__)
Curve = list[tuple[int, float]]


def factor_loss(code: Tensor, factors: Tensor) -> Tensor:
    """Mean over images and over those parts of the code that an image has: angles only of squares and triangles."""
    shape = factors[:, 0]
    has = torch.ones_like(code)
    has[:, -4:-2] = (shape == 1).to(code)[:, None]
    has[:, -2:] = (shape == 2).to(code)[:, None]
    error = functional.smooth_l1_loss(code, encode_factors(factors), reduction="none", beta=0.05)
    return (error * has).sum() / has.sum()


def reading_loss(raw: Tensor, factors: Tensor) -> Tensor:
    """Of the logits of the three shapes and the code that follows them, `(N, 3 + CODE_SIZE)`."""
    return functional.cross_entropy(raw[:, :3], factors[:, 0].long()) + 5.0 * factor_loss(raw[:, 3:], factors)


def fit(
    network: nn.Module, loss_of_step: Callable[[int], Tensor], steps: int, rate: float, device: str, low_precision: bool
) -> tuple[Curve, float]:
    """AdamW, its rate going up for 30 % of the steps, then down to zero; returns the loss curve and the seconds."""
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)
    curve: Curve = []
    total, every, started = 0.0, -(-steps // 50), time.perf_counter()
    for step in range(steps):
        with torch.autocast(device, torch.bfloat16, enabled=low_precision):
            loss = loss_of_step(step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % every == 0:
            curve.append((step + 1, round(total / every, 5)))
            log.info("step %d of %d, loss %.4f, %.0f s", step + 1, steps, total / every, time.perf_counter() - started)
            total = 0.0
    return curve, time.perf_counter() - started


def factor_errors(logits: Tensor, code: Tensor, factors: Tensor) -> dict[str, dict[str, float] | float]:
    """Mean and 95th percentile of each factor's absolute error, in the factor's unit, and the share of right shapes.

    Hue errors go around the circle (at most 0.5), angle errors around the shape's symmetry, and only where a square or
    a triangle was recognised as such.
    """
    shape = logits[:, :3].argmax(1)
    error = (decode_factors(code.double(), shape) - factors.double()).abs()
    error[:, 5:7] = torch.minimum(error[:, 5:7], 1 - error[:, 5:7])
    period = torch.where(shape == 1, 90.0, 120.0)
    error[:, 4] = torch.minimum(error[:, 4], period - error[:, 4])
    error[factors[:, 0] != shape, 4] = torch.nan
    result: dict[str, dict[str, float] | float] = {"shape accuracy": float((shape == factors[:, 0]).double().mean())}
    for name, column in zip(shapes.FACTOR_NAMES[1:], error.unbind(1)[1:], strict=True):
        known = column[~column.isnan()]
        result[name] = {"mean": round(float(known.mean()), 5), "95 %": round(float(known.quantile(0.95)), 5)}
    return result


@torch.no_grad()
def outputs(predict: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and code that `predict` gives for `images`."""
    raw = torch.cat([predict(part) for part in images.split(250)])
    return raw[:, :-CODE_SIZE], raw[:, -CODE_SIZE:]


def save(network: nn.Module, path: Path, card: dict[str, object], options: argparse.Namespace) -> None:
    """Write the weights to `path` and everything that tells what they are to the `.json` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().float().cpu().contiguous() for key, value in network.state_dict().items()}, path)
    path.chmod(0o644)
    card |= {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "seed": options.seed,
        "hardware": {
            "processor": processor() if options.device == "cpu" else torch.cuda.get_device_name(),
            "cores": torch.multiprocessing.cpu_count(),
            "threads": torch.get_num_threads(),
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "sha256": sha256(path),
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")
    log.info("wrote %s", path)


def options(
    description: str | None, name: str, steps: int, seed: int, flags: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """Parse the command line that both scripts have, and `flags`, which are off unless given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path("geomlib/weights") / f"{name}.safetensors"
    parser.add_argument("--out", type=Path, default=default, help="file for the weights; the card lands beside it")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=seed, help="of the initial weights, the batches and the faults")
    parser.add_argument("--images", type=int, default=60_000, help="how many real images to render")
    parser.add_argument("--held-out", type=int, default=4000)
    parser.add_argument("--device", default="cpu")
    for flag, meaning in (flags or {}).items():
        parser.add_argument(flag, action="store_true", help=meaning)
    parsed = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(parsed.seed)
    return parsed
