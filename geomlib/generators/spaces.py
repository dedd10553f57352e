"""Spaces and options of the architectures: from a loaded network to a `Generator` on the latents of one space."""

import numbers
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from geomlib._checks import as_index, check_choice, check_matrix
from geomlib._state import isolated, seeded
from geomlib.generators.adapters import Adapter
from geomlib.generators.architectures import styles
from geomlib.generators.architectures.base import Architecture
from geomlib.generators.architectures.biggan_deep import BigGANDeep
from geomlib.generators.architectures.nvidia import NvidiaStyleGAN
from geomlib.generators.architectures.r3gan import R3GAN
from geomlib.generators.architectures.stylegan import StyleGAN
from geomlib.generators.architectures.stylegan2 import StyleGAN2
from geomlib.generators.architectures.tutorial_dcgan import ConditionalDCGAN
from geomlib.generators.interface import Generator, Sampler
from geomlib.generators.known import AUDIO, SPACES
from geomlib.generators.views import ClassView, LabelView, NvidiaView, StyleView

_STYLE_OPTIONS = ("size", "truncation", "mean_style", "noise", "noise_seed", "w_sampling")
# What is not here has the option `size` alone.
OPTIONS: dict[str, tuple[str, ...]] = {
    "stylegan": (*_STYLE_OPTIONS, "step"),
    "stylegan2": _STYLE_OPTIONS,
    "stylegan2_ada": (*_STYLE_OPTIONS, "class_index"),
    "stylegan3": ("size", "truncation", "mean_style", "w_sampling", "class_index"),
    "r3gan": ("size", "class_index"),
    "biggan_deep": ("size", "truncation", "class_index", "noise_seed"),
    "conditional_dcgan": ("size", "class_index"),
    **dict.fromkeys(AUDIO, ()),
}


class _Shown(NamedTuple):
    module: nn.Module
    latent_dim: int
    sampler: Sampler | None = None
    deterministic: bool = True


