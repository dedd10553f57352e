"""What `build` takes and refuses, and what the architectures promise beyond the golden outputs."""

import re
from typing import Any

import pytest
import torch

from geomlib.generators.architectures import ARCHITECTURES, build, config_keys, styles
from geomlib.generators.architectures.base import Architecture, to_unit_range

SMALL: dict[str, dict[str, Any]] = {
    "dcgan": {"latent_dim": 5, "dim_g": 2},
    "pgan": {"latent_dim": 5, "depth_scale0": 4, "depth_other_scales": [3]},
    "biggan_deep": {
        "output_dim": 8, "z_dim": 3, "class_embed_dim": 2, "channel_width": 8, "num_classes": 4,
        "layers": [[True, 4, 2]], "attention_layer_position": 0, "n_stats": 3,
    },
    "bigbigan": {"resolution": 32, "G_ch": 4, "dim_z": 8, "shared_dim": 2, "n_classes": 2, "G_attn": "8"},
    "stylegan": {"code_dim": 5, "n_mlp": 2, "widths": [4, 3, 2], "fused": [False, False, True]},
    "stylegan2": {"size": 8, "style_dim": 5, "n_mlp": 2, "channels": {"4": 4, "8": 3}},
    "stylegan2_ada": {"img_resolution": 8, "z_dim": 5, "w_dim": 4, "mapping_layers": 2, "widths": [4, 3]},
    "stylegan3": {"img_resolution": 16, "z_dim": 5, "w_dim": 4, "num_layers": 3, "num_critical": 1, "widths": [4, 3, 2]},  # noqa: E501
    "r3gan": {"latent_dim": 5, "widths": [4, 2], "groups": [2, 1], "blocks": [1, 2]},
    "wavegan": {"latent_dim": 5, "model_size": 1},
    "tutorial_dcgan": {"latent_dim": 5, "dim_g": 2},
    "conditional_dcgan": {"noise_dim": 3, "labels": ["a", "b"], "dim_g": 2, "depth": 2},
    "mlp": {"latent_dim": 5, "hidden": [6, 7], "size": 8},
    "ctgan": {"latent_dim": 5, "num_channel_G": 2},
}  # fmt: skip


def small(architecture: str, **config: Any) -> Architecture:
    """A small network in eval mode, the same each time."""
    torch.manual_seed(0)
    return build(architecture, **SMALL[architecture] | config).eval()


def latents(module: Architecture, count: int = 2) -> torch.Tensor:
    """Normal latents, the same each time."""
    return torch.randn(count, module.latent_dim, generator=torch.Generator().manual_seed(0))


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(ValueError, match="architecture: expected one of 'dcgan', 'pgan'.*got 'gan'"):
        build("gan")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_unknown_keys_are_named_with_the_known(architecture: str) -> None:
    known = ", ".join(config_keys(architecture))
    with pytest.raises(ValueError, match=f"config of {architecture}: unknown colour, wheels; known: {known}"):
        build(architecture, colour=1, wheels=4)


