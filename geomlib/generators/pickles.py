"""A reader of pickles that runs nothing: tensors and arrays are made here, what else a file asks for is stood in for.

A pickle names functions and classes and says what to call them with.  Here no name is ever imported: the few that make
tensors, arrays and containers mean functions of this module, and every other one an `Inert` that keeps what it was
given.  A name of Python's own library that is no kind of data, such as `os.system`, has no business in a file of
weights: the file is refused, and the name is told.
"""

import io
import math
import pickle
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

PICKLE_LIMIT = 1 << 22  # bytes, in an archive: a thousand tensors take about a tenth of a megabyte
# What of Python's own library is data; all else of it is code.
_DATA = (
    "argparse", "collections", "copyreg", "copy_reg", "datetime", "decimal", "enum", "fractions", "pathlib", "random",
    "string", "types", "uuid", "zoneinfo", "_codecs", "typing", "functools", "logging", "re", "weakref", "dataclasses",
)  # fmt: skip
_PLAIN_TYPES = (
    "object", "set", "frozenset", "list", "dict", "tuple", "int", "long", "float", "complex", "bool", "str", "unicode",
    "bytes", "bytearray", "slice", "range", "xrange", "type", "Ellipsis", "NotImplemented",
)  # fmt: skip
_CODE = ("types.FunctionType", "types.CodeType", "types.LambdaType", "types.MethodType", "types.ModuleType")
# The first pickle of a file of torch.save from before PyTorch 1.6 holds this number.
_OLD_FORMAT = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")


class ForeignError(ValueError):
    """A pickle names a function that is no data; the message is the name."""


class Inert(dict[Any, Any]):
    """Stands for an object of a class that is not known: keeps what it was made from, does nothing.

    Attributes:
        kind: Full name of the class or function.
        arguments: What it was called with.
        state: What it was to be filled with.
        members: What was appended to it.
    """

    kind = ""
    dump_patches = False  # PyTorch asks for it where an old file holds the source of a module

    def __new__(cls, *arguments: Any, **_: Any) -> "Inert":
        """Keep the arguments."""
        self = super().__new__(cls)
        self.arguments, self.state, self.members = arguments, None, []
        return self

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    arguments: tuple[Any, ...]
    state: Any
    members: list[Any]

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state

    def append(self, item: Any) -> None:
        """Keep what a list would take."""
        self.members.append(item)

    def extend(self, items: Any) -> None:
        """Keep what a list would take."""
        self.members.extend(items)

    def add(self, item: Any) -> None:
        """Keep what a set would take."""
        self.members.append(item)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Call:
    """A function of this module under the name that a pickle has for it; nothing can be set on it."""

    __slots__ = ("function",)
    function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "function", function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError("a name was to be changed")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a name was to be changed")


class _Kind:
    """A number type of NumPy, little-endian unless a state says otherwise."""

    def __init__(self, name: object = "", *_: object) -> None:
        self.name, self.order = str(name), "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]

    def type(self) -> np.dtype[Any]:
        """The type, one of whole or floating-point numbers or truths."""
        found = np.dtype(self.name.lstrip("<>=|"))
        if found.kind not in "biufc":
            raise pickle.UnpicklingError(f"an array of {self.name[:20]}")
        return found.newbyteorder(self.order)  # type: ignore[arg-type]


class Array:
    """An array of NumPy as it comes in a pickle: empty first, then filled."""

    def __init__(self, *_: object) -> None:
        self.value: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if isinstance(kind, _Kind) and isinstance(data, bytes | bytearray | str):
            raw = data.encode("latin1") if isinstance(data, str) else data
            self.value = _numbers(raw, kind, shape, "F" if fortran else "C")


def _numbers(data: bytes | bytearray, kind: _Kind, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = np.frombuffer(bytes(data), kind.type()).reshape(shape, order=order)
    return values.astype(values.dtype.newbyteorder("="))


def _array(*_: object) -> Array:
    return Array()


def _array_from(data: Any, kind: Any, shape: Any, order: Any = "C") -> Array:
    made = Array()
    made.value = _numbers(data, kind, shape, order)
    return made


def _scalar(kind: Any, data: Any = b"") -> Any:
    if not isinstance(kind, _Kind):
        return None
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, kind.type())[0].item()


