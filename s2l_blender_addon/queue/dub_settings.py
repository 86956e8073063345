"""What the jobs of dubs and stills have in common: the reasons against them, and the settings of output and silence."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...s2l_core.jobs import DubJob, Encoding, Format, StillJob
from ..compat import fcurve, fcurve_collections
from ..sequencer import appearance, strips, timing
from .outputs import unused_path

_LINEAR_SPACE = "Linear Rec.709"


def disabled_reason(scene: bpy.types.Scene, strip: bpy.types.Strip | None, sounds: list[bpy.types.Strip]) -> str:
    """Why a strip cannot be dubbed with sound strips, as a sentence without its period; empty if it can."""
    if strip is None:
        return strips.missing_footage(scene)
    if not sounds:
        return "Choose the sound strip with the new speech"
    reasons = (strips.unusable_reason(each, "") or timing.unknown_time_reason(each) for each in (strip, *sounds))
    return next(filter(None, reasons), "") or _colour_mismatch_reason(strip, scene.s2l.dub.format)


def encoding(scene: bpy.types.Scene, path: str) -> Encoding:
    """The encoding of a result that is made from the movie or picture at ``path``."""
    dub = scene.s2l.dub
    return Encoding(written_format(dub, path), dub.crf, dub.layer)


def output_path(scene: bpy.types.Scene, path: str, encoding: Encoding) -> str:
    """An unused path for a result that is made from ``path``; raises as :func:`unused_path`."""
    ending = "mouth" if encoding.layer == "mouth" else "dubbed"
    return unused_path(scene.s2l.dub.folder, path, f"{Path(path).stem}_{ending}", encoding.suffix)


def silence_db(scene: bpy.types.Scene, frames: range) -> tuple[float, ...]:
    """The level below which the mouth closes on these frames of the timeline; empty if it closes by itself."""
    return _curve(scene, "silence_db", frames) if scene.s2l.dub.use_silence_level else ()


def rest_strength(scene: bpy.types.Scene, frames: range) -> tuple[float, ...]:
    """How far the mouth closes on these frames of the timeline."""
    return _curve(scene, "rest_strength", frames)


def restore(scene: bpy.types.Scene, job: DubJob | StillJob, placement: strips.Placement) -> None:
    """Change the sounds of a scene, and its settings of output and silence, to those of a job."""
    dub = scene.s2l.dub
    sounds = strips.sound_names(placement.sound)
    dub.sound_strip = placement.sound if len(sounds) == 1 else ""
    if len(sounds) > 1:
        strips.let_drive(scene, placement.footage, sounds)
    dub.folder = str(Path(job.output_path).parent)
    dub.layer, dub.format, dub.crf = job.encoding.layer, job.encoding.format, job.encoding.crf
    frames = range(placement.first, placement.end)
    dub.use_silence_level = bool(job.silence_db)
    if job.silence_db:
        _restore_curve(scene, "silence_db", job.silence_db, frames)
    _restore_curve(scene, "rest_strength", job.rest_strength, frames)


def written_format(dub: bpy.types.PropertyGroup, path: str) -> Format:
    """The format of a result that is made from the movie or picture at ``path``."""
    if dub.format != "auto":
        chosen: Format = dub.format
        return chosen
    return "prores" if dub.layer == "mouth" or appearance.has_alpha(path) else "h264"


def _colour_mismatch_reason(strip: bpy.types.Strip, form: str) -> str:
    """Why a result would have other colours than its footage; empty if it would have the same.

    Args:
        strip: The footage.
        form: The format of the result.
    """
    space = strip.colorspace_settings.name
    if strips.has_linear_pictures(strip):
        if space == _LINEAR_SPACE:
            return ""
        return (
            f"The strip {strip.name} has the colour space {space}: only {_LINEAR_SPACE} is supported for its pictures"
        )
    if form == "exr" and space != "sRGB":
        return (
            f"EXR pictures are linear, but the strip {strip.name} has the colour space {space}: choose another format"
        )
    return ""


def _restore_curve(scene: bpy.types.Scene, name: str, values: tuple[float, ...], frames: range) -> None:
    """Set a property of dubbing to values on frames, with keys if they differ."""
    if _curve(scene, name, frames) == values:
        return
    path = f"s2l.dub.{name}"
    for curves in fcurve_collections(scene):
        if curve := curves.find(path):
            curves.remove(curve)
    setattr(scene.s2l.dub, name, values[0])
    for frame, value in zip(frames, values if len(values) > 1 else (), strict=False):
        setattr(scene.s2l.dub, name, value)
        scene.keyframe_insert(path, frame=frame)


def _curve(scene: bpy.types.Scene, name: str, frames: range) -> tuple[float, ...]:
    """The values of a property of dubbing: a single one, or one for each of the frames if it is animated."""
    curve = fcurve(scene, f"s2l.dub.{name}")
    if curve is None:
        return (float(getattr(scene.s2l.dub, name)),)
    limits = scene.s2l.dub.bl_rna.properties[name]
    values = (float(curve.evaluate(frame)) for frame in frames)
    return tuple(min(max(value, limits.hard_min), limits.hard_max) for value in values)
