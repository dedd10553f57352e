"""Axes of other methods against closed forms, numpy's decompositions, autograd, and the weights in the state dict."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import geomlib
from geomlib.applications import directions
from geomlib.generators import analytic
from geomlib.generators.architectures import build
from geomlib.generators.spaces import as_generator
from geomlib.homogeneity import random_frame
from geomlib.metric import Metric

GOLDEN = Path(__file__).parent / "golden"
EMBEDDED = [
    ("shapes-dcgan", "z"), ("shapes-stylegan2", "z"), ("shapes-stylegan2", "w"), ("shapes-stylegan2", "w+"),
    ("shapes-biggan", "all"), ("shapes-biggan", "noise"), ("shapes-biggan", "class"), ("tones-wavegan", "z"),
]  # fmt: skip


def leading(weights: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Right singular vectors `(n, k)` and values of weights `(m, n)`, by numpy."""
    _, values, rows = np.linalg.svd(weights.detach().double().numpy(), full_matrices=False)
    return torch.from_numpy(rows[:k].T.copy()), torch.from_numpy(values[:k])


def assert_same_axes(found: Tensor, expected: Tensor, tolerance: float = 1e-6) -> None:
    """Equal up to signs."""
    assert found.shape == expected.shape
    assert ((found * expected).sum(0).abs() - 1).abs().max() < tolerance


def matrix(outputs: int = 12, n: int = 5) -> Tensor:
    """A matrix with singular values 5, 4, 3, 2, 1 times ten and axes at random."""
    return (
        random_frame(outputs, n, 1) * torch.arange(n, 0, -1, dtype=torch.float64) * 10
    ) @ random_frame(n, n, 2).T  # fmt: skip


def white(count: int, random: torch.Generator) -> Tensor:
    """Latents whose sample covariance is exactly the identity, where there are enough of them."""
    draw = torch.randn(count, 5, generator=random, dtype=torch.float64)
    return draw if count < 6 else (count - 1) ** 0.5 * torch.linalg.qr(draw - draw.mean(0)).Q


