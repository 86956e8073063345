"""Where to compute."""

from __future__ import annotations

import torch

from .errors import DeviceUnavailable
from .jobs import Device


def choose_device(name: Device) -> torch.device:
    """The device of a job: a GPU where there is one, or the one that is asked for.

    Raises:
        DeviceUnavailable: CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("This Python sees no CUDA device.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
