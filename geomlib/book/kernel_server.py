"""One process that has the libraries imported; each notebook's is forked from it: importing costs seconds, a fork none.

It forks as long as lines come in: the orders of `kernels.Kernels`.  Nothing of geomlib reaches a notebook this way, so
that what is edited meanwhile counts in the next one.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from importlib.metadata import EntryPoint
from typing import Any, NoReturn

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from geomlib.book import kernel_main

LIBRARIES = ("papermill", "ipykernel.kernelapp", "torch", "seaborn")  # what takes long, and most need


class Child:
    """A process that this one has forked, as far as `LocalProvisioner` asks a `subprocess.Popen`."""

    stdin = stdout = stderr = returncode = None

    def __init__(self, pid: int, orders: int) -> None:
        self.pid, self.orders = pid, orders

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """Its exit status, None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self) -> int | None:
        """Its exit status, when it has ended."""
        return self.poll(0)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Gives a notebook the kernel that was forked for it, before this process had threads."""

    waiting: Child

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Tell the kernel with what to begin."""
        order = {"arguments": cmd[cmd.index("-m") + 2 :], "directory": os.getcwd(), "environment": kwargs["env"]}
        with os.fdopen(self.waiting.orders, "w", encoding="utf-8") as stream:
            json.dump(order, stream)
        self.process, self.cwd = self.waiting, order["directory"]  # type: ignore[assignment]  # all that is asked of it
        self.pid = self.pgid = self.waiting.pid  # it leads a session, see `_kernel`
        return self.connection_info


def _kernel(orders: int) -> None:
    """Wait for the order and be a kernel; without one, end."""
    os.setsid()
    with os.fdopen(orders, encoding="utf-8") as stream:
        text = stream.read()
    if not text:
        return
    order = json.loads(text)
    _settle(order["environment"], order["directory"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "geomlib"]:
        del sys.modules[name]
    from ipykernel import kernelapp

    for name in {"torch", "numpy.random"} & set(sys.modules):  # as in a new process: who has forgotten a seed sees
        sys.modules[name].seed()
    sys.argv = ["ipykernel_launcher", *order["arguments"]]
    kernelapp.launch_new_instance(parent_handle=os.getppid())  # with whom it ends


def _notebook(order: dict[str, Any]) -> None:
    """Be the process of one notebook."""
    os.setsid()
    with open(order["log"], "ab") as log, open(os.devnull, "rb") as nothing:
        for file, descriptor in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(file.fileno(), descriptor)
    _settle(order["environment"], order["directory"])
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(theirs)
        _end_after(_kernel, ours)
    os.close(ours)
    ForkedProvisioner.waiting = Child(pid, theirs)
    factory = KernelProvisionerFactory.instance()
    name = ForkedProvisioner.__name__
    factory.provisioners[name] = EntryPoint(name, f"{__name__}:{name}", factory.GROUP_NAME)
    factory.default_provisioner_name = name
    kernel_main.main(order["request"])


def _settle(environment: dict[str, str], directory: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)


def _end_after(work: Any, argument: Any) -> NoReturn:
    """Do the work of a forked process; what its parent would do when it ends is not for it to do."""
    status = 1
    try:
        work(argument)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Import, then fork a process for each line and say its number."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):  # the notebook that needs it will say so
            importlib.import_module(name)
    gc.freeze()  # or a first collection in each fork would copy all pages
    for line in sys.stdin:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        pid = os.fork()
        if pid == 0:
            _end_after(_notebook, json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
