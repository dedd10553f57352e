"""Which operation of which layer is to blame for an error."""

import os
import re
import traceback
from pathlib import Path

from torch import nn

_PYTHON, _HERE = Path(os.__file__).parent, Path(__file__).parents[1]
_OPERATION = re.compile(r"forward AD with (\S+) that|derivative for '?(?:aten::)?(\w+)'? is not|vmap over (\w+),")
_RANDOM = "called random operation"


def one_line(error: BaseException) -> str:
    """The first sentence of an error's text."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first.split(". ")[0].rstrip(".")


def is_from_outside(error: BaseException) -> bool:
    """Whether an error arose in code that is neither PyTorch's nor geomlib's, nor of another installed package."""
    frames = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    last = next((path for path in reversed(frames) if not _is_library(path)), None)
    return last is not None and not frames[-1].is_relative_to(_HERE)


def _is_library(path: Path) -> bool:
    """Whether a file is no user's own."""
    installed = "site-packages" in path.parts or path.is_relative_to(_PYTHON) or not path.suffix
    return installed or path.is_relative_to(_HERE)


def blame(error: BaseException, modules: dict[str, nn.Module]) -> str:
    """What an error says, with the layer and the line of the user's own code in which it arose."""
    match = _OPERATION.search(str(error))
    operation = next(filter(None, match.groups()), "") if match else ""
    reason = f"{operation} has no such rule" if operation else one_line(error)
    reason = "it draws random numbers" if _RANDOM in reason else reason
    names = {id(module): name for name, module in modules.items()}
    layer = line = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        layer = names.get(id(frame.f_locals.get("self")), layer)
        if not _is_library(path):
            line = f"{path.name}:{number}"
    place = ", ".join(filter(None, [layer, line]))
    return f"{reason} ({place})" if place else reason
