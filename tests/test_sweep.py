"""Sweeps: what is in the store is the metric, what is killed or damaged is computed again, what differs is refused."""

import importlib
import logging
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_cli import call
from torch import Tensor, nn

import geomlib
from geomlib import sweep
from geomlib.applications import controls
from geomlib.sweep.store import Store

G = geomlib.load_generator("sphere")
Z = G.sample(6, seed=3)
D = geomlib.Distance("values", lambda x: x.flatten(1))


def run(store: Path, **options: object) -> dict[str, np.ndarray]:
    dataset = sweep.run(options.pop("generator", G), options.pop("latents", Z), D, store=store, **options)  # type: ignore[arg-type]
    return {str(name): np.asarray(dataset[name]) for name in dataset}


def test_the_dataset_holds_the_metric(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    dataset = run(tmp_path / "a.zarr", matrix=True, progress=lambda done, total: seen.append((done, total)))
    metric = geomlib.metric_tensor(G, Z, D)
    for name in ("matrix", "eigenvalues", "eigenvectors", "noise_floor"):
        assert np.array_equal(dataset[name], getattr(metric, name).numpy()), name
    assert np.array_equal(dataset["latents"], Z.double().numpy())
    assert (dataset["state"] == sweep.State.DONE).all() and seen[-1] == (6, 6)


def test_the_leading_pairs_alone(tmp_path: Path) -> None:
    dataset = run(tmp_path / "a.zarr", top=1)
    assert dataset["eigenvalues"].shape == (6, 1) and dataset["residuals"].shape == (6, 1)
    assert np.allclose(dataset["eigenvalues"][:, 0], geomlib.metric_tensor(G, Z, D).eigenvalues[:, 0])


def test_nothing_is_computed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path / "a.zarr", shard=(0, 3))
    assert (first["state"] == [1, 0, 0, 1, 0, 0]).all()
    second = run(tmp_path / "a.zarr")
    assert (second["seconds"][[0, 3]] == first["seconds"][[0, 3]]).all() and (second["state"] == 1).all()
    monkeypatch.setattr("geomlib.sweep.task.metric_tensor", None)
    run(tmp_path / "a.zarr")


def test_status(tmp_path: Path) -> None:
    run(tmp_path / "a.zarr", shard=(1, 2))
    told = sweep.status(tmp_path / "a.zarr")
    assert (told.positions, told.done, told.failed, told.missing, told.damaged) == (6, 3, 0, 3, 0)
    assert told.bytes > 0 and told.seconds > 0


@pytest.mark.parametrize("harm", ["flip", "zero", "cut", "empty", "delete"])
@pytest.mark.parametrize("name", ["eigenvectors", "noise_floor", "state"])
def test_damage_is_found_and_mended(tmp_path: Path, harm: str, name: str) -> None:
    whole = run(tmp_path / "a.zarr")
    (chunk,) = [
        path
        for path in (tmp_path / "a.zarr" / name / "c").rglob("*")
        if path.is_file() and path.parts[-1 if name in ("noise_floor", "state") else -3] == "2"
    ]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 8
    harmed = {"flip": bytes(content), "zero": bytes(len(content)), "cut": bytes(content[:-3]), "empty": b""}
    if harm == "delete":
        chunk.unlink()
    else:
        chunk.write_bytes(harmed[harm])
    if (name, harm) != ("state", "delete"):  # a state that is gone says that the position is missing
        assert Store(tmp_path / "a.zarr").damaged() == [2]
    again = run(tmp_path / "a.zarr", verify=True)
    assert all(np.array_equal(again[key], whole[key]) for key in whole if key != "seconds")


