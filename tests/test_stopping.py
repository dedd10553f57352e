"""A run that is told to end, or killed, ends: nothing begins any more, no process and nothing half-written stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import write_notebook

BUSY = """import os, pathlib, time
pathlib.Path(f"kernel-{os.getpid()}").touch()
time.sleep(600)"""


def is_alive(pid: int) -> bool:
    """Whether a process is at work; one that has ended and waits for its parent is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="asks /proc which processes are alive")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_ends_with_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "_config.yml").write_text("title: t\n")
    names = [f"n{index}" for index in range(2 * (os.cpu_count() or 1))]
    for name in names:
        write_notebook(tmp_path, name, BUSY, parameters='results: str = "results/x"')
    log = tmp_path / "log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "geomlib.cli", "run", *names]
        runner = subprocess.Popen(  # tests in the background may have been started with SIGINT ignored
            command,
            cwd=tmp_path,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        limit = time.monotonic() + 120
        while not list(tmp_path.glob("kernel-*")) and time.monotonic() < limit:
            time.sleep(0.2)
        kernels = [int(path.name.partition("-")[2]) for path in tmp_path.glob("kernel-*")]
        assert kernels, log.read_text()
        begun = log.read_text().count("running")
        runner.send_signal(number)
        runner.wait(30)
    assert runner.returncode != 0
    limit = time.monotonic() + 10
    while any(map(is_alive, kernels)) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not any(map(is_alive, kernels))
    assert log.read_text().count("running") == begun
    if number != signal.SIGKILL:  # nobody tidies up after that one
        assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
        assert not list((tmp_path / "results").glob("*/.*"))
