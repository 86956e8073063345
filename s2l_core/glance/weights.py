"""The weights of a generator in a file: safetensors in half precision, checked when they are loaded."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import regular_files, tensor_file
from ..errors import FileMissing, GlanceWeightsUnreadable
from ..files import write_whole
from .generator import Generator

_KEY = "speech2lip-glance"
_FILE = "weights.safetensors"
_FORMAT = 2
_LARGEST_FILE = 80_000_000
"""Largest size of a file in bytes. The weights of the paper's width have 33 million."""
_WIDTHS = (0.01, 2.0)


def save_generator(generator: Generator, path: str, facts: dict[str, Any]) -> None:
    """Write the weights of a generator, in half precision.

    Args:
        generator: The generator.
        path: The file.
        facts: JSON values that say how the weights were made.

    Raises:
        CannotWrite, DiskFull: The file cannot be written.
    """
    tensors = {name: _halved(tensor).cpu().contiguous() for name, tensor in generator.state_dict().items()}
    fields = {"format": _FORMAT, "width": generator.width, "made": facts}
    write_whole(path, tensor_file.pack(tensors, _KEY, fields))


def load_generator(path: str | None = None) -> Generator:
    """Read the weights of a generator.

    Args:
        path: The file; None means the weights that the library includes.

    Returns:
        The generator, frozen, on the CPU.

    Raises:
        FileMissing: There is no such file.
        GlanceWeightsUnreadable: The file is damaged or something else.
    """
    return _read(path)[0]


def read_facts(path: str | None = None) -> dict[str, Any]:
    """What a file says about how its weights were made; arguments and errors are those of :func:`load_generator`."""
    return _read(path)[1]


def _read(path: str | None) -> tuple[Generator, dict[str, Any]]:
    name = path or str(files(__package__).joinpath(_FILE))
    if not regular_files.is_file(name):
        raise FileMissing(f"There is no file {name}.")
    try:
        if Path(name).stat().st_size > _LARGEST_FILE:
            raise ValueError("it is too large")
        fields, tensors = tensor_file.unpack(Path(name).read_bytes(), _KEY)
        facts = fields.get("made")
        return _generator(fields, tensors), facts if isinstance(facts, dict) else {}
    except (OSError, RuntimeError, ValueError) as error:
        raise GlanceWeightsUnreadable(f"{name} is damaged, or does not hold the weights of a lip generator.") from error


def _generator(fields: dict[str, Any], tensors: dict[str, Tensor]) -> Generator:
    width = fields.get("width")
    if fields.get("format") != _FORMAT or not isinstance(width, float) or not _WIDTHS[0] <= width <= _WIDTHS[1]:
        raise ValueError("another format")
    with torch.device("meta"):
        generator = Generator(width)
    wanted = generator.state_dict()
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {name: tensor.shape for name, tensor in wanted.items()} or not tensor_file.are_finite(
        tensors.values()
    ):
        raise ValueError("tensors that do not belong to a generator")
    converted = {name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()}
    generator.load_state_dict(converted, assign=True)  # Module.to_empty would import SymPy, which takes half a second
    return generator.eval().requires_grad_(False)


def _halved(tensor: Tensor) -> Tensor:
    """A tensor in half precision, with numbers that fit into it; integers stay as they are."""
    most = torch.finfo(torch.float16).max
    return tensor.clamp(-most, most).half() if tensor.is_floating_point() else tensor
