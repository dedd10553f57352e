"""Control networks: a generator with the same layers and other numbers (Wang & Ponce 2021, supplement to Figure 3).

Each control is a new `Generator`; the one given is never changed.  Of the module only the bare network is treated:
the space of the latents with its sampler, the fixed class or noise, and the mean style of truncation stay, so that a
control is measured at the very latents of the original.  Constants of the equalised learning rate are no tensors of the
state and stay; a shuffled or matched weight has the same size as before, a new one the size that its layer expects.

The vectors of spectral normalisation (`weight_u`, `weight_v`, `u0`, `_u`, `_v`) only serve to estimate the norm of the
weight beside them.  They are estimated anew: with vectors that belong to no weight, a layer would divide by a number
anywhere near zero.  (The authors' script permutes them as any other tensor.)

Whether a control still gives images that depend on the latent is for `geomlib.check_generator` to say; a shuffled
BigBiGAN was not usable for the authors.
"""

import copy
import logging
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm

from geomlib._arguments import checked
from geomlib._checks import check_finite
from geomlib._progress import Progress
from geomlib._state import isolated, seed_torch, seeded
from geomlib.distances import Distance
from geomlib.generators.architectures import stylegan, stylegan2, styles
from geomlib.generators.architectures.pgan import ScaledLayer
from geomlib.generators.architectures.spectral import SpectralLayer
from geomlib.generators.interface import Generator
from geomlib.generators.latents import latents_for
from geomlib.metric import Metric
from geomlib.sweep import metrics

logger = logging.getLogger(__name__)

_POWER_STEPS = 30
# Passes with batch statistics until running ones that move by a tenth have forgotten all but 0.5 % of their start.
_PASSES, _BATCH = 50, 16
_DCGAN_DEVIATION = 0.02


@checked()
def contrast(generator: Generator, seed: int, count: int = 100) -> float:
    """How much pictures differ: the standard deviation over `count` latents of each value, averaged over the picture.

    The latents are those of "samples" in the book's sequence of this seed.  Controls draw nearly flat pictures, and a
    flat picture has a metric of its own kind, so this number belongs beside theirs.

    Raises:
        ValueError: images without values.
        FloatingPointError: images that are not finite.
    """
    with torch.no_grad():
        parts = [generator(part) for part in latents_for("samples", generator, count, seed).split(_BATCH)]
    images = torch.cat(parts)
    check_finite("images", images)
    if not images.numel():
        raise ValueError("generator: expected images of at least one value, got none")
    return float(images.double().std(0).mean())


@checked(shapes={"latents": "P n"})
def one_of_each(
    generator: Generator,
    latents: Tensor,
    distance: Distance,
    seed: int,
    progress: Callable[[str], Progress] | None = None,
) -> dict[str, tuple[Generator, Metric]]:
    """One control of each kind that the book shows, "shuffled" and "untrained", with its metric at `latents` `(P, n)`.

    A control whose images are not finite, or that has no metric, is left out, and so are all where the generator has no
    weights. `progress(kind)` gives what `sweep.metrics` takes.
    """
    controls = {}
    for kind, make in (("shuffled", shuffled), ("untrained", reinitialised)) if generator.weights_hash else ():
        try:
            control = make(generator, seed)
            report = progress(kind) if progress else None
            controls[kind] = control, metrics(control, latents, distance, progress=report)
        except (ValueError, FloatingPointError) as error:
            logger.warning("%s: the control %r is left out: %s", generator.name, kind, error)
    return controls


@isolated()
def shuffled(generator: Generator, seed: int) -> Generator:
    """Every tensor of the network's state permuted inside itself: weights, biases, statistics and other buffers.

    That is the authors' control: each layer keeps its numbers and loses their order.  Tensors of integers (counters)
    stay.  Blur kernels and stored noise maps are shuffled too; running variances stay positive, being permuted only.

    Raises:
        ValueError: the generator is no `nn.Module`.
    """

    def shuffle(network: nn.Module, random: torch.Generator) -> None:
        # A tensor that two layers share is permuted once.
        for tensor in {id(value): value for value in network.state_dict(keep_vars=True).values()}.values():
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                order = torch.randperm(tensor.numel(), generator=random).to(tensor.device)
                tensor.copy_(tensor.flatten()[order].reshape(tensor.shape))
        _estimate_norms(network)

    return _control(generator, "shuffled weights", seed, shuffle)