def test_what_differs_is_named(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    run(store)
    for expected, options in {
        "latents": {"latents": G.sample(6, seed=4)},
        "generator": {"generator": geomlib.load_generator("torus"), "latents": Z},
        "tile": {"tile": 1},
        "method": {"method": "backward"},
        "dtype": {"generator": G.to("cpu", torch.float64)},
        "holds": {"matrix": True},
    }.items():
        with pytest.raises(ValueError, match=expected):
            run(store, **options)  # type: ignore[arg-type]
    assert (run(store)["state"] == 1).all()


def test_other_weights_and_other_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Linear(4, 6).eval()
    generator = geomlib.Generator(network, 4, output_range=None)
    z = torch.randn(2, 4)
    run(tmp_path / "a.zarr", generator=generator, latents=z)
    with torch.no_grad():
        network.weight += 1
    with pytest.raises(ValueError, match="weights"):
        run(tmp_path / "a.zarr", generator=geomlib.Generator(network, 4, output_range=None), latents=z)
    run(tmp_path / "b.zarr")
    monkeypatch.setattr("geomlib.sweep.fingerprint.numerics_hash", lambda: "another")
    with pytest.raises(ValueError, match="geomlib"):
        run(tmp_path / "b.zarr")


def broken(z: Tensor) -> Tensor:
    """A plane that is not finite where the first coordinate is above 100."""
    return torch.stack([z[:, 0] + 0 / (z[:, 0] < 100), z[:, 1], z[:, 0] * z[:, 1]], 1)


def test_a_position_that_fails_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    generator = geomlib.Generator(broken, 2, output_range=None, name="broken")
    z = torch.tensor([[1.0, 2.0], [101.0, 2.0], [3.0, 4.0]])
    with caplog.at_level(logging.WARNING):
        dataset = run(tmp_path / "a.zarr", generator=generator, latents=z)
    assert (dataset["state"] == [1, 2, 1]).all() and np.isnan(dataset["eigenvalues"][1]).all()
    assert "finite" in Store(tmp_path / "a.zarr").reason(1) and "position 1" in caplog.text
    caplog.clear()
    run(tmp_path / "a.zarr", generator=generator, latents=z)
    assert not caplog.text
    run(tmp_path / "a.zarr", generator=generator, latents=z, retry_failed=True)
    assert "position 1" in caplog.text
    store = Store(tmp_path / "a.zarr")
    store.write(1, {"eigenvalues": [2.0, 1.0]})
    assert store.reason(1) == "", "what is done has no reason"


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    for options, words in (
        ({"latents": Z[:0]}, "at least one"),
        ({"latents": torch.randn(3, 7)}, "latents"),
        ({"latents": Z * float("nan")}, "latents"),
        ({"shard": (3, 3)}, "shard"),
        ({"shard": (-1, 3)}, "shard"),
        ({"timeout": 3.0}, "client"),
    ):
        with pytest.raises((ValueError, FloatingPointError), match=words):
            run(tmp_path / "a.zarr", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ValueError, match="no store of a sweep"):
        run(tmp_path / "notes")
    with pytest.raises(ValueError, match="no store of a sweep"):
        sweep.status(tmp_path / "notes" / "a.txt")
    with pytest.raises(FileNotFoundError, match="no store"):
        sweep.status(tmp_path / "nothing")
    with pytest.raises(OSError, match="store: cannot write"):
        run(tmp_path / "notes" / "a.txt" / "b.zarr")
    with pytest.raises(OSError, match="store: cannot write"):
        sweep.metrics(SHAPES, SHAPES.sample(1, seed=0), MSE, store=tmp_path / "notes" / "a.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "a.txt"]


def test_what_a_killed_process_left_half_made_goes(tmp_path: Path) -> None:
    store, host = tmp_path / "a.zarr", socket.gethostname()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, living, elsewhere = (
        tmp_path / f".a.zarr-{name}-{pid}-00"
        for name, pid in ((host, gone.pid), (host, os.getpid()), ("other", gone.pid))
    )
    for folder in (left, living, elsewhere):
        folder.mkdir()
    run(store)
    assert living.exists() and elsewhere.exists() and not left.exists()


SHAPES, MSE = geomlib.load_generator("shapes-biggan", "class"), geomlib.load_distance("mse")


def test_notebooks_share_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = SHAPES.sample(3, seed=5)
    expected = geomlib.metric_tensor(SHAPES, latents, MSE)
    monkeypatch.setenv("GEOMLIB_STORE", str(tmp_path))
    for count in (2, 3):
        metric = sweep.metrics(SHAPES, latents[:count], MSE)
        for name in ("matrix", "eigenvalues", "eigenvectors", "noise_floor"):
            assert torch.equal(getattr(metric, name), getattr(expected, name)[:count]), name
        assert metric.settings.items() <= expected.settings.items()
    monkeypatch.setattr("geomlib.sweep.task.metric_tensor", None)
    assert torch.equal(sweep.metrics(SHAPES, latents.flip(0), MSE).matrix, expected.matrix.flip(0))
    assert torch.equal(sweep.metrics(SHAPES, latents[1], MSE).matrix, expected.matrix[1]), "one latent alone"


@pytest.mark.parametrize("harmed", ["zarr.json", "eigenvalues/zarr.json", "matrix/c/0/0/0", "state/c/0"])
def test_a_damaged_shared_metric_is_computed_again(tmp_path: Path, harmed: str) -> None:
    latents = SHAPES.sample(1, seed=5)
    first = sweep.metrics(SHAPES, latents, MSE, store=tmp_path)
    [path] = tmp_path.glob(f"*/*.zarr/{harmed}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert torch.equal(sweep.metrics(SHAPES, latents, MSE, store=tmp_path).matrix, first.matrix)


def test_controls_of_other_options_share_nothing(tmp_path: Path) -> None:
    """Two networks of one state and one name that differ in an option of their generator."""
    kept = []
    for truncation in (1.0, 0.5):
        generator = geomlib.load_generator("shapes-stylegan2", "z", truncation=truncation)
        control = controls.shuffled(generator, seed=0)
        metric = sweep.metrics(control, generator.sample(1, seed=0), MSE, store=tmp_path)
        assert torch.equal(metric.matrix, geomlib.metric_tensor(control, generator.sample(1, seed=0), MSE).matrix)
        kept.append(metric.matrix)
    assert not torch.allclose(*kept)


@pytest.mark.parametrize("by_hand", ["generator", "distance"])
def test_nothing_is_kept_of_what_has_no_source(tmp_path: Path, by_hand: str) -> None:
    generator, distance = (G, MSE) if by_hand == "distance" else (geomlib.Generator(nn.Tanh().eval(), 2, None), D)
    sweep.metrics(generator, Z[:1, :2], D if by_hand == "distance" else distance, store=tmp_path)
    assert not list(tmp_path.iterdir())


FACTORY = """
import geomlib, json, settings
from torch import nn
def make():
    net = nn.Sequential(nn.Linear(2, 12), nn.Flatten(), nn.Unflatten(1, (3, 2, 2))).eval()
    for value in net.parameters():
        nn.init.constant_(value, 0.5)
    scale = json.load(open("scale.json")) * settings.scale
    return geomlib.Generator(net, 2, output_range=(-scale, scale), clamp=False, default_distance="mse")
"""


@pytest.mark.parametrize("changed", [("scale.json", "2.0"), ("settings.py", "scale = 3.0")])
def test_a_setting_of_a_factory_is_part_of_what_a_metric_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {"mine.py": FACTORY, "scale.json": "1.0", "settings.py": "scale = 1.0"}.items():
        Path(name).write_text(text)
    before = sweep.metrics(geomlib.load_generator("mine.py:make"), torch.ones(1, 2), MSE, store="kept")
    Path(changed[0]).write_text(changed[1])
    monkeypatch.delitem(sys.modules, "settings")
    importlib.invalidate_caches()
    shutil.rmtree("__pycache__", ignore_errors=True)
    after = sweep.metrics(geomlib.load_generator("mine.py:make"), torch.ones(1, 2), MSE, store="kept")
    factor = {"scale.json": 4.0, "settings.py": 9.0}[changed[0]]
    assert torch.allclose(before.matrix, factor * after.matrix)


def test_a_shared_metric_that_fails_names_its_position(tmp_path: Path) -> None:
    latents = SHAPES.sample(2, seed=0)
    latents[1] = 1e30
    with pytest.raises(FloatingPointError, match="position 1"):
        sweep.metrics(SHAPES, latents, MSE, store=tmp_path)


def test_workers_of_a_cluster_give_the_same_bits(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    generator, distance = geomlib.load_generator("shapes-dcgan"), geomlib.load_distance("mse")
    latents = generator.sample(4, seed=0)
    here = sweep.run(generator, latents, distance, store=tmp_path / "here.zarr")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = sweep.run(generator, latents, distance, store=tmp_path / "there.zarr", client=client)
    for name in ("eigenvalues", "eigenvectors", "noise_floor", "state"):
        assert np.array_equal(here[name], there[name]), name


def test_a_client_without_workers_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("geomlib.sweep.cluster.PATIENCE", 2.0)
    generator, distance = geomlib.load_generator("shapes-biggan", "class"), geomlib.load_distance("mse")
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(RuntimeError, match="no worker for 2 s"),
    ):
        sweep.run(generator, generator.sample(2, seed=0), distance, store=tmp_path / "a.zarr", client=client)
    assert sweep.status(tmp_path / "a.zarr").missing == 2


def test_a_scheduler_of_the_command_line_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        arguments = ("sweep", "shapes-biggan", "--scheduler", "tcp://127.0.0.1:9", "--store", str(tmp_path / "a.zarr"))
        assert call(monkeypatch, *arguments) == 2
    assert dask.config.get("scheduler", None) is None, "who reads a store afterwards needs no cluster"


def test_whole_numbers_of_numpy_are_as_good(tmp_path: Path) -> None:
    found = run(tmp_path / "a.zarr", top=np.int64(1))
    assert found["eigenvalues"].shape == (6, 1)
