"""What a sweep survives: real processes are killed, files damaged, disks filled; afterwards it is simply run again.

    python benchmarks/faults.py --kills 20 --seed 0 --output benchmarks/results/faults--cpu.json

Each row says what was done how often, and whether the sweep that was run again afterwards is equal, bit by bit, to one
that nothing disturbed. Full disks and read-only places are mounts, for which this has to run as root on Linux; without
that the rows say so.
"""

import argparse
import json
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

import geomlib
from geomlib import sweep
from geomlib.sweep.store import Store

SETTINGS: dict[str, Any] = {"generator": "shapes-dcgan", "distance": "mse", "positions": 16, "seed": 0}
ROOT = Path(__file__).parents[1]
RUN = [sys.executable, "-m", "geomlib.cli", "run", "anisotropy", "--generator", "shapes-biggan", "--space", "class"]
RUN += ["--distance", "mse", "--profile", "smallest"]
VALUES = ("eigenvalues", "eigenvectors", "noise_floor")

SLOW = '''
import multiprocessing, pathlib, time, geomlib
HERE = pathlib.Path(__file__).parent
def make():
    """The sphere; a call in a worker hangs once, where a file asks for it."""
    sphere = geomlib.load_generator("sphere")
    def module(z):
        hang = HERE / "hang"
        if multiprocessing.parent_process() and hang.exists():
            hang.unlink()
            time.sleep(3600)
        return sphere(z)
    return geomlib.Generator(module, sphere.latent_dim, output_range=None, name="slow")
def distance():
    return lambda x: x.flatten(1)
'''


def work(store: str, settings: dict[str, Any], **options: Any) -> None:
    """A sweep as anyone would run it; called in processes of its own."""
    torch.set_num_threads(1)
    generator = geomlib.load_generator(settings["generator"])
    distance = geomlib.load_distance(settings["distance"])
    latents = generator.sample(settings["positions"], settings["seed"])
    if (spoilt := settings.get("spoilt")) is not None:
        latents[spoilt] = 1e38  # finite, and the images are not
    sweep.run(generator, latents, distance, store=store, **options)