@pytest.mark.parametrize(
    ("architecture", "config", "message"),
    [
        ("deepsim_fc6", {"channels": {"512": 3}}, "channels: expected the keys [32, 64, 128, 256, 512], got [512]"),
        ("biggan_deep", {"output_dim": 64}, "output_dim: without layers, expected one of [128, 256, 512], got 64"),
        ("biggan_deep", {"output_dim": 8, "layers": []}, "layers: expected upsampling to output_dim 8, got 4"),
        ("bigbigan", {"resolution": 48}, "resolution: expected one of 32, 64, 128, 256, 512, got 48"),
        ("bigbigan", {"dim_z": 121}, "latent_dim (dim_z): expected a multiple of 6, got 121"),
        ("stylegan", {"fused": [True]}, "fused: expected 9 entries, one for each width, got 1"),
        ("stylegan2", {"size": 48}, "size: expected a power of two from 4 on, got 48"),
        ("stylegan2", {"size": 8, "channels": {"4": 2}}, "channels: expected an entry for each size up to 8"),
        ("stylegan2_ada", {"img_resolution": 48}, "img_resolution: expected a power of two from 4 on, got 48"),
        ("stylegan2_ada", {"widths": [3]}, "widths: expected one for each of [4, 8, 16, 32, 64, 128, 256], got [3]"),
        ("stylegan2_ada", {"layout": "u-net"}, "layout: expected one of 'skip', 'resnet', 'orig', got 'u-net'"),
        ("stylegan3", {"widths": [3]}, "widths: expected 14 entries, one for each layer, got [3]"),
        ("wavegan", {"slice_len": 8000}, "slice_len: expected one of 16384, 32768, 65536, got 8000"),
    ],
)
def test_impossible_configurations(architecture: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build(architecture, **config)


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        ("pgan", {"alpha": 2}, "alpha: expected a number in [0, 1]"),
        ("biggan_deep", {"truncation": 0}, "truncation: expected a number in (0, 1], got 0"),
        ("biggan_deep", {"class_vector": torch.zeros(1, 4)}, "latents: expected shape (B, 3), got (2, 5)"),
        ("stylegan", {"space": "w+"}, "space: expected one of 'z', 'w', got 'w+'"),
        ("stylegan", {"step": 3}, "step: expected one of 0, 1, 2, got 3"),
        ("stylegan", {"truncation": 0.5}, "mean_style: expected a tensor for truncation 0.5, got None"),
        ("stylegan2", {"truncation": 1.5}, "truncation: expected a number in [0, 1], got 1.5"),
        ("stylegan2", {"noise": [torch.zeros(1, 1, 4, 4)]}, "noise: expected maps (1 or 2, 1, s, s) for s = [4, 8, 8]"),
        ("stylegan2", {"inject_index": 1}, "inject_index: expected with mix_with and only with it, got 1"),
        (
            "stylegan2_ada",
            {"noise": [torch.zeros(1, 1, 4, 4)]},
            "noise: expected maps (1 or 2, 1, s, s) for s = [4, 8,",
        ),
        ("stylegan3", {"noise": [torch.zeros(1, 1, 4, 4)]}, "noise: a StyleGAN3 has none"),
        ("stylegan3", {"space": "w+"}, "latents (flat): expected shape (B, 20), got (2, 5)"),
        ("stylegan2", {"space": "w+"}, "latents (flat): expected shape (B, 20), got (2, 5)"),
    ],
)
def test_impossible_calls(architecture: str, settings: dict[str, Any], message: str) -> None:
    module = small(architecture)
    with pytest.raises(ValueError, match=re.escape(message)):
        module(latents(module), **settings)


@pytest.mark.parametrize("architecture", SMALL)
def test_a_wrong_width_is_named(architecture: str) -> None:
    module = small(architecture)
    with pytest.raises(ValueError, match=re.escape(f"expected shape (B, {module.latent_dim})")):
        module(torch.zeros(2, module.latent_dim + 1))