@pytest.fixture
def linear() -> geomlib.Generator:
    """`A z + b`, as a layer and an identity behind it."""
    layer = nn.Linear(5, 12, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(matrix())
    return geomlib.Generator(nn.Sequential(layer, nn.Identity()).eval(), 5, output_range=None, sampler=white)


@pytest.mark.parametrize("layer", ["", "0"])
def test_all_methods_find_the_axes_of_a_linear_map(linear: geomlib.Generator, layer: str) -> None:
    expected, values = leading(matrix(), 3)
    found = [
        directions.sefa(linear, 3),
        directions.ganspace(linear, layer, 3, latents=linear.sample(16, seed=0)),
        directions.local_basis(linear, linear.sample(9, seed=1)[0], layer, 3),
    ]
    for one in found:
        assert_same_axes(one.axes, expected)
        assert torch.allclose(one.strengths, values, rtol=1e-9), one.name
        assert one.axes.dtype == torch.float64
    assert [one.passes for one in found] == [5, 16, 5]
    assert found[1].name == f"GANSpace ({layer or 'output'})"


def test_ganspace_minimises_its_regression() -> None:
    layers = nn.Sequential(nn.Linear(4, 30), nn.Tanh(), nn.Linear(30, 6)).eval()
    G = geomlib.Generator(layers, 4, output_range=None)
    for layer, count, k in (("1", 20, 3), ("1", 200, 3), ("", 200, 2)):
        z = G.sample(count, seed=3)
        with torch.no_grad():
            activations = (layers[:2] if layer else layers)(z).double().numpy()
        centred = activations - activations.mean(0)
        coordinates = np.linalg.svd(centred, full_matrices=False)[0][:, :k]
        latents = z.double().numpy() - z.double().numpy().mean(0)
        solution = np.linalg.lstsq(coordinates, latents, rcond=None)[0].T
        found = directions.ganspace(G, layer, k, latents=G.sample(count, seed=3))
        assert_same_axes(found.axes, torch.from_numpy(solution / np.linalg.norm(solution, axis=0)), 1e-5)
        deviations = torch.from_numpy(np.linalg.svd(centred, compute_uv=False)[:k] / (count - 1) ** 0.5)
        assert torch.allclose(found.strengths, deviations, rtol=1e-4)
        assert found.passes == count


def test_ganspace_of_latents_is_their_principal_components() -> None:
    G = geomlib.load_generator("shapes-stylegan2", space="w")
    found = directions.ganspace(G, "latent", 6, latents=G.sample(300, seed=2))
    expected, _ = leading(G.sample(300, seed=2) - G.sample(300, seed=2).mean(0), 6)
    assert_same_axes(found.axes, expected, 1e-5)
    assert found.passes == 0
    classes = geomlib.load_generator("shapes-biggan", space="class")
    assert directions.ganspace(classes, "", 5, latents=classes.sample(30, seed=0)).axes.shape == (16, 2), (
        "three classes span a plane"
    )


def test_local_basis_is_that_of_the_jacobian_by_autograd() -> None:
    G = geomlib.load_generator("shapes-dcgan").to("cpu", torch.float64)
    z = G.sample(1, seed=4)[0]

    def head(z: Tensor) -> Tensor:
        x = G.module.formatLayer(z[None, :, None, None])
        return G.module.main[:3](x).flatten()

    J = torch.autograd.functional.jacobian(head, z, vectorize=True, strategy="forward-mode")
    expected, values = leading(J, 8)
    found = directions.local_basis(G, z, "main.convTranspose1", 8)
    assert_same_axes(found.axes, expected)
    assert torch.allclose(found.strengths, values, rtol=1e-8) and found.passes == 64
    image = directions.local_basis(G, z, "", 3)
    metric = geomlib.metric_tensor(G, z, geomlib.load_distance("mse"))
    assert_same_axes(image.axes, metric.eigenvectors[:, :3])


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        keys = [key for key in file.keys() if key.startswith("state/")]  # noqa: SIM118 (the handle is no mapping)
        return {key[6:]: file.get_tensor(key) for key in keys}, json.loads(file.metadata()["config"])


def first_of_transposed(state: dict[str, Tensor]) -> Tensor:
    return state["formatLayer.weight"].flatten(1).T


def styles(state: dict[str, Tensor]) -> Tensor:
    """All weights that make a style of StyleGAN2; each acts times `1 / sqrt(fan-in)`, here a common factor."""
    parts = [value for key, value in state.items() if key.endswith("modulation.weight")]
    return torch.cat(parts) / parts[0].shape[1] ** 0.5


def adaptive(state: dict[str, Tensor]) -> Tensor:
    parts = [value for key, value in state.items() if key.endswith("style.linear.weight_orig")]
    return torch.cat(parts) * (2 / parts[0].shape[1]) ** 0.5


def normalised(state: dict[str, Tensor], name: str) -> Tensor:
    weight = state[f"{name}.weight_orig"]
    return weight / (state[f"{name}.weight_u"] @ weight @ state[f"{name}.weight_v"])


def conditions(state: dict[str, Tensor]) -> Tensor:
    names = [key.removesuffix(".weight_orig") for key in state if key.endswith(".weight_orig")]
    chosen = [name for name in names if name.endswith(("gen_z", ".scale", ".offset"))]
    return torch.cat([normalised(state, name) for name in chosen])


def through_a_convolution(state: dict[str, Tensor]) -> Tensor:
    """The first convolution of the pool5 generator as a matrix on flat latents."""
    weight = state["Rconv6.weight"].double()
    channels, side = weight.shape[1], 4
    units = torch.eye(channels * side**2, dtype=torch.float64).reshape(-1, channels, side, side)
    return torch.nn.functional.conv2d(units, weight, padding=1).flatten(1).T


@pytest.mark.parametrize(
    ("name", "space", "weights"),
    [
        ("dcgan", "", first_of_transposed),
        ("pgan", "", lambda state: state["formatLayer.module.weight"]),
        ("wavegan", "", lambda state: state["fc1.weight"]),
        ("deepsim_fc6", "", lambda state: state["defc7.weight"]),
        ("deepsim_pool5", "", through_a_convolution),
        ("stylegan", "z", lambda state: state["style.1.linear.weight_orig"]),
        ("stylegan", "w", adaptive),
        ("stylegan2", "z", lambda state: state["style.1.weight"]),
        ("stylegan2", "w", styles),
        ("biggan_deep", "all", conditions),
    ],
)
def test_sefa_decomposes_the_first_weights(
    name: str, space: str, weights: Callable[[dict[str, Tensor]], Tensor]
) -> None:
    state, config = golden(name)
    network = build(name, **config)
    network.load_state_dict(state, strict=False)
    G = as_generator(name, network.eval(), space)
    k = min(4, G.latent_dim)
    found = directions.sefa(G, k)
    expected, values = leading(weights(state), k)
    # Where one layer stands alone, its constant does not turn the axes.
    ratio = found.strengths / values
    assert torch.allclose(ratio, ratio[0], rtol=1e-5)
    assert_same_axes(found.axes, expected)
    if space in ("w", "all"):
        assert torch.allclose(ratio, torch.ones_like(ratio), rtol=1e-5)


def test_sefa_of_the_trained_generator() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    W = G.module.state_dict()["formatLayer.weight"].flatten(1).T
    expected, values = leading(W, 10)
    found = directions.sefa(G, 10)
    assert_same_axes(found.axes, expected)
    assert torch.allclose(found.strengths, values, rtol=1e-6)
    first = geomlib.layers.layer_metrics(G, G.sample(1, seed=0)[0], ["formatLayer"])["formatLayer"]
    assert_same_axes(found.axes, first.eigenvectors[:, :10], 1e-4)


def test_sefa_in_a_part_of_the_latents_and_under_truncation() -> None:
    """Spaces of a network see their own columns of the same weights; truncation scales them all."""
    whole = directions.sefa(geomlib.load_generator("shapes-biggan", space="all"), 64)
    squares = whole.axes * whole.strengths.square() @ whole.axes.T
    for space, part in (("noise", slice(0, 48)), ("class", slice(48, 64))):
        values, vectors = torch.linalg.eigh(squares[part, part])
        found = directions.sefa(geomlib.load_generator("shapes-biggan", space=space), 3)
        assert_same_axes(found.axes, vectors.flip(1)[:, :3])
        assert torch.allclose(found.strengths, values.flip(0)[:3].sqrt(), rtol=1e-6)
    plain, cut = (
        directions.sefa(geomlib.load_generator("shapes-stylegan2", space="w", truncation=t), 5) for t in (1.0, 0.5)
    )
    assert_same_axes(plain.axes, cut.axes)
    assert torch.allclose(cut.strengths, plain.strengths / 2, rtol=1e-5)


def test_sefa_does_not_take_a_second_layer_or_a_function_of_two() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(4, 7), nn.Linear(7, 4)
    G = geomlib.Generator(nn.Sequential(first, second, nn.BatchNorm1d(4)).eval(), 4, output_range=None)
    assert_same_axes(directions.sefa(G, 2).axes, leading(first.weight, 2)[0])
    A = torch.randn(4, 9)
    plain = geomlib.Generator(lambda z: torch.addmm(torch.ones(9), z, A).exp(), 4, output_range=None)
    assert_same_axes(directions.sefa(plain, 2).axes, leading(A.T, 2)[0])
    in_place = geomlib.Generator(lambda z: (z.clone().mul_(2) @ A).relu_(), 4, output_range=None)
    assert torch.allclose(directions.sefa(in_place, 4).strengths, 2 * leading(A.T, 4)[1], rtol=1e-6)
    mixed = geomlib.Generator(lambda z: (z + z.flip(1)) @ A, 4, output_range=None)
    for without in (analytic.sphere(), analytic.torus(), mixed):
        with pytest.raises(ValueError, match="takes the latent itself, so there are no first weights"):
            directions.sefa(without, 1)


@pytest.mark.parametrize(("name", "space"), EMBEDDED)
def test_every_embedded_generator(name: str, space: str) -> None:
    G = geomlib.load_generator(name, space=space)
    layer = geomlib.layers.layer_names(G)[-2]
    z = G.sample(1, seed=0)[0]
    found = [directions.sefa(G, 2), directions.ganspace(G, layer, 2, latents=G.sample(30, seed=0))]
    if G.latent_dim < 100:
        found.append(directions.local_basis(G, z, layer, 2))
    for one in found:
        assert one.axes.shape == (G.latent_dim, 2), one.name
        assert torch.allclose(one.axes.norm(dim=0), torch.ones(2, dtype=torch.float64))
        assert one.strengths[0] >= one.strengths[1] > 0
    again = directions.ganspace(G, layer, 2, latents=G.sample(30, seed=0))
    assert torch.equal(again.axes, found[1].axes)


def test_random_axes_are_the_control_of_homogeneity() -> None:
    assert torch.equal(directions.random(9, 4, seed=5).axes, random_frame(9, 4, seed=5))


def test_strength_and_energy() -> None:
    H = matrix().T @ matrix()
    V = leading(matrix(), 5)[0]
    squared = torch.tensor([2500.0, 1600, 900, 400, 100], dtype=torch.float64)
    assert torch.allclose(directions.strength(H, 7 * V), squared)
    assert torch.allclose(directions.strength(torch.stack([H, 2 * H]), V)[1], 2 * squared)
    random = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [float(a @ H @ a / (a @ a)) for a in random.T]
    assert torch.allclose(directions.strength(H, random), torch.tensor(expected, dtype=torch.float64))
    metric = Metric.from_matrix(H, torch.zeros(()))
    assert directions.energy_rank(metric, V, 0.9).tolist() == [1, 2, 3, 4, 5]
    assert directions.energy_rank(metric, V, 1.0).tolist() == [1, 2, 3, 4, 5]
    mixed = torch.stack([V[:, 0] + V[:, 1], 3 * V[:, 1] + V[:, 4], V.sum(1)], 1)
    assert directions.energy_rank(metric, mixed, 0.5).tolist() == [1, 2, 3]
    assert directions.energy_rank(metric, mixed, 0.91).tolist() == [2, 5, 5]


def test_published_axes_come_back(tmp_path: Path) -> None:
    axes = random_frame(6, 3, 0) * torch.tensor([3.0, 1.0, 2.0])
    np.save(tmp_path / "plain.npy", axes.T.numpy())
    np.savez(tmp_path / "ganspace.npz", lat_comp=axes.T[:, None].float().numpy(), lat_mean=np.ones((1, 1, 6)), n=7)
    save_file({"a": axes.contiguous(), "count": torch.tensor([3])}, tmp_path / "tensors.safetensors")
    torch.save(axes.T, tmp_path / "tensor.pt")
    torch.save({"linear.weight": nn.Parameter(axes), "note": "ours"}, tmp_path / "state.pt")
    for name, key in (
        ("plain.npy", ""), ("ganspace.npz", "lat_comp"), ("tensors.safetensors", ""), ("tensor.pt", ""),
        ("state.pt", "linear.weight"),
    ):  # fmt: skip
        found = directions.load_directions(tmp_path / name, 6, key=key)
        assert torch.allclose(found.axes, axes / axes.norm(dim=0), atol=1e-6), name
        assert torch.allclose(found.strengths, torch.tensor([3.0, 1, 2]).double(), atol=1e-5)
        assert (found.name, found.passes, found.axes.dtype) == (Path(name).stem, 0, torch.float64)
    square = torch.randn(6, 6)
    torch.save(square, tmp_path / "square.pt")
    rows, columns = (
        directions.load_directions(tmp_path / "square.pt", 6, stored=stored) for stored in ("rows", "columns")
    )
    assert torch.allclose(rows.axes * rows.strengths, square.T.double())
    assert torch.allclose(columns.axes * columns.strengths, square.double())
    np.save(tmp_path / "one.npy", np.ones(6))
    for stored in ("", "rows", "columns"):
        assert directions.load_directions(tmp_path / "one.npy", 6, stored=stored).axes.shape == (6, 1)


def test_axes_that_others_published_are_read(tmp_path: Path) -> None:
    """Boundaries, dictionaries of arrays as they are pickled, nested ones, one style for each layer."""
    axes = random_frame(6, 3, 0).numpy()
    np.save(tmp_path / "boundary.npy", axes[None, :, 0])
    content = {"name": "light", "sigma": np.float64(2), "lat_comp": axes.T[:1].astype("f4"), "space": "W", "n": 7}
    for protocol in range(2, 6):
        (tmp_path / "light.pkl").write_bytes(pickle.dumps(content, protocol))
        found = directions.load_directions(tmp_path / "light.pkl", 6, key="lat_comp")
        assert np.allclose(found.axes[:, 0], axes[:, 0], atol=1e-6)
    assert np.allclose(directions.load_directions(tmp_path / "boundary.npy", 6).axes[:, 0], axes[:, 0])
    (tmp_path / "nested.pkl").write_bytes(pickle.dumps({"age": {"axis": axes[:, 0]}, "pose": {"axis": axes[:, 1]}}))
    assert np.allclose(directions.load_directions(tmp_path / "nested.pkl", 6, key="pose.axis").axes[:, 0], axes[:, 1])
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(axes.T))
    assert np.allclose(directions.load_directions(tmp_path / "plain.pkl", 6).axes, axes)
    # W+ of three layers with styles of two numbers
    np.save(tmp_path / "layers.npy", axes[:, 0].reshape(3, 2))
    np.save(tmp_path / "several.npy", axes.T.reshape(3, 3, 2))
    np.save(tmp_path / "alike.npy", np.array([[3.0, 4.0]]))
    load = directions.load_directions
    assert np.allclose(load(tmp_path / "layers.npy", 6).axes[:, 0], axes[:, 0])
    assert np.allclose(load(tmp_path / "several.npy", 6).axes, axes)
    alike = load(tmp_path / "alike.npy", 6, layers=3)
    assert torch.allclose(alike.axes[:, 0], torch.tensor([0.6, 0.8] * 3).double() / 3**0.5)
    np.save(tmp_path / "square.npy", np.array([[3.0, 0.0], [4.0, 1.0]]))
    columns, rows = (load(tmp_path / "square.npy", 6, stored=stored, layers=3).axes for stored in ("columns", "rows"))
    assert torch.allclose(columns[:, 0], alike.axes[:, 0])
    assert torch.allclose(rows[:, 0], torch.tensor([1.0, 0.0] * 3).double() / 3**0.5)
    with pytest.raises(ValueError, match="stored: expected 'rows' or 'columns': 'axes' in square.npy is square"):
        load(tmp_path / "square.npy", 6, layers=3)
    with pytest.raises(ValueError, match=r"of 6 numbers in alike.npy, found 'axes' \(2,\)$"):
        load(tmp_path / "alike.npy", 6)


