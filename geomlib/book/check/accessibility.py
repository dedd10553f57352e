"""An open page under axe-core: the rules of WCAG 2 that a machine can judge, and best practice."""

from typing import TYPE_CHECKING, Any

from geomlib.book.check.browser import WIDTHS, show
from geomlib.book.check.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},  # the others see no theme
}

# A change of colours that is under way has neither colour.
_STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# What is folded is read, too. Words of code that look alike are judged once, and strokes of formulas never: there are
# thousands of them, and they are most of the work.
_PREPARE = """() => {
  document.querySelectorAll('details').forEach(one => { one.open = true; });
  document.querySelectorAll('.toggle-hidden').forEach(one => one.classList.remove('toggle-hidden'));
  document.querySelectorAll('mjx-container svg').forEach(one => one.replaceChildren());
  const seen = new Set();
  document.querySelectorAll('.highlight span').forEach(one => {
    const look = one.className + '|' + one.closest('.cell_input, .cell_output, .admonition, article')?.className;
    if (seen.has(look) && !one.children.length) one.replaceWith(...one.childNodes);
    seen.add(look);
  });
  document.querySelectorAll('pre').forEach(one => one.normalize());
}"""
_RUN = """rules => axe.run(document, {resultTypes: ['violations'], runOnly: rules}).then(
  result => result.violations.flatMap(rule => rule.nodes.map(
    node => ({rule: rule.id, element: node.target.flat().join(' '), detail: node.failureSummary}))))"""


def script() -> str:
    """The text of axe-core.

    Raises:
        RuntimeError: it is not installed.
    """
    try:
        from axe_playwright_python.base import AXE_SCRIPT
    except ImportError as error:
        raise RuntimeError("axe-playwright-python is not installed: requirements.txt pins it") from error
    return str(AXE_SCRIPT)


def faults(page: "Page", name: str, axe: str) -> list[Fault]:
    """What axe-core, the text `axe`, finds on the open page `name`, in each theme and width, all that is folded opened.

    The page is changed by it.
    """
    page.add_style_tag(content=_STILL)
    page.evaluate(_PREPARE)
    page.evaluate(axe)
    found = []
    for width in WIDTHS:
        for theme, rules in RULES.items():
            show(page, theme, width)
            answers: list[dict[str, Any]] = page.evaluate(_RUN, rules)
            found += [
                Fault(name, one["rule"], one["element"], theme, width, _first_reason(one["detail"])) for one in answers
            ]
    return found


def _first_reason(summary: str) -> str:
    """The first of the reasons that axe-core gives, which it lists under a heading."""
    return " ".join(summary.splitlines()[1:2]).strip()
