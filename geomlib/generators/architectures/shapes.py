"""The configuration of a network, read from the shapes of its state dict: widths, sizes, depths, classes, channels."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from geomlib.generators.architectures.bigbigan import WIDTHS
from geomlib.generators.architectures.biggan_deep import PUBLISHED_LAYERS

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, Any]


class UnreadableError(ValueError):
    """The shapes leave open what the network is; the message says what, and what to do."""


def configuration(architecture: str, shapes: Shapes) -> Config:
    """Keywords for `build` that fit a state dict of an architecture.

    What no shape tells has the published value.

    Args:
        architecture: its name.
        shapes: by key.

    Raises:
        UnreadableError: a network of the architecture that cannot be rebuilt, with the reason.
        KeyError: the keys are not of the architecture.
    """
    return _RULES[architecture](shapes)


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number at the place of the pattern's group."""
    numbers = [int(match[1]) for key in shapes if (match := re.match(pattern, key))]
    return max(numbers, default=-1) + 1


def _dcgan(shapes: Shapes) -> Config:
    last = shapes["main.outlayer.weight"]
    depth = _count(shapes, r"main\.convTranspose(\d+)\.weight") - 1
    return {"latent_dim": shapes["formatLayer.weight"][0], "dim_g": last[0], "dim_output": last[1], "depth": depth}


def _tutorial_dcgan(shapes: Shapes) -> Config:
    places = sorted(
        int(match[1])
        for key, shape in shapes.items()
        if (match := re.fullmatch(r"main\.(\d+)\.weight", key)) and len(shape) == 4
    )
    first, last = shapes[f"main.{places[0]}.weight"], shapes[f"main.{places[-1]}.weight"]
    if first[2:] != (4, 4):
        raise UnreadableError(f"its first layer is {first}, and only 4 x 4 kernels are known")
    config: Config = {"latent_dim": first[0], "dim_g": last[0], "dim_output": last[1], "depth": len(places) - 2}
    return config | ({"dropout": 0.2} if places[1] == 4 else {})


def _conditional_dcgan(shapes: Shapes) -> Config:
    plain = _tutorial_dcgan(shapes)
    del plain["latent_dim"]
    return plain | {"dropout": plain.get("dropout", 0.0)}


