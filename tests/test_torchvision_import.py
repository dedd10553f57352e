"""The import of torchvision, each case in a process of its own: with the installed one, and with stand-ins."""

import os
import subprocess
import sys
from pathlib import Path

IMPORT = "import sys, torch; from geomlib.distances.torchvision_import import import_torchvision\n"
DECLARED = "print([hasattr(torch.ops.torchvision, name) for name in ('nms', 'qnms')])\n"


def run(code: str, path: Path | None = None) -> list[str]:
    """Lines that the code prints in a new process, with `path` before all others on the import path."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    result = subprocess.run([sys.executable, "-c", IMPORT + code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def stand_in(folder: Path, code: str) -> Path:
    package = folder / "torchvision"
    package.mkdir(parents=True)
    (package / "extension.py").write_text("")
    (package / "__init__.py").write_text("import torch\nfrom torchvision import extension\n" + code)
    return folder


def test_the_installed_one() -> None:
    code = (
        "first = import_torchvision()\n"
        "assert import_torchvision() is first and sys.modules['torchvision'] is first\n"
        "import lpips\n"
        "assert lpips.pretrained_networks.tv is first.models\n"
        "print(first.models.squeezenet1_1(weights=None).features(torch.zeros(1, 3, 64, 64)).shape[1])\n"
    )
    assert run(code + DECLARED) == ["512", "[True, True]"]


def test_nothing_is_declared_where_it_imports_or_fails_otherwise(tmp_path: Path) -> None:
    broken = stand_in(tmp_path / "broken", "raise RuntimeError('CUDA versions differ')\n")
    stand_in(tmp_path / "good", "answer = 42\n")
    code = (
        "try:\n    import_torchvision()\nexcept RuntimeError as error:\n    print(error)\n"
        f"{DECLARED}sys.path.insert(0, {str(tmp_path / 'good')!r})\n"
        "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('torchvision')]\n"
        "print(import_torchvision().answer)\n"
    )
    assert run(code + DECLARED, broken) == ["CUDA versions differ", "[False, False]", "42", "[False, False]"]


def test_half_imported_modules_are_dropped_before_the_second_try(tmp_path: Path) -> None:
    """The stand-in fails at its first import just as a build for CUDA does, and prints what it finds at each."""
    code = (
        "import sys\nsys.tries = getattr(sys, 'tries', 0) + 1\n"
        "extension.tries = getattr(extension, 'tries', 0) + 1\n"
        "print(sys.tries, extension.tries)\n"
        "@torch.library.register_fake('torchvision::nms')\ndef boxes(dets, scores, iou_threshold):\n    return dets\n"
    )
    lines = run("import_torchvision()\n" + DECLARED, stand_in(tmp_path, code))
    assert lines == ["1 1", "2 1", "[True, True]"]
