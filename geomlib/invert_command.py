"""`geomlib invert`: the latent whose image is nearest to a picture from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomlib.options import Device, Distance, Option, Space, Spec, Weights, values

if TYPE_CHECKING:
    from torch import Tensor


def read_image(path: Path, shape: tuple[int, ...]) -> tuple["Tensor", str]:
    """A picture as `(C, H, W)` in [0, 1] of the given shape, its middle where the sides differ; and what was done.

    Raises `FileNotFoundError`, or `ValueError` for a file that is no picture or a `shape` that is no image.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"image: this generator makes outputs of shape {shape}, expected images of 1 or 3 channels")
    if not path.is_file():
        raise FileNotFoundError(f"image: no file {path}")
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB" if shape[0] == 3 else "L")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
        raise ValueError(f"image: {path} is not a picture that Pillow can read ({type(error).__name__})") from error
    size = (shape[2], shape[1])
    told = f"{path}: {picture.width} x {picture.height}"
    if picture.size != size:
        if picture.width * size[1] != picture.height * size[0]:
            told += ", its middle"
        told += f", resized to {size[0]} x {size[1]}"
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)
    return (pixels.permute(2, 0, 1) if shape[0] == 3 else pixels[None]).contiguous(), told


def invert(
    spec: Spec,
    image: Annotated[Path, typer.Argument(help="A picture: PNG, JPEG or what else Pillow reads.")],
    out: Annotated[Path, typer.Option(help="Folder for pictures, latent and summary; made when missing.")],
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    method: Annotated[str, typer.Option(help="metric-newton, levenberg-marquardt, adam, cma ...")] = "metric-newton",
    budget: Annotated[int, typer.Option(help="Calls: a forward pass is one, a backward pass two.")] = 1800,
    restarts: Annotated[int, typer.Option(help="Starts that share the budget.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the starts.")] = 0,
    device: Device = "cpu",
    option: Option = None,
) -> None:
    """Find the latent whose image is nearest to a picture; writes pictures, latent and summary into a folder.

    For example:

    - `geomlib invert shapes-dcgan picture.png --out inversion`

    - `geomlib invert stylegan2-cat-256 cat.jpg --space w --budget 6000 --out cat`
    """
    import torch
    from safetensors.torch import save_file

    import geomlib
    from geomlib import figures
    from geomlib.inversion import METHODS
    from geomlib.inversion import invert as search
    from geomlib.results import Results, progress

    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    generator = geomlib.load_generator(spec, space, weights or None, device, **values(option))
    target, told = read_image(image, generator.image_shape)
    print(told)
    chosen = geomlib.load_distance(distance or generator.default_distance, device)
    found = search(
        generator, target, chosen, method, budget=budget, seed=seed, restarts=restarts, progress=progress("calls")
    )
    target, result = target.to(found.images), found.images
    first, last = float(found.trace.distances[0, 0]), float(found.distances)
    error = float((result - target).square().mean())
    results = Results(out)
    results.figure(
        "inversion",
        figures.montage(
            torch.stack([target, result, (result - target).abs()])[None],
            column_labels=["target", "found", "difference"],
        ),
        caption=f"The picture, the nearest image of {generator.name}, and their absolute difference ({chosen.name}: "
        f"{last:.4g}).",
        alt="Three images beside each other: the picture, the image that was found, their difference.",
    )
    results.figure(
        "curve",
        figures.curves(found.trace.calls(), {method: found.trace.distances[:, 0]}, "calls", chosen.name, logy=True),
        caption=f"Least distance so far against calls: from {first:.4g} to {last:.4g} in {found.calls} calls.",
        alt="A falling curve: distance on a logarithmic scale against calls.",
    )
    save_file({"latent": found.latents.contiguous().cpu()}, out / "latent.safetensors")
    results.number(distance=last, distance_at_start=first, mse=error, calls=found.calls, latent=found.latents.tolist())
    results.provenance(
        generator=generator, distance=chosen, space=generator.space, method=method, budget=budget, seed=seed,
        restarts=restarts, image=image.name,
    )  # fmt: skip
    print(f"{generator.name}, space {generator.space}, {generator.latent_dim} latents; {method}; {found.calls} calls")
    print(f"{chosen.name}: {last:.4g} (at the start {first:.4g}); mean squared error of pixels: {error:.4g}")
    for name in ("inversion.png", "curve.png", "latent.safetensors", "summary.json"):
        print(out / name)
