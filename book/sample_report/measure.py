"""What the sample report measures: do the classes of a conditional generator share the axes of their noise?

    python book/sample_report/measure.py

in the project; it writes numbers, figures and their data beside itself.
"""

from pathlib import Path

import torch
from torch import Tensor

import geomlib
from geomlib import figures
from geomlib.applications import controls, factors
from geomlib.applications.contrast import matched_contrast
from geomlib.applications.inversion import invert
from geomlib.findings import Interval, Results
from geomlib.homogeneity import consistency, off_diagonal
from geomlib.metric import Metric
from geomlib.spectrum import dimensions_for, participation_ratio
from geomlib.worlds.shapes.networks import load_factor_reader

CLASSES = ("disc", "square", "triangle")
SEED, POSITIONS, PERCEIVED = 7, 25, 10  # latents under mse, and those of them that st-lpips measures, too
TARGETS, BUDGET = 12, 300

out = Results(Path(__file__).parent)
networks = {name: geomlib.load_generator("shapes-biggan", "noise", class_index=i) for i, name in enumerate(CLASSES)}
disc = networks["disc"]
latents = disc.sample(POSITIONS, SEED)
mse = geomlib.load_distance("mse")


def joined(parts: list[Metric]) -> Metric:
    """Metrics of several classes as one set of positions."""
    return Metric.from_matrix(torch.cat([one.matrix for one in parts]), torch.cat([one.noise_floor for one in parts]))


def compared(parts: list[Metric]) -> dict[str, tuple[Tensor, Tensor]]:
    """For each latent, both consistencies: between classes at this latent, and between it and others of a class."""
    count, positions, found = len(parts), len(parts[0].matrix), consistency(joined(parts))
    both = {}
    for kind in ("log", "linear"):
        table = getattr(found, kind).reshape(count, positions, count, positions)
        between = [table[a, :, b, :].diagonal() for a in range(count) for b in range(count) if a != b]
        within = [(table[a, :, a, :].nanmean(0) + table[a, :, a, :].nanmean(1)) / 2 for a in range(count)]
        both[kind] = (torch.stack(between).mean(0), torch.stack(within).mean(0))
    return both


def mean(values: Tensor) -> Interval:
    """A mean over latents with its bootstrap interval."""
    return Interval.bootstrap(lambda rows: rows.mean(0), values, seed=SEED)


# The metric, checked: two ways to one matrix.
one = geomlib.metric_tensor(disc, latents[0], mse)
other = geomlib.metric_tensor(disc, latents[0], mse, "backward")
out.number(
    two_ways=float((one.matrix - other.matrix).norm() / one.matrix.norm()),
    below_floor=int((one.eigenvalues < one.noise_floor).sum()),
    floor_share=float(one.noise_floor / one.eigenvalues[0]),
)

# Spectra and dimensions of each class.
metrics = {name: geomlib.metric_tensor(network, latents, mse) for name, network in networks.items()}
shuffled = matched_contrast(controls.shuffled(disc, SEED), disc, SEED)
null = geomlib.metric_tensor(shuffled, latents, mse)
for name, metric in {**metrics, "shuffled": null}.items():
    ratio = mean(participation_ratio(metric.eigenvalues))
    axes = int(dimensions_for(metric.eigenvalues.mean(0), 0.99))
    out.number(**{f"{name}_ratio": ratio, f"{name}_axes": axes})
spectra = {name: metric.eigenvalues for name, metric in metrics.items()} | {"disc, weights shuffled": null.eigenvalues}
out.figure(
    "spectra",
    figures.spectra(spectra),
    caption="Spectra of the metric under mse at 25 latents: mean, and the band from 5 to 95 %. The control has the "
    "disc's weights in random order within each layer, and its contrast.",
    alt="Three falling curves close to each other, and one far flatter for shuffled weights.",
)