def test_a_pickle_of_directions_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    (tmp_path / "b.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R.")
    for name, words in (("a.pkl", "neither safetensors nor"), ("b.pkl", "asks for 'os.system', which is code")):
        with pytest.raises(ValueError, match=f"path: {name} is no whole file of arrays .*{words}"):
            directions.load_directions(tmp_path / name, 6)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="objects of Python in the place of numbers: save the arrays alone"):
        directions.load_directions(tmp_path / "objects.npy", 6)


def test_files_that_hold_no_axes_are_refused(tmp_path: Path) -> None:
    def load(name: str, content: Any, **options: str) -> None:
        torch.save(content, tmp_path / name)
        directions.load_directions(tmp_path / name, 6, **options)

    with pytest.raises(FileNotFoundError, match="path: no file"):
        directions.load_directions(tmp_path / "none.pt", 6)
    with pytest.raises(ValueError, match=r"of 6 numbers in a.pt, found 'axes' \(3, 5\)$"):
        load("a.pt", torch.ones(3, 5))
    with pytest.raises(ValueError, match=r"found 'x' \(2, 6\), 'y' \(6, 4\): name one by key"):
        load("b.pt", {"x": torch.ones(2, 6), "y": torch.ones(6, 4)})
    with pytest.raises(ValueError, match="key: expected one of 'x'"):
        load("c.pt", {"x": torch.ones(2, 6)}, key="z")
    with pytest.raises(ValueError, match="stored: expected 'rows' or 'columns': 'axes' in d.pt is square"):
        load("d.pt", torch.ones(6, 6))
    with pytest.raises(ValueError, match="path: axis 1 of e.pt has length zero"):
        load("e.pt", torch.ones(3, 6) * torch.tensor([[1.0], [0.0], [2.0]]))
    with pytest.raises(FloatingPointError, match="axes of f.pt"):
        load("f.pt", torch.full((3, 6), torch.nan))
    with pytest.raises(ValueError, match="stored: expected one of"):
        load("g.pt", torch.ones(3, 6), stored="diagonal")
    with pytest.raises(ValueError, match="path: h.pt is no whole file of arrays"):
        load("h.pt", Path)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    (tmp_path / "text.safetensors").write_text("not tensors")
    for name in ("objects.npy", "cut.npz", "text.safetensors"):
        with pytest.raises(ValueError, match=f"path: {name} is no whole file of arrays"):
            directions.load_directions(tmp_path / name, 6)


