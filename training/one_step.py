"""Distil the one-step generator of `examples/one_step.py` from a flow to the shapes: a minute of one CPU thread.

    python training/one_step.py

The teacher needs no training: towards a finite set of images, the velocity that flow matching learns has a closed form.
With `x_t = (1 - t) x_0 + t z` it is `(x_t - E[x_0 | x_t]) / t`, the expectation over the images with the weights
`exp(-|x_t - (1 - t) x_0|² / 2 t²)`.  The student learns, from noise and the ends of the teacher's paths, to go the
whole way in one step.  It is trained by the squared error, so that it mixes images between which it cannot decide.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from geomlib.worlds import shapes

SIDE, SEED = 16, 11
EXAMPLE = Path(__file__).parents[1] / "examples" / "one_step.py"


def images_of(count: int, seed: int) -> Tensor:
    """Shapes `(count, 3, 16, 16)` in [-1, 1]."""
    return shapes.dataset(count, seed, SIDE)[0] * 2 - 1


@torch.no_grad()
def teacher(noise: Tensor, images: Tensor, steps: int = 16) -> Tensor:
    """Ends of the paths of noise `(B, n)` in the exact flow to images `(N, n)`, by Euler's steps."""
    x, squares = noise, images.square().sum(1)
    for step in range(steps):
        t = 1 - step / steps
        scores = ((1 - t) * (x @ images.T) - (1 - t) ** 2 * squares / 2) / t**2
        expected = scores.softmax(1) @ images
        x = x - (x - expected) / t / steps
    return x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024, help="images that the flow leads to")
    parser.add_argument("--pairs", type=int, default=12288, help="noise with the end of its path")
    parser.add_argument("--steps", type=int, default=2000, help="of the student's training")
    parser.add_argument("--out", type=Path, default=EXAMPLE.with_suffix(".safetensors"))
    chosen = parser.parse_args()
    spec = importlib.util.spec_from_file_location("one_step", EXAMPLE)
    assert spec and spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    start = time.process_time()
    images = images_of(chosen.images, SEED)
    random = torch.Generator().manual_seed(SEED)
    noise = torch.randn(chosen.pairs, images[0].numel(), generator=random)
    ends = torch.cat([teacher(part, images.flatten(1)) for part in noise.split(256)])
    pairs = noise.unflatten(1, images.shape[1:]), ends.unflatten(1, images.shape[1:])
    held = min(512, chosen.pairs // 4)
    print(f"{chosen.pairs} paths in {time.process_time() - start:.0f} s", flush=True)
    torch.manual_seed(SEED)
    student = example.OneStep(example.Velocity()).train()
    optimiser = torch.optim.AdamW(student.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, chosen.steps)
    ones = torch.ones(64)
    for step in range(chosen.steps):
        index = torch.randint(held, chosen.pairs, (64,), generator=random)
        loss = (student(pairs[0][index], ones) - pairs[1][index]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            with torch.no_grad():
                apart = (student(pairs[0][:held], torch.ones(held)) - pairs[1][:held]).square().mean()
            print(f"step {step + 1}: error {loss:.4f}, of pairs not seen {apart:.4f}", flush=True)
    spread = (images - images.mean(0)).square().mean()
    print(f"{time.process_time() - start:.0f} s of computing; mean image: {spread:.4f}")
    save_file({name: value.contiguous() for name, value in student.state_dict().items()}, chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
