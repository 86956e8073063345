"""Motion of lips as a trained speaker moves them: their codes of speech, told as offsets of anybody's lips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ..errors import SpeakerFileOlder
from ..events import Report
from ..face.layout import LAYOUTS, MESH468
from ..geometry.camera import project
from ..model.exemplars import FINENESS
from ..model.speaker import SpeakerModel
from ..mouth.rendering import rest_in_silence, speech_track
from ..speech.encoder import CODE_SECONDS, SpeechEncoder
from ..speech.features import speech_level
from .lip_motion import parse, read_file
from .lip_shape import LIPS, without_overlap

Array = NDArray[np.float64]

_INSIDE = 0.5
"""Share of the way from the inner to the outer outline at which the motion of the inner outline is read, since the
motion of both lips is blurred where they meet."""


class SpeakerMotion:
    """Offsets of lips and chin from speech, by a trained speaker.

    A speaker file says how far each code moves the lips of the speaker's canonical view, which faces the camera
    approximately. The motion of the chin is the one that goes with such lips in other people.

    Args:
        speaker: The speaker, on the device to compute on.

    Raises:
        SpeakerFileOlder: The file does not contain the motion of the speaker's lips.
    """

    def __init__(self, speaker: SpeakerModel) -> None:
        if speaker.exemplars is None or LAYOUTS[len(speaker.known_head.shape)] is not MESH468:
            raise SpeakerFileOlder(f"The speaker file of {speaker.name} does not say how the lips move.")
        self._speaker = speaker
        self._motions = _with_chin(_motions(speaker))

    def offsets(
        self,
        speech: NDArray[np.float32],
        times: NDArray[np.float64],
        report: Report | None = None,
        level_db: float | None = None,
    ) -> NDArray[np.float32]:
        """Offsets float32 (F, 41, 2) of lips and chin from the speaker's resting mouth, as
        :meth:`s2l_core.still.lip_motion.LipMotion.offsets` gives them.
        """
        level = speech_level(speech) if level_db is None else level_db
        heard = speech_track(self._speaker, speech, level)
        last = CODE_SECONDS * len(heard)
        codes = rest_in_silence(self._speaker, heard, speech, level, (), (1.0,), last)
        encoder = self._speaker.lip.speech
        rest = encoder.rest()
        if isinstance(encoder, SpeechEncoder):
            rest = encoder.articulation(rest)
        moved = (codes - rest.to(codes)).cpu().double().numpy()
        clock = CODE_SECONDS * np.arange(len(moved))
        at_times = np.stack([np.interp(times, clock, code) for code in moved.T], axis=-1)
        return without_overlap(np.tensordot(at_times, self._motions, 1)).astype(np.float32)


def _motions(speaker: SpeakerModel) -> Array:
    """Offsets (64, 40, 2) of the lips by a unit of each code, in widths of the mouth."""
    assert speaker.exemplars is not None
    view = speaker.face.lips
    flat = speaker.look.shape.mean.cpu().double().numpy().reshape(LIPS, 2)
    depth = speaker.known_head.shape[np.concatenate([MESH468.lips_outer, MESH468.lips_inner]), 2]
    lips = project(np.column_stack([flat, depth]), view.pose.cpu().double().numpy(), view.intrinsics)
    outer, inner = np.split(lips, 2)
    across = outer[len(outer) // 2] - outer[0]
    width = np.linalg.norm(across)
    right, down = across / width, np.array([-across[1], across[0]]) / width

    box = view.rectangle
    read_at = np.concatenate([outer, inner + _INSIDE * (outer - inner)])
    places = (read_at - [box.left, box.top]) / [box.width, box.height] * FINENESS
    shifts = speaker.exemplars.shifts.cpu().double().numpy()
    moved = np.array([[map_coordinates(way, places.T[::-1], order=1) for way in code] for code in shifts])
    pixels = moved.transpose(0, 2, 1) * [box.width, box.height]
    return np.asarray(pixels @ np.stack([right, down], axis=1) / width)


def _with_chin(motions: Array) -> Array:
    """Offsets (..., 41, 2) of lips (..., 40, 2) and of the chin, by the typical motions that are most like them."""
    typical = parse(read_file())["motions"].double().numpy()
    flat = motions.reshape(len(motions), -1)
    amounts = np.linalg.lstsq(typical[:, :LIPS].reshape(len(typical), -1).T, flat.T, rcond=None)[0]
    chin = amounts.T @ typical[:, LIPS:].reshape(len(typical), -1)
    return np.concatenate([motions, chin.reshape(len(motions), 1, 2)], axis=1)
