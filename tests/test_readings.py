"""Effects of axes on readings: linear ones in closed form, angles that wrap, faces, and the reader's own tests."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

import geomlib
from geomlib.applications.readings import edit_direction, move_readings, one_thing, read_faces, spread_of, turned
from geomlib.findings.rules import axes_against_random
from geomlib.generators.latents import latents_for
from geomlib.readers import FaceReader, check_face_reader, load_face_reader
from geomlib.spectrum import random_directions

Fetched = Callable[[str], Path]
G = geomlib.Generator(lambda z: z[:, :, None], latent_dim=3, output_range=None)  # the output is the latent
SLOPE = torch.tensor([3.0, 1.0, 0.0])


def read(outputs: Tensor) -> Mapping[str, Tensor]:
    """A linear reading, one with gaps, and an angle that turns with the third component."""
    z = outputs[..., 0]
    return {
        "linear": z @ SLOPE,
        "gappy": z[:, 1].where(z[:, 0] < 1, torch.nan),
        "hue": turned(3.0 + 0.25 * z[:, 2]),
    }


def test_linear_readings_in_closed_form() -> None:
    latents, samples = G.sample(7, seed=0), G.sample(4000, seed=1)
    axes = torch.eye(3)[:, :2].clone()
    axes[:, 1] = torch.tensor([0.6, 0.0, 0.8])
    found = move_readings(G, axes, read, latents=latents, samples=samples, step=0.5)
    assert found.names == ("linear", "gappy", "hue") and found.changes.shape == (2, 7, 3)
    assert float(found.spread[0]) == pytest.approx(10**0.5, rel=0.05)
    assert float(found.spread[2]) == pytest.approx(0.25, rel=0.05), "no jump at π"
    in_units = found.effects * found.spread
    torch.testing.assert_close(in_units[:, 0], torch.tensor([3.0, 1.8]).double(), rtol=1e-5, atol=0)
    torch.testing.assert_close(in_units[:, 2], torch.tensor([0.0, 0.25 * 0.8]).double(), rtol=1e-4, atol=1e-5)
    assert found.left_out[:, [0, 2]].eq(0).all()
    for axis, reach in ((0, 0.5), (1, 0.3)):
        ends = torch.stack([latents[:, 0] + reach, latents[:, 0] - reach])
        assert int(found.left_out[axis, 1]) == int((ends >= 1).any(0).sum())


def test_angles_wrap() -> None:
    assert turned(torch.tensor([0.1, math.pi + 0.1, -2 * math.pi - 0.1])).tolist() == pytest.approx(
        [0.1, 0.1 - math.pi, -0.1], abs=1e-6
    )
    angles = 0.2 * torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    plain = spread_of(angles, angle=True)
    assert float(plain) == pytest.approx(float(angles.std()), rel=0.01)
    assert float(spread_of(turned(angles + math.pi), angle=True)) == pytest.approx(float(plain))
    assert float(spread_of(torch.tensor([1.0, math.nan, 3.0]))) == 1


def test_how_far_an_axis_moves_one_thing() -> None:
    effects = torch.tensor([[0.0, -3.0, 0.0], [1.0, 1.0, -1.0], [2.0, 1.0, 0.0]])
    assert one_thing(effects).tolist() == pytest.approx([1, 1 / 3, 4 / 5])
    assert one_thing(torch.zeros(1, 3)).isnan().all()


def test_an_edit_is_the_gradient_and_keeps_what_it_should() -> None:
    latents = G.sample(50, seed=0)
    found = edit_direction(G, read, "linear", latents=latents)
    torch.testing.assert_close(found, (SLOPE / SLOPE.norm()).double(), rtol=1e-6, atol=1e-6)
    kept = edit_direction(G, read, "linear", latents=latents, keep=["gappy", "hue"])
    torch.testing.assert_close(kept, torch.tensor([1.0, 0.0, 0.0]).double(), rtol=1e-6, atol=1e-6)
    # What is named twice, or has no gradient, takes nothing more away.
    for keep in (["gappy", "gappy", "hue"], ["gappy", "hue", "still"]):
        again = edit_direction(G, lambda x: {**read(x), "still": 0 * x[:, 0, 0]}, "linear", latents=latents, keep=keep)
        torch.testing.assert_close(again, kept, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="no direction is left that moves linear and keeps linear"):
        edit_direction(G, read, "linear", latents=latents, keep=["linear"])
    with pytest.raises(ValueError, match="name, keep: expected one of 'linear', 'gappy', 'hue', got 'yaw'"):
        edit_direction(G, read, "yaw", latents=latents)


def test_wrong_arguments() -> None:
    usual = {"latents": G.sample(4, seed=0), "samples": G.sample(20, seed=1)}
    with pytest.raises(ValueError, match=r"axes: expected shape \(3, A\), got \(2, 3\)"):
        move_readings(G, torch.ones(2, 3), read, **usual)
    with pytest.raises(ValueError, match="expected unit vectors in columns, got lengths that are wrong by"):
        move_readings(G, torch.ones(3, 2), read, **usual)
    with pytest.raises(ValueError, match="the reading still does not vary over 20 samples"):
        move_readings(G, torch.eye(3), lambda outputs: {"still": torch.ones(len(outputs))}, **usual)
    with pytest.raises(ValueError, match=r"read: expected \(20,\) values of 'two', got \(20, 2\)"):
        move_readings(G, torch.eye(3), lambda outputs: {"two": torch.ones(len(outputs), 2)}, **usual)


def test_light_and_hue_by_hand() -> None:
    reader = FaceReader().eval()
    images = torch.zeros(4, 3, 64, 64)
    images[:, :, :14], images[..., :9] = 0.9, 0.9  # outside of the box
    images[0, 0, 14:60, 9:55] = 0.5
    images[1, 1, 14:60, 9:55] = 0.5
    images[2, 2, 14:60, 9:55] = 0.5
    images[3, 0, 14:60, 9:32] = 1.0  # half red, half blue: magenta
    images[3, 2, 14:60, 32:55] = 1.0
    seen = reader(images)
    assert seen.light.tolist() == pytest.approx([0.1063, 0.3576, 0.0361, (0.2126 + 0.0722) / 2], rel=1e-5)
    assert seen.hue.tolist() == pytest.approx([0, 2 * math.pi / 3, -2 * math.pi / 3, -math.pi / 3], abs=1e-6)


def test_a_reader_that_sees_no_face_says_so() -> None:
    reader = FaceReader().eval().requires_grad_(False)
    reader.dense6_1.bias.copy_(torch.tensor([9.0, 0.0]))
    seen = read_faces(reader)(torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert list(seen) == ["yaw", "pitch", "mouth", "background", "light", "hue"]
    assert all(seen[name].isnan().all() for name in ("yaw", "pitch", "mouth"))
    assert all(seen[name].isfinite().all() for name in ("background", "light", "hue"))
    with pytest.raises(ValueError, match="at least three faces, got 0 of 3 pictures"):
        check_face_reader(reader, torch.rand(3, 3, 64, 64))


def test_the_readers_own_tests(fetched: Fetched) -> None:
    fetched("dcgan-portraits"), fetched("face-landmarks")
    portraits = geomlib.load_generator("dcgan-portraits")
    with torch.no_grad():
        images = portraits(latents_for("samples", portraits, 200))
    checks = check_face_reader(load_face_reader(), images)
    assert checks.faces > 0.9
    assert checks.mirrored["yaw"] < -0.9 and checks.mirrored["pitch"] > 0.8 and checks.mirrored["mouth"] > 0.8
    assert checks.shifted["yaw"] > 0.9


def test_turning_the_head_is_found_and_random_directions_do_little(fetched: Fetched) -> None:
    """A direction for yaw, found at other latents than those where it is judged, turns the head and little else."""
    fetched("dcgan-portraits"), fetched("face-landmarks")
    portraits, look = geomlib.load_generator("dcgan-portraits"), read_faces(load_face_reader())
    kept = ("background", "light", "hue")
    turn = edit_direction(portraits, look, "yaw", latents=latents_for("tuning", portraits, 100), keep=kept)
    axes = torch.cat([turn[:, None], random_directions(100, 100, seed=0).T], 1)
    usual = {
        "latents": latents_for("judging", portraits, 10), "samples": latents_for("samples", portraits, 200)
    }  # fmt: skip
    found = move_readings(portraits, axes, look, **usual)
    effects = found.effects
    assert effects[0].abs().argmax() == 0 and effects[0, 0] > 1
    judged = axes_against_random(effects[:1], effects[1:], latents=10)
    assert judged.words == ["same direction"] and 0.1 < judged.point < 0.6
