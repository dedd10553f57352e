"""What is wrong with a page, and what is wrong with the theme on all pages."""

from dataclasses import dataclass

# What the theme itself does, rule by rule: the beginning of the element and why it stays.
THEME = {
    ("region", ".sidebar-primary-item"): "the book's title in the side bar stands outside of the bar's landmark",
}


@dataclass(frozen=True)
class Fault:
    """One fault: the page, the rule that it breaks, the element or address, and how the page was shown, if at all."""

    page: str
    rule: str
    element: str
    theme: str = "-"
    width: int = 0
    detail: str = ""

    def __str__(self) -> str:
        """One line: page, theme, width, rule, element."""
        shown = f"{self.page}  {self.theme}  {self.width or '-'}  {self.rule}  {self.element}"
        return f"{shown}: {self.detail}" if self.detail else shown

    @property
    def is_of_theme(self) -> bool:
        """Whether it stands in `THEME`."""
        return any(self.rule == rule and self.element.startswith(element) for rule, element in THEME)
