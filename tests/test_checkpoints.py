"""Checkpoints of every kind are read; hostile, damaged and foreign files are refused in one line and harm nothing."""

import json
import os
import pickle
import re
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from geomlib.generators.architectures import ARCHITECTURES, build
from geomlib.generators.checkpoints import likely_architecture, load_state, read_state
from geomlib.generators.envelope import check_file
from geomlib.generators.pickles import PICKLE_LIMIT

MANIFESTS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "checkpoints").glob("*.json"))]
SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"latent_dim": 5, "dim_g": 2},
    "pgan": {"latent_dim": 5, "depth_scale0": 4, "depth_other_scales": [3]},
    "deepsim_fc6": {
        "latent_dim": 5, "hidden": 4, "base_size": 1, "channels": {"512": 2, "256": 2, "128": 2, "64": 2, "32": 2}
    },
    "bigbigan": {"resolution": 32, "G_ch": 4, "dim_z": 8, "shared_dim": 2, "n_classes": 2, "G_attn": "8"},
    "stylegan2": {"size": 8, "style_dim": 5, "n_mlp": 2, "channels": {"4": 4, "8": 3}},
    "wavegan": {"latent_dim": 5, "model_size": 1},
    "tutorial_dcgan": {"latent_dim": 5, "dim_g": 2},
    "conditional_dcgan": {"noise_dim": 3, "labels": ["a", "b"], "dim_g": 2},
    "mlp": {"latent_dim": 5, "hidden": [6, 7, 8], "size": 8},
    "ctgan": {"latent_dim": 5, "num_channel_G": 2},
}  # fmt: skip


def small(architecture: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(architecture, **SMALL[architecture])


def state_of(architecture: str = "dcgan") -> OrderedDict[str, Tensor]:
    return OrderedDict(small(architecture).state_dict())


def save(path: Path, content: object, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)


def repack(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes]], **options: Any) -> Path:
    """A copy of an archive with other names or contents."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that comes twice
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return target


def replacing(ending: str, content: bytes) -> Callable[[str, bytes], tuple[str, bytes]]:
    return lambda name, data: (name, content if name.endswith(ending) else data)


def renamed(name: str, _: str, data: bytes) -> tuple[str, bytes]:
    return name, data


class Shell:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


# Files that are read


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_files_of_torch_save_come_back(tmp_path: Path, legacy: bool) -> None:
    state = state_of()
    assert same(read_state(save(tmp_path / "plain.pt", state, legacy)), state)
    parameters = {key: torch.nn.Parameter(value) for key, value in state.items() if value.is_floating_point()}
    read = read_state(save(tmp_path / "parameters.tar", parameters, legacy))
    assert all(torch.equal(value, state[key]) and not value.requires_grad for key, value in read.items())


def test_safetensors_come_back(tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in state_of().items()}
    save_file(state, tmp_path / "state.safetensors")
    read = read_state(tmp_path / "state.safetensors", "g_ema")  # such a file is flat: the key stands for itself
    assert all(torch.equal(value, state[key]) for key, value in read.items())
    assert read.keys() == state.keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_number_types_come_back(tmp_path: Path, dtype: torch.dtype, legacy: bool) -> None:
    values = torch.arange(6).reshape(2, 3).T.to(dtype)
    read = read_state(save(tmp_path / "a.pt", {"a": values}, legacy))["a"]
    assert read.dtype == dtype
    assert torch.equal(read, values)


def test_the_key_says_where_in_the_file(tmp_path: Path) -> None:
    average, last, mean_style = state_of(), state_of("pgan"), torch.ones(5)
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.0, 0.99)}]}
    content = {"g": last, "g_ema": average, "latent_avg": mean_style, "g_optim": optimiser, "steps": 7}
    path = save(tmp_path / "all.pt", content)
    assert same(read_state(path, "g_ema"), average)
    assert same(read_state(path, ("missing", "g", "g_ema")), last)
    assert same(read_state(path, "latent_avg"), {"latent_avg": mean_style})
    for key in ("", "generator", "steps", "g_optim"):
        with pytest.raises(ValueError, match=r"holds (no state dict|a int)"):
            read_state(path, key)
    with pytest.raises(ValueError, match=r"no state dict at key 'x' or 'y'; it has 'g' \(OrderedDict\), .*'steps'"):
        read_state(path, ("x", "y"))


@pytest.mark.parametrize("prefix", ["module.", "G.", "big_gan."])
def test_the_module_around_the_generator_is_left_out(tmp_path: Path, prefix: str) -> None:
    state = state_of()
    path = save(tmp_path / "wrapped.pt", {"avgG": {prefix + key: value for key, value in state.items()}})
    assert same(read_state(path, ("avgG", "netG")), state)


GAN_ZOO = """
import sys, torch
from models.utils.config import BaseConfig, Other
path, which, legacy = sys.argv[1:]
config = BaseConfig()
config.noiseVectorDim, config.depthOtherScales, config.lossMode = 120, [512, 64], "WGANGP"
config.attribKeysOrder, config.inner = None, BaseConfig()
if which == "Other":
    config.inner = Other()