def _encoded(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


def _storage(data: bytes) -> Any:
    """A storage that lies in the file as bytes of a file of its own."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    made: Tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)
    return made


def _same(data: Any, *_: Any) -> Any:
    return data


def _of_type(function: Any, _: Any, arguments: Any, __: Any = None) -> Any:
    """What makes a tensor that has attributes, or is of a class derived from Tensor."""
    return function(*arguments) if isinstance(function, Call) else Inert(arguments)


def _bytes_of(data: Any = b"", *_: Any) -> bytearray:
    return bytearray(data.encode("latin1") if isinstance(data, str) else bytes(data) if data else b"")


def _known() -> dict[str, Callable[..., Any]]:
    makers: dict[str, Callable[..., Any]] = {
        "_reconstruct": _array,
        "scalar": _scalar,
        "ndarray": _array,
        "dtype": _Kind,
    }
    numpy = {
        f"{room}.{name}": made
        for room in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
        for name, made in makers.items()
    }
    buffers: dict[str, Callable[..., Any]] = {
        f"numpy.{room}.numeric._frombuffer": _array_from for room in ("core", "_core")
    }
    return numpy | buffers | {
        "collections.OrderedDict": OrderedDict,
        "builtins.set": set,
        "__builtin__.set": set,
        "builtins.frozenset": frozenset,
        "builtins.bytearray": _bytes_of,
        "__builtin__.bytearray": _bytes_of,
        "_codecs.encode": _encoded,
        "torch.Size": tuple,
        "torch.device": lambda *place: str(place[0]),
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _same,
        "torch._utils._rebuild_parameter_with_state": _same,
        "torch._tensor._rebuild_from_type_v2": _of_type,
        "torch.storage._load_from_bytes": _storage,
    }  # fmt: skip


_KNOWN = _known()


class Reader(pickle._Unpickler):
    """Python's own unpickler, in its plain form, with no names but those of this module."""

    asked: list[str]  # the names that were stood in for

    def __init__(self, file: IO[bytes], **_: Any) -> None:
        super().__init__(file, encoding="latin1")
        self.asked = []
        self._kinds: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name."""
        whole = f"{module}.{name}"
        if whole not in self._kinds:
            self._kinds[whole] = self._meaning(whole, module, name)
        return self._kinds[whole]

    def _meaning(self, whole: str, module: str, name: str) -> Any:
        if whole in _KNOWN:
            return Call(_KNOWN[whole])
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if _is_code(module, name):
            raise ForeignError(whole)
        self.asked.append(whole)
        return type("Inert", (Inert,), {"kind": whole})

    def persistent_load(self, key: Any) -> Any:
        """Storages are handed out by PyTorch alone, which overrides this."""
        raise pickle.UnpicklingError("a part that lies elsewhere")

    dispatch = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self) -> None:
        """A changeable text of bytes, no longer than the file."""
        size = int.from_bytes(self.read(8), "little")  # type: ignore[attr-defined]
        self.append(bytearray(self.read(min(size, sys.maxsize))))  # type: ignore[attr-defined]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8  # type: ignore[assignment]


def _is_code(module: str, name: str) -> bool:
    """Whether a name of Python's own library is no kind of data."""
    first = module.partition(".")[0]
    if first in ("builtins", "__builtin__", "__builtins__"):
        return name.partition(".")[0] not in _PLAIN_TYPES or "." in name
    if first in _DATA:
        return f"{module}.{name}" in _CODE or "." in name and first != "enum"
    return first in sys.stdlib_module_names


class _Pickle:
    """What `torch.load` takes in the place of the module `pickle`."""

    __name__ = "pickle"

    def __init__(self) -> None:
        asked = self.asked = list[str]()

        class Own(Reader):
            def __init__(self, file: IO[bytes], **_: Any) -> None:
                super().__init__(file)
                self.asked = asked

        self.Unpickler = Own
        self.UnpicklingError = pickle.UnpicklingError

    def load(self, file: IO[bytes], **_: Any) -> Any:
        return self.Unpickler(file).load()


def read_pickle(path: Path, file_format: str) -> tuple[object, tuple[str, ...]]:
    """The content of a pickle or of a file of `torch.save`, and the names that were stood in for; nothing is run.

    Args:
        path: the file, its envelope checked.
        file_format: "zip" or "pickle", as `envelope.check_file` tells it.

    Raises:
        ForeignError: it names a function that is no data.
        ValueError: it is damaged, or no such file; the message says so in a few words.
    """
    try:
        if file_format == "pickle" and not _is_old(path):
            with path.open("rb") as file:
                reader = Reader(file)
                content = reader.load()
            if not isinstance(content, dict | list | tuple | Array | Tensor):
                raise ValueError(f"it holds a {type(content).__name__} alone")
            return content, tuple(reader.asked)
        if file_format == "zip":
            _check_inner(path)
        elif tarfile.is_tarfile(path):
            raise ValueError("a tar archive")
        own = _Pickle()
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's on the source of modules
            return torch.load(file, map_location="cpu", pickle_module=own, weights_only=False), tuple(own.asked)
    except ForeignError:
        raise
    except (EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ValueError(_words(error)) from error
    except Exception as error:  # a hostile pickle can raise anything
        raise ValueError(str(error) if type(error) is ValueError else "its parts do not fit together") from error


def _words(error: Exception) -> str:
    return (
        "it ends early" if isinstance(error, EOFError) or "truncated" in str(error) else "its parts do not fit together"
    )


def _is_old(path: Path) -> bool:
    with path.open("rb") as file:
        return _OLD_FORMAT in file.read(32)


def _check_inner(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inner = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
    if len(inner) != 1 or inner[0].file_size > PICKLE_LIMIT:
        raise ValueError(f"expected one data.pkl of at most {PICKLE_LIMIT} bytes")


def parts_of(module: Inert) -> dict[str, Any]:
    """The attributes of a stood-in `nn.Module`: of one that was pickled plainly, or in the way of NVIDIA's files."""
    state = module.state
    if not isinstance(state, dict) and module.arguments and isinstance(module.arguments[0], dict):
        state = module.arguments[0].get("state")
    return dict(state) if isinstance(state, dict) else {}


def class_name(module: Inert) -> str:
    """The name of a stood-in module's class, without that of its file."""
    meta = module.arguments[0] if module.arguments else None
    if isinstance(meta, dict) and isinstance(meta.get("class_name"), str):
        return str(meta["class_name"])
    if isinstance(meta, type) and issubclass(meta, Inert):
        return meta.kind.rpartition(".")[2]
    return module.kind.rpartition(".")[2]


def is_module(value: object) -> bool:
    """Whether it stands for an `nn.Module`."""
    return isinstance(value, Inert) and isinstance(parts_of(value).get("_modules"), dict)


def submodules(module: Inert, prefix: str = "", depth: int = 64) -> Iterator[tuple[str, Inert]]:
    """A stood-in module and all that it holds, each with its name."""
    yield prefix, module
    for name, part in parts_of(module)["_modules"].items() if depth else ():
        if is_module(part):
            yield from submodules(part, f"{prefix}.{name}".lstrip("."), depth - 1)


def module_state(module: Inert) -> dict[str, object]:
    """What the state dict of a stood-in module would hold, tensors or not."""
    state = {}
    for prefix, part in submodules(module):
        own = parts_of(part)
        hidden = own.get("_non_persistent_buffers_set") or ()
        for group in ("_parameters", "_buffers"):
            for name, value in (own.get(group) or {}).items():
                if value is not None and not (group == "_buffers" and name in hidden):
                    state[f"{prefix}.{name}".lstrip(".")] = value
    return state


def as_tensor(value: object) -> object:
    """An array as a tensor; anything else as it is."""
    if isinstance(value, Array) and value.value is not None and math.prod(value.value.shape):
        return torch.from_numpy(value.value)
    return value
