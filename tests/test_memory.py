"""Budgets, tiles that follow from them, tiles that shrink where memory runs out, and estimates."""

import logging

import pytest
import torch
from torch import Tensor, nn

import geomlib
from geomlib.derivatives.jacobian import Linearisation
from geomlib.derivatives.tiling import LARGEST_TILE, Footprint, Tiling, footprint, free_bytes, make_tiling, parse_bytes
from geomlib.metric import estimate

MSE = geomlib.load_distance("mse")
CPU = torch.device("cpu")


def generator(latent_dim: int = 12, outputs: int = 600) -> geomlib.Generator:
    torch.manual_seed(0)
    return geomlib.Generator(
        nn.Sequential(nn.Linear(latent_dim, 40), nn.Tanh(), nn.Linear(40, outputs)).double().eval(),
        latent_dim,
        output_range=None,
    )


def test_bytes() -> None:
    for text, count in (
        ("4GB", 4 * 10**9),
        ("1.5 MiB", 1572864),
        (1000, 1000),
        ("7", 7),
        ("2k", 2000),
        ("3G", 3 * 10**9),
    ):
        assert parse_bytes(text) == count
    for wrong in ("", "GB", "4 apples", "-1GB", 0, "0GB"):
        with pytest.raises(ValueError, match="memory: expected bytes such as"):
            parse_bytes(wrong)
    assert 10**6 < free_bytes(CPU) < 10**14


def test_footprint_counts_what_is_allocated() -> None:
    def function(z: Tensor) -> Tensor:
        wide = z.expand(1000, 4) * 2.0  # a view, then 32 000 bytes
        return wide.view(-1).add_(1.0)[:10].clone()  # no new memory, then 80 bytes

    assert footprint(function, torch.zeros(4, dtype=torch.float64)) == Footprint(32_000, 32_080, 80)


def test_the_tile_follows_from_the_activations() -> None:
    image_64, image_256 = Footprint(2**18, 2**21, 2**19), Footprint(2**24, 2**27, 2**23)
    assert make_tiling(image_64, 512, CPU, memory="64GB").tile == LARGEST_TILE
    assert make_tiling(image_256, 512, CPU, memory="64GB").tile == 2
    assert make_tiling(Footprint(2**23, 2**27, 2**23), 512, CPU, memory="64GB").tile == 4
    assert make_tiling(Footprint(2**28, 2**30, 2**23), 512, CPU, memory="64GB").tile == 1
    assert make_tiling(Footprint(2**28, 2**30, 2**23), 512, CPU, smallest_tile=4, memory="64GB").tile == 4
    assert make_tiling(image_64, 20, CPU, memory="64GB").tile == 20
    assert make_tiling(image_64, 120, CPU, memory="64GB").tile == 60  # not 64 and 56
    assert make_tiling(image_64, 512, CPU, tile=7, memory="64GB").tile == 7


def test_the_budget_caps_tile_and_block() -> None:
    sizes = Footprint(10**6, 10**7, 10**6)
    for budget in (2 * 10**7, 10**8, 10**9):
        tiling = make_tiling(sizes, 400, CPU, memory=budget)
        assert tiling.bytes <= budget == tiling.memory
        assert 1 <= tiling.block <= 400
        assert tiling.passes(400) == pytest.approx(1 if tiling.block == 400 else (400 / tiling.block + 1) / 2, rel=0.05)
    assert make_tiling(sizes, 400, CPU, memory=2 * 10**7).tile < make_tiling(sizes, 400, CPU, memory=10**9).tile
    with pytest.raises(ValueError, match="memory: expected at least 16000000 bytes, for one column, got '1MB'"):
        make_tiling(sizes, 400, CPU, memory="1MB")
    second = make_tiling(sizes, 400, CPU, memory=10**9, second_order=True)
    assert second.tile == 24 and second.bytes <= 10**9


def test_a_small_budget_gives_the_same_metric() -> None:
    G = generator()
    latents = G.sample(2, seed=0)
    free, tight = (geomlib.metric_tensor(G, latents, MSE, memory=memory) for memory in ("1GB", "60kB"))
    assert (free.settings["block"], free.settings["memory"]) == ("12", "1000000000")
    assert int(tight.settings["block"]) < 12
    assert torch.allclose(free.matrix, tight.matrix, rtol=1e-12)


def test_settings_are_kept_with_the_metric(tmp_path) -> None:
    G = generator()
    metric = geomlib.metric_tensor(G, G.sample(3, seed=0), MSE, tile=5)
    assert {key: metric.settings[key] for key in ("method", "route", "tile", "dtype", "device", "precision")} == {
        "method": "pullback",
        "route": "JVP",
        "tile": "5",
        "dtype": "float64",
        "device": "cpu",
        "precision": "full",
    }
    assert metric.settings["recorded"] == "True"
    assert int(metric.settings["memory"]) > 10**6
    metric.save(tmp_path / "metric")
    assert geomlib.load_metric(tmp_path / "metric").settings == metric.settings
    assert metric[0].settings == geomlib.average(metric).settings == metric.settings


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_halves_the_tile(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tile stays small for all later positions, the numbers are right, and the route is not given up."""
    G, room, real = generator(), 4, Linearisation._jvp
    latents = G.sample(3, seed=0)
    expected = geomlib.metric_tensor(G, latents, MSE, tile=3).matrix

    def on_a_small_card(self: Linearisation, rows: Tensor) -> Tensor:
        if len(rows) > room:
            raise error
        return real(self, rows)

    monkeypatch.setattr(Linearisation, "_jvp", on_a_small_card)
    with caplog.at_level(logging.WARNING):
        metric = geomlib.metric_tensor(G, latents, MSE, tile=12)
    assert [record.getMessage() for record in caplog.records] == [
        f"out of memory: going on with tiles of {tile} columns" for tile in (6, 3)
    ]
    assert metric.settings["tile"] == "3" and metric.settings["route"] == "JVP"
    assert torch.equal(metric.matrix, expected)
    room = 0
    with pytest.raises(type(error), match="memory"):
        geomlib.metric_tensor(G, latents, MSE)


def test_tiles_go_on_where_they_stopped() -> None:
    asked: list[int] = []

    def double(rows: Tensor) -> Tensor:
        asked.append(len(rows))
        if len(asked) == 2:
            raise torch.OutOfMemoryError("full")
        return 2 * rows

    tiling = Tiling(tile=4, block=10, memory=0, bytes=0)
    rows = torch.arange(10.0)[:, None]
    assert torch.equal(tiling.run(double, rows), 2 * rows)
    assert asked == [4, 4, 2, 2, 2] and tiling.tile == 2


@pytest.mark.parametrize("method", ["pullback", "backward", "forward"])
def test_estimate(method: str) -> None:
    G = generator()
    one, many = (estimate(G, z, MSE, method, tile=4) for z in (G.sample(1, seed=0)[0], G.sample(50, seed=0)))
    assert (one.positions, many.positions) == (1, 50)
    assert many.columns == 12 and many.tile == 4
    assert many.seconds > 0 and many.bytes == one.bytes > 600 * 8
    with pytest.raises(ValueError, match="z: expected shape"):
        estimate(G, torch.zeros(5), MSE)