# The question, under two distances and on a network whose weights were shuffled.
rows = {}
for label, parts in {
    "mse": list(metrics.values()),
    "st-lpips": [geomlib.metric_tensor(network, latents[:PERCEIVED], geomlib.load_distance("st-lpips-alex"))
                 for network in networks.values()],
    "mse, weights shuffled": [
        geomlib.metric_tensor(matched_contrast(controls.shuffled(network, SEED), network, SEED), latents, mse)
        for network in networks.values()
    ],
}.items():  # fmt: skip
    key = label.replace(", weights", "").replace("-", "_").replace(" ", "_")
    for kind, (between, within) in compared(parts).items():
        three = {"between": mean(between), "within": mean(within), "gap": mean(between - within)}
        out.number(**{f"{key}_{kind}_{name}": value for name, value in three.items()})
        if kind == "log":
            rows |= {f"{label}: other class, same latent": three["between"]}
            rows |= {f"{label}: same class, other latent": three["within"]}
title = "log consistency of two metrics"
own = off_diagonal(consistency(null).log).mean()
out.figure(
    "classes",
    figures.intervals({title: rows}, {title: {name: float(own) for name in rows}}, "two latents, disc shuffled"),
    caption="Does a change of class change the axes more than a change of latent? Mean over latents with 95 % "
    "intervals. The crosses show two latents of the disc's network with shuffled weights.",
    alt="Six horizontal intervals of log consistency in pairs: other class at the same latent, same class at another.",
)

# What the first axes of discs change, in each class, read by a network that took no part in training.
read = factors.read_shapes(load_factor_reader(strict=True))
axes = geomlib.average(metrics["disc"]).eigenvectors[:, :4]
random = torch.linalg.qr(torch.randn(48, 2, generator=torch.Generator().manual_seed(SEED)).double()).Q
effects = {}
for name, network in networks.items():
    found = factors.axis_effects(network, torch.cat([axes, random], 1), read, pairs=150, seed=SEED)
    effects[name] = found.effects.nan_to_num(0.0)
    names = factors.axis_names(found.effects, found.factors)
    out.number(**{f"{name}_names": names, f"{name}_largest": effects[name].max(1).values})
pairs = torch.stack([effects[name].flatten() for name in CLASSES])
out.number(effects_agree=float(torch.corrcoef(pairs)[~torch.eye(3, dtype=torch.bool)].mean()))
steps = torch.linspace(-1, 1, 5) * 0.4
strips = [
    geomlib.traverse(networks[name], latents[place], axis, steps, units="metric", distance=mse)
    for place in (0, 1)
    for axis in (axes[:, 0].float(), axes[:, 1].float(), random[:, 0].float())
    for name in ("disc", "triangle")
]
labels = [f"{what}, {name}" for _ in (0, 1) for what in ("axis 1", "axis 2", "random") for name in ("disc", "triangle")]
out.figure(
    "axes",
    figures.montage(torch.stack(strips), labels, [f"{step:+.1f}" for step in steps.tolist()]),
    caption="The first two axes of discs and a random one, at the first two latents of seed 7, in two classes. Steps "
    "are lengths of the metric at the middle, equal for all rows.",
    alt="Twelve rows of five small images, each of one coloured shape that is moved along an axis.",
)

# A use: the metric of one class starts the inversion of another.
triangle = networks["triangle"]
targets = triangle(triangle.sample(TARGETS, SEED + 1))
reached = {}
for label, metric in {
    "own class": metrics["triangle"],
    "discs": metrics["disc"],
    "shuffled": null,
    "none": None,
}.items():
    method, given = ("bfgs", None) if metric is None else ("metric-newton", geomlib.average(metric))
    reached[label] = invert(triangle, targets, mse, method, budget=BUDGET, seed=SEED, metric=given).distances.double()
for label in ("discs", "shuffled", "none"):
    ratio = (reached[label] / reached["own class"]).log10()
    out.number(**{f"inversion_{label}": mean(ratio)})
out.number(inversion_own=float(reached["own class"].median()))
out.figure(
    "inversion",
    figures.paired(reached, "mse that is left"),
    caption=f"Inversion of {TARGETS} triangles in {BUDGET} calls by quasi-Newton steps that begin with the mean metric "
    "of a class, of a shuffled network, or with none.",
    alt="Grey lines of twelve targets over four conditions, with mean and standard error.",
)
print(out.folder / "summary.json")
