"""Executes one notebook with papermill, in a process of its own that `kernels.Kernels` begins.

So the peak memory of the notebook's kernel can be read when it has ended. It imports nothing of geomlib, to start fast.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any


def peak_memory() -> int | None:
    """Largest resident memory of the processes that this one has waited for, in bytes; None where it is not told."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def end_with(parent: int) -> None:
    """End this process soon after `parent` has ended, however that was; the kernel ends with this process."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(request_file: str) -> None:
    """Run the notebook that the request names and write seconds and memory beside it."""
    end_with(os.getppid())
    request: dict[str, Any] = json.loads(Path(request_file).read_text(encoding="utf-8"))
    import papermill

    start = time.monotonic()
    try:
        papermill.execute_notebook(
            request["notebook"],
            request["output"],
            parameters=request["parameters"],
            kernel_name="python3",
            cwd=request["root"],
            progress_bar=False,
            start_timeout=300,
        )
        failed = False
    except papermill.PapermillExecutionError:
        failed = True  # the output notebook holds the error
    seconds = time.monotonic() - start
    record = {"failed": failed, "seconds": round(seconds, 2), "peak_memory": peak_memory()}
    Path(request["record"]).write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
