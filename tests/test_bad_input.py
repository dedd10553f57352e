"""Every public function against wrong kinds, shapes, precisions, devices and values; every command against bad words.

A table holds one call of each that is right.  Its arguments are made wrong one at a time, by what the signature says of
them: then either an error comes that geomlib itself raises, of a documented kind, in one line that names the argument,
or a result without NaN.  No input is changed, and after an error nothing is left in the working folder.
"""

import importlib
import inspect
import os
import pickle
import re
import shutil
import sys
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from conftest import ROOT, SETUP, write_notebook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import v4
from PIL import Image
from torch import Tensor, nn

import geomlib
from geomlib import cli
from geomlib import figures as draw
from geomlib.applications.coordinates import standard
from geomlib.applications.inversion import Trace
from geomlib.course.plain import names_in
from geomlib.findings import Interval, Results
from geomlib.operators import FiniteDifferenceOperator, HessianOperator, PullbackOperator
from geomlib.readers import Classifier, FaceReader
from geomlib.worlds.shapes.networks import load_factor_reader
from geomlib.worlds.tones.networks import load_tone_reader

DOCUMENTED = {ValueError, TypeError, FloatingPointError, FileNotFoundError, FileExistsError, OSError}
N = 4  # latents


def network(*layers: nn.Module) -> nn.Module:
    """Layers whose weights are waves: no random numbers, no two of them alike."""
    made = nn.Sequential(*layers).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.copy_(torch.arange(1.0, parameter.numel() + 1).sin().reshape(parameter.shape) / 2)
    return made


def images_of(side: int, name: str, *shape: int) -> geomlib.Generator:
    shape = shape or (3, side, side)
    layers = nn.Linear(N, int(np.prod(shape))), nn.Tanh(), nn.Unflatten(1, shape)
    return geomlib.Generator(network(*layers), N, default_distance="mse", name=name)


def dcgan() -> geomlib.Generator:
    layers = nn.Unflatten(1, (N, 1, 1)), nn.ConvTranspose2d(N, 3, 4), nn.BatchNorm2d(3), nn.Tanh()
    return geomlib.Generator(network(*layers), N, default_distance="mse", name="dcgan")


G = images_of(4, "waves")
D = geomlib.load_distance("mse")
Z = G.sample(6, seed=0)
A, B = Z[0], Z[1]
E = torch.eye(N)
METRICS = geomlib.metric_tensor(G, Z[:3], D)
METRIC = geomlib.average(METRICS)
SYMMETRIC = METRIC.matrix
UNIT = METRIC.eigenvectors
OPERATOR = geomlib.metric_operator(G, A, D)
TRACE = Trace(torch.arange(1, 4), torch.zeros(3).long(), torch.rand(3, 2).double(), torch.rand(3, 2, N).double())
IMAGES = torch.rand(2, 3, 3, 8, 8)
POSITIVE = torch.tensor([[3.0, 1.0, 0.5], [2.0, 1.5, 0.25]])
LINES = {"a": {"one": torch.rand(3), "two": torch.rand(3)}}
CODES = {"kind": torch.tensor([[0.0, 1.0]])}


def read(images: Tensor) -> Mapping[str, Tensor]:
    """A code of two numbers for each image."""
    return {"mean": images.flatten(1)[:, :2]}


def mean(values: Tensor) -> Tensor:
    return values.double().mean(0)


def score(latents: Tensor) -> Tensor:
    return -latents.square().sum(-1)


def chapter() -> Any:
    """A chapter of the course with one exercise."""
    exercise = ":::{exercise} 1.1, derive: a\n:label: ex-1-1\nWhy?\n:::"
    cells = [v4.new_markdown_cell("# A chapter"), v4.new_markdown_cell(exercise, metadata={"tags": ["exercise"]})]
    answer = "### BEGIN SOLUTION\na = 1\n### END SOLUTION"
    cells += [v4.new_code_cell(answer, metadata={"tags": ["answer"]})]
    cells += [v4.new_code_cell("assert a == 1, 'a is not one'", metadata={"tags": ["check"]})]
    return v4.new_notebook(cells=cells)


