"""The record of the published settings: it has what the notebooks call the paper's, and the script makes it."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, load_script

from geomlib.findings.controlled import STATISTICS
from geomlib.findings.record import parts_of
from geomlib.findings.rules import WORDS

RECORD = ROOT / "evidence" / "published_settings.json"


def paper_settings(experiment: str) -> dict[str, Any]:
    notebook = json.loads((ROOT / "notebooks" / f"{experiment}.ipynb").read_text(encoding="utf-8"))
    return dict(notebook["metadata"]["geomlib"]["paper"])


def test_the_record_has_the_settings_of_the_paper() -> None:
    parts = parts_of(RECORD)
    assert parts, "the record is part of the project"
    for part in parts:
        for experiment in ("anisotropy", "homogeneity"):
            quick, full = (part[profile][experiment] for profile in ("quick", "paper"))
            assert full["positions"] == paper_settings(experiment)["positions"] > quick["positions"]
            assert full["dimension"] == quick["dimension"]
        control = part["paper"]["shuffled_control"]
        assert control["positions"] == paper_settings("shuffled_control")["positions"]
        for name in STATISTICS:
            key = name.replace(" %", " percent").replace(" ", "_")
            assert control[f"{key}_word"] in WORDS and len(control[key]) == len(control["controls"])


def test_the_script_makes_a_part(shared: Path, monkeypatch: pytest.MonkeyPatch, warm: None) -> None:
    script = load_script("evidence/published_settings.py")
    monkeypatch.setattr(script, "HERE", shared / "evidence")
    monkeypatch.setattr(script, "EXPERIMENTS", ("anisotropy",))
    monkeypatch.setattr(script, "PROFILES", ("smallest",))
    part, arrays = script.measure("shapes-dcgan", "mse")
    assert not arrays and part["rows"] == [] and part["label"] == "shapes-dcgan"
    assert part["smallest"]["anisotropy"]["dimension"] == 64
    assert part["made"]["code"] == script.LOADED["code"]