state = {"formatLayer.weight": torch.arange(6.0).reshape(2, 3)}
content = {"config": config, "netG": state, "netD": {"x": torch.zeros(1)}}
if which != "netG":
    content["avgG"] = {key: value + 1 for key, value in state.items()}
torch.save(content, path, _use_new_zipfile_serialization=not legacy)
"""


@pytest.fixture(scope="module")
def gan_zoo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Files with a pickled configuration object, written by a process that has its class."""
    root = tmp_path_factory.mktemp("gan_zoo")
    (root / "models" / "utils").mkdir(parents=True)
    (root / "models" / "utils" / "config.py").write_text(
        "class BaseConfig:\n    def __init__(self, orig=None):\n        self.orig = orig\nclass Other:\n    pass\n"
    )
    (root / "write.py").write_text(
        "import sys\nscript, jobs = sys.argv[1], sys.argv[2:]\nsource = open(script).read()\n"
        "for job in jobs:\n    sys.argv[1:] = job.split(',')\n    exec(source)\n"
    )
    (root / "gan_zoo.py").write_text(GAN_ZOO)
    jobs = [f"{which}{legacy}.pth,{which},{legacy}" for which in ("avgG", "netG", "Other") for legacy in ("", "1")]
    subprocess.run([sys.executable, "write.py", "gan_zoo.py", *jobs], cwd=root, check=True)
    return lambda which, legacy: root / f"{which}{legacy}.pth"


@pytest.mark.parametrize("legacy", ["", "1"], ids=["zip", "legacy"])
def test_gan_zoo_files_are_read_without_their_configuration_class(
    gan_zoo: Callable[[str, str], Path], legacy: str
) -> None:
    values = torch.arange(6.0).reshape(2, 3)
    keys = ("avgG", "netG")
    assert torch.equal(read_state(gan_zoo("avgG", legacy), keys)["formatLayer.weight"], values + 1)
    assert torch.equal(read_state(gan_zoo("netG", legacy), keys)["formatLayer.weight"], values)
    assert not any(name.partition(".")[0] == "models" for name in sys.modules)
    assert "BaseConfig" not in str(torch.serialization.get_safe_globals())
    assert torch.equal(read_state(gan_zoo("Other", legacy), keys)["formatLayer.weight"], values + 1)


# Files that are refused


