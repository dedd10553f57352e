"""The generator interface and the catalogue, with what a user may get wrong."""

import textwrap
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import geomlib
from geomlib._files import WEIGHTS
from geomlib.generators.catalogue import source_files
from geomlib.generators.known import EMBEDDED

LINEAR = nn.Linear(4, 12).eval()


def test_output_range_and_clamp() -> None:
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    raw = LINEAR(z)
    assert torch.equal(geomlib.Generator(LINEAR, 4, output_range=None)(z), raw)
    assert torch.allclose(geomlib.Generator(LINEAR, 4, clamp=False)(z), (raw + 1) / 2)
    assert torch.allclose(geomlib.Generator(LINEAR, 4, output_range=(0, 255))(z), (raw / 255).clamp(0, 1))


def test_samples_repeat_and_have_the_right_distribution() -> None:
    G = geomlib.Generator(LINEAR, 4)
    first = G.sample(4000, seed=3)
    assert torch.equal(first, G.sample(4000, seed=3))
    assert not torch.equal(first, G.sample(4000, seed=4))
    assert first.mean().abs() < 0.05
    assert (first.std() - 1).abs() < 0.05
    assert torch.equal(G.to("cpu", torch.float64).sample(7, seed=3), G.sample(7, seed=3).double())


EMBEDDED_SPACES = [
    ("shapes-dcgan", "z"), ("shapes-stylegan2", "z"), ("shapes-stylegan2", "w"), ("shapes-stylegan2", "w+"),
    ("shapes-biggan", "all"), ("shapes-biggan", "noise"), ("shapes-biggan", "class"), ("tones-wavegan", "z"),
    ("shapes-dcgan-pixels-1", "z"), ("shapes-dcgan-pixels-2", "z"), ("shapes-dcgan-rewarded", "z"),
]  # fmt: skip


def test_no_embedded_space_is_forgotten() -> None:
    known = {(name, space) for name in EMBEDDED for space in geomlib.load_generator(name).spaces}
    assert known == set(EMBEDDED_SPACES)


@pytest.mark.parametrize(("name", "space"), EMBEDDED_SPACES)
def test_a_sample_is_the_beginning_of_every_longer_one(name: str, space: str) -> None:
    G = geomlib.load_generator(name, space=space)
    longest = G.sample(100, seed=5)
    for count in (1, 2, 5, 10, 16, 17, 40):
        assert torch.equal(G.sample(count, seed=5), longest[:count])
    assert (longest[:16] != longest[16:32]).any()


def test_a_sample_of_a_user_s_sampler_is_the_beginning_of_every_longer_one() -> None:
    def sampler(count: int, random: torch.Generator) -> torch.Tensor:  # two draws, and a map that sees the batch size
        scale = torch.rand(count, 1, generator=random)
        return (scale * torch.randn(count, 3, generator=random)) @ torch.randn(3, 3, generator=random)

    G = geomlib.Generator(lambda z: z, 3, sampler=sampler)
    for count in (0, 1, 2, 5, 10, 16, 17, 40):
        assert torch.equal(G.sample(count, seed=5), G.sample(100, seed=5)[:count])


def test_a_sampler_that_cannot_go_on_is_refused() -> None:
    stored = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="expected 16 latents, as many as it is asked for, got 10"):
        geomlib.Generator(LINEAR, 4, sampler=lambda count, random: stored[:10]).sample(3, seed=0)
    repeating = geomlib.Generator(LINEAR, 4, sampler=lambda count, random: stored[:count])
    assert torch.equal(repeating.sample(16, seed=0), stored[:16])
    with pytest.raises(ValueError, match=r"it repeats itself; draw from the torch\.Generator"):
        repeating.sample(17, seed=0)


def test_latents_survive_a_first_layer_that_works_in_place() -> None:
    weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))

    def network(inplace: bool) -> geomlib.Generator:
        activation = nn.LeakyReLU(0.2, inplace=inplace).eval()
        return geomlib.Generator(lambda z: activation(z) @ weight.to(z), 4, output_range=None)

    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    kept, d = z.clone(), geomlib.load_distance("mse")
    assert torch.equal(network(True)(z), network(False)(z))
    for method in ("pullback", "backward", "forward"):
        right = geomlib.metric_tensor(network(False), z, d, method).matrix
        assert torch.equal(geomlib.metric_tensor(network(True), z, d, method).matrix, right)
    slope = torch.where(kept > 0, 1.0, 0.2).double()[:, :, None] * weight.double()
    exact = geomlib.metric_tensor(network(True), z, d).matrix
    assert torch.allclose(exact, 2 / 8 * slope @ slope.mT, rtol=1e-5, atol=1e-6)
    assert torch.equal(z, kept)


def test_the_module_is_never_changed() -> None:
    before = LINEAR.weight.clone()
    double = geomlib.Generator(LINEAR, 4).to("cpu", torch.float64)
    assert double(torch.zeros(1, 4)).dtype == torch.float64
    assert LINEAR.weight.dtype == torch.float32
    assert torch.equal(LINEAR.weight, before)


