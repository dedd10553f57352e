"""The MyST of the chapters as Markdown that every notebook viewer shows: Jupyter and Colab know no directives."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# What stands for a role's target: (role, target) to words.
Names = Mapping[tuple[str, str], str]

_DIRECTIVE = re.compile(r"^(:{3,})\{([\w:]+)\}[ ]?(.*)\n((?::[\w-]+:.*\n)*)((?:.*\n)*?)\1$", re.MULTILINE)
_ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
_LISTED = re.compile(r"^(\w.*)\n: ", re.MULTILINE)  # a word and what it means
_TITLED = re.compile(r"^(.*?)\s*<([^>]+)>$", re.DOTALL)
_CALLED = {
    "prf:definition": "Definition",
    "prf:theorem": "Theorem",
    "prf:proposition": "Proposition",
    "prf:lemma": "Lemma",
    "prf:proof": "Proof",
    "prf:remark": "Remark",
    "prf:example": "Example",
    "exercise": "Exercise",
    "important": "Important",
    "note": "Note",
    "tip": "Tip",
    "warning": "Warning",
    "seealso": "See also",
    "admonition": "",
}


def plain(text: str, names: Names) -> str:
    """Directives become quoted paragraphs with a heading, roles become words.

    Args:
        text: MyST as the chapters use it: directives between colons, one inside another with fewer colons.
        names: see `names_in`; a target that is not there is shown as it is.

    Raises:
        ValueError: a directive that has no name here.
    """
    return _ROLE.sub(lambda found: _word(found[1], found[2], names), _quoted(text)).strip()


def _quoted(text: str) -> str:
    """The text without directives, those inside others included."""

    def quote(found: re.Match[str]) -> str:
        _, kind, title, _, body = found.groups()
        if kind not in _CALLED:
            raise ValueError(f"no plain form of the directive {kind}")
        called = _CALLED[kind]
        words = f"{called} ({title})" if called and title else called or title
        end = " ∎" if kind == "prf:proof" else ""
        lines = f"**{words}.** {_quoted(body)}{end}".splitlines()
        return "\n".join(f"> {line}".rstrip() for line in lines)

    return _LISTED.sub(r"**\1.** ", _DIRECTIVE.sub(quote, text.strip() + "\n").strip())


def _word(role: str, content: str, names: Names) -> str:
    titled = _TITLED.match(content)
    target = titled[2] if titled else content
    if role == "term":
        return titled[1] if titled else content
    if titled and titled[1]:
        return titled[1]
    if role in ("cite", "cite:p", "cite:t"):
        works = [names.get(("cite", key.strip()), key.strip()) for key in target.split(",")]
        return "; ".join(works) if role == "cite:t" else f"({'; '.join(works)})"
    return names.get((role, target), target.rpartition("/")[2].replace("_", " "))


def names_in(root: Path, sources: Iterable[Any]) -> dict[tuple[str, str], str]:
    """What the chapters call what they refer to: works as author and year, pages and statements by their titles.

    Args:
        root: the project, with ``book/references.bib`` and the notebooks.
        sources: the chapters.
    """
    names: dict[tuple[str, str], str] = {}
    bibliography = root / "book" / "references.bib"
    if bibliography.is_file():
        names |= {("cite", key): words for key, words in _works(bibliography.read_text(encoding="utf-8"))}
    for place in sorted((root / "notebooks").glob("*.ipynb")):
        names["doc", place.stem] = f"“{place.stem.replace('_', ' ')}” (in the book)"
    for source in sources:
        for cell in source["cells"]:
            if cell["cell_type"] == "markdown":
                names |= _statements("".join(cell["source"]))
    return names


def _statements(text: str) -> dict[tuple[str, str], str]:
    """Labelled directives of a text, under the role that refers to each."""
    found = {}
    for _, kind, title, options, _ in _DIRECTIVE.findall(text + "\n"):
        label = re.search(r"^:label: (\S+)", options, re.MULTILINE)
        if label and kind in _CALLED:
            role = "prf:ref" if kind.startswith("prf:") else "ref"
            found[role, label[1]] = f"{_CALLED[kind]} ({title})" if title else _CALLED[kind]
    return found


def _works(bibliography: str) -> list[tuple[str, str]]:
    """Key, and authors and year in words, of each entry."""
    works = []
    for key, entry in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", bibliography, re.MULTILINE | re.DOTALL):
        author = re.search(r"author\s*=\s*\{(.*)\}", entry)
        year = re.search(r"year\s*=\s*\{?(\d+)", entry)
        if author and year:
            family = [re.sub(r"[{}\\\"~']", "", one.split(",")[0]).strip() for one in author[1].split(" and ")]
            words = f"{family[0]} et al." if len(family) > 2 else " & ".join(family)
            works.append((key, f"{words} {year[1]}"))
    return works
