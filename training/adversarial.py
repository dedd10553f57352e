"""Adversarial training of a small generator, on two CPU cores or a GPU.

The images' critic looks at them through the frozen features of a network that reads their factors, at three scales: a
projected GAN (Sauer et al. 2021), which learns geometry in far fewer steps than a critic that starts from pixels.
Spectrally normalised heads that see the standard deviation over their minibatch, hinge loss, Adam at two rates, and an
exponential moving average of the generator, which is what gets published.  A continuous latent space has to pass
between the kinds of shape; so that it passes quickly, the generator is also rewarded for samples that the frozen
network names with confidence, all kinds equally often (Springenberg 2016), with the weight `naming`; or, where a
sample was asked for by class, for being named as that class.

`PixelCritic` looks at pixels alone, has seen no factor and names nothing: what is trained against it owes its axes to
the images.  It is held in place by the zero-centred gradient penalty on real images (Mescheder et al. 2018).
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from trunk import CriticTrunk

log = logging.getLogger(__name__)

# Draws samples of a network in training mode: their batch, and the classes that were asked for, if any.
Imagine = Callable[[nn.Module, int, torch.Generator], tuple[Tensor, Tensor | None]]
CriticLoss = Callable[[list[Tensor], list[Tensor]], Tensor]


class Critic(nn.Module):
    """Images `(B, 3, 64, 64)` in [-1, 1] to scores at each scale of the frozen features of `eyes`, and of the pixels.

    The features hardly see fine texture; without the small head on the pixels a generator leaves noise there.
    """

    def __init__(self, eyes: CriticTrunk, width: int = 64) -> None:
        super().__init__()
        self.eyes = eyes.eval().requires_grad_(False)
        self.heads = nn.ModuleList(
            [_head(24, width, 2), _head(48, width, 1), _head(96, width, 0), _head(3, width // 2, 3)]
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """The maps of scores, and the logits `(B, 3)` of the kind of shape that the frozen network sees."""
        maps = self.eyes((images + 1) / 2)
        scores = [head(part) for head, part in zip(self.heads, [*maps, images], strict=True)]
        return scores, self.eyes.head(maps[-1])[:, :3]


class PixelCritic(nn.Module):
    """Images `(B, 3, 64, 64)` in [-1, 1] to one score each; every weight of it is learned from the images at hand."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in (width, 2 * width, 4 * width, 8 * width):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.heads = nn.Sequential(
            *layers,
            _Deviation(), nn.Conv2d(inputs + 1, inputs, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(inputs, 1, 4),
        )  # fmt: skip

    def forward(self, images: Tensor) -> tuple[list[Tensor], None]:
        """The score, as the one map there is; no naming."""
        return [self.heads(images)], None


class _Deviation(nn.Module):
    """Append the minibatch's standard deviation: a generator that repeats itself is found out by it."""

    def forward(self, maps: Tensor) -> Tensor:
        deviation = maps.float().std(0).mean().to(maps.dtype).expand(len(maps), 1, *maps.shape[2:])
        return torch.cat([maps, deviation], 1)


