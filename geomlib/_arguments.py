"""The door of a public function: is each argument of the right kind and shape, and made of finite numbers?

The kind is that of the signature; what only the function itself can know (a range, a choice of words) it checks with
`_checks`.  Shapes are written as in docstrings: `"n"` is one latent, `"P n"` several, `"n | P n"` either, and `*` any
number of sizes.  A letter stands for one size in all arguments of a call, at least 1, and `n` for that of the latents.
`"any P n"` says that whole numbers do as well, `"bool P n"` that it is truths.
"""

import inspect
import operator
import os
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from geomlib._checks import check_finite, shown

if TYPE_CHECKING:
    from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")

Shapes = Mapping[str, str]
_NONE: Shapes = types.MappingProxyType({})
_DTYPES = {"": "floating-point", "any": "numeric", "bool": "Boolean"}
_OWNERS = ("generator", "operator", "self")  # arguments that know the number of latents
_LONGEST_NAME = 255  # bytes, on all common file systems


class Kind(NamedTuple):
    """What an annotation asks of a value, and how an error says it."""

    fits: Callable[[object], bool]
    words: str
    number: bool = False


def checked(*, gaps: Collection[str] = (), shapes: Shapes = _NONE) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the function's arguments are checked, see `check_arguments`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            check_arguments(function, args, kwargs, gaps=gaps, shapes=shapes)
            return function(*args, **kwargs)

        call.checked = True  # type: ignore[attr-defined]
        return call

    return decorate


def check_arguments(
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    *,
    finite: bool = True,
    gaps: Collection[str] = (),
    shapes: Shapes = _NONE,
) -> None:
    """Hold the arguments of a call against the function's signature, and tensors against their `shapes`.

    A whole number may be of any kind (of Python, of NumPy, a tensor of one) that fits 64 bits, and so may a real one,
    NaN excepted; truths are no numbers.  Tensors are dense, real and, but for those named in `gaps`, `finite`.

    Raises:
        TypeError: an argument of another kind.
        ValueError: another shape, a tensor without values, NaN or a number beyond 64 bits.
        FloatingPointError: a tensor that is not finite.
    """
    names, kinds = _signature(function)
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    for name, value in given.items():
        kind = kinds.get(name)
        if kind and not kind.fits(value):
            error = ValueError if kind.number and isinstance(value, float | int) and not _is_truth(value) else TypeError
            raise error(f"{name}: expected {kind.words}, got {shown(value)}")
        if hasattr(value, "is_sparse"):
            _check_tensor(name, value, finite and name not in gaps)  # type: ignore[arg-type]

    owner = next((given[name] for name in _OWNERS if name in given), None)
    known = getattr(owner, "latent_dim", None) or (*getattr(owner, "shape", ()), None)[0]
    sizes = {"n": (int(known), "")} if known else {}
    for name, pattern in shapes.items():
        if hasattr(given.get(name), "is_sparse"):
            _check_shape(name, given[name], pattern, sizes)  # type: ignore[arg-type]


def _check_shape(name: str, value: "Tensor", pattern: str, sizes: dict[str, tuple[int, str]]) -> None:
    """Raise unless a shape fits the pattern, whose letters have the `sizes` that other arguments gave them."""
    kind, _, rest = pattern.partition(" ")
    kind, letters = (kind, rest) if kind in _DTYPES else ("", pattern)
    import torch

    is_truth, is_real = value.dtype == torch.bool, value.is_floating_point()
    if not {"": is_real, "any": not is_truth, "bool": is_truth}[kind]:
        raise TypeError(f"{name}: expected a {_DTYPES[kind]} tensor, got {value.dtype}")
    choices = [one.split() for one in letters.split("|")]
    for choice in choices if all(value.shape) else ():
        found = _sizes(choice, value.shape)
        if found and all(size == (int(key) if key.isdigit() else sizes.get(key, (size,))[0]) for key, size in found):
            sizes |= {key: sizes.get(key, (size, name)) for key, size in found}
            return
    told = [[str(sizes[key][0]) if key in sizes else key.replace("*", "...") for key in choice] for choice in choices]
    words = " or ".join(f"({', '.join(one)}{',' * (len(one) == 1)})" for one in told)
    others = sorted({sizes[key][1] for choice in choices for key in choice if key in sizes} - {""})
    why = f", as of {' and '.join(others)}" if others else ""
    least = "" if all(value.shape) else ", at least one of each"
    raise ValueError(f"{name}: expected shape {words}{why}{least}, got {tuple(value.shape)}")


def _sizes(letters: list[str], shape: Sequence[int]) -> list[tuple[str, int]]:
    """The size that each letter stands for; none where there are more or fewer, or one letter has two sizes."""
    first = letters.index("*") if "*" in letters else len(letters)
    last = letters[first + 1 :]
    if len(shape) < first + len(last) or (first == len(letters) and len(shape) > first):
        return []
    found = [*zip(letters[:first], shape, strict=False), *zip(last, shape[len(shape) - len(last) :], strict=True)]
    return found if len(dict(found)) == len({*found}) else []


def _check_tensor(name: str, value: "Tensor", finite: bool) -> None:
    import torch  # here already, where a tensor is

    if value.is_complex() or value.is_quantized or value.layout is not torch.strided:
        raise TypeError(f"{name}: expected a dense tensor of real numbers, got {value.dtype} {value.layout}")
    if value.is_meta:
        raise ValueError(f"{name}: expected a tensor with values, got one on the device meta")
    if finite and value.is_floating_point():
        check_finite(name, value)


