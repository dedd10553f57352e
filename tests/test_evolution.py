"""CMA-ES finds maxima, is pycma's own, keeps its budget and its random numbers; units are read where they should be."""

import dataclasses

import cma
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import geomlib
from geomlib.applications import coordinates
from geomlib.applications import search as evolution
from geomlib.worlds.shapes.networks import load_factor_reader

N = 6
TOP = torch.arange(N, dtype=torch.float64) / 2
CURVATURE = 10.0 ** torch.linspace(0, -4, N, dtype=torch.float64)
FRAME = torch.linalg.qr(torch.randn(N, N, generator=torch.Generator().manual_seed(3)).double()).Q
HESSIAN = FRAME @ CURVATURE.diag() @ FRAME.mT


def hill(latents: Tensor) -> Tensor:
    """Concave and ill-conditioned, 0 at its top: `−½ (z − t)ᵀ H (z − t)`."""
    moved = latents - TOP
    return -(moved @ HESSIAN * moved).sum(-1) / 2


def sphere(latents: Tensor) -> Tensor:
    return -(latents - TOP).square().sum(-1)


def metric() -> geomlib.Metric:
    return geomlib.Metric.from_matrix(HESSIAN, torch.zeros(()))


def starts(count: int) -> Tensor:
    return torch.randn(count, N, generator=torch.Generator().manual_seed(1)).double()


def test_the_maximum_of_a_quadratic_is_found() -> None:
    search = evolution.maximise(sphere, coordinates.standard(N), starts(1)[0], sigma=0.5, generations=150)
    assert torch.allclose(search.best, TOP, atol=1e-5)
    assert torch.allclose(search.means[-1], TOP, atol=1e-5)
    assert search.best_score == search.scores.max() > -1e-9
    assert torch.allclose(sphere(search.best), search.best_score)


def test_scaled_coordinates_need_fewer_calls() -> None:
    """With scales `λ^(−1/2)` the quadratic is a sphere to the search."""
    arms = [coordinates.eigen(metric(), 0.5, smallest=1e-9), coordinates.standard(N)]
    needed = []
    for chosen in arms:
        search = evolution.maximise(hill, chosen, starts(4), sigma=0.5, generations=150)
        near = (search.scores > -1e-6).any(2)
        assert near.any(1).all()
        needed.append(near.int().argmax(1).double().mean())
    assert needed[0] < 0.7 * needed[1]


def test_it_is_the_loop_of_pycma() -> None:
    """One search is pycma's ask and tell on the negative score, in the same coordinates."""
    chosen, start = coordinates.eigen(metric(), 0.25), starts(1)[0]
    random = np.random.default_rng(5)
    plain = cma.CMAEvolutionStrategy(
        np.zeros(N), 0.4,
        {"popsize": 9, "verbose": -9, "seed": np.nan, "randn": lambda *shape: random.standard_normal(shape)},
    )  # fmt: skip
    trace, values = [start], []
    for _ in range(12):
        points = plain.ask()
        latents = [start + chosen.latents(torch.from_numpy(point)) for point in points]
        values.append([float(hill(latent)) for latent in latents])
        plain.tell(points, [-value for value in values[-1]])
        trace.append(start + chosen.latents(torch.from_numpy(plain.mean)))
    search = evolution.maximise(hill, chosen, start, sigma=0.4, generations=12, population=9, seed=5)
    torch.testing.assert_close(search.scores, torch.tensor(values, dtype=torch.float64))
    torch.testing.assert_close(search.means, torch.stack(trace))


def test_searches_side_by_side_are_those_one_by_one() -> None:
    begin = starts(3)
    settings = {"sigma": 0.3, "generations": 7, "population": 8}
    together = evolution.maximise(hill, coordinates.standard(N), begin, seed=4, **settings)  # type: ignore[arg-type]
    for run, start in enumerate(begin):
        alone = evolution.maximise(hill, coordinates.standard(N), start, seed=4 + run, **settings)  # type: ignore[arg-type]
        for field in ("best", "best_score", "scores", "means"):
            torch.testing.assert_close(getattr(alone, field), getattr(together, field)[run])
        assert alone.calls == together.calls