@isolated()
def matched_gaussian(generator: Generator, seed: int) -> Generator:
    """Every parameter tensor replaced by independent Gaussian numbers of the same mean and standard deviation.

    Unlike `shuffled`, this also removes the shape of each distribution, its heavy tails above all.  Buffers stay:
    running statistics, filters, noise maps; so does a parameter of one number.

    Raises:
        ValueError: the generator is no `nn.Module`.
    """

    def replace(network: nn.Module, random: torch.Generator) -> None:
        for parameter in network.parameters():
            deviation, mean = torch.std_mean(parameter.double(), correction=0)
            noise = torch.randn(parameter.shape, generator=random, dtype=torch.float64).to(parameter.device)
            parameter.copy_(mean + deviation * noise)
        _estimate_norms(network)

    return _control(generator, "matched Gaussian weights", seed, replace)


@isolated()
def reinitialised(generator: Generator, seed: int) -> Generator:
    """The network before any training: each layer initialised at random as it is when it is made.

    That is the layer's own `reset_parameters`.  Layers that have none follow their constructors here: unit normal
    weights under an equalised learning rate, normal ones of variance `2 / fan-in` (He et al. 2015) elsewhere, gains 1,
    biases 0, and 0 for parameters of one number.  Filters and noise maps stay.  Running statistics of batch norms are
    then those of the new network: it sees 50 batches of 16 latents in training mode, as a freshly made network would
    at the start of its training; with mean 0 and variance 1 instead, images can be next to one flat colour.

    Torch's global random state is left as it was.

    Raises:
        ValueError: the generator is no `nn.Module`.
    """

    def reset(network: nn.Module, random: torch.Generator) -> None:
        seed_torch(int(torch.randint(2**62, (), generator=random)), generator.device)
        network.cpu()  # where a seed always gives the same numbers
        # Children first: a parent knows better what its child is for.
        for module in reversed(list(network.modules())):
            _initialise(module)
        network.to(generator.device)

    return _calibrated(generator, "untrained", seed, reset)


@isolated()
def initialised_as_dcgan(generator: Generator, seed: int) -> Generator:
    """A DCGAN before any training, initialised as its authors do (Radford et al. 2016, section 4).

    Weights of convolutions are normal of mean 0 and deviation 0.02, gains of batch norms normal of mean 1 and deviation
    0.02, as in the tutorial of PyTorch, biases 0; running statistics are those of 50 batches, as in `reinitialised`.

    Raises:
        ValueError: the generator is no `nn.Module`, or not of convolutions and batch norms alone.
    """

    def reset(network: nn.Module, random: torch.Generator) -> None:
        for module in network.modules():
            own = dict(module.named_parameters(recurse=False))
            if own and not isinstance(module, _ConvNd | _BatchNorm):
                raise ValueError(
                    f"generator: expected convolutions and batch norms alone, as in a DCGAN; {generator.name} has a "
                    f"{type(module).__name__}"
                )
            for name, parameter in own.items():
                if name == "bias":
                    parameter.zero_()
                    continue
                noise = torch.randn(parameter.shape, generator=random, dtype=torch.float64).to(parameter.device)
                parameter.copy_(float(isinstance(module, _BatchNorm)) + _DCGAN_DEVIATION * noise)
            if isinstance(module, _BatchNorm):
                module.reset_running_stats()
        # Of the dropout while the statistics are taken; the caller forked torch's own state.
        seed_torch(int(torch.randint(2**62, (), generator=random)), generator.device)

    return _calibrated(generator, "untrained, N(0, 0.02)", seed, reset)