def hostile_files(folder: Path) -> dict[str, str]:
    """Writes hostile and damaged files; the words that each refusal must have, by file name."""
    marker = folder / "harmed"
    shell = Shell(f"touch {marker}")
    state = {"a": torch.arange(1000.0)}
    whole = save(folder / "whole.pt", state)
    legacy = save(folder / "whole-legacy.pt", state, legacy=True)
    save_file(state, folder / "whole.safetensors")
    expected: dict[str, str] = {}

    def write(name: str, content: bytes, words: str) -> None:
        (folder / name).write_bytes(content)
        expected[name] = words

    for protocol in (0, 1, 2, 3, 4, 5):
        plain = pickle.dumps({"a": shell}, protocol)
        words = r"neither safetensors nor" if protocol < 2 else r"asks for '(posix|nt)\.system'"
        write(f"plain-{protocol}.pkl", plain, words)
        repack(whole, folder / f"code-{protocol}.pt", replacing("data.pkl", plain))
        expected[f"code-{protocol}.pt"] = r"asks for '(posix|nt)\.system'"
    save(folder / "code-legacy.pt", {"a": shell}, legacy=True)
    expected["code-legacy.pt"] = r"asks for '(posix|nt)\.system'"
    zeros = bytes(100_000_000)
    deflated = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1}
    repack(whole, folder / "bomb.pt", replacing("data/0", zeros), **deflated)
    expected["bomb.pt"] = r"unpacks to 100\d{6}; no checkpoint does that"
    # The same, with a directory that tells of little.
    bomb = bytearray((folder / "bomb.pt").read_bytes())
    size = len(zeros).to_bytes(4, "little")
    write("lying-bomb.pt", bytes(bomb.replace(size, (4000).to_bytes(4, "little"))), "is compressed")
    opcodes = b"\x80\x02" + b"N0" * PICKLE_LIMIT + b"N."
    repack(whole, folder / "long.pt", replacing("data.pkl", opcodes))
    expected["long.pt"] = "one data.pkl of at most"
    write("long-legacy.pt", opcodes, "damaged or not from torch.save")
    save(folder / "expanded.pt", {"a": torch.zeros(1).expand(10**11)})
    expected["expanded.pt"] = r"claim more than \d+ bytes"
    save(folder / "sparse.pt", {"a": torch.eye(3).to_sparse()})
    expected["sparse.pt"] = r"it has 'a' \(torch\._utils\._rebuild_sparse_tensor\)"

    for name, place in {"up": "../../evil.py", "root": "/tmp/evil.py", "drive": "C:evil", "back": r"..\evil"}.items():
        repack(whole, folder / f"{name}.pt", partial(renamed, place))
        expected[f"{name}.pt"] = "leads elsewhere"
    repack(whole, folder / "twice.pt", lambda name, data: ("whole/data.pkl", data))
    expected["twice.pt"] = "two files of one name"
    repack(whole, folder / "no-pickle.pt", lambda name, data: (name.replace("data.pkl", "data.txt"), data))
    expected["no-pickle.pt"] = "expected one data.pkl"

    content = whole.read_bytes()
    write("empty.pt", b"", "is empty")
    for share in (0.1, 0.5, 0.99):
        write(f"cut-{share}.pt", content[: int(share * len(content))], "damaged or cut off")
        old = legacy.read_bytes()
        write(f"cut-legacy-{share}.pt", old[: int(share * len(old))], "damaged or not from torch.save")
    write("page.pt", b"\n <!DOCTYPE html><html><body>Quota exceeded</body></html>", "is an HTML page")
    write("text.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "neither safetensors nor")
    write("noise.pt", bytes(range(255, 0, -1)) * 20, "neither safetensors nor")
    write("old.tar", bytes(257) + b"ustar" + bytes(300), "tar archive")
    write("number.pt", pickle.dumps(7, 2), "damaged or not from torch.save")
    save(folder / "list.pt", [torch.zeros(2)])
    expected["list.pt"] = "holds a list, expected a state dict"
    save(folder / "nothing.pt", {})
    expected["nothing.pt"] = "it has nothing"
    save(folder / "names.pt", {"a\x1b[31m\nb": torch.zeros(2)})
    expected["names.pt"] = r"it has 'a\\x1b\[31m\\nb'"

    tensors = (folder / "whole.safetensors").read_bytes()
    header_size = int.from_bytes(tensors[:8], "little")
    header, data = tensors[8 : 8 + header_size], tensors[8 + header_size :]

    def with_header(name: str, header: bytes, size: int | None = None) -> None:
        length = (len(header) if size is None else size).to_bytes(8, "little")
        write(name, length + header + data, "not a whole safetensors file" if size is None else "declares a header of")

    with_header("absurd.safetensors", header, 2**63)
    with_header("header.safetensors", header, len(tensors))
    with_header("outside.safetensors", header.replace(b"4000]", b"8000]"))
    with_header("shape.safetensors", header.replace(b"[1000]", b"[9999999999999]"))
    with_header("overflow.safetensors", header.replace(b"[1000]", b"[4294967296,4294967296]"))
    with_header("backwards.safetensors", header.replace(b"[0,4000]", b"[4000,0]"))
    with_header("deep.safetensors", b'{"a":' + b"[" * 100_000)
    write("cut.safetensors", tensors[:-100], "not a whole safetensors file")
    save_file({"a": torch.zeros(3).to(torch.float8_e5m2)}, folder / "tiny-floats.safetensors")
    expected["tiny-floats.safetensors"] = r"it has 'a' \(Tensor\)"
    return expected


READER = """
import json, re, sys, time
from pathlib import Path
from geomlib.generators.checkpoints import read_state
def peak():
    status = Path("/proc/self/status")
    return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists() else 0
before = peak()
for path in sys.argv[1:]:
    start = time.perf_counter()
    try:
        read_state(path)
        found = "", "read"
    except Exception as error:
        found = type(error).__name__, str(error)
    print(json.dumps([path, *found, time.perf_counter() - start, peak() - before]))
"""


def test_hostile_and_damaged_files_harm_nothing(tmp_path: Path) -> None:
    """One line each, in no time, in little memory, and nothing is written anywhere."""
    expected = hostile_files(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    run = subprocess.run(
        [sys.executable, "-c", READER, *(str(tmp_path / name) for name in expected)],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(expected)
    for path, kind, message, seconds, kilobytes in found:
        name = Path(path).name
        assert kind == "ValueError", (name, kind, message)
        assert message.startswith("weights: ") and "\n" not in message and len(message) < 600, (name, message)
        assert path in message or name == "expanded.pt", message
        assert re.search(expected[name], message), (name, message)
        assert seconds < 20, name
        assert kilobytes < 40_000, (name, kilobytes)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not (tmp_path / "harmed").exists()
    # The pickles do work where they are trusted.
    pickle.loads((tmp_path / "plain-2.pkl").read_bytes())
    assert (tmp_path / "harmed").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_value_error_or_does_not_matter(data: st.DataObject, tmp_path_factory: Any) -> None:
    """Bytes changed or cut anywhere in a file of each format."""
    folder = tmp_path_factory.getbasetemp() / f"damage-{os.getpid()}"
    if not folder.exists():
        folder.mkdir()
        state = {"a": torch.arange(4.0), "b": torch.arange(2)}
        save(folder / "0", state), save(folder / "1", state, legacy=True), save_file(state, folder / "2")
    content = bytearray((folder / str(data.draw(st.integers(0, 2)))).read_bytes())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)))):
        content[place] = value
    (folder / "damaged").write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        read = read_state(folder / "damaged")
    except (ValueError, FloatingPointError) as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert all(value.isfinite().all() for value in read.values())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"^weights: no file {re.escape(str(path))}$"):
            read_state(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    state = state_of()
    state["main.batchNorm1.weight"][3] = value
    with pytest.raises(FloatingPointError, match=r"a\.pt, tensor main\.batchNorm1\.weight: 1 of 8 .* first at \(3,\)"):
        read_state(save(tmp_path / "a.pt", state))


def test_formats_are_told_by_content(tmp_path: Path) -> None:
    state = {"a": torch.zeros(2)}
    save_file(state, tmp_path / "a.pt")
    formats = [tmp_path / "a.pt", save(tmp_path / "a.safetensors", state), save(tmp_path / "a.tar", state, legacy=True)]
    assert [check_file(path) for path in formats] == ["safetensors", "zip", "pickle"]


# State dicts and modules


@pytest.mark.parametrize("architecture", SMALL)
def test_a_state_loads_into_a_network_of_its_own_kind(tmp_path: Path, architecture: str) -> None:
    state, module = state_of(architecture), small(architecture, seed=1)
    before = OrderedDict((key, value.clone()) for key, value in state.items())
    load_state(module, read_state(save(tmp_path / "a.pt", state)), architecture)
    assert same(dict(module.state_dict()), before)


def test_known_variants_of_published_files_load() -> None:
    variants: dict[str, Callable[[str], str | None]] = {
        "bigbigan": lambda key: None if key.endswith("sv0") else key,
        "pgan": lambda key: key.replace(".module", ""),
        "deepsim_fc6": lambda key: key.replace(".", ".1."),
    }
    for architecture, rename in variants.items():
        state, module = state_of(architecture), small(architecture, seed=1)
        varied = {renamed: value for key, value in state.items() if (renamed := rename(key))}
        names = list(varied)
        load_state(module, varied, architecture)
        assert list(varied) == names != list(state)
        loaded = module.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in state.items() if not key.endswith("sv0"))


