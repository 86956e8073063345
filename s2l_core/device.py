"""Where to compute."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from .errors import DeviceUnavailable
from .jobs import Device

T = TypeVar("T")


def choose_device(name: Device) -> torch.device:
    """The device of a job: with ``"auto"`` a CUDA GPU if there is one, otherwise the CPU.

    Raises:
        DeviceUnavailable: The device that is asked for does not exist.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("PyTorch finds no CUDA device.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("PyTorch finds no GPU of Apple's (MPS).")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_names() -> list[str]:
    """Names of all devices, the CPU first."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def finish(device: torch.device) -> None:
    """Wait until a device has done everything that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def device_for_double(device: torch.device) -> torch.device:
    """The device itself if it has 64-bit floats, otherwise the CPU."""
    return torch.device("cpu") if device.type == "mps" else device


def in_double(values: torch.Tensor) -> torch.Tensor:
    """Values as 64-bit floats, on the CPU if their device has none."""
    return values.to(device_for_double(values.device)).double()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: where steps are short, threads wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_halves(compute: Callable[[slice], list[T]], count: int, most: int) -> list[T]:
    """Compute ``count`` items, ``most`` at once, or in halves of halves if the memory of the device is not enough.

    Args:
        compute: Computes the items of a slice; their values must not depend on which others are computed with them.
        count: Number of items.
        most: Number of items that are computed at once, at least 1. More take more memory, and less time for each.

    Raises:
        torch.OutOfMemoryError: The memory is not enough for a single item.
    """
    firsts = range(0, count, most)
    return [item for first in firsts for item in _compute(compute, slice(first, min(first + most, count)))]


def _compute(compute: Callable[[slice], list[T]], items: slice) -> list[T]:
    try:
        return compute(items)
    except torch.OutOfMemoryError:
        if items.stop - items.start < 2:
            raise
    # Outside of the handler, whose traceback holds the tensors of what failed.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = (items.start + items.stop) // 2
    return _compute(compute, slice(items.start, middle)) + _compute(compute, slice(middle, items.stop))