def _calibrated(
    generator: Generator, label: str, seed: int, change: Callable[[nn.Module, torch.Generator], None]
) -> Generator:
    """A control whose batch norms have the statistics of the network as it is made."""
    with torch.random.fork_rng([generator.device] if generator.device.type == "cuda" else []), torch.no_grad():
        control = _control(generator, label, seed, change)
        assert isinstance(control.module, nn.Module)
        norms = [part for part in control.module.modules() if isinstance(part, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        control.module.train()
        for norm in norms:
            norm.momentum = None  # the plain average of all batches
        for batch in control.sample(_PASSES * _BATCH, seed).split(_BATCH):
            before = [buffer.clone() for buffer in control.module.buffers()]
            control.module(batch)
            if all(map(torch.equal, before, control.module.buffers())):
                break  # nothing to estimate
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        control.module.eval()
    return control


def _control(
    generator: Generator, label: str, seed: int, change: Callable[[nn.Module, torch.Generator], None]
) -> Generator:
    if not isinstance(generator.module, nn.Module):
        raise ValueError(
            f"generator: expected one whose module is an nn.Module, with weights to change; {generator.name} has a "
            f"{type(generator.module).__name__}"
        )
    control = copy.copy(generator)
    control.module = copy.deepcopy(generator.module)
    # Nothing known of the original may pass for the control's: how to load it, what its weights are.
    control.name, control.spec = f"{generator.name}, {label} (seed {seed})", None
    control.control_of = generator.spec
    vars(control).pop("weights_hash", None)
    network = control.network
    assert isinstance(network, nn.Module)
    with torch.no_grad():
        change(network, seeded(seed))
    return control


def _estimate_norms(network: nn.Module) -> None:
    """Power iteration for the weights as they are now, in our layers and in both kinds that torch has."""
    for module in network.modules():
        hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
        steps: list[Callable[[], object]] = [partial(hook.compute_weight, module, True) for hook in hooks]
        if isinstance(module, SpectralLayer):
            steps.append(module.normalised_weight)
        elif isinstance(module, ParametrizationList):
            steps.append(module)
        for step in steps:
            module.train()
            for _ in range(_POWER_STEPS):
                step()
            module.eval()


def _initialise(module: nn.Module) -> None:
    """Random numbers as the constructor draws them, for the module's own tensors."""
    own = dict(module.named_parameters(recurse=False))
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        before = {name: parameter.clone() for name, parameter in own.items()}
        reset()
        # Behind torch's own normalisations of weights, a layer does not reach its parameter.
        own = {name: new for name, new in own.items() if new.ndim > 1 and torch.equal(new, before[name])}
    for name, parameter in own.items():
        if "bias" in name or parameter.numel() == 1:
            nn.init.zeros_(parameter)
        elif parameter.ndim == 1:
            nn.init.ones_(parameter)
        else:
            nn.init.normal_(parameter, std=_deviation(module, parameter))
    for name, buffer in module.named_buffers(recurse=False):
        # Zero, not one, because the average that moves on from here must forget it, whatever its own size.
        if not callable(reset) and name.startswith(("running_", "stored_")):
            buffer.zero_()
    match module:
        case ScaledLayer():
            if module.scale != 1.0:
                nn.init.normal_(module.module.weight)
            if module.module.bias is not None:
                nn.init.zeros_(module.module.bias)
        case stylegan.Noise():
            nn.init.zeros_(module.weight_orig)
        case stylegan.AdaptiveInstanceNorm() if module.style.linear.bias is not None:
            nn.init.ones_(module.style.linear.bias.chunk(2)[0])
        case stylegan2.ModulatedConvolution():
            nn.init.ones_(module.modulation.bias)


def _deviation(module: nn.Module, weight: Tensor) -> float:
    """Standard deviation of a new weight: one where a layer multiplies it by a constant `scale` at each use."""
    if isinstance(module, styles.Constant):
        return 1.0
    if isinstance(getattr(module, "scale", None), float):
        return 1.0 / float(getattr(module, "rate", 1.0))
    return math.sqrt(2.0 / math.prod(weight.shape[1:]))
