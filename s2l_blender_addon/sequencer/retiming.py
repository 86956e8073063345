"""Reads the retiming keys of strips.

Blender's Python gives the positions of the keys on the timeline, but not the frames of the media that they are
attached to. Those are read from the memory of the keys (``SeqRetimingKey`` in Blender's DNA), and used only if the
positions that are read together with them agree with those from Python.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...s2l_core.errors import BadJob
from ..compat import (
    RETIMING_COUNTS_FRAMES,
    RETIMING_IS_KNOWN,
    RETIMING_KEYS_ARE_IN_TIMELINE_FRAMES,
    RETIMING_SHARE_OFFSET,
    content_duration,
    content_start,
)

_INDEX_OFFSET, _FLAG_OFFSET = 0, 8
_TRANSITION = 0b11  # the flags of the ends of a smooth change of speed
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Retiming:
    """The retiming keys of a strip.

    Attributes:
        indices: float64 (k,) positions of the keys, in frames of the media as it would play without retiming.
        shares: float64 (k,) the position in the media at the keys, from 0 for the first frame to 1 for the last.
        speed: Frames of the media per frame of the timeline, without retiming.
    """

    indices: NDArray[np.float64]
    shares: NDArray[np.float64]
    speed: float

    def shown(self, indices: NDArray[np.float64], length: float) -> NDArray[np.float64]:
        """The frames of the media that are shown instead of ``indices`` (n,), which would be without retiming.

        Args:
            indices: float64 (n,) frames of the media.
            length: The number of frames of the media.
        """
        whole = length if RETIMING_COUNTS_FRAMES else length - 1
        return np.interp(indices, self.indices, self.shares) * whole


def unreadable_reason(strip: bpy.types.Strip) -> str:
    """Why the retiming of a strip cannot be read, as a sentence without its period; empty if it can."""
    try:
        read(strip)
    except BadJob as error:
        return f"{error.message.removesuffix('.')}: {error.hint[0].lower()}{error.hint[1:].removesuffix('.')}"
    return ""


def read(strip: bpy.types.Strip) -> Retiming | None:
    """The retiming of a movie or sound strip; None without keys.

    Raises:
        BadJob: This version of Blender is untested, the speed changes smoothly, or the values are implausible.
    """
    keys = list(strip.retiming_keys)
    if not keys:
        return None
    if not RETIMING_IS_KNOWN:
        raise BadJob(
            f"The retiming of {strip.name} cannot be read in Blender {bpy.app.version_string}, which is untested.",
            "Render it to a file first.",
        )
    addresses = [key.as_pointer() for key in keys]
    if any(ctypes.c_int.from_address(address + _FLAG_OFFSET).value & _TRANSITION for address in addresses):
        raise BadJob(
            f"The speed of the strip {strip.name} changes smoothly.", "Remove the transition, or render it to a file."
        )
    indices = np.array([ctypes.c_double.from_address(address + _INDEX_OFFSET).value for address in addresses])
    shares = np.array(
        [float(ctypes.c_float.from_address(address + RETIMING_SHARE_OFFSET).value) for address in addresses]
    )
    speed = indices[-1] / max(1, content_duration(strip) - (not RETIMING_COUNTS_FRAMES))
    expected = np.array([key.timeline_frame for key in keys]) - content_start(strip)
    if RETIMING_KEYS_ARE_IN_TIMELINE_FRAMES:
        expected *= speed
    agrees = np.isfinite(indices).all() and np.abs(indices - expected).max() <= max(1.0, speed)
    runs_once = shares[0] == 0.0 and abs(shares[-1] - 1.0) < _TOLERANCE and (np.diff(shares) >= 0.0).all()
    if not (agrees and runs_once and content_duration(strip) > 1):
        raise BadJob(f"The retiming of the strip {strip.name} cannot be read.", "Render it to a file first.")
    return Retiming(indices, shares, speed)
