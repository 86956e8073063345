"""The pictures that are to speak: that of an image strip, or the frame of a movie strip under the playhead."""

from __future__ import annotations

import bpy

from ...s2l_core import regular_files
from ...s2l_core.errors import BadJob, FileMissing
from ...s2l_core.jobs import Media
from . import strips, timing


def unseen_reason(scene: bpy.types.Scene, strip: bpy.types.Strip) -> str:
    """Why a strip has no picture under the playhead, as a sentence without its period; empty if it has one."""
    if strips.is_picture(strip) or scene.frame_current in timing.visible(strip):
        return ""
    return f"Move the playhead to the frame of {strip.name} that is to speak"


def picture(scene: bpy.types.Scene, strip: bpy.types.Strip) -> Media:
    """The picture of an image strip, or the frame under the playhead of a strip with several.

    Raises:
        BadJob: The strip has no picture under the playhead, or the media do not play in the sequencer.
        FileMissing: The file of the strip does not exist.
    """
    if reason := unseen_reason(scene, strip):
        raise BadJob(f"{reason}.", "Then start the job again.")
    if not strips.is_picture(strip):
        now = range(scene.frame_current, scene.frame_current + 1)
        return strips.shown_media(strip, strips.moments(scene, strip, now))
    path = strips.first_path(strip)
    if not regular_files.is_file(path):
        raise FileMissing(f"The picture of the strip {strip.name} is missing: {path}.")
    return Media(path, face=strips.chosen_face(strip))


def show(scene: bpy.types.Scene, strip: bpy.types.Strip, picture: Media) -> None:
    """Move the playhead to the first frame on which a strip shows a picture: the inverse of :func:`picture`."""
    if strips.is_picture(strip):
        return
    seen = timing.visible(strip)
    shown = strips.moments(scene, strip, seen)
    for frame, moment in zip(seen, shown, strict=True):
        if abs(moment - picture.start) < 1e-6:
            scene.frame_current = frame
            return


def has_consent(strip: bpy.types.Strip) -> bool:
    """Whether the person in the picture or movie of a strip has agreed to it; another file needs another consent."""
    return bool(strip.s2l.agreed_file == strips.first_path(strip))


def set_consent(strip: bpy.types.Strip, is_given: bool) -> None:
    """Store in a strip whether the person in its picture or movie has agreed to it."""
    strip.s2l.agreed_file = strips.first_path(strip) if is_given else ""
