"""Notebooks that are forked from one process: nothing passes between them, and they give what new processes give."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import write_notebook
from test_stopping import is_alive

from geomlib.book import kernels as kernels_
from geomlib.book import runner
from geomlib.book.kernels import Kernels
from geomlib.book.process import TRIES

forks = pytest.mark.skipif(not kernels_.FORKS, reason="this system does not fork")
LOOK = """import os, sys
found = {"torch": "torch" in sys.modules, "geomlib": any(name.partition(".")[0] == "geomlib" for name in sys.modules)}
import numpy as np
import torch
from pathlib import Path
found |= {"type": str(torch.get_default_dtype()), "told": os.environ.get("TOLD", "")}
found |= {"threads": torch.get_num_threads(), "folder": str(Path.cwd()), "hash": hash("a")}
found |= {"drawn": [float(torch.rand(1)), float(np.random.rand())]}
from geomlib.findings import Results
Results(results).number(**found)"""
HANDS = "from geomlib.findings import Results\nout = Results(results)\n"
SPOIL = """torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
os.environ["TOLD"] = "spoilt"
os.chdir("/")
torch.spoilt = True"""


def numbers(folder: Path) -> dict[str, Any]:
    """What a notebook has found."""
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["numbers"]
    return found


@forks
def test_nothing_passes_from_one_notebook_to_the_next(
    toy: Path, monkeypatch: pytest.MonkeyPatch, kernels: Kernels
) -> None:
    """Libraries are there at the first line, the package is not: what is edited between two of them counts."""
    write_notebook(toy, "toy", LOOK, SPOIL)
    first = numbers(*runner.run(["toy"], kernels=kernels))
    second = numbers(*runner.run(["toy"], kernels=kernels, force=True))
    monkeypatch.setenv("TOLD", "from outside")
    third = numbers(*runner.run(["toy"], kernels=kernels, force=True))
    drawn = [found.pop("drawn") for found in (first, second, third)]
    assert len({number for pair in drawn for number in pair}) == 6, "what is drawn without a seed differs"
    assert first == second
    assert third == first | {"told": "from outside"}
    assert first["torch"] and not first["geomlib"] and first["threads"] == 1
    assert first["type"] == "torch.float32" and first["folder"] == str(toy)


@forks
def test_a_new_process_gives_the_same_bytes(toy: Path, monkeypatch: pytest.MonkeyPatch, kernels: Kernels) -> None:
    def contents() -> dict[str, bytes]:
        [folder] = runner.run(["toy"], force=True, kernels=kernels)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}

    same = LOOK.replace('"torch" in sys.modules', "1").replace('{"drawn"', '{} and {"drawn"')
    drawn = 'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint(hash("a"))\n1 / 3'
    write_notebook(toy, "toy", drawn, same)
    forked = contents()
    monkeypatch.setattr(kernels_, "FORKS", False)
    assert contents() == forked
    assert b"image/png" in forked["toy.ipynb"]


@forks
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which processes are alive")
def test_they_end_with_the_context(toy: Path) -> None:
    write_notebook(toy, "toy", "import os\n" + HANDS + "out.number(kernel=os.getpid(), notebook=os.getppid())\n")
    with Kernels(threads=1) as kernels:
        found = numbers(*runner.run(["toy"], kernels=kernels))
    limit = time.monotonic() + 10
    while any(is_alive(pid) for pid in found.values()) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not [name for name, pid in found.items() if is_alive(pid)]


@forks
def test_the_end_of_the_process_they_come_from_is_told(toy: Path) -> None:
    """It was killed: the notebook ends with it, and the next one says why it cannot begin."""
    deadly = "import os, signal, time\nfrom pathlib import Path\nnotebook = os.getppid()\n"
    deadly += "line = Path(f'/proc/{notebook}/stat').read_text().rpartition(')')[2].split()\n"
    deadly += f"os.kill(int(line[1]), {int(signal.SIGKILL)})\ntime.sleep(60)"
    write_notebook(toy, "toy", deadly)
    with Kernels(threads=1) as kernels:
        with pytest.raises(runner.NotebookError, match="its process ended without a result"):
            runner.run(["toy"], kernels=kernels)
        with pytest.raises(runner.NotebookError, match="the process from which notebooks begin has ended"):
            runner.run(["toy"], kernels=kernels)
    assert not [path for path in (toy / "results").rglob("*") if path.is_file()]


class Taken:
    """Kernels of which the first `times` find a port taken, as Jupyter's log tells it."""

    def __init__(self, kernels: Kernels, times: int) -> None:
        self.kernels, self.threads, self.left, self.begun = kernels, kernels.threads, times, 0

    def begin(self, request: Path, log: Path, *others: Any) -> Any:
        self.begun += 1
        if self.begun > self.left:
            return self.kernels.begin(request, log, *others)
        log.write_text("zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:36249')")
        return subprocess.Popen([sys.executable, "-c", ""])


def test_a_port_that_was_taken_meanwhile_costs_another_try(toy: Path, kernels: Kernels) -> None:
    once, always = Taken(kernels, 1), Taken(kernels, 9)
    [folder] = runner.run(["toy"], kernels=once)
    assert once.begun == 2 and (folder / "summary.json").is_file()
    with pytest.raises(runner.NotebookError, match="Address already in use"):
        runner.run(["toy"], kernels=always, force=True)
    assert always.begun == TRIES


@pytest.mark.parametrize("forked", [pytest.param(True, marks=forks), False])
def test_kernels_listen_on_the_loopback_alone(
    toy: Path, monkeypatch: pytest.MonkeyPatch, kernels: Kernels, forked: bool
) -> None:
    monkeypatch.setattr(kernels_, "FORKS", forked)
    listening = "{one.laddr.ip for one in psutil.Process().net_connections('inet') if one.status == psutil.CONN_LISTEN}"
    write_notebook(toy, "toy", f"import psutil\n{HANDS}out.number(places=sorted({listening}))")
    assert numbers(*runner.run(["toy"], kernels=kernels))["places"] == ["127.0.0.1"]
