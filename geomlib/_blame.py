"""Which operation of which layer is to blame for an error, and which modules a callable holds."""

import dis
import re
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType

import torch
from torch import nn

_TORCH, _HERE = Path(torch.__file__).parent, Path(__file__).parent
_OPERATION = re.compile(r"forward AD with (\S+) that|derivative for '?(?:aten::)?(\w+)'? is not|vmap over (\w+),")
_RANDOM = "called random operation"
_PLAIN = (int, float, complex, str, bytes, type(None))  # what long lists are made of
_DEPTH = 6  # of a search through what a callable refers to


def hidden_modules(function: object) -> dict[str, nn.Module]:
    """Every `nn.Module` that a callable reaches, by name: itself, in a closure, a bound method, a list, a global."""
    return {
        ".".join(filter(None, [label, name])): part
        for label, root in _roots(type(function).__name__, function, set(), _DEPTH)
        for name, part in root.named_modules()
    }


def _roots(label: str, value: object, seen: set[int], depth: int) -> Iterator[tuple[str, nn.Module]]:
    if id(value) in seen or not depth:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        yield label, value
        seen.update(map(id, value.modules()))
    for key, item in _held(value):
        yield from _roots(key if key.isidentifier() else f"{label}[{key}]", item, seen, depth - 1)


def _held(value: object) -> list[tuple[str, object]]:
    """What an object refers to, by name or by its place in a list."""
    if isinstance(value, nn.Module):  # its submodules are known; there may be others in a plain list
        attributes = [item for part in value.modules() for item in vars(part).items()]
        return [(key, item) for key, item in attributes if not key.startswith("_")]
    if isinstance(value, partial):
        return _held([value.func, *value.args]) + list(value.keywords.items())
    if isinstance(value, MethodType):
        return [(type(value.__self__).__name__, value.__self__), (value.__name__, value.__func__)]
    if isinstance(value, FunctionType):
        return [] if value.__module__.startswith("torch.") else [*_closure(value), *_globals(value)]
    if isinstance(value, list | tuple):
        return [(str(index), item) for index, item in enumerate(value) if not isinstance(item, _PLAIN)]
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items() if not isinstance(item, _PLAIN)]
    known = isinstance(value, type | ModuleType | torch.Tensor) or type(value).__module__.startswith("torch")
    return [] if known else list(getattr(value, "__dict__", {}).items())


def _closure(function: FunctionType) -> list[tuple[str, object]]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    filled = [(name, cell.cell_contents) for name, cell in cells if cell != CellType()]
    return [*filled, *_held(function.__defaults__), *_held(function.__kwdefaults__)]


def _globals(function: FunctionType) -> list[tuple[str, object]]:
    """The globals that a function reads, and not those that have the name of an attribute."""
    codes, names = [function.__code__], dict[str, None]()
    for code in codes:
        names |= dict.fromkeys(step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
    known = function.__globals__
    return [(name, known[name]) for name in names if name in known]


def one_line(error: BaseException) -> str:
    """The first sentence of an error's text."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first.split(". ")[0].rstrip(".")


def blame(error: BaseException, modules: dict[str, nn.Module]) -> str:
    """What an error says, with the layer and the line of the user's own code in which it arose."""
    match = _OPERATION.search(str(error))
    operation = next(filter(None, match.groups()), "") if match else ""
    told = f"{operation} has no such rule" if operation else one_line(error)
    told = "it draws random numbers" if _RANDOM in told else told
    names = {id(module): name for name, module in modules.items()}
    layer = line = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        layer = names.get(id(frame.f_locals.get("self")), layer)
        if not {_TORCH, _HERE} & set(path.parents):
            line = f"{path.name}:{number}"
    place = ", ".join(filter(None, [layer, line]))
    return f"{told} ({place})" if place else told
