"""Exemplars: real mouths of the footage, one of which a dub shows in each frame, moved and relit as speech asks for.

A picture that is composed of many mouths is the mean of them, and looks like a double exposure. An exemplar is one
mouth, with its teeth and its grain. Unit selection: Bregler et al., "Video Rewrite" (1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import jpeg
from ..device import in_double
from ..errors import SpeakerFileBroken
from .lip.base import SPOKEN_SIZE

MOST_EXEMPLARS = 480
"""Number of exemplars in a speaker file. Three times as many were not measurably better on clips of a minute."""

_PREFIX = "exemplars."
_LARGEST_SIDE = 4096
_TENSORS = ("codes", "offsets", "metric", "outline", "motion")


@dataclass(frozen=True)
class Exemplars:
    """Real mouths in the canonical view, with the codes that describe them.

    Attributes:
        codes: float32 (n, 64) codes of the mouths that speech would have to give, without the offsets of the look
            model.
        offsets: float32 (n, 64) offsets of the look model in their frames.
        metric: float32 (64, 64), maps differences of codes (..., 64), as ``codes @ metric``, to vectors whose lengths
            are the differences of the pictures.
        outline: float32 (L, 2) outer and inner outlines of the lips with codes that are 0, right and down from the
            corner of the lip rectangle, as shares of its sides.
        motion: float32 (64, L, 2), how far a unit of each code moves the points of the outlines.
        width: Width of the pictures in pixels, which show the whole lip rectangle.
        height: Height of the pictures.
        pictures: n JPEGs.
    """

    codes: Tensor
    offsets: Tensor
    metric: Tensor
    outline: Tensor
    motion: Tensor
    width: int
    height: int
    pictures: tuple[bytes, ...]

    def to(self, device: torch.device | str) -> Exemplars:
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def outlines(self, codes: Tensor) -> NDArray[np.float64]:
        """Outlines (F, L, 2) of the lips with codes (F, 64), in shares of the lip rectangle's sides."""
        outline, motion, given = (in_double(each).cpu().numpy() for each in (self.outline, self.motion, codes))
        return np.asarray(outline + np.tensordot(given, motion, 1))

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Decode the picture (height, width, 3) of an exemplar.

        Raises:
            SpeakerFileBroken: The JPEG is damaged.
        """
        try:
            return jpeg.decode(self.pictures[index])
        except ValueError as error:
            raise SpeakerFileBroken("A mouth in the speaker file is damaged.") from error

    def lips(self, chosen: Sequence[int]) -> Tensor:
        """Lips float32 (B, 3, height, width) in [0, 1] of the exemplars ``chosen`` (B,).

        Raises:
            SpeakerFileBroken: As :meth:`picture`.
        """
        pictures = np.stack([self.picture(index).transpose(2, 0, 1) for index in chosen])
        return torch.from_numpy(pictures).to(self.codes.device).float().div_(255)


def to_description(exemplars: Exemplars) -> dict[str, Any]:
    """The JSON values of a speaker file that :func:`to_tensors` leaves out."""
    lengths = [len(picture) for picture in exemplars.pictures]
    return {"width": exemplars.width, "height": exemplars.height, "bytes": lengths}


def to_tensors(exemplars: Exemplars) -> dict[str, Tensor]:
    """The tensors of a speaker file, by name."""
    tensors = {name: getattr(exemplars, name).detach().cpu().contiguous() for name in _TENSORS}
    tensors["pictures"] = torch.frombuffer(bytearray(b"".join(exemplars.pictures)), dtype=torch.uint8)
    return {f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}


def from_description(description: dict[str, Any], tensors: dict[str, Tensor]) -> Exemplars:
    """The inverse of :func:`to_description` and :func:`to_tensors`.

    Raises:
        KeyError, TypeError, ValueError: The description is invalid, or the tensors do not fit it.
    """
    width, height, lengths = description["width"], description["height"], description["bytes"]
    if any(type(side) is not int or not 1 <= side <= _LARGEST_SIDE for side in (width, height)):
        raise ValueError("not a size")
    if not 1 <= len(lengths) <= MOST_EXEMPLARS or any(type(each) is not int or each < 1 for each in lengths):
        raise ValueError("not the lengths of pictures")
    codes, offsets, metric, outline, motion = parts = [tensors[f"{_PREFIX}{name}"] for name in _TENSORS]
    each, points = (len(lengths), SPOKEN_SIZE), (len(outline), 2)
    if [part.shape for part in parts] != [each, each, (SPOKEN_SIZE, SPOKEN_SIZE), points, (SPOKEN_SIZE, *points)]:
        raise ValueError("tensors of another size")
    if any(part.dtype != torch.float32 for part in parts):
        raise ValueError("tensors of another type")
    encoded = tensors[f"{_PREFIX}pictures"]
    if encoded.dtype != torch.uint8 or encoded.shape != (sum(lengths),):
        raise ValueError("not the pictures")
    content, ends = encoded.numpy().tobytes(), np.cumsum(lengths).tolist()
    pictures = tuple(content[end - length : end] for end, length in zip(ends, lengths, strict=True))
    if any(jpeg.size(picture) != (height, width) or not picture.endswith(jpeg.END) for picture in pictures):
        raise ValueError("a picture of another size, or not a whole one")
    return Exemplars(codes, offsets, metric, outline, motion, width, height, pictures)