def _head(inputs: int, width: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(halvings):
        layers += [spectral_norm(nn.Conv2d(inputs, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        inputs = width
    return nn.Sequential(
        *layers,
        _Deviation(), spectral_norm(nn.Conv2d(inputs + 1, width, 4, 2, 1)), nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, width, 3, 1, 1)), nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(width, 1, 4)),
    )  # fmt: skip


def indecision(logits: Tensor) -> Tensor:
    """Entropy of each naming less the entropy of the batch's mean naming: lowest for sure namings of all kinds."""
    log_probabilities = logits.float().log_softmax(1)
    probabilities = log_probabilities.exp()
    mean = probabilities.mean(0)
    return (mean * mean.clamp(min=1e-6).log()).sum() - (probabilities * log_probabilities).sum(1).mean()


def hinge(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The critic's loss, mean over scales."""
    losses = [functional.relu(1 - r).mean() + functional.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def logistic(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The critic's loss of Goodfellow et al. 2014, which goes with `gradient_penalty`."""
    losses = [functional.softplus(-r).mean() + functional.softplus(f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def gradient_penalty(critic: nn.Module, images: Tensor) -> Tensor:
    """Mean squared norm of the gradient of the scores in the real images, in float32."""
    images = images.detach().float().requires_grad_(True)
    score = torch.stack([part.sum() for part in critic(images)[0]]).sum()
    (gradient,) = torch.autograd.grad(score, images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def batches(images: Tensor, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Endless shuffled minibatches in [-1, 1] of `images`, which are uint8."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for start in range(0, len(images) - batch_size + 1, batch_size):
            part = images[order[start : start + batch_size]].float().div_(127.5).sub_(1.0)
            yield part.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)


def _channels_last(model: nn.Module) -> nn.Module:
    """Lay the weights of convolutions out as processors like them."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def train(
    generator: nn.Module,
    critic: nn.Module,
    real: Iterator[Tensor],
    imagine: Imagine,
    refresh: Callable[[nn.Module], None],
    *,
    steps: int,
    folder: Path,
    seed: int,
    batch_size: int = 32,
    rates: tuple[float, float] = (3e-4, 6e-4),
    decay: float = 0.999,
    naming: float = 0.5,
    critic_loss: CriticLoss = hinge,
    penalty: float = 0.0,
    penalty_every: int = 16,
    device: str = "cpu",
    save_every: int = 1000,
    on_save: Callable[[nn.Module, int], None] | None = None,
) -> tuple[nn.Module, list[list[float]], float]:
    """Train `generator` in place; returns its average, the curve of losses, and the seconds.

    `critic` maps a batch to its maps of scores and to logits of its class (None: it names nothing, and `naming` is
    not used), and learns with its part `heads` by `critic_loss`; with a `penalty` that multiplies half the gradient
    penalty, taken every few steps, the generator's loss is the logistic one.  `real` yields endless minibatches;
    `refresh` makes an average ready for use (batch statistics, evaluation mode).  A state in `folder` is taken up
    where it stopped; `ValueError` where it has no step left to do.  The learning rates are constant for two thirds of
    the steps and then fall linearly to zero.
    """
    torch.manual_seed(seed)
    generator, critic = _channels_last(generator.to(device)).train(), _channels_last(critic.to(device))
    average = copy.deepcopy(generator)
    optimisers = [
        torch.optim.Adam(part, lr=rate, betas=(0.0, 0.99), foreach=True)
        for part, rate in zip((generator.parameters(), critic.heads.parameters()), rates, strict=True)
    ]
    state_path = folder / "state.pt"
    first, curve, spent = 0, [], 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        for module, key in ((generator, "generator"), (critic, "critic"), (average, "average")):
            module.load_state_dict(state[key])
        for optimiser, key in zip(optimisers, ("generator_adam", "critic_adam"), strict=True):
            optimiser.load_state_dict(state[key])
        first, curve, spent = state["step"], state["curve"], state["seconds"]
        log.info("continue from step %d", first)
    if first >= steps:
        raise ValueError(f"steps: expected more than the {first} that {state_path} has done, got {steps}")
    noise = torch.Generator().manual_seed(seed + 1 + first)
    started = time.perf_counter() - spent
    sums = torch.zeros(3)
    for step in range(first, steps):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * min(1.0, 3.0 * (1.0 - step / steps))
        truth = next(real).to(device)
        with torch.autocast(device, torch.bfloat16):
            fake, wanted = imagine(generator, batch_size, noise)
            loss = critic_loss(critic(truth)[0], critic(fake.detach())[0])
        if penalty and step % penalty_every == 0:
            loss = loss + 0.5 * penalty * penalty_every * gradient_penalty(critic, truth)
        optimisers[1].zero_grad()
        loss.backward()
        optimisers[1].step()
        critic.heads.requires_grad_(False)
        with torch.autocast(device, torch.bfloat16):
            scores, kinds = critic(fake)
            fooling = [(functional.softplus(-part) if penalty else -part).mean() for part in scores]
            generator_loss = generator_total = torch.stack(fooling).mean()
            if kinds is not None:
                named = indecision(kinds) if wanted is None else functional.cross_entropy(kinds.float(), wanted)
                generator_total = generator_loss + naming * named
        optimisers[0].zero_grad()
        generator_total.backward()
        optimisers[0].step()
        critic.heads.requires_grad_(True)
        update_average(average, generator, decay)
        sums += torch.tensor([loss.item(), generator_loss.item(), 1.0])
        if (step + 1) % save_every == 0 or step + 1 == steps:
            spent = time.perf_counter() - started
            losses = (sums[:2] / sums[2]).tolist()
            curve.append([step + 1, *losses])
            sums.zero_()
            log.info("step %d of %d, critic %.3f, generator %.3f, %.0f s", step + 1, steps, *losses, spent)
            published = copy.deepcopy(average)
            refresh(published)
            state = {
                "generator": generator.state_dict(), "critic": critic.state_dict(), "average": average.state_dict(),
                "generator_adam": optimisers[0].state_dict(), "critic_adam": optimisers[1].state_dict(),
                "step": step + 1, "curve": curve, "seconds": spent,
            }  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(state, state_path.with_suffix(".tmp"))
            state_path.with_suffix(".tmp").replace(state_path)
            if on_save:
                on_save(published, step + 1)
    return published, curve, spent