def test_the_budget_is_exact_and_the_start_is_the_first_mean() -> None:
    seen, told = [], []

    def counted(latents: Tensor) -> Tensor:
        seen.append(latents)
        return torch.zeros(latents.shape[:-1])  # flat: pycma alone would stop here

    search = evolution.maximise(
        counted, coordinates.standard(N), starts(2).float(), sigma=1e-3, generations=30, population=5,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert sum(part.shape[1] for part in seen) == search.calls == 150
    assert all(part.shape == (2, 5, N) and part.dtype == torch.float32 for part in seen)
    assert told == [(done, 30) for done in range(1, 31)]
    assert search.means.shape == (2, 31, N) and search.scores.shape == (2, 30, 5)
    torch.testing.assert_close(search.means[:, 0], starts(2), atol=1e-6, rtol=0)
    default = evolution.maximise(hill, coordinates.standard(N), starts(1), sigma=1.0, generations=1)
    assert default.calls == 4 + int(3 * np.log(N))


def test_the_first_generation_has_the_deviation_sigma() -> None:
    """About the start, along each axis times its scale."""
    seen = []

    def kept(latents: Tensor) -> Tensor:
        seen.append(latents)
        return hill(latents)

    chosen, start = coordinates.eigen(metric(), 0.25), starts(1)[0]
    evolution.maximise(kept, chosen, start, sigma=0.2, generations=1, population=4000)
    along = (seen[0] - start) @ chosen.frame
    assert torch.allclose(along.std(0) / chosen.scales, torch.full((N,), 0.2).double(), rtol=0.05)
    assert (along.mean(0) / chosen.scales).abs().max() < 0.02


def test_fewer_axes_stay_in_their_plane_through_the_start() -> None:
    top, start = coordinates.eigen(metric(), 0.25, 2), starts(1)[0]
    search = evolution.maximise(hill, top, start, sigma=0.5, generations=80)
    moved = search.best - start
    assert torch.allclose(moved, top.frame @ (top.frame.mT @ moved))
    # The best of the plane: the top of the hill as seen along its axes.
    assert torch.allclose(top.frame.mT @ (search.best - TOP), torch.zeros(2).double(), atol=1e-4)


def test_random_numbers_are_its_own() -> None:
    def run(seed: int) -> evolution.Search:
        return evolution.maximise(hill, coordinates.standard(N), starts(2), sigma=0.5, generations=5, seed=seed)

    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[index, union-attr]  # noqa: NPY002
    first, again, other = run(1), run(1), run(9)
    assert np.array_equal(before[0], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    for field in dataclasses.fields(evolution.Search):
        assert torch.equal(torch.as_tensor(getattr(first, field.name)), torch.as_tensor(getattr(again, field.name)))
    assert not torch.equal(first.scores, other.scores)
    assert not torch.equal(first.scores[0], run(1).scores[1])


def test_nothing_is_said_and_no_file_is_written(
    capfd: pytest.CaptureFixture[str], tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    evolution.maximise(lambda z: z[..., 0] * 0, coordinates.standard(N), starts(1), sigma=1.0, generations=40)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def shapes() -> geomlib.Generator:
    return geomlib.load_generator("shapes-dcgan")


def test_units_are_read_at_the_centre(shapes: geomlib.Generator) -> None:
    reader, latents = load_factor_reader(), shapes.sample(5, seed=0)
    found = evolution.activations(shapes, reader, latents, ["stem", "blocks.1", "hidden", "output"], batch=2)
    with torch.no_grad():
        images = shapes(latents)
        stem = reader.stem(2 * images - 1)
        second = reader.blocks[:2](stem.relu())
        hidden = reader.hidden(reader.blocks[2](second).flatten(1))
    assert [answer.shape[1] for answer in found.values()] == [24, 64, 128, 16]
    torch.testing.assert_close(found["stem"], stem[:, :, 16, 16], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["blocks.1"], second[:, :, 4, 4], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["hidden"], hidden, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["output"], reader(images).detach(), atol=1e-4, rtol=1e-4)
    assert not any(module._forward_hooks for module in reader.modules())


def test_each_search_has_its_unit(shapes: geomlib.Generator) -> None:
    reader, latents = load_factor_reader(), shapes.sample(6, seed=1).unflatten(0, (3, 2))
    units = [("output", 1), ("stem", 5), ("output", 0)]
    scores = evolution.unit_scores(shapes, reader, units)(latents)
    for row, (layer, index) in enumerate(units):
        alone = evolution.activations(shapes, reader, latents[row], [layer])[layer][:, index]
        torch.testing.assert_close(scores[row], alone, atol=1e-4, rtol=1e-4)


def test_a_linear_unit_is_driven_along_its_weights() -> None:
    """The answer of a linear unit to a linear generator grows along one direction, its gradient."""
    G = geomlib.load_generator("linear")
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(G.image_shape)), 3))
    for parameter in network.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    start = G.sample(1, seed=0)
    score = evolution.unit_scores(G, network, [("1", 2)])
    search = evolution.maximise(score, coordinates.standard(G.latent_dim), start, sigma=0.3, generations=60)
    z = start[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(G(z[None]))[0, 2], z)
    moved = (search.means[0, -1] - search.means[0, 0]).float()
    assert torch.cosine_similarity(moved, gradient, dim=0) > 0.8
    assert search.scores[0, -1].min() > search.scores[0, 0].max()


def test_wrong_arguments(shapes: geomlib.Generator) -> None:
    plain, start = coordinates.standard(N), starts(2)

    def run(score: evolution.Score = hill, begin: Tensor = start, **changed: float) -> evolution.Search:
        return evolution.maximise(score, plain, begin, **({"sigma": 0.5, "generations": 2} | changed))  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"start: expected shape \(6,\) or \(R, 6\), as coordinates have"):
        run(begin=start[:, 1:])
    with pytest.raises(TypeError, match="start: expected a floating-point tensor"):
        run(begin=start.long())
    for name, value in {"sigma": 0.0, "generations": 0, "population": 3}.items():
        with pytest.raises(ValueError, match=f"{name}: expected .*, got {value}"):
            run(**{name: value})
    with pytest.raises(ValueError, match=r"score: expected one number a latent, \(2, 9\), got \(2, 9, 6\)"):
        run(score=lambda latents: latents)
    with pytest.raises(FloatingPointError, match="scores of generation 0: 18 of 18"):
        run(score=lambda latents: latents[..., 0] * torch.nan)
    with pytest.raises(ValueError, match="coordinates: expected at least two axes, got 1"):
        evolution.maximise(hill, coordinates.eigen(metric(), k=1), start, sigma=0.5, generations=2)
    reader = load_factor_reader()
    with pytest.raises(ValueError, match="layers: expected one of 'stem', .*, got 'conv1'"):
        evolution.activations(shapes, reader, shapes.sample(1, 0), ["conv1"])
    with pytest.raises(ValueError, match="units: expected at least one"):
        evolution.unit_scores(shapes, reader, [])
    score = evolution.unit_scores(shapes, reader, [("output", 16)])
    with pytest.raises(ValueError, match="units of output: expected one of 0, .*, got 16"):
        score(shapes.sample(1, 0)[None])
    with pytest.raises(ValueError, match=r"latents: expected \(1, B, n\), a row for each unit, got \(1, 64\)"):
        score(shapes.sample(1, 0))