@cache
def _signature(function: Callable[..., object]) -> tuple[list[str], dict[str, Kind]]:
    """Names of the positional arguments, and the kind of each argument whose annotation asks for one."""
    parameters = inspect.signature(function).parameters.values()
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    scope = getattr(function, "__globals__", {})
    hints = {one.name: one.annotation for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    kinds = {name: kind for name, hint in hints.items() if (kind := kind_of(hint, scope))}
    return names, kinds


def kind_of(hint: Any, scope: Mapping[str, Any], held: bool = False) -> Kind | None:
    """What an annotation asks for; None where it asks for nothing that can be told, as `Any`.

    A number that is `held` by a list or a mapping may be NaN: there it says that there is no value.
    """
    if isinstance(hint, str):
        try:
            hint = eval(hint, dict(scope))  # a forward reference, written in the package itself
        except NameError:
            return None
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if hint is Any:
        return None
    if hint in (None, types.NoneType):
        return Kind(lambda value: value is None, "None")
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if Callable in (hint, origin):
        return Kind(callable, "a function")
    if origin is None and hint in _SIMPLE:
        return Kind(_is_number, "a number", True) if held and hint is float else _SIMPLE[hint]
    if origin in (typing.Union, types.UnionType):
        return _either([kind_of(one, scope, held) for one in inner], inner)
    if origin is tuple and Ellipsis not in inner:
        return _tuple([kind_of(one, scope, True) for one in inner])
    if origin is not None:
        return _container(origin, [kind_of(one, scope, True) for one in inner])
    if not isinstance(hint, type) or hint is object or hint is inspect.Parameter.empty:
        return None
    if issubclass(hint, Path):
        return Kind(lambda value: isinstance(value, Path) and _is_path(value), "a path that can be written on one line")
    name = "tensor" if hint.__name__ == "Tensor" else hint.__name__
    article = "an" if name[0] in "AEIOaeio" else "a"
    return Kind(lambda value: isinstance(value, hint), f"{article} {name}")


def _either(kinds: Sequence[Kind | None], hints: Sequence[Any]) -> Kind | None:
    known = [kind for kind in kinds if kind]
    if len(known) < len(kinds):
        return None
    if Path in hints and str in hints:  # a word that names a file
        return Kind(
            lambda value: any(kind.fits(value) for kind in known) and (not isinstance(value, str) or _is_path(value)),
            "a path" + (" or None" if types.NoneType in hints else ""),
        )
    words, number = " or ".join(kind.words for kind in known), any(kind.number for kind in known)
    return Kind(lambda value: any(kind.fits(value) for kind in known), words, number)


def _tuple(kinds: Sequence[Kind | None]) -> Kind:
    def fits(value: object) -> bool:
        right = isinstance(value, tuple | list) and len(value) == len(kinds)
        return right and all(kind is None or kind.fits(one) for kind, one in zip(kinds, value, strict=True))  # type: ignore[call-overload]

    return Kind(fits, f"({', '.join(kind.words if kind else 'anything' for kind in kinds)})")


def _container(origin: Any, inner: Sequence[Kind | None]) -> Kind | None:
    """Mappings and sequences; what they hold is looked at one level deep."""
    if not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        held = inner[1] if inner else None  # keys are names, or numbers that serve as such
        return Kind(
            lambda value: isinstance(value, Mapping) and _all(held, value.values()),
            f"a mapping to {held.words}" if held else "a mapping",
        )
    held = inner[0] if inner else None
    if issubclass(origin, Iterable) and not issubclass(origin, Collection):
        return Kind(lambda value: isinstance(value, Iterable) and not isinstance(value, str | bytes), "several values")
    if issubclass(origin, Collection):
        return Kind(
            lambda value: _is_sequence(value, origin) and _all(held, value),
            f"a sequence of {held.words.partition(' ')[2] or held.words}" if held else "a sequence",
        )
    return None


def _all(kind: Kind | None, values: Any) -> bool:
    return kind is None or all(kind.fits(value) for value in values)


def _is_sequence(value: object, origin: type) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
        return False
    return not (isinstance(value, set | frozenset) and issubclass(origin, Sequence))  # items of a mapping have an order


def _is_path(value: str | Path) -> bool:
    """Whether a system can have a file of this name, and an error can show it in one line."""
    text = str(value)
    try:
        parts = [os.fsencode(part) for part in Path(value).parts]
    except UnicodeEncodeError:
        return False
    one_line = "\0" not in text and text.splitlines() in ([text], [])
    return one_line and max(map(len, parts), default=0) <= _LONGEST_NAME


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or f"{type(value).__module__}.{type(value).__name__}" == "numpy.bool"


def _is_whole(value: object) -> bool:
    try:
        return not _is_truth(value) and -(2**63) <= operator.index(value) < 2**63  # type: ignore[arg-type]
    except TypeError:
        return False


def _is_real(value: object) -> bool:
    return _is_number(value) and float(value) == float(value)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    """Whether it is a real number, or NaN."""
    if _is_truth(value) or isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # an array of several, a huge integer
        return False
    return True


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return bool(value.encode()) or not value
    except UnicodeEncodeError:  # half of a character, which no file can hold
        return False


_SIMPLE: dict[object, Kind] = {
    bool: Kind(_is_truth, "True or False"),
    int: Kind(_is_whole, "an integer", True),
    float: Kind(_is_real, "a number", True),
    str: Kind(_is_text, "text"),
}
