"""The trials: each looks at one property of a generator, from its latents to its distance."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from geomlib._checks import check_finite
from geomlib.check.errors import blame
from geomlib.check.form import advice_for
from geomlib.distances import Distance, load_distance
from geomlib.generators.adapters import Adapter, describe
from geomlib.generators.architectures.base import to_unit_range
from geomlib.generators.hidden import hidden_modules, in_training
from geomlib.generators.interface import Generator
from geomlib.operators import PullbackOperator

Verdict = tuple[bool | None, str, str]  # passed (None: a note), the finding, what to do
COUNT = 2  # latents that are tried: fewer than channels, so that a lost batch axis shows
BYTES = 20  # a network of another range does not come so far
SATURATED, SOME_SATURATED = 0.25, 0.02  # shares of values at an end of the range: a problem, a note


@dataclass
class Trial:
    """What the checks share, filled in as they pass: a pass through a large network takes seconds, so each serves all.

    Attributes:
        generator: under trial.
        distance: under whose features derivatives are taken, if any.
        seed: of the latents.
        latents: two of them.
        raw: what the network itself returns.
        images: what the generator makes of it.
        followed: latents, and their images with the graph between them.
        fresh_noise: whether it is declared random.
        operator: the derivative by the route that serves.
        repeated: see `again`.
    """

    generator: Generator
    distance: Distance | None
    seed: int
    latents: Tensor = field(init=False)
    raw: Tensor = field(init=False)
    images: Tensor = field(init=False)
    followed: tuple[Tensor, Tensor] = field(init=False)
    fresh_noise: bool = False
    operator: PullbackOperator | None = None
    repeated: tuple[Tensor, list[str]] | None = None

    def tolerance(self) -> float:
        """How far values that should be equal may differ: the root of the rounding unit, in units of the images."""
        return math.sqrt(torch.finfo(self.images.dtype).eps) * max(1.0, float(self.images.abs().max()))

    def modules(self) -> dict[str, nn.Module]:
        return hidden_modules(self.generator.module)

    def again(self) -> tuple[Tensor, list[str]]:
        """Images of a second pass, and the names of parameters and buffers that it changed."""
        if self.repeated is None:
            before = self._state()
            with torch.no_grad():
                images = self.generator(self.latents)
            changed = [
                key for key, value in self._state().items() if key not in before or not _same(before[key], value)
            ]
            self.repeated = images, changed
        return self.repeated

    def _state(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": tensor.detach().clone()
            for name, module in self.modules().items()
            for key, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        }

    def measure(self) -> Distance:
        """The distance whose features are differentiated: the one under trial, or mse where that has none."""
        if self.distance is not None and self.distance.features is not None:
            return self.distance
        return load_distance("mse", self.generator.device, self.generator.dtype)

    def vector(self, z: Tensor) -> Tensor:
        """What the metric differentiates: the features of the image of one latent `z`."""
        features = self.measure().features
        assert features is not None
        return features(self.generator(z[None]))[0]


def try_latents(trial: Trial) -> Verdict:
    trial.latents, again = (trial.generator.sample(COUNT, trial.seed) for _ in range(2))
    check_finite("latents", trial.latents)
    if not torch.equal(trial.latents, again):
        return False, "Two draws from one seed differ.", "Draw from the torch.Generator that the sampler is given."
    if bool((trial.latents == trial.latents[0]).all()):
        return False, "All latents of a draw are the same.", "Let the sampler return `count` different latents."
    return True, f"{trial.generator.latent_dim} coordinates, the same for a seed.", ""


def try_training_mode(trial: Trial) -> Verdict:
    training = [name for name, module in trial.modules().items() if in_training(module)]
    if training:
        return False, f"In training mode: {', '.join(training[:3])} ({len(training)} in all).", "Call .eval() on it."
    return True, "No module is in training mode.", ""


def try_shape(trial: Trial) -> Verdict:
    generator = trial.generator
    with torch.no_grad():
        try:
            raw: Any = generator.module(trial.latents.clone())
        except Exception as error:  # whatever a stranger's network raises
            advice = advice_for(generator, trial.latents)
            if not advice:
                raise
            return False, f"{type(error).__name__}: {blame(error, trial.modules())}.", advice
        if not isinstance(raw, Tensor):
            held, part = describe(raw)
            advice = "Return the image alone." if part is None else f"Pass output={part!r} to geomlib.Generator."
            return False, f"It returns {type(raw).__name__}, not a tensor: it {held}.", advice
        if not raw.is_floating_point():
            return False, f"It returns {raw.dtype}, which has no derivative.", "Return values before they are rounded."
        trial.raw, trial.images = raw, generator(trial.latents)
    shape = tuple(trial.images.shape)
    if shape[:1] != (COUNT,):
        return False, f"{COUNT} latents give an output of shape {shape}.", "Keep the batch as the first axis."
    if len(shape) == 4:
        if shape[1] > 3 and shape[3] in (1, 3):
            return (
                False,
                f"{shape} looks like channels last.",
                "Pass channels_last=True to geomlib.Generator, or return (B, C, H, W).",
            )
        told = f" {generator.module.told()}" if isinstance(generator.module, Adapter) else ""
        return True, f"Images (B, {', '.join(map(str, shape[1:]))}), {trial.images.dtype}.{told}", ""
    if generator.output_range is not None:
        return False, f"{shape} is no (B, C, H, W).", "Return that; for sound (B, C, L) pass output_range=None."
    if len(shape) == 3:
        return True, f"Sound (B, {shape[1]}, {shape[2]}), {trial.images.dtype}.", ""
    return None, f"A raw output {shape}: neither images nor sound.", "Use a distance that takes it, such as mse."


def try_finite(trial: Trial) -> Verdict:
    check_finite("output", trial.images)
    return True, "All values are finite.", ""


def try_range(trial: Trial) -> Verdict:
    generator, images = trial.generator, trial.images
    low, high = float(images.min()), float(images.max())
    if generator.output_range is None:
        if images.ndim == 3 and max(-low, high) > 1 + 1e-3:
            return False, f"Sound goes from {low:.3g} to {high:.3g}, outside [-1, 1].", "Scale it, or end in tanh."
        return True, f"Raw values from {low:.3g} to {high:.3g}, taken as they are.", ""
    values = to_unit_range(trial.raw, generator.output_range, generator.size, clamp=False)
    given = f"output_range={generator.output_range}"
    outside = float(((values < -1e-3) | (values > 1 + 1e-3)).double().mean())
    if outside and not generator.clamp:
        return False, f"{outside:.1%} of the values are outside [0, 1].", f"Set another {given}, or clamp=True."
    saturated = float(((values <= 0) | (values >= 1)).double().mean())
    found = f"Values from {low:.3g} to {high:.3g}, {saturated:.1%} at or beyond an end of the range."
    if saturated > SATURATED and (highest := _raw_extent(generator, trial)) > BYTES:
        advice = f"The network's own go up to {highest:.4g}: pass output_range=(0, 255) in the place of {given}."
        return False, found, advice
    if saturated > SATURATED:
        return False, found, f"There the derivative is zero: is {given} what the network returns, and is it trained?"
    if saturated > SOME_SATURATED:
        return None, found, "There the derivative is zero."
    if low > 0.45:
        return None, found, f"The lower half is empty: is {given} what the network returns?"
    return True, found, ""


def _raw_extent(generator: Generator, trial: Trial) -> float:
    """The largest value before the range is applied, in units that end at 255; 0 where the range is as large."""
    low, high = (torch.as_tensor(bound).abs().max() for bound in generator.output_range or (0, 0))
    if max(float(low), float(high)) > 2:
        return 0.0
    return float(trial.raw.max())


def try_determinism(trial: Trial) -> Verdict:
    change = float((trial.again()[0] - trial.images).abs().max())
    if not getattr(trial.generator, "deterministic", True):
        trial.fresh_noise = True
        return None, f"Declared random: values change by {change:.2g}.", "Use method='backward', or fix the noise."
    if change > trial.tolerance():
        finding = f"The same latents give other images: values change by up to {change:.2g}{_drawn_in(trial)}."
        advice = "Fix what that layer draws (dropout, noise), or pass Generator(deterministic=False) if it is meant."
        return False, finding, advice
    if change:
        return None, f"Repeats to within rounding, {change:.2g}.", "torch.use_deterministic_algorithms(True) helps."
    return True, "The same latents give the same images.", ""


def _drawn_in(trial: Trial) -> str:
    """Where random numbers are drawn, if they are PyTorch's: `vmap` stops there."""
    try:
        torch.func.vmap(lambda latent: trial.generator(latent[None]))(trial.latents)
    except Exception as error:  # any other hindrance to vmap is no matter here
        return f"; {blame(error, trial.modules())}" if "random operation" in str(error) else ""
    return ""


