"""Positions over the workers of a `dask.distributed` client, each of which builds generator and distance once."""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from geomlib.distances import Distance, load_distance
from geomlib.generators import Generator, load_generator
from geomlib.sweep import task as tasks
from geomlib.sweep.store import Store
from geomlib.sweep.task import Task, rests_on

logger = logging.getLogger(__name__)

OUTSTANDING = 2  # tasks for each worker that are handed out at a time
ATTEMPTS = 3
PATIENCE = 300.0  # seconds without any worker after which a sweep ends


def spread(
    client: Any,
    store: Store,
    positions: Sequence[int],
    task: Task,
    generator: Generator,
    distance: Distance,
    timeout: float | None,
    done: Callable[[], None],
) -> None:
    """Let the workers fill `positions` of a store; `done()` is called after each.

    A task writes into the store itself and returns nothing but its position, so that doing one twice is harmless.

    Raises:
        ValueError: a spec that cannot be written down.
        RuntimeError: a position made its worker hang or die three times, or there was no worker for five minutes.
    """
    from distributed import KilledWorker, wait

    order = _order(store, task, generator, distance)
    ahead = deque(positions)
    tries: dict[int, int] = {}
    running: dict[Any, tuple[int, float]] = {}  # by future: position, and when it was handed out

    def hand_out() -> None:
        each = 1 if timeout is not None else OUTSTANDING  # where time counts, none may wait behind another
        most = each * max(1, len(client.scheduler_info()["workers"]))
        while ahead and len(running) < most:
            position = ahead.popleft()
            tries[position] = tries.get(position, 0) + 1
            if tries[position] > ATTEMPTS:
                raise RuntimeError(f"position {position} made its worker hang or die {ATTEMPTS} times")
            future = client.submit(fill, order, position, pure=False, retries=ATTEMPTS)
            running[future] = position, time.monotonic()

    hand_out()
    seen = time.monotonic()  # a worker, for the last time
    while running or ahead:
        try:
            finished = wait(list(running), timeout=1, return_when="FIRST_COMPLETED").done  # type: ignore[no-untyped-call]
        except TimeoutError:
            finished = set()
        for future in finished:
            position, _ = running.pop(future)
            try:
                future.result()  # raises what the worker raised
            except KilledWorker as error:
                raise RuntimeError(f"position {position} made its worker hang or die {ATTEMPTS} times") from error
            future.release()
            done()
        if client.scheduler_info()["workers"]:
            seen = time.monotonic()
        elif time.monotonic() - seen > PATIENCE:
            raise RuntimeError(f"no worker for {PATIENCE:g} s: start some, and run the same again")
        late = [one for one, (_, since) in running.items() if timeout and time.monotonic() - since > timeout]
        for future in late:
            position, _ = running.pop(future)
            at = [place for place, keys in client.processing().items() if future.key in map(str, keys)]
            logger.warning("position %d took more than %g s: starting its worker anew", position, timeout)
            future.cancel(force=True)
            if at:
                client.restart_workers(at)
            ahead.appendleft(position)
        hand_out()


def fill(order: str, position: int) -> int:
    """Compute one position, in a worker."""
    store, task, generator, distance = _built(order)
    tasks.fill(store, position, task, generator, distance)
    return position


def _order(store: Store, task: Task, generator: Generator, distance: Distance) -> str:
    """All that a worker needs to know, as text."""
    return json.dumps(
        {
            "store": str(store.path.resolve()),
            "task": asdict(task),
            "generator": generator.spec,
            "distance": distance.spec,
            "device": generator.device.type,
            "dtype": str(generator.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }
    )


@lru_cache(maxsize=1)
def _built(order: str) -> tuple[Store, Task, Generator, Distance]:
    """Generator and distance of an order, made once in each process, and the store, if it is for these."""
    known = json.loads(order)
    torch.set_num_threads(known["threads"])  # the process is a worker: its threads decide the bits
    place = {"device": known["device"], "dtype": getattr(torch, known["dtype"])}
    generator, distance = load_generator(**known["generator"], **place), load_distance(**known["distance"], **place)
    task, store = Task(**known["task"]), Store(Path(known["store"]))
    store.check(rests_on(generator, distance, task) | {"latents": store.fingerprint["latents"]})
    return store, task, generator, distance