def start(store: Path, settings: dict[str, Any], **options: Any) -> subprocess.Popen[str]:
    """The same in a process."""
    command = [sys.executable, __file__, "--work", json.dumps([str(store), settings, options])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(store: Path, settings: dict[str, Any], **options: Any) -> tuple[int, str]:
    """Run it to its end; exit status and the last line that it said."""
    process = start(store, settings, **options)
    said = process.communicate()[1].strip().splitlines()
    return process.returncode, said[-1] if said else ""


def values(store: Path) -> dict[str, np.ndarray]:
    """What a store holds."""
    kept = Store(store)
    return {name: np.asarray(kept.array(name)[:]) for name in VALUES}


def done_of(store: Path) -> int:
    """How many positions are done, of a store that may not be there yet."""
    return sweep.status(store).done if store.exists() else 0


class Faults:
    """One undisturbed sweep, and everything that is done to others like it."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.folder, self.kills, self.random = folder, kills, random.Random(seed)
        self.rows: dict[str, dict[str, Any]] = {}
        whole = folder / "whole.zarr"
        began = time.monotonic()
        assert finish(whole, SETTINGS)[0] == 0
        self.seconds, self.whole = time.monotonic() - began, values(whole)

    def copy(self, name: str) -> Path:
        """A finished store to do harm to."""
        return Path(shutil.copytree(self.folder / "whole.zarr", self.folder / name))

    def equal(self, store: Path) -> bool:
        """Whether it holds what the undisturbed one holds, and nothing lies about beside it."""
        here = values(store)
        leftovers = [path for path in store.parent.iterdir() if path.name.startswith(f".{store.name}")]
        whole = sweep.status(store).done == SETTINGS["positions"] and not Store(store).damaged()
        return whole and not leftovers and all(np.array_equal(here[name], self.whole[name]) for name in VALUES)

    def tell(self, what: str, times: int, equal: bool, **more: Any) -> None:
        self.rows[what] = {"times": times, "equal": equal, **more}
        print(what, self.rows[what], file=sys.stderr)

    def killed(self) -> None:
        """SIGKILL at random moments of a sweep, the making of the store among them, until killed often enough."""
        store, found, runs = self.folder / "killed.zarr", [], 0
        while runs < self.kills:
            if done_of(store) == SETTINGS["positions"]:  # nothing is left to disturb: begin anew
                shutil.rmtree(store)
            process, done = start(store, SETTINGS), done_of(store)
            if self.random.random() < 0.3:  # while it starts, the making of the store among it
                time.sleep(self.random.uniform(0, self.seconds / 2))
            else:  # while it writes
                aim = self.random.randint(done, min(done + 4, SETTINGS["positions"] - 1))
                while process.poll() is None and done_of(store) < aim:
                    time.sleep(0.02)
                time.sleep(self.random.uniform(0, 0.5))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            ended = process.wait()
            process.stderr.close()  # type: ignore[union-attr]
            if ended == -signal.SIGKILL:
                runs += 1
                found.append(done_of(store))
        code, _ = finish(store, SETTINGS)
        self.tell("sweep killed (SIGKILL)", runs, code == 0 and self.equal(store), done_when_killed=found)

    def damaged(self) -> None:
        """Chunks truncated, zeroed and with one bit turned: `verify` finds each."""
        store, names = self.copy("damaged.zarr"), [*VALUES, "state"]
        for index in range(self.kills):
            kind = ("truncated", "zeroed", "a bit turned")[index % 3]
            chunks = [path for path in (store / self.random.choice(names) / "c").rglob("*") if path.is_file()]
            chunk = self.random.choice(sorted(chunks))
            content = bytearray(chunk.read_bytes())
            if kind == "a bit turned":
                content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
            cut = {"truncated": content[: len(content) // 2], "zeroed": bytes(len(content))}
            chunk.write_bytes(bytes(cut.get(kind, content)))
        found = len(Store(store).damaged())
        code, _ = finish(store, SETTINGS, verify=True)
        self.tell("chunks damaged", self.kills, code == 0 and self.equal(store), positions_found=found)

    def two_writers(self) -> None:
        """Two processes that fill one store at the same time."""
        store = self.folder / "two.zarr"
        both = [start(store, SETTINGS) for _ in range(2)]
        codes = [(one.communicate(), one.returncode)[1] for one in both]
        self.tell("two writers", 1, codes == [0, 0] and self.equal(store))

    def not_finite(self) -> None:
        """A position whose image is not finite is recorded with its reason, and the others are computed."""
        store, spoilt = self.folder / "spoilt.zarr", SETTINGS["positions"] // 2
        code, _ = finish(store, SETTINGS | {"spoilt": spoilt})
        here, told = values(store), sweep.status(store)
        others = [index for index in range(SETTINGS["positions"]) if index != spoilt]
        equal = all(np.array_equal(here[name][others], self.whole[name][others]) for name in VALUES)
        recorded = told.failed == 1 and told.done == len(others) and bool(Store(store).reason(spoilt))
        self.tell("an image that is not finite", 1, code == 0 and recorded and equal, said=Store(store).reason(spoilt))

    def runner_killed(self) -> None:
        """SIGKILL at random moments of `geomlib run`, with all that belongs to it; then it is run again."""
        projects = [self.folder / name for name in ("quiet", "disturbed")]
        found, kills, moments = [], 0, 0.0
        for project in projects:
            (project / "notebooks").mkdir(parents=True)
            shutil.copy(ROOT / "_config.yml", project)
            shutil.copy(ROOT / "notebooks" / "anisotropy.ipynb", project / "notebooks")
            while project.name == "disturbed" and kills < self.kills:
                process = subprocess.Popen(RUN, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(self.random.uniform(0.1, moments))
                if process.poll() is None:
                    process.kill()
                    kills += 1
                else:  # it was through: begin anew
                    shutil.rmtree(project / "results")
                process.wait()
            began = time.monotonic()
            code = subprocess.run(RUN, cwd=project, capture_output=True, check=False).returncode
            moments = time.monotonic() - began
            run = next(project.glob("results/*--smallest"))
            left = [path.name for path in run.iterdir()]
            kept = dict(np.load(run / "anisotropy" / "arrays.npz"))
            found.append((code, left, json.loads((run / "anisotropy/summary.json").read_text())["numbers"], kept))
        (first, here, numbers, arrays), (again, there, others, kept) = found
        same = all(np.array_equal(arrays[name], kept[name]) for name in arrays)
        equal = first == again == 0 and here == there == ["anisotropy"] and numbers == others and same
        self.tell("runner of a notebook killed (SIGKILL)", kills, equal)

    def others(self) -> None:
        """Another seed, other weights, other code: refused, naming the field, and the store is as it was."""
        store = self.copy("others.zarr")
        code = (self.folder / "module.py").as_posix()
        for what, settings, field in (
            ("another seed", SETTINGS | {"seed": 1}, "latents"),
            ("other weights", SETTINGS | {"generator": "shapes-biggan"}, "weights"),
            ("other code", SETTINGS | {"generator": f"{code}:make"}, "generator source"),
        ):
            (self.folder / "module.py").write_text(SLOW, encoding="utf-8")
            status, said = finish(store, settings)
            self.tell(f"{what} refused", 1, status != 0 and field in said and self.equal(store), said=field)

    def workers_killed(self) -> None:
        """Workers of a local cluster killed while they are at work."""
        from distributed import LocalCluster

        store, kills, again = self.folder / "workers.zarr", 0, 0
        with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster:
            command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
            command += ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]

            def worker() -> subprocess.Popen[bytes]:
                return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

            workers = [worker(), worker()]
            process = start(store, SETTINGS, scheduler=cluster.scheduler_address)
            while kills < self.kills:
                time.sleep(self.random.uniform(2, 12))
                index = self.random.randrange(2)
                workers[index].kill()
                workers[index].wait()
                kills, workers[index] = kills + 1, worker()
                if process.poll() is not None:  # through, or a position has lost too many workers: once more
                    process.communicate()
                    again += 1
                    if done_of(store) == SETTINGS["positions"]:
                        shutil.rmtree(store)
                    process = start(store, SETTINGS, scheduler=cluster.scheduler_address)
            process.communicate()
            for one in workers:
                one.terminate()
                one.wait()
        code, _ = finish(store, SETTINGS)
        self.tell("workers killed (SIGKILL)", kills, code == 0 and self.equal(store), started_again=again)

    def hangs(self) -> None:
        """A worker that hangs at one position is started anew after `timeout` seconds."""
        from distributed import Client, LocalCluster

        module = self.folder / "slow.py"
        module.write_text(SLOW, encoding="utf-8")
        generator = geomlib.load_generator(f"{module}:make")
        distance, latents = geomlib.load_distance(f"{module}:distance"), generator.sample(4, 0)
        whole = sweep.run(generator, latents, distance, store=self.folder / "slow.zarr").load()
        (module.parent / "hang").touch()
        began = time.monotonic()
        with (
            LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            store = self.folder / "hangs.zarr"
            there = sweep.run(generator, latents, distance, store=store, client=client, timeout=20).load()
        equal = all(np.array_equal(whole[name], there[name]) for name in VALUES)
        self.tell("a worker hangs (timeout)", 1, equal, seconds=round(time.monotonic() - began))

    def places(self) -> None:
        """A full disk and a read-only mount: one line, and the store is as it was."""
        for what, options in (("full disk", "size=64k"), ("read-only place", "ro")):
            place = self.folder / what.replace(" ", "-")
            place.mkdir()
            try:
                with mounted(place, options):
                    status, said = finish(place / "a.zarr", SETTINGS)
                    left = [] if options == "ro" else [path.name for path in place.iterdir() if path.name != "a.zarr"]
                    if options == "ro":
                        equal = status != 0
                    else:  # the same store where there is room
                        moved = self.folder / "moved.zarr"
                        if (place / "a.zarr").exists():
                            shutil.copytree(place / "a.zarr", moved)
                        equal = status != 0 and not left and finish(moved, SETTINGS)[0] == 0 and self.equal(moved)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{what}: not tried, {error}", file=sys.stderr)
                continue
            self.tell(what, 1, equal, said=said[:120])


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """A small file system in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill, damage and fill, then run again and compare.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        store, settings, more = json.loads(options.work)
        if scheduler := more.pop("scheduler", None):
            from distributed import Client

            more["client"] = Client(scheduler)
        work(store, settings, **more)
        return
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), options.kills, options.seed)
        each: tuple[Callable[[], None], ...] = (
            faults.killed,
            faults.workers_killed,
            faults.damaged,
            faults.runner_killed,
            faults.two_writers,
            faults.not_finite,
            faults.others,
            faults.hangs,
            faults.places,
        )
        for fault in each:
            fault()
    record = {
        "benchmark": "faults",
        "faults": faults.rows,
        "settings": SETTINGS,
        "seed": options.seed,
        "machine": platform.platform(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "zarr": zarr.__version__},
    }
    if options.output:
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if not all(row["equal"] for row in faults.rows.values()):
        raise SystemExit("faults: not everything was as it should be")


if __name__ == "__main__":
    main()
