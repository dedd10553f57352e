"""The import of torchvision, also where its compiled operators do not load."""

import importlib
import sys
from types import ModuleType

import torch

_MISSING = "operator torchvision::nms does not exist"
_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """The module `torchvision`, imported plainly where that works.

    A build for CUDA does not load its operators beside a torch for the CPU, and its import then fails at two of them
    that no trunk uses.  Only after just that failure are the two declared, without code, and the import tried again:
    to declare them where the real ones load would abort the process.

    Raises:
        RuntimeError: any other failure of the import.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", _BOXES)
    return importlib.import_module("torchvision")
