"""`geomlib invert`: the latent whose image is nearest to a picture from a file."""

from pathlib import Path
from typing import Annotated

import typer

from geomlib.applications.pictures import read_image
from geomlib.options import Device, Distance, Option, Space, Spec, Weights, values


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
    from geomlib.applications.inversion import METHODS
    from geomlib.applications.inversion import invert as search
    from geomlib.findings.results import Results, progress

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
