"""Text that came from outside, made safe to stand in Markdown: it can be read, and does nothing."""

import re


def without_tags(text: str) -> str:
    """Markdown in which no HTML begins: `<` before a letter, `/`, `!` or `?` is shown as it is."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)


def as_words(text: str) -> str:
    """One line in which neither HTML nor a role, formula or table begins; `code` in backticks stays."""
    return re.sub(r"([\\<[{$|])", r"\\\1", " ".join(text.split()))
