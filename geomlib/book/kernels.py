"""Begins the process of each notebook: forked from `kernel_server` where the system can fork, else started anew."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Protocol, Self

FORKS = hasattr(os, "fork") and hasattr(os, "pidfd_open")
FRONT_END = "module://matplotlib_inline.backend_inline"  # what ipykernel sets, too late for what is imported before it


class Process(Protocol):
    """What is asked of a process, in the words of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; `subprocess.TimeoutExpired` where that takes longer."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


class _Forked:
    """A process that another one forked; how it ended is not told."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)
        self._ended = select.poll()
        self._ended.register(self._descriptor, select.POLLIN)

    def __del__(self) -> None:
        os.close(self._descriptor)

    def poll(self) -> int | None:
        return 0 if self._ended.poll(0) else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.poll(None if timeout is None else 1000 * timeout):
            raise subprocess.TimeoutExpired("a notebook", timeout or 0)
        return 0

    def terminate(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    def kill(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)


class Kernels:
    """Begins the processes of notebooks; as a context it ends, where it began one, the process that they come from.

    Args:
        threads: with how many each of them computes; what is imported beforehand cannot be told later.
    """

    def __init__(self, threads: int) -> None:
        self.threads, count = threads, str(threads)
        self.environment = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "PYTHONHASHSEED": "0"}
        self._server: subprocess.Popen[str] | None = None
        self._open = contextlib.ExitStack()
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None
        self._open.close()

    def begin(self, request: Path, log: Path, environment: dict[str, str], directory: str) -> Process:
        """Begin to execute the request of `kernel_main` in a session of its own, where Ctrl-C does not reach it.

        Raises:
            ChildProcessError: the process to fork from has ended; what it said.
        """
        environment = environment | self.environment
        if not FORKS:
            command = [sys.executable, "-P", "-m", "geomlib.book.kernel_main", str(request)]
            with log.open("wb") as stream:
                return subprocess.Popen(
                    command, stdout=stream, stderr=stream, env=environment, cwd=directory, start_new_session=True
                )
        order = {"request": str(request), "log": str(log), "environment": environment, "directory": directory}
        with self._one_at_a_time:
            return _Forked(self._ask(json.dumps(order)))

    def _ask(self, order: str) -> int:
        if self._server is None:
            self._errors = Path(self._open.enter_context(tempfile.TemporaryDirectory()), "errors")
            with self._errors.open("wb") as stream:
                self._server = subprocess.Popen(
                    [sys.executable, "-P", "-m", "geomlib.book.kernel_server"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    text=True,
                    start_new_session=True,
                    env=os.environ | {"MPLBACKEND": FRONT_END} | self.environment,
                )
        assert self._server.stdin and self._server.stdout
        try:
            print(order, file=self._server.stdin, flush=True)
            return int(self._server.stdout.readline())
        except (OSError, ValueError) as error:
            said = self._errors.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise ChildProcessError(f"the process from which notebooks begin has ended\n{said}") from error