@isolated()
def as_generator(
    architecture: str,
    network: Architecture,
    space: str = "",
    name: str = "",
    default_distance: str = "",
    /,
    **options: Any,
) -> Generator:
    """The `Generator` on the latents of one space of a network, which is in evaluation mode and stays as it is.

    Spaces, the first being the default:

    - stylegan, stylegan2, stylegan2_ada, stylegan3: "z"; "w", styles `(B, n)`; "w+", styles of all layers (stylegan:
      of all blocks), flat.
      Latents of "w" are normal draws through the mapping network, those of "w+" such styles repeated.
    - biggan_deep: "all", noise followed by a class embedding; "noise", with the class fixed; "class", embeddings with
      the noise fixed. Noise is drawn from a normal distribution truncated to [-2, 2], times `truncation`.
    - conditional_dcgan: "noise", with the class fixed; "all", noise followed by a label, one number for each class.
    - all others: "z", standard normal.

    Options:

    - of images: `size`, to which they are resized (default: not).
    - stylegan, stylegan2: `truncation` in [0, 1] towards the mean style, of given styles too (default 1: none);
      `mean_style` `(1, n)` (default: of 10,240 latents from the seed 0); `noise`, "fixed" (default) or "fresh": new at
      each call from `noise_seed` (default 0) on, and the generator is then not deterministic; `w_sampling`, "mapping"
      (default) or "normal": plain normal styles, as in the published script for StyleGAN2.
    - stylegan2_ada, stylegan3: as stylegan2, with the mean style of the training as `mean_style`, and no noise in
      stylegan3; `class_index`, also under the name `class`, of a conditional network: the class (default 0; in "w" and
      "w+", whose latents are styles already, it is that of the samples).
    - r3gan: `class_index`, likewise.
    - stylegan: `step`, the block to stop at, with images of size `4 * 2 ** step` (default: the last).
    - biggan_deep: `truncation` in (0, 1] (default 1), which picks the norms' statistics, too; `class_index`, also
      under the name `class`: the class of the samples (default: a random one for each), in "noise" the fixed class
      (default 0); `noise_seed` of the fixed noise in "class" (default 0).
    - conditional_dcgan: `class_index`, also under the name `class`: the class, by its number or its name, as above.

    Raises:
        ValueError: an unknown space or option, or a value out of range; the message names what is known.
    """
    spaces = SPACES.get(architecture, ("z",))
    space = space or spaces[0]
    check_choice("space", space, spaces)
    known = OPTIONS.get(architecture, ("size",))
    if "class" in options and "class_index" in known and "class_index" not in options:
        options["class_index"] = options.pop("class")
    unknown = [key for key in options if key not in known]
    if unknown:
        known = known or ("none",)
        raise ValueError(f"options of {architecture}: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    size = options.pop("size", None)
    if isinstance(network, StyleGAN | StyleGAN2):
        shown = _show_styles(network, space, **options)
    elif isinstance(network, NvidiaStyleGAN):
        shown = _show_nvidia(network, space, **options)
    elif isinstance(network, R3GAN):
        shown = _Shown(_labelled(network, **options), network.latent_dim)
    elif isinstance(network, BigGANDeep):
        shown = _show_classes(network, space, **options)
    elif isinstance(network, ConditionalDCGAN):
        shown = _show_labels(network, space, **options)
    else:
        shown = _Shown(network, network.latent_dim)
    is_audio = architecture in AUDIO
    return Generator(
        shown.module,
        shown.latent_dim,
        None if is_audio else network.output_range,
        sampler=shown.sampler,
        name=name or architecture,
        default_distance=default_distance or ("stft" if is_audio else ""),
        size=size,
        spaces=spaces,
        space=space,
        deterministic=shown.deterministic,
    )


def _check_styles(noise: str, w_sampling: str, truncation: Any) -> None:
    """Refuse options that no network with styles has."""
    check_choice("noise", noise, ("fixed", "fresh"))
    check_choice("w_sampling", w_sampling, ("mapping", "normal"))
    if not _is_number(truncation) or not 0.0 <= truncation <= 1.0:
        raise ValueError(f"truncation: expected a number in [0, 1], got {truncation!r}")


def _show_styles(
    network: StyleGAN | StyleGAN2,
    space: str,
    truncation: float = 1.0,
    mean_style: Tensor | None = None,
    noise: str = "fixed",
    noise_seed: int = 0,
    w_sampling: str = "mapping",
    step: int | None = None,
) -> _Shown:
    _check_styles(noise, w_sampling, truncation)
    if step is not None and isinstance(network, StyleGAN):
        check_choice("step", step, tuple(range(network.last_step + 1)))
    if truncation == 1.0:
        mean_style = None
    elif mean_style is None:
        mean_style = styles.mean_style(network.style, network.latent_dim)
    else:
        mean_style = mean_style.detach().clone().reshape(1, -1)
        check_matrix("mean_style", mean_style, network.latent_dim)
    view = StyleView(network, space, truncation, mean_style, noise_seed if noise == "fresh" else None, step)
    repeats = view.style_count if space == "w+" else 1
    is_mapped = space != "z" and w_sampling == "mapping"
    sampler = _style_sampler(network.latent_dim, network.style if is_mapped else None, repeats)
    return _Shown(view, repeats * network.latent_dim, sampler, noise == "fixed")


def _show_nvidia(
    network: NvidiaStyleGAN,
    space: str,
    truncation: float = 1.0,
    mean_style: Tensor | None = None,
    noise: str = "fixed",
    noise_seed: int = 0,
    w_sampling: str = "mapping",
    class_index: int | None = None,
) -> _Shown:
    _check_styles(noise, w_sampling, truncation)
    if mean_style is not None:
        mean_style = mean_style.detach().clone().reshape(1, -1)
        check_matrix("mean_style", mean_style, network.w_dim)
    label = _label(class_index, network.c_dim)
    view = NvidiaView(network, space, truncation, mean_style, label, noise_seed if noise == "fresh" else None)
    if space == "z":
        return _Shown(view, network.latent_dim, deterministic=noise == "fixed")
    repeats = network.style_count if space == "w+" else 1

    @torch.no_grad()
    def sampler(count: int, random: torch.Generator) -> Tensor:
        if w_sampling == "normal":
            return torch.randn(count, network.w_dim, generator=random, dtype=torch.float32).repeat(1, repeats)
        like = network.mapping.w_avg
        draw = torch.randn(count, network.latent_dim, generator=random, dtype=torch.float32).to(like)
        styles: Tensor = network.mapping(draw, None if label is None else label.to(like))
        return styles.repeat(1, repeats)

    return _Shown(view, repeats * network.w_dim, sampler, noise == "fixed")


def _labelled(network: R3GAN, class_index: int | None = None) -> nn.Module:
    """The network with one class, where it has any."""
    label = _label(class_index, network.class_count)
    return network if label is None else Adapter(network, None, None, {"class_vector": label}, False)


def _label(class_index: object, count: int) -> Tensor | None:
    """The vector `(1, count)` of a class, by default the first; None for a network that has none."""
    if not count:
        if class_index is not None:
            raise ValueError(f"class_index: this network has no classes, got {class_index!r}")
        return None
    place = as_index("class_index", 0 if class_index is None else class_index, count)
    return torch.eye(count)[place : place + 1]


def _style_sampler(latent_dim: int, mapping: nn.Module | None, repeats: int) -> Sampler:
    # It keeps the mapping network as it was loaded, so that samples are the same wherever the generator moves.
    @torch.no_grad()
    def sampler(count: int, random: torch.Generator) -> Tensor:
        draw = torch.randn(count, latent_dim, generator=random, dtype=torch.float32)
        if mapping is not None:
            draw = mapping(draw.to(next(mapping.parameters())))
        return draw.repeat(1, repeats)

    return sampler


def _show_classes(
    network: BigGANDeep,
    space: str,
    truncation: float = 1.0,
    class_index: int | None = None,
    noise_seed: int = 0,
) -> _Shown:
    if not _is_number(truncation) or not 0.0 < truncation <= 1.0:
        raise ValueError(f"truncation: expected a number in (0, 1], got {truncation!r}")
    if class_index is not None:
        class_index = as_index("class_index", class_index, network.num_classes)
    embeddings = network.embeddings.weight.detach().T.contiguous().cpu()

    def draw_noise(count: int, random: torch.Generator) -> Tensor:
        draw = torch.empty(count, network.z_dim, dtype=torch.float32)
        return truncation * nn.init.trunc_normal_(draw, a=-2.0, b=2.0, generator=random)

    def sampler(count: int, random: torch.Generator) -> Tensor:
        # Both are drawn in every space, so that a sample of "all" is a sample of "noise" and one of "class".
        noise = draw_noise(count, random)
        classes = torch.randint(network.num_classes, (count,), generator=random)
        if class_index is not None:
            classes = torch.full((count,), class_index)
        return {"all": torch.cat([noise, embeddings[classes]], 1), "noise": noise, "class": embeddings[classes]}[space]

    fixed = {
        "all": None,
        "noise": embeddings[class_index or 0][None].clone(),
        "class": draw_noise(1, seeded(noise_seed)),
    }[space]
    widths = {"all": network.latent_dim, "noise": network.z_dim, "class": network.latent_dim - network.z_dim}
    return _Shown(ClassView(network, space, truncation, fixed), widths[space], sampler)


def _show_labels(network: ConditionalDCGAN, space: str, class_index: int | str | None = None) -> _Shown:
    if class_index in network.labels:
        class_index = network.labels.index(class_index)
    count = len(network.labels)
    if class_index is not None:
        class_index = as_index("class_index", class_index, count, f", or {', '.join(map(repr, network.labels))}")

    def sampler(samples: int, random: torch.Generator) -> Tensor:
        # Both are drawn in either space, so that a sample of "all" begins with one of "noise".
        noise = torch.randn(samples, network.noise_dim, generator=random)
        classes = torch.randint(count, (samples,), generator=random)
        if class_index is not None:
            classes = torch.full((samples,), class_index)
        return torch.cat([noise, network.one_hot(classes)], 1) if space == "all" else noise

    if space == "all":
        return _Shown(network, network.latent_dim, sampler)
    label = network.one_hot(torch.tensor([class_index or 0]))
    return _Shown(LabelView(network, label), network.noise_dim, sampler)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
