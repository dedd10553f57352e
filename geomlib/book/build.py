"""Builds the Jupyter Book from executed notebooks; a build that fails leaves the earlier book as it was."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from geomlib import course
from geomlib._markdown import as_words
from geomlib.book import live, notebook, runner, site
from geomlib.book.plan import DEFAULT_GENERATOR, FALLBACK, comparisons, run_of, source_of
from geomlib.book.run import Answers
from geomlib.book.site import BookError
from geomlib.generators import archives
from geomlib.generators.packaged import PACKAGED, is_here

EXECUTED = Path("book") / "executed"
RECORD = "execution_record"
LEADING = "interpretable_axes"  # its pictures come first on the landing page


def pages(root: Path) -> list[str]:
    """The experiments that ``_toc.yml`` places in the book, in its order.

    Raises:
        ValueError: the file is no YAML.
    """
    import yaml

    try:
        content = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"_toc.yml is no YAML: {' '.join(str(error).split())}") from error
    paths = [PurePosixPath(name) for name in _files(content)]
    listed = [path.with_suffix("") if path.suffix in (".md", ".ipynb") else path for path in paths]
    return [path.name for path in listed if path.parent == PurePosixPath(EXECUTED.as_posix()) and path.name != RECORD]


def _files(content: Any) -> Iterator[str]:
    """The files that a table of contents names, at whatever depth, in its order."""
    if isinstance(content, Mapping):
        if isinstance(content.get("file"), str):
            yield content["file"]
        content = list(content.values())
    for part in content if isinstance(content, list) else ():
        yield from _files(part)


def build(
    *,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    root: Path | None = None,
    threads: int = 1,
    show: Sequence[str] = (),
    say: runner.Say = print,
) -> Path:
    """Run what is stale of the book, with the runs that it compares, and build it; returns its first page.

    The default run goes to ``_build/html``, any other to ``_build/<run>/html``.  Where no generator is given and the
    default one is neither in the cache nor to be fetched, the book is about ``FALLBACK``, and every page says so.
    Further runs of packaged networks that are not here are left out.

    Args:
        settings: values of `plan.SHARED`, as far as given.
        force: run also the experiments that are not stale.
        root: the project; default: the one around the working directory.
        threads: of each notebook; see `runner.run_plans`.
        show: generators of the live page, `live.DEFAULT` where none is given; the page begins with the first.
        say: takes one line at a time.

    Raises:
        ValueError: see `runner.run` and `live.prepare`.
        runner.NotebookError: an experiment failed.
        BookError: Sphinx warned or failed, or an executed notebook holds an error.
    """
    root = root or runner.find_project()
    settings = dict(settings or {})
    banner = ""
    if not settings.get("generator") and not settings.get("default_generator"):
        settings["default_generator"], banner = first_generator(say)
    with chdir(root):
        answers: Answers = {}
        plans = [runner.make_plan(root, name, settings, {}, answers) for name in pages(root)]
        plans.sort(key=lambda plan: plan.source.parent.name == course.FOLDER)  # what the landing page shows comes first
        further = [
            plan for plan in comparisons(root, str(settings.get("profile") or "quick"), answers) if _is_here(plan, say)
        ]
        run = run_of(settings, answers)
        is_default = run == run_of({key: one for key, one in settings.items() if key == "default_generator"}, answers)
        if re.search(r"file:\s*book/live\s", (root / "_toc.yml").read_text(encoding="utf-8")):
            positions = 2 if settings.get("profile") == "smallest" else 25
            live.prepare(show or live.DEFAULT, positions=positions, threads=threads, say=say)
        place = Path("_build") / ("html" if is_default else f"{run.name}/html")
        folders = [plan.folder for plan in plans]
        gather = partial(_collect_unfinished, all_folders=folders, about=run.network)
        with site.Preview(place, folders, gather, say) as preview:
            runner.run_plans(root, [*plans, *further], force=force, threads=threads, say=say, finished=preview.offer)
        collect(folders, about=run.network)
        if site.is_current(place, banner):
            say("book: unchanged")
        else:
            say("book: building")
            site.render(place, banner)
    return root / place / "index.html"


def first_generator(say: runner.Say = print) -> tuple[str, str]:
    """The generator of a book for which none is given, and what every page says if it is not the usual one, else ""."""
    if not is_here(DEFAULT_GENERATOR):
        say(f"book: fetching {DEFAULT_GENERATOR}")
        try:
            archives.fetch(DEFAULT_GENERATOR)
        except (OSError, ValueError) as error:
            say(f"book: about {FALLBACK}, which comes with the package: {error}")
            return FALLBACK, (
                f"This edition is about {FALLBACK}, a small network that the project trained itself: the network that "
                "the book is usually about could not be had."
            )
    return DEFAULT_GENERATOR, ""


def _is_here(plan: runner.Plan, say: runner.Say) -> bool:
    """Whether the weights of a further run are here; said where not."""
    generator = str(plan.parameters.get("generator", ""))
    here = generator not in PACKAGED or is_here(generator)
    if not here:
        say(f"{plan.label}: left out, {generator} is not here; `geomlib fetch {generator}` brings it")
    return here


def collect(folders: Sequence[Path], about: str = "") -> None:
    """Copy executed notebooks and figures to ``book/executed/`` and write the execution record there.

    The landing page begins with ``book/landing/<about>.md``, where there is such a file: what is said of one network
    stands there and nowhere else.

    Raises:
        BookError: an executed notebook holds an error.
    """
    shutil.rmtree(EXECUTED, ignore_errors=True)
    for folder in folders:
        source = folder / f"{folder.name}.ipynb"
        if notebook.errors(notebook.read(source)):
            raise BookError(f"{source} holds an error; run `geomlib run {folder.name} --force`")
        figures = EXECUTED / folder.name
        figures.mkdir(parents=True)
        shutil.copyfile(source, EXECUTED / source.name)
        for file in (*folder.glob("*.png"), *folder.glob("*.csv")):
            shutil.copyfile(file, figures / file.name)
    course.collect(Path(), EXECUTED)
    (EXECUTED / "highlights.md").write_text(_highlights(folders), encoding="utf-8", newline="\n")
    own = Path("book") / "landing" / f"{about}.md"
    landing = own if own.is_file() else own.with_name("other.md")
    if landing.is_file():
        shutil.copyfile(landing, EXECUTED / "landing.md")
    manifests = [json.loads((folder / "manifest.json").read_text(encoding="utf-8")) for folder in folders]
    EXECUTED.mkdir(parents=True, exist_ok=True)
    (EXECUTED / f"{RECORD}.md").write_text(execution_record(manifests), encoding="utf-8", newline="\n")


def _collect_unfinished(folders: Sequence[Path], all_folders: Sequence[Path], about: str) -> None:
    """The same of what is finished, with a page for each of the others that says that it is not."""
    collect(folders, about)
    for folder in set(all_folders) - set(folders):
        cells = notebook.read(source_of(Path(), folder.name))["cells"]
        title = next((line for cell in cells for line in "".join(cell["source"]).splitlines() if line[:2] == "# "), "")
        text = f"{title or f'# {folder.name}'}\n\nThis page is being computed.\n"
        (EXECUTED / f"{folder.name}.md").write_text(text, encoding="utf-8", newline="\n")


def _highlights(folders: Sequence[Path]) -> str:
    """What the landing page tells of each experiment that applies to the run's generator, from `book/highlights/`.

    A text that quotes a number which the run could not give, as one by a judge where none was fair, is left out.
    """

    def quote(match: re.Match[str]) -> str:
        """Caption or alternative text of a figure, as its notebook gave it."""
        of = next(folder for folder in folders if folder.name == match[2])
        return str(json.loads((of / "summary.json").read_text(encoding="utf-8"))["figures"][match[3]][match[1]])

    parts = []
    for folder in sorted(folders, key=lambda folder: folder.name != LEADING):
        prose = Path("book") / "highlights" / f"{folder.name}.md"
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        text = prose.read_text(encoding="utf-8") if prose.is_file() else ""
        needed = re.findall(rf"{folder.name}\.ipynb::(\w+)", text)
        if text and "does_not_apply" not in summary and summary["numbers"].keys() >= set(needed):
            parts.append(re.sub(r"<<(caption|alt) (\w+) (\w+)>>", quote, text))
    return "\n".join(parts) or "None of the experiments applies to this generator.\n"


def execution_record(manifests: Sequence[Mapping[str, Any]]) -> str:
    """The page that says how, where and in what time each experiment ran."""

    def row(cells: Sequence[object]) -> str:
        return "| " + " | ".join("–" if cell in (None, "") else str(cell) for cell in cells) + " |"

    def memory(size: int | None) -> str:
        return "–" if size is None else f"{size / 2**30:.2f} GiB"

    def commit(one: Mapping[str, Any]) -> str:
        return f"`{one['commit'][:10]}`{' and changes' if one['dirty'] else ''}" if one["commit"] else "–"

    def about(one: Mapping[str, Any], *keys: str) -> str:
        """What the run is about, where the experiment takes a generator or distance."""
        return as_words(", ".join(str(one["about"][key]) for key in keys if one["about"][key]))

    header = ["Experiment", "Generator", "Distance", "Positions", "Seed", "Seconds", "Peak memory", "Commit"]
    rows = [
        [
            f"{{doc}}`{one['experiment'].replace('_', ' ')} <{one['experiment']}>`",
            about(one, "network", "space", "options") if "generator" in one["parameters"] else None,
            about(one, "distance") if "distance" in one["parameters"] else None,
            one["parameters"].get("positions"),
            one["seed"],
            f"{one['seconds']:.1f}",
            memory(one["peak_memory"]),
            commit(one),
        ]
        for one in manifests
    ]
    machines = sorted({f"{one['device']}, {one['threads']} threads of {one['cores']} cores" for one in manifests})
    versions = sorted({", ".join(f"{k} {v}" for k, v in one["versions"].items()) for one in manifests})
    total = sum(one["seconds"] for one in manifests)
    return "\n".join(
        [
            "# Execution record",
            "",
            "Each page of this book that shows a result is a notebook that ran as follows. On one machine with the "
            "same number of threads the numbers repeat exactly; times do not, and stand nowhere else in the book.",
            "",
            row(header),
            row(["---"] * len(header)),
            *map(row, rows),
            "",
            f"All experiments together took {total:.0f} s.",
            "",
            "Machine",
            *(f": {machine}" for machine in machines),
            "",
            "Software",
            *(f": {version}" for version in versions),
            "",
        ]
    )
