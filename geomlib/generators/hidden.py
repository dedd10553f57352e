"""Which modules a callable holds, however it holds them."""

import dis
from collections.abc import Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType

import torch
from torch import nn

_PLAIN = (int, float, complex, str, bytes, type(None))  # what long lists are made of
_DEPTH = 6  # of a search through what a callable refers to


def in_training(module: nn.Module) -> bool:
    """Whether a module is in training mode; one that was frozen, as TorchScript does it, cannot tell and is not."""
    return bool(getattr(module, "training", False))


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
