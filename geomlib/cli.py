"""The command line: ``geomlib book`` and ``geomlib run``."""

import sys
from typing import Annotated, Any

import typer

EXPECTED = (ValueError, TypeError, FileNotFoundError, FloatingPointError, RuntimeError)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="The geometry of deep generative image models: run its experiments, build its book.",
)

Generator = Annotated[str, typer.Option(help="Catalogue name, path/to/file.py:factory or package.module:factory.")]
Space = Annotated[str, typer.Option(help="Latent space, where a generator has several.")]
Weights = Annotated[str, typer.Option(help="Checkpoint to load instead of the generator's own.")]
Distance = Annotated[str, typer.Option(help="Image distance, by name or path/to/file.py:factory.")]
Profile = Annotated[str, typer.Option(help="quick (minutes on two cores) or paper (the published settings).")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]
Force = Annotated[bool, typer.Option("--force", help="Run also what has not changed.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback()
def common(debug: Debug = False) -> None:
    """Options of every command."""


@app.command()
def run(
    experiments: Annotated[list[str] | None, typer.Argument(help="Names of notebooks; none: list them.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter.")] = None,
    generator: Generator = "",
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    profile: Profile = "",
    device: Device = "",
    seed: Seed = None,
    force: Force = False,
) -> None:
    """Run experiments that are stale; results go to a folder of their own under results/.

    For example:

    - `geomlib run anisotropy homogeneity`

    - `geomlib run anisotropy -p positions=20 --seed 3`

    - `geomlib run anisotropy --generator examples/my_gan.py:factory --device cuda --profile paper`
    """
    from geomlib import parameters, runner

    if not experiments:
        root = runner.find_project()
        for name in runner.experiments(root):
            print(name, *parameters.inspect(root / "notebooks" / f"{name}.ipynb"))
        return
    given = {}
    for text in parameter or []:
        name, separator, value = text.partition("=")
        if not separator:
            raise ValueError(f"-p expects NAME=VALUE, got {text!r}")
        given[name] = value
    settings = _given(generator, space, weights, distance, profile, device, seed)
    for folder in runner.run(experiments, settings=settings, given=given, force=force, say=_say):
        print(folder)


@app.command()
def book(
    generator: Generator = "",
    space: Space = "",
    weights: Weights = "",
    distance: Distance = "",
    profile: Profile = "",
    device: Device = "",
    seed: Seed = None,
    force: Force = False,
) -> None:
    """Run the book's stale experiments and build the book; ends with the path to open.

    For example:

    - `geomlib book`

    - `geomlib book --generator examples/my_gan.py:factory --distance mse`
    """
    from geomlib import book as jupyter_book

    settings = _given(generator, space, weights, distance, profile, device, seed)
    page = jupyter_book.build(settings=settings, force=force, say=_say)
    print(f"\nThe book is built. Open {page}")


def _given(
    generator: str, space: str, weights: str, distance: str, profile: str, device: str, seed: int | None
) -> dict[str, Any]:
    """The settings that were given."""
    words = {"generator": generator, "space": space, "weights": weights, "distance": distance, "device": device}
    settings: dict[str, Any] = {key: value for key, value in (words | {"profile": profile}).items() if value}
    return settings | ({} if seed is None else {"seed": seed})


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