def try_batch(trial: Trial) -> Verdict:
    if trial.fresh_noise:
        return None, "Not tried: the output is random.", ""
    with torch.no_grad():
        alone = torch.cat([trial.generator(latent[None]) for latent in trial.latents])
    change = float((alone - trial.images).abs().max())
    if not change <= trial.tolerance():
        finding = f"A latent alone gives another image than in a batch: values differ by up to {change:.2g}."
        advice = "Batch statistics or a minibatch layer: use stored statistics, so that each sample stands alone."
        return False, finding, advice
    return True, f"Alone and in a batch the images agree (to {change:.1g}).", ""


def try_unchanged(trial: Trial) -> Verdict:
    changed = trial.again()[1]
    if changed:
        finding = f"A forward pass changes {', '.join(changed[:3])} ({len(changed)} in all)."
        return False, finding, "Call .eval(), and do not write to buffers in forward."
    return True, "A forward pass leaves parameters and buffers as they are.", ""


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a, b) or bool((a != a).any())  # nothing can be said of NaN


def try_distance(trial: Trial) -> Verdict:
    if trial.distance is None:
        return True, "None given: the values of the image are differentiated, as for mse.", ""
    with torch.no_grad():
        value = trial.distance(trial.images, trial.images.flip(0))
        check_finite("distance", value)
        zero = trial.distance(trial.images, trial.images)
    if value.shape != (COUNT,) or float(zero.abs().max()) > 1e-3 * float(value.abs().max()):
        return False, f"It gives {value.tolist()} for two pairs and {zero.tolist()} for equal images.", "Mend it first."
    form = "" if callable(trial.distance.features) else " No feature form: the image alone is differentiated below."
    return True, f"{trial.distance.name}: {float(value[0]):.3g} between the first two images.{form}", ""