def _mlp(shapes: Shapes) -> Config:
    depth = _count(shapes, r"fc(\d+)\.weight") - 1
    widths = [shapes[f"fc{index}.weight"][0] for index in range(1, depth + 1)]
    for channels in (1, 3):
        side = math.isqrt(widths[-1] // channels)
        if channels * side**2 == widths[-1]:
            first = shapes["fc1.weight"][1]
            return {"latent_dim": first, "hidden": widths[:-1], "channels": channels, "size": side}
    raise UnreadableError(f"its output of {widths[-1]} numbers is no square image of one or three channels")


def _ctgan(shapes: Shapes) -> Config:
    return {"num_channel_G": shapes["conv6.1.weight"][1]}


def _wavegan(shapes: Shapes) -> Config:
    depth = _count(shapes, r"deconv_list\.(\d+)\.")
    upsample = f"deconv_list.{depth - 1}.transpose_ops.1.weight" in shapes
    place = int(upsample)
    first, last = (shapes[f"deconv_list.{index}.transpose_ops.{place}.weight"] for index in (0, depth - 1))
    width = (first[1] if upsample else first[0]) // 2 ** (depth - 1)
    return {
        "latent_dim": shapes["fc1.weight"][1],
        "model_size": width,
        "upsample": upsample,
        "use_batch_norm": f"deconv_list.0.transpose_ops.{place + 1}.running_mean" in shapes,
        "num_channels": last[0] if upsample else last[1],
        "slice_len": 16384 if depth == 5 else 65536,
    }


def _pgan(shapes: Shapes) -> Config:
    plain = {key.replace(".module.", "."): shape for key, shape in shapes.items()}
    count = _count(plain, r"scaleLayers\.(\d+)\.")
    first = plain["formatLayer.weight"]
    return {
        "latent_dim": first[1],
        "depth_scale0": first[0] // 16,
        "depth_other_scales": [plain[f"scaleLayers.{index}.0.weight"][0] for index in range(count)],
        "dim_output": plain["toRGBLayers.0.weight"][0],
    }


def _deepsim(shapes: Shapes) -> Config:
    plain = {key.replace(".1.", "."): shape for key, shape in shapes.items()}
    inner = {512: "conv5_1", 256: "deconv5", 128: "deconv3", 64: "deconv2", 32: "deconv1"}
    config: Config = {"channels": {str(width): plain[f"{layer}.weight"][1] for width, layer in inner.items()}}
    if "Rconv6.weight" in plain:
        return config | {"latent_dim": plain["Rconv6.weight"][1]}
    hidden, latents = plain["defc7.weight"]
    side = math.isqrt(plain["defc5.weight"][0] // plain["deconv5.weight"][0])
    return config | {"latent_dim": latents, "hidden": hidden, "base_size": side}


def _biggan_deep(shapes: Shapes) -> Config:
    width = shapes["generator.conv_to_rgb.weight_orig"][0]
    embedding, classes = shapes["embeddings.weight"]
    count = _count(shapes, r"generator\.layers\.(\d+)\.")
    attention = [n for n in range(count) if f"generator.layers.{n}.gamma" in shapes]
    blocks = [n for n in range(count) if n not in attention]
    ends = [
        (
            shapes[f"generator.layers.{n}.conv_0.weight_orig"][1] // width,
            shapes[f"generator.layers.{n}.conv_3.weight_orig"][0] // width,
        )
        for n in blocks
    ]
    sizes = [size for size, known in PUBLISHED_LAYERS.items() if [tuple(row[1:]) for row in known] == ends]
    if not sizes:
        raise UnreadableError(
            "where it doubles the size is not in the file, and its widths are of no published network"
        )
    return {
        "output_dim": sizes[0],
        "z_dim": shapes["generator.gen_z.weight_orig"][1] - embedding,
        "class_embed_dim": embedding,
        "channel_width": width,
        "num_classes": classes,
        "attention_layer_position": attention[0] if attention else -1,
        "n_stats": shapes["generator.bn.running_means"][0],
    }


def _bigbigan(shapes: Shapes) -> Config:
    count = _count(shapes, r"blocks\.(\d+)\.")
    resolution = next((size for size, widths in WIDTHS.items() if len(widths) == count + 1), 0)
    if not resolution:
        raise UnreadableError(f"it has {count} blocks, which no known size has")
    width = shapes["output_layer.2.weight"][1] // WIDTHS[resolution][-1]
    first, chunk = shapes["linear.weight"]
    attention = [8 * 2**n for n in range(count) if f"blocks.{n}.1.gamma" in shapes]
    classes, shared = shapes["shared.weight"]
    return {
        "resolution": resolution,
        "G_ch": width,
        "dim_z": chunk * (count + 1),
        "shared_dim": shared,
        "n_classes": classes,
        "G_attn": "_".join(map(str, attention)) or "0",
        "bottom_width": math.isqrt(first // (width * WIDTHS[resolution][0])),
    }


def _stylegan(shapes: Shapes) -> Config:
    count = _count(shapes, r"generator\.progression\.(\d+)\.")
    parts = [f"generator.progression.{index}" for index in range(count)]
    return {
        "code_dim": shapes["style.1.linear.weight_orig"][1],
        "n_mlp": len([key for key in shapes if re.fullmatch(r"style\.\d+\.linear\.weight_orig", key)]),
        "widths": [shapes[f"{part}.conv2.conv.weight_orig"][0] for part in parts],
        "fused": [f"{part}.conv1.0.weight" in shapes for part in parts],
    }


def _stylegan2(shapes: Shapes) -> Config:
    style_dim = shapes["conv1.conv.modulation.weight"][1]
    inputs = shapes["style.1.weight"][1]
    if inputs != style_dim:
        what = "class-conditional" if inputs == 2 * style_dim else "of another latent width, or class-conditional"
        raise UnreadableError(
            f"it is {what}: its mapping network takes {inputs} numbers where styles have {style_dim}, and the "
            "embedding of the classes is not in the converted file; give NVIDIA's .pkl, from which it was made"
        )
    pairs = _count(shapes, r"convs\.(\d+)\.conv\.weight") // 2
    sizes = [4 * 2**index for index in range(pairs + 1)]
    widths = [shapes["input.input"][1], *(shapes[f"convs.{2 * index}.conv.weight"][1] for index in range(pairs))]
    if shapes["to_rgb1.conv.weight"][1] != 3:
        raise UnreadableError(f"its images have {shapes['to_rgb1.conv.weight'][1]} channels, and three are known")
    kernel = shapes.get("convs.0.conv.blur.kernel", (4, 4))[0]
    return {
        "size": sizes[-1],
        "style_dim": style_dim,
        "n_mlp": len([key for key in shapes if re.fullmatch(r"style\.\d+\.weight", key)]),
        "channel_multiplier": 1,
        "channels": dict(zip(map(str, sizes), widths, strict=True)),
        **({} if kernel == 4 else {"blur_kernel": [1] * kernel}),
    }


def _mapping(shapes: Shapes) -> Config:
    """What all of NVIDIA's networks have."""
    layers = _count(shapes, r"mapping\.fc(\d+)\.weight")
    classes = shapes["mapping.embed.weight"][1] if "mapping.embed.weight" in shapes else 0
    w_dim = shapes["mapping.w_avg"][0]
    widths = {shapes[f"mapping.fc{index}.weight"][0] for index in range(layers)}
    if widths != {w_dim} or (classes and shapes["mapping.embed.weight"][0] != w_dim):
        raise UnreadableError(f"its mapping network has layers of {sorted(widths)} beside styles of {w_dim} numbers")
    z_dim = shapes["mapping.fc0.weight"][1] - w_dim * bool(classes)
    return {"z_dim": z_dim, "c_dim": classes, "w_dim": w_dim, "mapping_layers": layers}


def _stylegan2_ada(shapes: Shapes) -> Config:
    sizes = sorted({int(match[1]) for key in shapes if (match := re.match(r"synthesis\.b(\d+)\.", key))})
    last = f"synthesis.b{sizes[-1]}"
    if sizes != [4 * 2**index for index in range(len(sizes))]:
        raise UnreadableError(f"its blocks are of {sizes} pixels, which are not 4, 8, 16 and so on")
    residual = f"{last}.skip.weight" in shapes
    return _mapping(shapes) | {
        "img_resolution": sizes[-1],
        "img_channels": shapes[f"{last}.torgb.weight"][0],
        "widths": [shapes[f"synthesis.b{size}.conv1.weight"][0] for size in sizes],
        "layout": "resnet" if residual else "skip" if "synthesis.b4.torgb.weight" in shapes else "orig",
    }


def _stylegan3(shapes: Shapes) -> Config:
    layers = {
        int(match[1]): (match[0], int(match[2]))
        for key in shapes
        if (match := re.match(r"synthesis\.L(\d+)_(\d+)_\d+(?=\.)", key))
    }
    last = max(layers)
    first = shapes[f"{layers[0][0]}.weight"]
    return _mapping(shapes) | {
        "img_resolution": layers[last][1],
        "img_channels": shapes[f"{layers[last][0]}.weight"][0],
        "num_layers": last,
        "widths": [shapes[f"{layers[index][0]}.weight"][0] for index in range(last)],
        "conv_kernel": first[-1],
        "use_radial_filters": any(len(shape) == 2 for key, shape in shapes.items() if key.endswith("down_filter")),
    }


def _r3gan(shapes: Shapes) -> Config:
    stages = _count(shapes, r"MainLayers\.(\d+)\.")
    blocks = [_count(shapes, rf"MainLayers\.{stage}\.Layers\.(\d+)\.") - 1 for stage in range(stages)]
    inner = [shapes[f"MainLayers.{stage}.Layers.1.LinearLayer2.Layer.weight"] for stage in range(stages)]
    outer = [shapes[f"MainLayers.{stage}.Layers.1.LinearLayer3.Layer.weight"] for stage in range(stages)]
    embedded, classes = shapes.get("EmbeddingLayer.weight", (0, 0))
    return {
        "latent_dim": shapes["MainLayers.0.Layers.0.LinearLayer.weight"][1] - embedded,
        "widths": [shape[0] for shape in outer],
        "groups": [shape[0] // shape[1] for shape in inner],
        "blocks": blocks,
        "expansion": outer[0][1] // outer[0][0],
        "kernel": inner[0][-1],
        "class_count": classes,
        "class_dim": embedded,
    }


_RULES: dict[str, Callable[[Shapes], Config]] = {
    "dcgan": _dcgan,
    "pgan": _pgan,
    **dict.fromkeys(("deepsim_fc6", "deepsim_fc7", "deepsim_fc8", "deepsim_pool5"), _deepsim),
    "biggan_deep": _biggan_deep,
    "bigbigan": _bigbigan,
    "stylegan": _stylegan,
    "stylegan2": _stylegan2,
    "stylegan2_ada": _stylegan2_ada,
    "stylegan3": _stylegan3,
    "r3gan": _r3gan,
    "wavegan": _wavegan,
    "tutorial_dcgan": _tutorial_dcgan,
    "conditional_dcgan": _conditional_dcgan,
    "mlp": _mlp,
    "ctgan": _ctgan,
}