# By room and name, the arguments of one right call; `self` for what belongs to an object.
CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    "geomlib.generator_options": lambda: {"text": "a=1"},
    # generators, distances, check
    "generators.Generator": lambda: {"module": G.module, "latent_dim": N, "size": 4, "name": "a", "space": "z"},
    "generators.Generator.__call__": lambda: {"self": G, "latents": Z[:2]},
    "generators.Generator.sample": lambda: {"self": G, "count": 2, "seed": 0},
    "generators.Generator.to": lambda: {"self": G, "device": "cpu", "dtype": torch.float64},
    "generators.build": lambda: {"architecture": "mlp"},
    "generators.card": lambda: {"name": "shapes-dcgan"},
    "generators.load_generator": lambda: {
        "source": "torus", "space": "", "weights": None, "device": "cpu", "dtype": torch.float32,
    },
    "generators.packaged_state": lambda: {"entry": "dcgan-portraits", "folder": Path("nowhere")},
    "generators.read_state": lambda: {"path": ROOT / "geomlib/weights/shapes-biggan.safetensors", "key": ""},
    "generators.source_files": lambda: {"spec": "shapes-dcgan", "weights": ""},
    "generators.told": lambda: {"generator": G},
    "generators.Packaged.path": lambda: {"self": next(iter(packaged().values())), "folder": None},
    "distances.Distance": lambda: {"name": "a", "features": lambda x: x.flatten(1)},
    "distances.Distance.__call__": lambda: {"self": D, "x": G(Z[:2]), "y": G(Z[2:4])},
    "distances.load_distance": lambda: {"source": "mse", "device": "cpu", "dtype": torch.float32},
    "distances.normalised_features": lambda: {"maps": [G(Z[:2])]},
    "check.check_generator": lambda: {"generator": G, "distance": D, "seed": 0, "progress": None},
    "check.Report.table": lambda: {"self": report(), "width": 80},
    # metric, operators, eigen
    "metric.Metric.from_matrix": lambda: {
        "matrix": SYMMETRIC, "noise_floor": torch.tensor(0.0), "settings": {"method": "pullback"},
    },
    "metric.Metric.save": lambda: {"self": METRIC, "path": "metric.safetensors"},
    "metric.signs_fixed": lambda: {"vectors": UNIT},
    "metric.load_metric": lambda: {"path": saved_metric()},
    "metric.average": lambda: {"metric": METRICS},
    "metric.metric_tensor": lambda: {
        "generator": G, "z": Z[:2], "distance": D, "method": "pullback", "tile": 2, "memory": "1GB",
        "precision": "full", "progress": None,
    },
    "metric.estimate": lambda: {"generator": G, "z": Z[:2], "distance": D, "tile": 2, "memory": "1GB"},
    "metric.noise_floor": lambda: {"operator": OPERATOR, "matrix": SYMMETRIC},
    "metric.jacobian": lambda: {"generator": G, "z": A, "distance": D, "tile": 2},
    "operators.metric_operator": lambda: {"generator": G, "z": A, "distance": D, "method": "pullback"},
    "operators.PullbackOperator": lambda: {
        "generator": G, "z": A, "distance": D, "tile": 2, "memory": 10**9, "precision": "full",
    },
    "operators.HessianOperator": lambda: {
        "generator": G, "z": A, "objective": D, "tile": 2, "memory": 10**9, "precision": "full",
    },
    "operators.FiniteDifferenceOperator": lambda: {
        "generator": G, "z": A, "objective": D, "relative_step": 1e-3, "absolute_step": None,
    },
    "operators.PullbackOperator.at": lambda: {"self": PullbackOperator(G, A, D), "z": B},
    "operators.HessianOperator.at": lambda: {"self": HessianOperator(G, A, D), "z": B},
    "operators.FiniteDifferenceOperator.at": lambda: {"self": FiniteDifferenceOperator(G, A, D), "z": B},
    "operators.Operator.matvec": lambda: {"self": OPERATOR, "v": A},
    "operators.Operator.matmat": lambda: {"self": OPERATOR, "V": Z[:2].mT},
    "operators.PullbackOperator.inner": lambda: {"self": OPERATOR, "moves": torch.rand(2, 48)},
    "operators.PullbackOperator.grams": lambda: {"self": OPERATOR, "sizes": [20, 28]},
    "operators.PullbackOperator.columns": lambda: {"self": OPERATOR, "rows": Z[:2]},
    "eigen.top_eigenpairs": lambda: {
        "generator": G, "z": A, "distance": D, "k": 2, "method": "pullback", "solver": "krylov", "tol": 1e-3, "seed": 0,
    },
    "eigen.dense": lambda: {"operator": OPERATOR, "k": 2, "tol": 1e-3},
    "eigen.block_krylov": lambda: {"operator": OPERATOR, "k": 2, "block": 2, "tol": 1e-3, "seed": 0},
    # spectrum, homogeneity, layers, paths
    "spectrum.dimensions_for": lambda: {"eigenvalues": POSITIVE, "share": 0.9},
    "spectrum.participation_ratio": lambda: {"eigenvalues": POSITIVE},
    "spectrum.spectral_entropy": lambda: {"eigenvalues": POSITIVE},
    "spectrum.random_direction_moments": lambda: {"eigenvalues": POSITIVE},
    "spectrum.random_directions": lambda: {"count": 2, "dimensions": 3, "seed": 0},
    "homogeneity.agreement": lambda: {"values": POSITIVE, "strengths": POSITIVE.flip(0), "use": POSITIVE > 0},
    "homogeneity.transfer": lambda: {"metrics": METRICS},
    "homogeneity.consistency": lambda: {
        "metrics": METRICS, "shuffle_seed": 0, "noise_floor": torch.zeros(3), "use": torch.ones(3, 3, N).bool(),
        "progress": None,
    },
    "homogeneity.ranks_above_floor": lambda: {"metrics": METRICS},
    "homogeneity.random_frame": lambda: {"n": 3, "k": 2, "seed": 0},
    "homogeneity.rotated": lambda: {"metrics": METRICS, "seed": 0},
    "homogeneity.check_bases": lambda: {"axes": {"own": UNIT}, "counts": [1], "n": N},
    "homogeneity.check_orthonormal": lambda: {"name": "a", "frame": UNIT},
    "homogeneity.subspace_overlap": lambda: {"U": UNIT[:, :2], "V": UNIT[:, 1:3]},
    "homogeneity.overlap_null": lambda: {"n": 3, "k": 2, "seed": 0, "count": 4, "level": 0.5},
    "homogeneity.off_diagonal": lambda: {"matrix": SYMMETRIC},
    "homogeneity.bootstrap_interval": lambda: {
        "statistic": mean, "values": torch.rand(5), "seed": 0, "count": 4, "level": 0.5, "pairs": False,
    },
    "layers.captured": lambda: {"network": G.module, "names": ["0"]},
    "layers.layer_names": lambda: {"generator": G},
    "layers.main_layers": lambda: {"generator": G, "count": 2},
    "layers.short_names": lambda: {"names": ["a.b", "a.c"]},
    "layers.layer_metrics": lambda: {
        "generator": G, "z": Z[:2], "names": ["0"], "tile": 2, "memory": 10**9, "progress": None,
    },
    "layers.activation_view": lambda: {"generator": G, "names": ["0"]},
    "paths.latents_along": lambda: {"z": A, "v": B, "steps": [0.0, 1.0], "geometry": "linear"},
    "paths.distinct": lambda: {"latents": Z},
    "paths.metric_length": lambda: {"generator": G, "z": A, "v": B, "distance": D},
    "paths.traverse": lambda: {
        "generator": G, "z": A, "v": B, "steps": torch.linspace(-1, 1, 3), "geometry": "spherical", "units": "metric",
        "distance": D,
    },
    # applications
    "directions.sefa": lambda: {"generator": G, "k": 2},
    "directions.ganspace": lambda: {"generator": G, "layer": "0", "k": 2, "latents": Z, "progress": None},
    "directions.local_basis": lambda: {"generator": G, "z": A, "layer": "0", "k": 2},
    "directions.random": lambda: {"n": N, "k": 2, "seed": 0},
    "directions.load_directions": lambda: {
        "path": saved_axes(), "latent_dim": N, "key": "", "stored": "rows", "layers": 1,
    },
    "directions.strength": lambda: {"H": SYMMETRIC, "axes": UNIT},
    "directions.energy_rank": lambda: {"metric": METRIC, "axes": UNIT, "share": 0.5},
    "factors.read_shapes": lambda: {"reader": load_factor_reader()},
    "factors.read_tones": lambda: {"reader": load_tone_reader()},
    "factors.factor_shares": lambda: {
        "generator": images_of(64, "large"), "axes": {"eye": E.double()}, "counts": [1], "reader": load_factor_reader(),
        "pairs": 2, "seed": 0, "latents": Z[:4], "resamples": 2, "level": 0.5, "progress": None,
    },
    "factors.principal_axes": lambda: {"generator": G, "latents": Z},
    "factors.axis_effects": lambda: {
        "generator": G, "axes": UNIT, "read": read, "pairs": 3, "seed": 0, "latents": Z, "progress": None,
    },
    "factors.read_outputs": lambda: {"generator": G, "latents": Z, "read": read},
    "factors.total_effects": lambda: {"terms": torch.rand(5, 2, 3, 2)},
    "factors.axis_names": lambda: {"effects": torch.rand(3, 2), "factors": ["x", "y"], "threshold": 0.1},
    "factors.disentanglement": lambda: {"importance": torch.rand(3, 2)},
    "factors.completeness": lambda: {"importance": torch.rand(3, 2)},
    "factors.gap": lambda: {"importance": torch.rand(3, 2)},
    "controls.contrast": lambda: {"generator": G, "seed": 0, "count": 3},
    "controls.one_of_each": lambda: {"generator": G, "latents": Z[:2], "distance": D, "seed": 0, "progress": None},
    "controls.shuffled": lambda: {"generator": G, "seed": 0},
    "controls.matched_gaussian": lambda: {"generator": G, "seed": 0},
    "controls.reinitialised": lambda: {"generator": G, "seed": 0},
    "controls.initialised_as_dcgan": lambda: {"generator": dcgan(), "seed": 0},
    "coordinates.standard": lambda: {"n": 3},
    "coordinates.eigen": lambda: {"metric": METRIC, "exponent": 0.5, "k": 2, "smallest": 1e-3},
    "coordinates.Coordinates.latents": lambda: {"self": standard(N), "coordinates": Z},
    "coordinates.Coordinates.coordinates": lambda: {"self": standard(N), "latents": Z},
    "geodesics.check_features": lambda: {"distance": D},
    "geodesics.features": lambda: {"generator": G, "latents": Z, "distance": D},
    "geodesics.step_lengths": lambda: {"generator": G, "curve": Z, "distance": D},
    "geodesics.length": lambda: {"generator": G, "curve": Z, "distance": D},
    "geodesics.energy": lambda: {"generator": G, "curve": Z, "distance": D},
    "geodesics.straight": lambda: {"a": A, "b": B, "points": 3},
    "geodesics.great_circle": lambda: {"a": A, "b": B, "points": 3},
    "geodesics.resampled": lambda: {"curve": Z, "points": 3},
    "geodesics.at_constant_speed": lambda: {"generator": G, "curve": Z, "distance": D, "points": 3},
    "geodesics.geodesic": lambda: {
        "generator": G, "a": A, "b": B, "distance": D, "points": 4, "iterations": 2, "tol": 1e-3, "damping": 0.1,
        "metric": METRIC, "progress": None,
    },
    "riemannian.exponential_map": lambda: {
        "generator": G, "z": A, "v": B, "distance": D, "points": 3, "damping": 0.1, "iterations": 2, "tol": 1e-3,
    },
    "riemannian.parallel_transport": lambda: {"generator": G, "curve": Z[:3], "vectors": A, "distance": D},
    "riemannian.volume_element": lambda: {"metric": METRIC},
    "riemannian.curvature": lambda: {"generator": G, "z": A, "u": B, "v": Z[2], "distance": D, "step": 0.0},
    "riemannian.with_length": lambda: {"metric": METRIC, "vectors": UNIT.mT, "length": 1.0},
    "inversion.invert": lambda: {
        "generator": G, "image": G(Z[:1])[0], "distance": D, "method": "adam", "budget": 6, "seed": 0,
        "metric": METRIC, "start": A, "restarts": 1, "progress": None,
    },
    "inversion.cost_ratio": lambda: {
        "costs": torch.arange(1, 4), "values": torch.rand(3, 2), "other_costs": torch.arange(1, 4),
        "others": torch.rand(3, 2),
    },
    "inversion.rows_within": lambda: {"trace": TRACE, "calls": torch.tensor([2, 9])},
    "inversion.Trace.calls": lambda: {"self": TRACE, "backward": 2},
    "search.maximise": lambda: {
        "score": score, "coordinates": standard(N), "start": A, "sigma": 0.5, "generations": 2, "population": 4,
        "seed": 0, "progress": None,
    },
    "search.activations": lambda: {
        "generator": G, "network": network(nn.Conv2d(3, 2, 3)), "latents": Z, "layers": ["0"], "batch": 4,
    },
    "search.unit_scores": lambda: {
        "generator": G, "network": network(nn.Conv2d(3, 2, 3)), "units": [("0", 1)], "batch": 4,
    },
    # experiments
    "sweep.metrics": lambda: {"generator": G, "latents": Z[:2], "distance": D, "store": None, "progress": None},
    "sweep.run": lambda: {
        "generator": G, "latents": Z[:1], "distance": D, "store": "store.zarr", "client": None, "shard": (0, 1),
        "top": None, "method": "pullback", "tile": 2, "memory": "1GB", "precision": "full", "matrix": False,
        "verify": False, "retry_failed": False, "timeout": None, "progress": None,
    },
    "sweep.status": lambda: {"store": "no-store.zarr"},
    "findings.Interval.bootstrap": lambda: {"statistic": mean, "values": torch.rand(5), "seed": 0},
    "findings.Interval.several": lambda: {"statistic": mean, "values": torch.rand(5, 2), "seed": 0},
    "findings.Interval.apart_from": lambda: {"self": Interval(1.0, 0.5, 2.0), "others": [Interval(0.0, -1.0, 1.0)]},
    "findings.listed": lambda: {"values": {"mean": 0.5}, "form": "{} {:.2f}"},
    "findings.Results": lambda: {"folder": "results"},
    "findings.Results.figure": lambda: {
        "self": results(), "name": "a", "figure": draw.curves([1, 2], {"a": [1, 2]}, "x", "y"), "caption": "A line.",
        "alt": "A line.", "dpi": 50,
    },
    "findings.Results.audio": lambda: {
        "self": results(), "name": "a", "waveform": torch.zeros(9), "rate": 9, "caption": "Silence.",
    },
    "findings.Results.number": lambda: {"self": results(), "value": 1.0},
    "findings.Results.array": lambda: {"self": results(), "value": torch.ones(2)},
    "findings.Results.claim": lambda: {
        "self": results(), "claim": "It is so.", "ours": Interval(1.0, 0.5, 2.0), "authors": 1.0, "source": "a",
        "above": 0.1, "below": None, "units": 12, "tested": "", "tolerance": None, "rule": "",
    },
    "findings.Results.claims": lambda: {"self": results(), "caption": "All."},
    "findings.Results.finding": lambda: {"self": results(), "sentence": "It is so."},
    "findings.Results.table": lambda: {"self": results(), "caption": "A table.", "header": ["a"], "rows": [[1.0]]},
    "findings.Results.records": lambda: {"self": results(), "caption": "A table.", "rows": [{"a": 1.0}]},
    "findings.Results.provenance": lambda: {"self": results(), "generator": G, "distance": D},
    "findings.open_experiment": lambda: {
        "results": "results", "generator": "torus", "space": "", "options": "", "weights": "", "distance": "mse",
        "device": "cpu", "otherwise": "",
    },
    "findings.paired_test": lambda: {"values": torch.rand(5), "others": torch.rand(5), "seed": 0},
    "findings.progress": lambda: {"label": "step"},
    "readers.load_classifier": lambda: {"device": "nowhere", "dtype": torch.float32},
    "readers.load_face_reader": lambda: {"device": "nowhere", "dtype": torch.float32},
    "readers.check_face_reader": lambda: {"reader": face_reader(), "images": torch.rand(3, 3, 64, 64)},
    "readers.Classifier.forward": lambda: {"self": classifier(), "images": torch.rand(1, 3, 32, 32)},
    "readers.Classifier.features": lambda: {"self": classifier(), "images": torch.rand(1, 3, 32, 32)},
    "readers.Classifier.log_probability": lambda: {"self": classifier(), "class_index": 3},
    "readers.FaceReader.forward": lambda: {"self": face_reader(), "images": torch.rand(1, 3, 64, 64), "shift": (0, 1)},
    "readers.FaceReader.crop": lambda: {"self": face_reader(), "images": torch.rand(1, 3, 64, 64), "shift": (0, 1)},
    "readers.FaceReader.box": lambda: {"self": face_reader(), "images": torch.rand(1, 3, 64, 64), "shift": (0, 1)},
    "readers.FaceReader.landmarks": lambda: {"self": face_reader(), "crops": torch.rand(1, 3, 48, 48)},
    "course.chapters": lambda: {"root": Path()},
    "course.collect": lambda: {"root": Path(), "executed": Path("executed")},
    "course.grade": lambda: {"chapter": chapter(), "submission": chapter()},
    "course.minutes": lambda: {"source": chapter()},
    "course.sheet": lambda: {
        "source": chapter(), "version": "student", "names": names_in(Path(), [chapter()]), "package": "geomlib",
    },
    "course.write": lambda: {"root": ROOT, "place": Path("class"), "wanted": ["0"], "package": "geomlib"},
    # figures
    "figures.atlas": lambda: {"images": IMAGES, "titles": ["a", "b"], "columns": 2},
    "figures.bands": lambda: {"x": [1, 2, 3], "groups": {"a": {"b": torch.rand(3, 3)}}, "xlabel": "x", "ylabel": "y"},
    "figures.bars": lambda: {"values": {"a": {"b": 1.0}}, "ylabel": "y", "rotate": False},
    "figures.cost_curves": lambda: {
        "groups": {"a": {"b": [[1, 2]] * 4}}, "xlabel": "x", "ylabel": "y", "logx": False,
    },
    "figures.curves": lambda: {
        "x": [1, 2], "lines": {"a": [1, 2]}, "xlabel": "x", "ylabel": "y", "logy": False, "square": False,
    },
    "figures.heat_map": lambda: {"values": torch.rand(2, 2), "row_labels": ["a", "b"], "column_labels": ["c", "d"]},
    "figures.histograms": lambda: {"values": {"a": [1.0, 2.0]}, "xlabel": "x", "bins": 4},
    "figures.intervals": lambda: {"values": {"q": {"a": (1.0, 0.5, 2.0)}}, "nulls": {"q": {"a": 0.1}}, "null": "none"},
    "figures.matrices": lambda: {
        "values": {"a": torch.rand(2, 2)}, "xlabel": "x", "ylabel": "y", "low": 0.0, "high": 1.0, "names": ["a", "b"],
    },
    "figures.montage": lambda: {"images": IMAGES, "row_labels": ["a", "b"], "column_labels": ["c"] * 3, "title": "t"},
    "figures.on_surface": lambda: {"grid": torch.rand(3, 4, 3), "curves": {"a": torch.rand(5, 3)}},
    "figures.outlines": lambda: {
        "filled": torch.rand(1, 2, 5), "dashed": torch.rand(1, 2, 5), "xlabel": "x", "ylabel": "y",
    },
    "figures.paired": lambda: {"values": {"a": torch.rand(3), "b": torch.rand(3)}, "ylabel": "y"},
    "figures.panels": lambda: {
        "x": [1, 2, 3], "groups": LINES, "xlabel": "x", "ylabel": "y", "logx": False, "logy": False,
    },
    "figures.scatter": lambda: {
        "x": [1, 2], "groups": {"a": [1, 2]}, "xlabel": "x", "ylabel": "y", "logx": False, "logy": False,
    },
    "figures.scatter_grid": lambda: {
        "transfer": torch.rand(2, 2, 3) + 0.1, "eigenvalues": POSITIVE, "names": ["a", "b"],
    },
    "figures.shares": lambda: {"counts": [1], "n": N, "sets": {"a": torch.rand(1, 2)}, "factors": {"x": 0}},
    "figures.spectra": lambda: {"eigenvalues": {"a": POSITIVE}, "floors": {"a": 1e-3}},
    "figures.spectrograms": lambda: {
        "decibels": torch.rand(1, 1, 3, 3), "seconds": 1.0, "kilohertz": 8.0, "row_labels": ["a"],
        "column_labels": ["b"],
    },
    "figures.standings": lambda: {"values": {"q": {"a": [1.0, 0.5, 2.0]}}, "own": ["a"], "none": "none", "reach": 1.0},
    "figures.surface": lambda: {"grid": torch.rand(3, 4, 3), "patches": torch.rand(1, 3, 5)},
}  # fmt: skip