def test_a_module_in_training_mode_is_named() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).eval()
    module[1].train()
    with pytest.raises(ValueError, match=r"'1' of Sequential is in training mode; call .eval\(\)"):
        geomlib.Generator(module, 4)


TRAINING = nn.Sequential(nn.Linear(4, 4), nn.Dropout())


class Holder:
    """A callable object, with an attribute that has the name of a global."""

    def __init__(self, network: nn.Module) -> None:
        self.TRAINING = network

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        return self.TRAINING(z)


def test_a_callable_that_holds_a_module_in_training_mode_is_refused() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).eval()
    inner[1].train()
    in_list = LINEAR.__class__(4, 4).eval()
    in_list.others = [inner]
    for function, name in [
        (lambda z: inner(z), "inner.1"),
        (lambda z: [TRAINING(part) for part in z], "TRAINING"),
        (lambda z, network=inner: network(z), "function[0].1"),
        (partial(lambda network, z: network(z), inner), "partial[1].1"),
        (inner.forward, "Sequential.1"),
        (Holder(inner), "TRAINING.1"),
        (in_list, "others[0].1"),
    ]:
        with pytest.raises(ValueError, match=r"is in training mode; call \.eval\(\) first") as error:
            geomlib.Generator(function, 4)
        assert f"'{name}' of" in str(error.value)
    assert geomlib.Generator(Holder(LINEAR), 4).latent_dim == 4, "an attribute is no global"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"module": 3, "latent_dim": 4}, TypeError, "module: expected a function"),
        ({"module": LINEAR, "latent_dim": 0}, ValueError, "latent_dim: expected a positive integer, got 0"),
        ({"module": LINEAR, "latent_dim": 4, "output_range": (1, -1)}, ValueError, "output_range: expected"),
    ],
)
def test_constructor_arguments(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        geomlib.Generator(**arguments)


def test_wrong_latent_size_names_both() -> None:
    with pytest.raises(ValueError, match=r"latents: expected shape \(B, 4\), got \(2, 5\)"):
        geomlib.Generator(LINEAR, 4)(torch.zeros(2, 5))


def test_shapes_dcgan() -> None:
    G = geomlib.load_generator("shapes-dcgan")
    assert (G.name, G.latent_dim, G.image_shape, G.default_distance) == (
        "shapes-dcgan", 64, (3, 64, 64), "st-lpips-alex",
    )  # fmt: skip
    z = G.sample(3, seed=0)
    images = G(z)
    assert images.shape == (3, 3, 64, 64)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert torch.allclose(G(z[1:2])[0], images[1], atol=1e-5)
    again = geomlib.load_generator(**G.spec)
    assert torch.equal(again(z), images)
    assert geomlib.load_generator("shapes-dcgan", space="z").space == "z"
    with pytest.raises(ValueError, match="space: expected one of 'z', got 'w'"):
        geomlib.load_generator("shapes-dcgan", space="w")
    with pytest.raises(ValueError, match="options of dcgan: unknown colour; known: size"):
        geomlib.load_generator("shapes-dcgan", colour="red")
    with pytest.raises(ValueError, match="options of dcgan: unknown name; known: size"):
        geomlib.load_generator("shapes-dcgan", name="mine")
    assert again.weights_hash == G.weights_hash


def factory_file(folder: Path) -> Path:
    path = folder / "mine.py"
    path.write_text(
        textwrap.dedent("""
        import geomlib, torch
        def small(scale=1.0):
            return geomlib.Generator(lambda z: scale * z, 3, output_range=None, name="small")
        def wrong():
            return 3
        def spacious(space="w", scale=1.0):
            return geomlib.Generator(
                lambda z: scale * z, 3 if space == "w" else 2, output_range=None, spaces=("w", "z"), space=space
            )
        def careless(**options):
            return spacious()
        """)
    )
    return path


def test_own_factory(tmp_path: Path) -> None:
    path = factory_file(tmp_path)
    G = geomlib.load_generator(f"{path}:small", scale=2.0)
    assert torch.equal(G(torch.ones(1, 3)), torch.full((1, 3), 2.0))
    assert torch.equal(geomlib.load_generator(**G.spec)(torch.ones(1, 3)), torch.full((1, 3), 2.0))
    assert source_files(f"{path}:small") == [path]
    assert geomlib.load_generator("geomlib.generators.analytic:torus").name == "torus"


def test_catalogue_errors(tmp_path: Path) -> None:
    path = factory_file(tmp_path)
    for spec, error, message in [
        (
            "shapes-gan",
            ValueError,
            "expected one of shapes-dcgan, .*linear, .*pgan-.* or file.py:factory, got 'shapes-gan'",
        ),
        (f"{tmp_path}/absent.py:small", FileNotFoundError, "no file .*absent.py"),
        (f"{path}:absent", ValueError, "has no function 'absent'"),
        (f"{path}:wrong", TypeError, "returned int, expected a geomlib.Generator"),
        ("no.such.module:factory", ValueError, "cannot import 'no.such.module'"),
    ]:
        with pytest.raises(error, match=message):
            geomlib.load_generator(spec)
    with pytest.raises(ValueError, match="does not take these options: .*colour"):
        geomlib.load_generator(f"{path}:small", colour=1)


def test_spaces_of_factories(tmp_path: Path) -> None:
    path = factory_file(tmp_path)
    G = geomlib.load_generator(f"{path}:spacious")
    assert (G.space, G.spaces, G.latent_dim) == ("w", ("w", "z"), 3)
    other = geomlib.load_generator(f"{path}:spacious", space="z", scale=2.0)
    assert (other.space, other.latent_dim) == ("z", 2)
    assert other.spec == {"source": f"{path}:spacious", "space": "z", "scale": 2.0}
    assert geomlib.load_generator(**other.spec).space == "z"
    assert geomlib.load_generator(f"{path}:small", space="z").space == "z"
    assert geomlib.load_generator("torus", space="z").space == "z"
    for source, space, message in [
        (f"{path}:small", "w", "space: expected one of 'z', got 'w'"),
        ("linear", "w", "space: expected one of 'z', got 'w'"),
        (f"{path}:spacious", "v", "space: expected one of 'w', 'z', got 'v'"),
        (f"{path}:careless", "z", "space: .*:careless was asked for 'z' and made a generator of 'w'"),
    ]:
        with pytest.raises(ValueError, match=message):
            geomlib.load_generator(source, space=space)


def test_default_distance() -> None:
    """LPIPS for colour images, none for what it cannot see, and what was said if anything was."""

    def reshaped(*shape: int, **arguments: object) -> geomlib.Generator:
        return geomlib.Generator(lambda z: z.reshape(-1, *shape), 12, **arguments)

    assert reshaped(3, 2, 2).default_distance == "lpips-squeeze"
    assert reshaped(3, 2, 2, default_distance="mse").default_distance == "mse"
    assert reshaped(1, 3, 4).default_distance == ""
    assert reshaped(3, 4).default_distance == ""
    assert reshaped(3, 2, 2, output_range=None).default_distance == ""
    assert geomlib.load_generator("linear").default_distance == "mse"


def test_bounds_for_each_channel_and_size() -> None:
    z = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    low, high = (-1.0, -2.0, 0.0), (1.0, 3.0, 4.0)
    G = geomlib.Generator(lambda z: z.reshape(-1, 3, 2, 2), 12, output_range=(low, high), size=3)
    images = G(z)
    for channel in range(3):
        unit = (z.reshape(-1, 3, 2, 2)[:, channel] - low[channel]) / (high[channel] - low[channel])
        assert torch.allclose(images[:, channel, ::2, ::2], unit.clamp(0, 1))
        assert torch.allclose(images[:, channel, 1, 1], unit.mean((1, 2)).clamp(0, 1), atol=1e-6)
    with pytest.raises(ValueError, match="output_range: expected"):
        geomlib.Generator(LINEAR, 4, output_range=((0.0, 1.0), (1.0, 1.0)))
    with pytest.raises(ValueError, match="size: expected a positive integer"):
        geomlib.Generator(LINEAR, 4, output_range=None, size=3)
    with pytest.raises(ValueError, match="space: expected one of 'a', 'b', got 'c'"):
        geomlib.Generator(LINEAR, 4, spaces=("a", "b"), space="c")


def test_weights_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="weights: no file"):
        geomlib.load_generator("shapes-dcgan", weights=tmp_path / "absent.safetensors")
    state = load_file(WEIGHTS / "shapes-dcgan.safetensors")
    whole = tmp_path / "broken.safetensors"
    save_file(state | {"main.outlayer.weight": state["main.outlayer.weight"] * torch.nan}, whole)
    with pytest.raises(FloatingPointError, match=r"tensor main.outlayer.weight"):
        geomlib.load_generator("shapes-dcgan", weights=whole)
    whole.write_bytes((WEIGHTS / "shapes-dcgan.safetensors").read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged or cut off"):
        geomlib.load_generator("shapes-dcgan", weights=whole)
    save_file({"weight": torch.zeros(2)}, whole)
    with pytest.raises(ValueError, match="not a checkpoint of shapes-dcgan"):
        geomlib.load_generator("shapes-dcgan", weights=whole)


def test_the_checkpoint_that_a_factory_was_handed_counts_in_the_hash(tmp_path: Path) -> None:
    source = (
        "import geomlib, torch\ndef f(weights=None):\n    torch.manual_seed(0)\n    layer = torch.nn.Linear(4, 4)\n"
    )
    (tmp_path / "mine.py").write_text(source + "    return geomlib.Generator(layer.eval(), 4, output_range=None)\n")
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    files = [None, *(tmp_path / name for name in "aba")]
    made = [geomlib.load_generator(f"{tmp_path}/mine.py:f", weights=file) for file in files]
    hashes = [one.weights_hash for one in made]
    assert len(set(hashes)) == 3
    assert hashes[1] == hashes[3]
    assert made[1].to("cpu", torch.float64).checkpoint == made[1].checkpoint


def test_a_negative_number_of_latents() -> None:
    with pytest.raises(ValueError, match="count: expected 0 or more, got -1"):
        geomlib.load_generator("sphere").sample(-1, seed=0)
