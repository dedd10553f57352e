"""Options that several commands share, and how their values are read."""

from typing import Annotated, Any

import typer

from geomlib._literals import literal

Generator = Annotated[str, typer.Option(help="Catalogue name, path/to/file.py:factory or package.module:factory.")]
Space = Annotated[str, typer.Option(help="Latent space, where a generator has several.")]
Weights = Annotated[str, typer.Option(help="Checkpoint to load instead of the generator's own.")]
Distance = Annotated[str, typer.Option(help="Image distance, by name or path/to/file.py:factory.")]
Profile = Annotated[str, typer.Option(help="quick (minutes on two cores) or paper (the published settings).")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]
Spec = Annotated[str, typer.Argument(help="Catalogue name, path/to/file.py:factory or package.module:factory.")]
Option = Annotated[
    list[str] | None, typer.Option("-o", metavar="NAME=VALUE", help="An option of the generator, as truncation=0.7.")
]
Force = Annotated[bool, typer.Option("--force", help="Run also what has not changed.")]
Threads = Annotated[int, typer.Option(help="Threads of each notebook; as many notebooks run at once as fit the cores.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def pairs(flag: str, texts: list[str] | None) -> dict[str, str]:
    """The names and values of a flag that was given as NAME=VALUE any number of times."""
    found = [text.partition("=") for text in texts or []]
    for name, separator, value in found:
        if not separator:
            raise ValueError(f"{flag} expects NAME=VALUE, got {name + value!r}")
    return {name: value for name, _, value in found}


def values(options: list[str] | None) -> dict[str, Any]:
    """Options of a generator, each value read as `literals.literal` does."""
    found = {}
    for name, text in pairs("-o", options).items():
        try:
            found[name] = literal(text)
        except ValueError as error:
            raise ValueError(f"-o {name}: {error}") from None
    return found