def test_differences_are_counted_and_the_first_are_shown() -> None:
    state = state_of()
    wrong = {key: value for key, value in state.items() if "running" not in key}
    wrong |= {"extra": torch.zeros(1), "main.outlayer.weight": torch.zeros(2, 3, 5, 4)}
    message = (
        "weights: not a checkpoint of mine: of 25 tensors 8 missing (main.batchNorm0.running_mean, "
        "main.batchNorm0.running_var, main.batchNorm1.running_mean, ...); 1 unexpected (extra); 1 of another shape "
        "(main.outlayer.weight (2, 3, 5, 4), expected (2, 3, 4, 4)); the file looks like dcgan of another configuration"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_state(small("dcgan"), wrong, "mine")


def test_a_file_of_another_architecture_is_recognised() -> None:
    with pytest.raises(ValueError, match=r"checkpoint of cats: of \d+ tensors .*; the file looks like stylegan2$"):
        load_state(small("dcgan"), state_of("stylegan2"), "cats")
    with pytest.raises(ValueError, match=r"unexpected \(strange\)$"):
        load_state(small("dcgan"), {"strange": torch.zeros(1)}, "cats")


def test_a_shape_that_only_a_load_hook_sees_is_refused() -> None:
    state = {key.replace(".module", ""): value for key, value in state_of("pgan").items()}
    state["formatLayer.weight"] = torch.zeros(1, 2)
    with pytest.raises(ValueError, match=r"^weights: not a checkpoint of p \(.*formatLayer[^\n]*$"):
        load_state(small("pgan"), state, "p")


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["name"])
def test_the_likely_architecture_is_the_one_that_shares_most_keys(manifest: dict[str, Any]) -> None:
    """The rule by one key against a count over all keys, also where a part of the file is missing."""
    true = max((known for known in ARCHITECTURES if manifest["name"].startswith(known)), key=len)
    assert true in likely_architecture(manifest["keys"])
    shared = {
        other["name"]: len(other["keys"].keys() & manifest["keys"]) / len(other["keys"].keys() | manifest["keys"])
        for other in MANIFESTS
    }
    closest = [name for name, share in shared.items() if share == max(shared.values())]
    assert all(
        any(word in name for word in re.findall(r"\w+", likely_architecture(manifest["keys"]))) for name in closest
    )
    assert likely_architecture({key: 0 for key in manifest["keys"] if key.startswith("nothing")}) == ""