@cache
def packaged() -> Mapping[str, Any]:
    from geomlib.generators.packaged import PACKAGED

    return PACKAGED


@cache
def classifier() -> Classifier:
    return network(Classifier())[0]


@cache
def face_reader() -> FaceReader:
    return network(FaceReader())[0]


@cache
def report() -> Any:
    return geomlib.check_generator(G)


def saved_metric() -> Path:
    path = PLACE / "metric.safetensors"
    METRIC.save(path)
    return path


def saved_axes() -> Path:
    np.save(PLACE / "axes.npy", UNIT.numpy())
    return PLACE / "axes.npy"


def results() -> Results:
    return Results(PLACE / "results")


PLACE = Path()  # of files that right calls read; each test has its own


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and another one beside it for what right calls need."""
    work, beside = tmp_path / "work", tmp_path / "beside"
    work.mkdir()
    beside.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setitem(globals(), "PLACE", beside)
    return work


# What is public and is in no table.
BY_HAND = {
    "findings.Results.does_not_apply": "ends a notebook by an exception of its own, always",
    "operators.Operator": "abstract",
    "operators.Operator.at": "abstract; the table holds each that there is",
    "readers.Classifier": "takes no argument",
    "readers.FaceReader": "takes no argument",
}


def api() -> dict[str, Callable[..., Any]]:
    """Every public function, constructor and method of the rooms that the API reference shows."""
    pages = sorted((ROOT / "book/api").glob("*.md"))
    rooms = [name for page in pages for name in re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8"))]
    found: dict[str, Callable[..., Any]] = {"geomlib.generator_options": geomlib.generator_options}
    for room in rooms:
        module = importlib.import_module(room)
        own = {name: one for name, one in vars(module).items() if getattr(one, "__module__", "") == room}
        named = {name: getattr(module, name) for name in getattr(module, "__all__", [])}
        for name, one in (named or own).items():
            key = f"{room.rpartition('.')[2]}.{name}"
            if name.startswith("_") or not inspect.getdoc(one):
                continue
            if inspect.isfunction(one):
                found[key] = one
            elif inspect.isclass(one):
                found |= {f"{key}{method and '.'}{method}": function for method, function in methods(one)}
    return found


def methods(one: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The constructor of a class that has one of its own words, "", and public methods of its own with arguments."""
    for name, member in vars(one).items():
        function = getattr(member, "__func__", member)
        if not inspect.isfunction(function) or function.__module__ != one.__module__:
            continue
        if name == "__init__" and "__dataclass_fields__" not in vars(one):
            yield "", one
        elif (not name.startswith("_") or name == "__call__") and len(inspect.signature(function).parameters) > 1:
            yield name, getattr(one, name)