def test_wrong_arguments_are_named(linear: geomlib.Generator) -> None:
    z = linear.sample(9, seed=0)
    for call in (
        lambda k: directions.sefa(linear, k),
        lambda k: directions.ganspace(linear, "", k, latents=linear.sample(9, seed=0)),
        lambda k: directions.local_basis(linear, z[0], "", k),
        lambda k: directions.random(5, k, seed=0),
    ):
        for k in (0, 6):
            with pytest.raises(ValueError, match=f"k: expected an integer from 1 to 5, got {k}"):
                call(k)
    with pytest.raises(ValueError, match="layer: expected one of '', 'latent', '0', '1', got 'nine'"):
        directions.ganspace(linear, "nine", 2, latents=linear.sample(9, seed=0))
    with pytest.raises(ValueError, match="latents: expected at least two, got 1"):
        directions.ganspace(linear, "", 2, latents=linear.sample(1, seed=0))
    with pytest.raises(ValueError, match=r"z: expected shape \(5,\)"):
        directions.local_basis(linear, z, "", 2)
    constant = geomlib.Generator(lambda z: torch.ones_like(z), 5, output_range=None)
    with pytest.raises(ValueError, match="activations of the output do not vary"):
        directions.ganspace(constant, "", 2, latents=constant.sample(9, seed=0))
    metric = Metric.from_matrix(torch.eye(5), torch.zeros(()))
    with pytest.raises(ValueError, match="share, metric: expected a number"):
        directions.energy_rank(metric, torch.eye(5), 0.0)
