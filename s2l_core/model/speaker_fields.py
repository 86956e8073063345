"""Validation of the header and the tensors of a speaker file. Nothing in the file is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import tensor_file
from ..canonical.view import read_camera
from ..errors import SpeakerFileBroken
from ..face.identity import IDENTITY_SIZE
from ..face.layout import LAYOUTS
from ..face.tracking import KnownHead
from ..json_text import is_text
from ..speech.silence import Closing, PauseBehaviour

PORTRAIT, IDENTITY = "portrait", "identity"
KNOWN_HEAD = ("shape", "noise_px", "acceleration")
"""The arrays of a :class:`KnownHead`."""

_LARGEST_PORTRAIT = 4_000_000
_LONGEST_FINGERPRINT = 100
_LONGEST_PAUSE, _LOWEST_DB = 10.0, -120.0
_MOST_MILLIMETRES = 1e4
_LARGEST_NUMBER = 1e5
"""Bound of every number in a tensor. Depths in millimetres are the largest; networks have no weights above 100, and
with those of more than 1e30 their results overflow.
"""
_LEAST_SCALE = 1e-3
"""Least standard deviation of speech features, by which they are divided; that of log-mel is about 4."""
_LEAST_EXTENT, _LEAST_NOISE, _LEAST_ACCELERATION = 1.0, 1e-6, 1e-3
"""Less would make the equations of head tracking singular: the extent in millimetres, of the second principal axis."""
_HALF_PRECISION_FROM = 10_000
"""Tensors with at least this many elements are stored in 16 bits, which is finer than the 8 bits of a picture."""


class Kind(NamedTuple):
    """Type and shape of a tensor."""

    dtype: torch.dtype | None
    shape: tuple[int, ...]


def kind_of(tensor: Tensor) -> Kind:
    """Type and shape of a tensor that is stored unchanged."""
    return Kind(tensor.dtype, tuple(tensor.shape))


def stored_kind_of(tensor: Tensor) -> Kind:
    """Type and shape in which a float32 tensor of a network is stored."""
    return Kind(torch.float16 if tensor.numel() >= _HALF_PRECISION_FROM else tensor.dtype, tuple(tensor.shape))


def is_portrait(kind: Kind) -> bool:
    """Whether a tensor may be an encoded portrait."""
    return kind.dtype == torch.uint8 and len(kind.shape) == 1 and kind.shape[0] <= _LARGEST_PORTRAIT


def refuse_misfits(tensors: Mapping[str, Tensor], wanted: Mapping[str, Kind]) -> None:
    """Raise an error if the tensors of a file do not match its header. Portrait and identity may be missing.

    Raises:
        ValueError: A tensor is missing, unexpected, of another shape or type, or contains infinity, NaN or a number
            that is too large.
    """
    found = {name: kind_of(tensor) for name, tensor in tensors.items()}
    identity = found.pop(IDENTITY, Kind(torch.float32, (IDENTITY_SIZE,)))
    if not is_portrait(found.pop(PORTRAIT, Kind(torch.uint8, (0,)))) or identity != Kind(
        torch.float32, (IDENTITY_SIZE,)
    ):
        raise ValueError("not a portrait, or not an identity")
    if found != wanted:
        raise ValueError("other tensors than the header asks for")
    # The last element of an identity is NaN if the landmarks have no depth, see identity.measure_breadth().
    numbers = (tensor[:-1] if name == IDENTITY else tensor for name, tensor in tensors.items())
    if not tensor_file.are_finite(numbers, _LARGEST_NUMBER):
        raise ValueError("a tensor with infinity, NaN or too large a number")
    scales = (tensor for name, tensor in tensors.items() if name.endswith(".mel_scale"))
    if not all(scale >= _LEAST_SCALE for scale in scales):
        raise ValueError("not a scale of speech features")


def refuse_overflow(results: Tensor) -> None:
    """Raise an error if networks with numbers that are acceptable one by one overflow together.

    Args:
        results: Results of the networks, of any shape.

    Raises:
        SpeakerFileBroken: They contain infinity or NaN.
    """
    if not tensor_file.are_finite([results]):
        raise SpeakerFileBroken("The networks of this speaker compute numbers that are infinite or undefined.")


def read_pauses(description: dict[str, Any]) -> PauseBehaviour:
    """The behaviour in pauses that a header describes.

    Raises:
        AttributeError, KeyError, OverflowError, TypeError, ValueError: The description is invalid.
    """
    numbers = {name: float(value) for name, value in description["closing"].items()}
    level_db, silence_db = float(description["level_db"]), float(description["silence_db"])
    if not all(0.0 <= number <= _LONGEST_PAUSE for number in numbers.values()) or numbers["ramp"] == 0.0:
        raise ValueError("not a closing")
    if not (_LOWEST_DB <= level_db <= 0.0 and _LOWEST_DB <= silence_db <= 0.0 and numbers["strength"] <= 1.0):
        raise ValueError("not levels")
    return PauseBehaviour(level_db, Closing(**numbers), silence_db)


def read_known_head(description: dict[str, Any], tensors: Mapping[str, Tensor]) -> KnownHead:
    """The head that a header describes.

    Raises:
        KeyError, OverflowError, TypeError, ValueError: The description is invalid, or the tensors do not fit it.
    """
    shape, noise, acceleration = (tensors[f"known_head.{name}"] for name in KNOWN_HEAD)
    if any(tensor.dtype != torch.float64 for tensor in (shape, noise, acceleration)):
        raise ValueError("not a head")
    if shape.dim() != 2 or shape.shape[0] not in LAYOUTS or shape.shape[1] != 3:
        raise ValueError("a head without known landmarks")
    if noise.dim() != 1 or not 1 <= len(noise) <= max(LAYOUTS) or acceleration.shape != (2,):
        raise ValueError("not a head")
    if not (shape.abs().max() < _MOST_MILLIMETRES and _extent(shape) >= _LEAST_EXTENT):
        raise ValueError("not the shape of a head")
    if not (noise.min() >= _LEAST_NOISE and acceleration.min() >= _LEAST_ACCELERATION):
        raise ValueError("not a track of a head")
    if not is_text(description["file"], _LONGEST_FINGERPRINT):
        raise ValueError("a head without a file")
    camera = read_camera(description["camera"])
    return KnownHead(shape.numpy(), noise.numpy(), acceleration.numpy(), camera, description["file"])


def _extent(shape: Tensor) -> float:
    """Standard deviation of points (P, 3) along their second principal axis: 0 if they are one point or a line."""
    deviations = torch.linalg.svdvals(shape - shape.mean(dim=0))
    return float(deviations[1]) / len(shape) ** 0.5
