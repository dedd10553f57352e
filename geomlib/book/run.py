"""Runs: which network, space, options and distance one is about, the folder that this names, and those that are there.

What is not given is resolved to what the generator itself says, so that one folder holds one thing, whatever
words named it; files and checkpoints of one name differ by a short hash of their paths.
"""

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from geomlib._literals import generator_options
from geomlib.book import provenance

if TYPE_CHECKING:
    from geomlib.generators import Generator


@dataclass(frozen=True)
class Run:
    """What a run is about; all but the first and the last may be empty.

    Attributes:
        network: The generator as folders call it, with its weights.
        space: Latent space.
        options: Options of the generator, as `_literals.options_text` writes them.
        distance: Squared image distance, as folders call it.
        usual: Whether the distance is the generator's own.
        profile: Profile of the parameters.
        sources: Generator, weights and distance as `load_generator` and `load_distance` take them.
        evidence: Hash of the weights and of the behaviour of what a factory made, which its files do not show; empty
            for the networks of the catalogue, whose files do.
    """

    network: str
    space: str
    options: str
    distance: str
    usual: bool
    profile: str
    sources: tuple[str, str, str]
    evidence: str = ""

    @property
    def name(self) -> str:
        """Folder name, safe on every file system: network, space, options if any, distance, profile."""
        parts = [self.network, _part(self.space) or "default", _options_part(self.options), self.distance or "default"]
        return "--".join([*filter(None, parts), self.profile])

    @property
    def label(self) -> str:
        """How a page calls the run: no two runs of a profile have one label."""
        return ", ".join(filter(None, [self.network, self.space, self.options, "" if self.usual else self.distance]))


class Answer(NamedTuple):
    """What a generator says of itself."""

    space: str
    distance: str
    evidence: str = ""


# By source, weights, space and options of a generator, and by distance.
Answers = dict[tuple[str, str, str, str, str], Answer]


def describe(
    generator: str, weights: str, space: str, options: str, distance: str, profile: str, answers: Answers
) -> Run:
    """The run of a generator; paths are relative to the working directory, which is the project.

    Args:
        generator: name, ``file.py:factory`` or ``module:factory``.
        weights: checkpoint; "": the generator's own.
        space: "": its first.
        options: of the generator, as `_literals.options_text` writes them.
        distance: name or factory; "": the generator's own.
        profile: of the parameters.
        answers: what generators said before; gains what this one says, so that each factory is called once.

    Raises:
        ValueError: an unknown generator or space, or a factory that fails.
        FileNotFoundError: a file that is named, and is not there.
    """
    if weights and not Path(weights).is_file():
        raise FileNotFoundError(f"weights: no file {weights}")
    key = (generator, weights, space, options, distance)
    if key not in answers:
        answers[key] = _ask(*key)
    own = answers[key]
    return Run(
        network=_source_part(generator, weights),
        space=own.space,
        options=options,
        distance=_source_part(distance or own.distance),
        usual=_source_part(distance or own.distance) == _source_part(own.distance),
        profile=profile,
        sources=(generator, weights, distance or own.distance),
        evidence=own.evidence,
    )


def _ask(generator: str, weights: str, space: str, options: str, distance: str) -> Answer:
    """Space and default distance: of a network of the catalogue from its tables, of any other from the network made."""
    from geomlib._checks import check_choice
    from geomlib.generators.catalogue import load_generator
    from geomlib.generators.known import known_defaults

    listed = known_defaults(generator)
    if listed and ":" not in distance:
        check_choice("space", space or listed.spaces[0], listed.spaces)
        return Answer(space or listed.spaces[0], listed.distance)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a factory may print; a command's output stays its own
            made = load_generator(generator, space, weights or None, **generator_options(options))
            return Answer(made.space, made.default_distance, _evidence(made, distance or made.default_distance))
    except (Exception, SystemExit) as error:  # whatever the code of others does
        line = (str(error).strip().splitlines() or [""])[0]
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(line) from error
        if not line.startswith(("generator:", "space:", "options")):
            line = f"generator: {generator} failed with {type(error).__name__}: {line}"
        raise ValueError(line) from error


def _evidence(generator: "Generator", distance: str) -> str:
    """Hash of weights and behaviour; a network or distance that fails has none: the notebook will say how it fails."""
    from geomlib.distances import load_distance
    from geomlib.sweep.fingerprint import behaviour

    seen = ""
    with contextlib.suppress(Exception):  # whatever the code of others does
        seen = behaviour(generator, load_distance(distance) if ":" in distance else None)
    return provenance.digest([generator.weights_hash, seen])


def finished(folder: str | Path, profile: str, experiment: str) -> Iterator[tuple[Run, Path]]:
    """The runs of a profile that an experiment has finished, with the folder that each left; in order of names."""
    for file in sorted(Path(folder).glob(f"[!.]*--{profile}/{experiment}/manifest.json")):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if "about" in manifest:
            run = Run(**manifest["about"])
            if run.name == file.parent.parent.name:  # not a folder that someone copied, or that has an older form
                yield run, file.parent


def _source_part(source: str, weights: str = "") -> str:
    """A generator with its weights, or a distance, as part of a folder's name."""
    place, colon, factory = source.rpartition(":")
    shown = exact = f"{place}.{factory}" if colon else source
    if place.endswith(".py"):
        shown, exact = f"{Path(place).stem}.{factory}", f"{_place(place)}:{factory}"
    if weights:
        shown, exact = f"{shown}-{Path(weights).stem}", f"{exact} {_place(weights)}"
    return _part(shown, exact)


def _options_part(text: str) -> str:
    return _part(text.replace(" ", ","), repr(text) if "," in text else "")


def _place(path: str) -> str:
    """A file's path in the project, or from the root of the file system."""
    whole, project = Path(path).resolve(), Path.cwd().resolve()
    return (whole.relative_to(project) if whole.is_relative_to(project) else whole).as_posix()


def _part(shown: str, exact: str = "") -> str:
    """The words shown, where file systems take them and they say all, else with a hash of what they stand for."""
    exact = exact or shown
    safe = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._+=,-]+", "-", shown)).strip("-.")[:60]
    return safe if safe == exact else f"{safe}-{provenance.digest([exact])[:8]}"
