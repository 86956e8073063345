"""Where to compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: where steps are short, threads wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