API = api()


def test_every_public_function_is_in_the_table() -> None:
    assert {*CALLS, *BY_HAND} == {*API}


# Whose results may hold NaN, and why.
NAN = {
    "homogeneity.agreement": "fewer than two ranks in use",
    "homogeneity.consistency": "the diagonal",
    "homogeneity.bootstrap_interval": "a statistic that is NaN",
    "homogeneity.off_diagonal": "it takes what is there",
    "findings.Interval.bootstrap": "a statistic that is NaN",
    "findings.Interval.several": "a statistic that is NaN",
    "factors.factor_shares": "a factor that never varies",
    "factors.axis_effects": "a factor that never varies",
    "factors.total_effects": "a factor that never varies",
    "factors.read_outputs": "a factor without meaning",
    "findings.Results.array": "it keeps what is there",
    "factors.disentanglement": "nothing changes anything",
    "spectrum.participation_ratio": "all are zero, or their squares are beyond float64",
    "spectrum.spectral_entropy": "all are zero",
    "spectrum.random_direction_moments": "squares beyond float64",
    "readers.check_face_reader": "readings that do not vary",
    "readers.Classifier.forward": "inside of derivatives what comes in comes out, as in the next",
    "readers.Classifier.features": "",
    "readers.FaceReader.forward": "",
    "readers.FaceReader.crop": "",
    "readers.FaceReader.box": "",
    "readers.FaceReader.landmarks": "",
    "operators.PullbackOperator.columns": "rows beyond the precision of the network",
    "generators.Generator.__call__": "",
    "distances.Distance.__call__": "",
    "distances.normalised_features": "",
    "coordinates.Coordinates.latents": "",
    "coordinates.Coordinates.coordinates": "",
    "geodesics.features": "",
    "geodesics.step_lengths": "",
    "geodesics.length": "",
    "geodesics.energy": "",
    "geodesics.straight": "",
    "paths.latents_along": "",
}
# What an error may call an argument, beside its name: the concept that it stands for, or what it makes.
CALLED = {
    "source": "generator|distance|weights",
    "path": "weights",
    "entry": "name|weights",
    "folder": "weights",
    "generator": "images?|features|outputs?|x|network|distance|v|curve",
    "layer": "names",
    "distance": "x|image",
    "objective": "x|image",
    "frame": "a",
    "values": "statistic",
    "text": "options",
    "chapter": "notebook",
    "submission": "notebook",
    "dtype": "device",
    "results": "folder",
}