@torch.no_grad()
def test_unit_range_of_channels_and_sizes() -> None:
    raw = torch.tensor([-2.0, 0.0, 10.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert to_unit_range(raw)[0, :, 0, 0].tolist() == [0.0, 0.5, 1.0]
    assert to_unit_range(raw, ((-2.0, -1.0, 0.0), (2.0, 1.0, 20.0)))[0, :, 0, 0].tolist() == [0.0, 0.5, 0.5]
    assert to_unit_range(raw, size=5).shape == (1, 3, 5, 5)


@torch.no_grad()
def test_bigbigan_loads_without_the_recorded_singular_values() -> None:
    module = small("bigbigan")
    before = module(latents(module))
    state = {key: value for key, value in module.state_dict().items() if not key.endswith("sv0")}
    module.load_state_dict(state, strict=True)
    assert torch.equal(module(latents(module)), before)


def test_pgan_loads_keys_without_the_inner_module() -> None:
    module = small("pgan")
    state = {key.replace(".module", ""): value + 1 for key, value in module.state_dict().items()}
    module.load_state_dict(state, strict=True)
    assert all(torch.equal(value, state[key.replace(".module", "")]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("architecture", ["biggan_deep", "bigbigan"])
def test_training_updates_what_evaluation_reads(architecture: str) -> None:
    """Two passes and one backward pass give gradients; statistics and singular vectors move."""
    module = small(architecture).train()
    before = {key: value.clone() for key, value in module.named_buffers()}
    (module(latents(module, 8)).square().mean() + module(latents(module, 8)).mean()).backward()
    gradients = {name: value.grad for name, value in module.named_parameters() if name != "embeddings.weight"}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    moved = [key for key, value in module.named_buffers() if not torch.equal(value, before[key])]
    assert any("mean" in key for key in moved)
    assert any(key.endswith(("weight_u", "u0")) for key in moved)


@torch.no_grad()
def test_biggan_deep_takes_one_class_vector_for_a_batch() -> None:
    module = small("biggan_deep")
    noise, class_vector = torch.randn(3, 3), torch.eye(4)[1:2]
    images = module(noise, class_vector=class_vector)
    torch.testing.assert_close(images, module(noise, class_vector=class_vector.repeat(3, 1)))


@pytest.mark.parametrize("upsample", [True, False])
@pytest.mark.parametrize("slice_len", [32768, 65536])
@torch.no_grad()
def test_long_waveforms(slice_len: int, upsample: bool) -> None:
    module = small("wavegan", slice_len=slice_len, upsample=upsample, use_batch_norm=True, num_channels=2)
    # The reference's transposed form is two samples long at that length.
    excess = 2 if slice_len == 32768 and not upsample else 0
    assert module(latents(module)).shape == (2, 2, slice_len + excess)


@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
@torch.no_grad()
def test_styles_of_latents_give_the_images_of_the_latents(architecture: str) -> None:
    module = small(architecture)
    z = latents(module)
    style = module.get_submodule("style")(z)
    images = module(z)
    torch.testing.assert_close(module(style, space="w"), images)
    torch.testing.assert_close(module(z, truncation=0.0, mean_style=style[:1])[0], images[0])
    if architecture == "stylegan2":
        layers = style[:, None].expand(-1, 4, -1)
        torch.testing.assert_close(module(layers, space="w+"), images)
        torch.testing.assert_close(module(layers.flatten(1), space="w+"), images)
        torch.testing.assert_close(module(z, mix_with=z.flip(0), inject_index=0), images.flip(0))


@torch.no_grad()
def test_default_noise_is_the_same_for_every_stylegan() -> None:
    first, second = small("stylegan"), build("stylegan", **SMALL["stylegan"]).eval()
    for module in (first, second):
        for name, parameter in module.named_parameters():
            parameter.fill_(0.3 if "noise" in name else 0.1)
    assert torch.equal(first(latents(first)), second(latents(second)))
    zeros = [torch.zeros(1, 1, 4 * 2**index, 4 * 2**index) for index in range(3)]
    assert not torch.equal(first(latents(first)), first(latents(first), noise=zeros))


@torch.no_grad()
def test_mean_style_repeats_and_converges() -> None:
    module = small("stylegan2").double()
    mapping = module.get_submodule("style")
    mean = styles.mean_style(mapping, 5, count=5000, seed=1)
    assert mean.shape == (1, 5)
    assert mean.dtype == torch.float64
    assert torch.equal(mean, styles.mean_style(mapping, 5, count=5000, seed=1))
    spread = mapping(latents(module, 2000).double()).std(0)
    assert ((mean - styles.mean_style(mapping, 5, count=5000, seed=2)).abs() < 6 * spread * (2 / 5000) ** 0.5).all()