class Hostile:
    """What would leave a folder if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


FILES = ("words.txt", "words.pt", "empty.safetensors", "hostile.pt", "hostile.npy", "pipe")


def write_files(place: Path) -> None:
    """What may lie in a folder: words, nothing, objects that name code, a pipe that nobody writes to."""
    for name in FILES[:3]:
        (place / name).write_text("no weights" if "words" in name else "")
    (place / "hostile.pt").write_bytes(pickle.dumps({"axes": Hostile()}))
    np.save(place / "hostile.npy", np.array([Hostile()], dtype=object))
    os.mkfifo(place / "pipe")


class Odd:
    """Of no kind that anything takes."""

    def __repr__(self) -> str:
        return "two\nlines"


WRONG = (None, Odd(), [Odd()], {"a": Odd()}, b"x", {1, 2})
WORDS = ("", "no such", "../../etc/passwd", "\0", "\ud800", "a\nb", "x" * 5000, "<b>&", "C:\\aux")
INTEGERS = (-1, 0, 2**70, -(2**70), 1.5, float("nan"), True, "3", np.array([1, 2]))
REALS = (-1.0, 0.0, 1e308, float("inf"), -float("inf"), float("nan"), 2**2000, "0.5", True, torch.ones(2), 1j)


def bad_values(value: Any, hint: Any) -> Iterator[Any]:
    """What is wrong, or may be, in the place of a value whose annotation is `hint`."""
    kinds = [one for part in (typing.get_args(hint) or (hint,)) for one in (part, typing.get_origin(part))]
    yield from WRONG
    if Tensor in kinds and isinstance(value, Tensor):
        yield from bad_tensors(value)
    if int in kinds:
        yield from INTEGERS
    if float in kinds:
        yield from REALS
    if str in kinds or Path in kinds:
        yield from WORDS
        yield 3
    if Path in kinds:
        yield from (Path("no") / "such", Path("/dev/null"), Path("/"), PLACE, *(PLACE / name for name in FILES))
    if torch.device in kinds:
        yield from ("cuda:99", "meta", "nowhere", 3)
    if torch.dtype in kinds:
        yield from (torch.int32, torch.complex64, torch.bool, "float32")
    if geomlib.Metric in kinds:
        yield from (METRICS, METRIC, METRICS[:0], SYMMETRIC, METRICS[0])
    if geomlib.Generator in kinds:
        yield from ("shapes-dcgan", G.module, images_of(4, "no image", 0), images_of(4, "one number", 1), BROKEN)
    if geomlib.Distance in kinds:
        yield from ("mse", D.features, geomlib.load_distance("ssim"))
    if not isinstance(value, Tensor | str | bool | int | float | None):
        yield from ([], {}, (), "abc", [None], {"a": None}, {1: 2}, {"": ""}, lambda *given, **named: None)


BROKEN = geomlib.Generator(lambda z: z[:, :3, None, None] / 0 * 0, N, default_distance="mse", name="broken")


def bad_tensors(value: Tensor) -> Iterator[Any]:
    yield from ("x", 1.5, value.tolist(), value.numpy())
    yield from (value.to(torch.complex64), value.to(torch.int32), value.bool(), value.to(torch.float16))
    yield from (value.to("meta"), value.to_sparse() if value.ndim else 1, torch.empty(0), value.flatten(), value[None])
    yield from (value[None, None], torch.zeros_like(value), value.double() * 1e200, value.double() * 1e-200)
    if value.ndim:
        yield from (value[:0], value[:1], value[..., :0], value[..., :1], torch.cat([value, value], -1), value.sum(0))
    if value.is_floating_point():
        for number in (float("nan"), float("inf"), -float("inf")):
            spoilt = value.clone()
            spoilt[(-1,) * value.ndim] = number
            yield spoilt
        yield -value


def tensors_in(value: Any, depth: int = 4) -> Iterator[Tensor]:
    """The tensors in a result or an argument."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping) and depth:
        yield from (one for inner in value.values() for one in tensors_in(inner, depth - 1))
    elif isinstance(value, list | tuple) and depth:
        yield from (one for inner in value for one in tensors_in(inner, depth - 1))
    elif isinstance(value, float):
        yield torch.tensor(value)
    elif hasattr(value, "__dataclass_fields__") and depth:
        yield from tensors_in(vars(value), depth - 1)


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether nothing has changed; NaN equals NaN."""
    if one.is_meta or one.is_sparse or one.is_complex():
        return True
    return one.shape == other.shape and bool(torch.isclose(one, other, 0, 0, equal_nan=True).all())


def told(value: Any) -> str:
    """A value as a fault shows it."""
    shape = f"{tuple(value.shape)} {value.dtype} {value.device}" if isinstance(value, Tensor) else ascii(value)[:60]
    return f"{type(value).__name__} {shape}"


def fault(name: str, argument: str, value: Any) -> str:
    """What is wrong with how a function meets an argument; "" for nothing."""
    arguments = CALLS[name]()
    arguments[argument] = value
    before = [one.clone() for one in tensors_in(arguments)]
    found = outcome(name, argument, arguments)
    if not all(map(equal, before, tensors_in(arguments))):
        found = "an input was changed"
    return f"{name}({argument}={told(value)}): {found}" if found else ""


def outcome(name: str, argument: str, arguments: dict[str, Any]) -> str:
    """What is wrong with the error or the result of a call, and with what it leaves; "" for nothing."""
    kept = {*Path().iterdir()}
    this, function = [arguments[key] for key in arguments if key == "self"], API[name]
    try:
        result = function(*this, **{key: one for key, one in arguments.items() if key != "self"})
    except Exception as error:
        text = str(error)
        last = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1].f_code.co_filename
        if type(error) not in DOCUMENTED:
            return f"{type(error).__name__}: {text[:200]}"
        if not text.strip() or len(text.splitlines()) > 1 or len(text) > 1000:
            return f"{len(text.splitlines())} lines, {len(text)} letters: {text[:200]!r}"
        if "/geomlib/" not in last:
            return f"from {last}: {type(error).__name__} {text[:200]}"
        names = f"{argument}|{CALLED.get(argument, argument)}"
        if type(error) is not FloatingPointError and not re.search(rf"\b({names})\b", text):
            return f"does not name it: {text[:200]}"
        left = {*Path().iterdir()} - kept
        return f"left {left}" if left else ""
    if Path("ran").exists():
        return "code of a file ran"
    for path in {*Path().iterdir()} - kept:
        shutil.rmtree(path, ignore_errors=True)
    if name not in NAN and not all(bool(one.isfinite().all()) for one in tensors_in(result) if not one.is_meta):
        return "a result that is not finite"
    return ""


def hint_of(parameters: Mapping[str, inspect.Parameter], argument: str) -> Any:
    """The annotation of an argument; Any where it has none of its own."""
    return parameters[argument].annotation if argument in parameters else Any


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_refused_by_name(name: str) -> None:
    write_files(PLACE)
    parameters, faults = inspect.signature(API[name]).parameters, list[str]()
    for argument, value in CALLS[name]().items():
        if argument != "self":
            faults += [fault(name, argument, bad) for bad in bad_values(value, hint_of(parameters, argument))]
    faults = [one for one in faults if one]
    assert not faults, "\n" + "\n".join(faults)


SHAPES = st.lists(st.integers(0, 4), max_size=4)
KINDS = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.int64, torch.bool])
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e30, -1e300, float("nan"), float("inf")])
QUICK = [
    (name, argument)
    for name, made in CALLS.items()
    if name.partition(".")[0] in ("spectrum", "homogeneity", "paths", "geodesics", "riemannian", "coordinates", "eigen")
    or name in ("directions.strength", "directions.energy_rank", "factors.gap", "metric.metric_tensor")
    for argument, value in made().items()
    if isinstance(value, Tensor)
]


@settings(max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(QUICK), SHAPES, KINDS, NUMBERS, st.integers(0, 3))
def test_any_tensor_is_met_with_a_result_or_an_error_of_its_name(
    call: tuple[str, str], shape: list[int], kind: torch.dtype, number: float, seed: int
) -> None:
    value = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if value.numel() and not seed:
        value.view(-1)[0] = number
    assert not fault(*call, value.to(kind))


# By command, words that are right: the arguments, and the options that a call needs.
COMMANDS: dict[str, list[str]] = {
    "list": [],
    "fetch": ["shapes-dcgan"],
    "new": ["my_gan.py"],
    "check": ["torus"],
    "metric": ["torus", "--positions", "2"],
    "compare": ["no such"],
    "sweep": ["torus", "--store", "store.zarr", "--positions", "1"],
    "invert": [
        "shapes-dcgan",
        "picture.png",
        "--out",
        "found",
        "--distance",
        "mse",
        "--budget",
        "20",
        "--method",
        "adam",
    ],
    "run": ["no such"],
    "book": ["--generator", "no such"],
    "check-book": ["no such"],
    "course": ["class", "no such"],
}
COMMAND = typer.main.get_command(cli.app)
FUNCTIONS = {one.name or one.callback.__name__.replace("_", "-"): one.callback for one in cli.app.registered_commands}
PATHS = ("", "no/such/file", "\0", "a\nb", "/dev/null", "/", *FILES, "é" * 200)
TEXTS = ("no such", "../../etc/passwd", "\ud800", "a\nb", "x" * 5000, "<b>&", "-1", "a=b", "words.txt", "hostile.pt:f")
WORDS_OF = {
    int: ("", "x", "1.5", "nan", "-1", "0", "9" * 30, "1e3"),
    float: ("", "x", "nan", "-1", "inf", "1e999"),
    Path: PATHS,
    str: TEXTS,
}


def met(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What is wrong with how the command line meets words; "" for nothing."""
    kept = {*Path().rglob("*")}
    monkeypatch.setattr(sys, "argv", ["geomlib", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    left, said = {*Path().rglob("*")} - kept, capsys.readouterr().err
    for path in sorted(left, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    found = []
    if caught.value.code not in (0, None, 2):
        found.append(f"ends with {caught.value.code}")
    if caught.value.code == 2 and (left or len(said.splitlines()) != 1 or not said.startswith("geomlib: ")):
        found.append(f"left {sorted(map(str, left))}, said {said[:300]!r}")
    if "Traceback" in said or (caught.value.code == 2 and re.match(r"geomlib: \w*Error: ", said)):
        found.append(f"said {said[:300]!r}")
    return f"{ascii(words)[:200]}: {'; '.join(found)}" if found else ""


def test_every_command_is_in_the_table() -> None:
    assert set(COMMANDS) == set(COMMAND.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_words_are_refused_in_one_line(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(Path())
    Image.new("RGB", (8, 8), "red").save("picture.png")
    if name == "run":  # in a project with one experiment
        Path("notebooks").mkdir()
        shutil.copyfile(ROOT / "_config.yml", "_config.yml")
        write_notebook(Path(), "toy", SETUP)
    right, hints, faults = COMMANDS[name], typing.get_type_hints(FUNCTIONS[name]), []
    arguments = [one.name for one in COMMAND.commands[name].params if one.param_type_name == "argument"]
    for one in COMMAND.commands[name].params:
        kinds = str(hints.get(one.name, bool))
        for word in next((words for kind, words in WORDS_OF.items() if kind.__name__ in kinds), ()):
            if one.name in arguments:
                place = arguments.index(one.name)
                words = [*right[:place], word, *right[place + 1 :]]
            else:
                words = [*right, one.opts[0], word]
            faults.append(met([name, *words], capsys, monkeypatch))
    for more in (["--no-such"], ["-o"], ["--seed"], ["a", "b", "c"]):
        faults.append(met([name, *right, *more], capsys, monkeypatch))
    faults = [one for one in faults if one]
    assert not faults, "\n" + "\n".join(faults)
