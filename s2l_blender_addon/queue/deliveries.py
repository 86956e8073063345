"""Inserts results into the open file, each as one undo step."""

from __future__ import annotations

import dataclasses
import json
from contextlib import nullcontext
from typing import Any

import bpy

from ...s2l_core.errors import SceneNotOpen
from ...s2l_core.jobs import CheckJob, DubJob, PoseJob, StillJob, TrainJob, consent_record_of
from .. import speakers
from ..sequencer import placing, results, strips
from . import records
from .entries import Entry, Target, output_of


def deliver(entry: Entry) -> str:
    """Insert the result of an entry into its scene, and describe it in a sentence.

    Raises:
        SceneNotOpen: Another file is open, or the scene no longer exists; nothing was changed.
        BadJob: There is no free channel.
    """
    job, target, result = entry.job, entry.target, entry.result or {}
    scene = find_scene(target)
    if scene is None:
        kept = f"; the result is saved in {output_of(job)}" if output_of(job) else ""
        hint = f"Open {target.blend} again and press Insert." if target.blend else ""
        raise SceneNotOpen(f"The scene {target.scene} is not open{kept}.", hint)
    match job:
        case CheckJob():
            text, step = _check(scene, job, result), "Check Footage"
        case TrainJob():
            text, step = _train(scene, job, result), "Train Speaker"
        case DubJob() | StillJob() if target.placement:
            strip = _insert(scene, job, target, target.placement)
            results.label(strip, entry.job_text, result, records.versions())
            strips.mark_untouched(strip, result.get("untouched", []))
            text, step = _dubbed(job, result, strip), "Dub Strip" if isinstance(job, DubJob) else "Dub Still"
        case PoseJob() if target.placement:
            strip = placing.insert_on_top(scene, target.placement, job.output_path)
            results.label(strip, entry.job_text, result, records.versions())
            text, step = _posed(job, result, target.placement), "Insert Head"
        case _:
            raise SceneNotOpen(f"The result of {job.verb} cannot be inserted.")
    _push_undo(step)
    return text


def find_scene(target: Target) -> bpy.types.Scene | None:
    """The scene of a target, found by its number in the same run of Blender, otherwise by file and name."""
    for scene in bpy.data.scenes:
        if target.scene_id and scene.session_uid == target.scene_id:
            return scene
    if target.blend != bpy.data.filepath or not (target.blend or target.scene_id == 0):
        return None
    sole = bpy.data.scenes[0] if target.scene_id == 0 and len(bpy.data.scenes) == 1 else None  # renamed before a crash
    return bpy.data.scenes.get(target.scene, sole)


def _check(scene: bpy.types.Scene, job: CheckJob, result: dict[str, Any]) -> str:
    check = scene.s2l.check
    check.footage, check.verdict, check.advice = (
        strips.first_file(job.footage),
        result["verdict"],
        "\n".join(result["advice"]),
    )
    return f"The footage is {check.verdict}."


def _train(scene: bpy.types.Scene, job: TrainJob, result: dict[str, Any]) -> str:
    scene.s2l.train.result = json.dumps(result)
    scene.s2l.dub.speaker_path = job.speaker_path
    figures = result.get("held_out") or {}
    record = consent_record_of(job)
    known = {"name": job.name, "preset": job.preset, "device": job.device, "consent": job.consent}
    known |= {"consent_hash": record.hash, "consent_until": record.until}
    speakers.remember(scene, job.speaker_path, known | {"mouth_psnr": figures.get("mouth_psnr")})
    speakers.refresh(scene, job.speaker_path)
    return f"Saved the speaker to {job.speaker_path}."


def _insert(
    scene: bpy.types.Scene, job: DubJob | StillJob, target: Target, placement: strips.Placement
) -> bpy.types.Strip:
    strip = placing.insert_result(dataclasses.replace(placement, scene=scene.name), job.output_path, job.encoding)
    assert strip is not None, "the scene was there a moment ago"
    results.retire(scene, target.earlier, target.existing, strip)
    return strip


def _dubbed(job: DubJob | StillJob, result: dict[str, Any], strip: bpy.types.Strip) -> str:
    summary, track = result.get("summary") or "Dubbed the strip.", result.get("voice_track")
    heard = f" Sound track {track} was used." if track else ""
    meta = strip.parent_meta()
    where = f" The strip is in the meta strip {meta.name}." if meta else ""
    state = " It is muted because its footage is." if strip.mute else ""
    warnings = "".join(f" {sentence}" for sentence in result.get("warnings", []))
    return f"{summary}{warnings} The result is {job.output_path}.{heard}{where}{state}"


def _posed(job: PoseJob, result: dict[str, Any], placement: strips.Placement) -> str:
    degrees = result.get("degrees_outside", 0.0)
    turned = "; it was turned back to the nearest pose that can be trusted" if job.fade else ""
    outside = f" The head is up to {degrees:.0f}° outside of what the footage shows{turned}." if degrees >= 0.5 else ""
    return f"Rendered {placement.end - placement.first} frames.{outside} The result is {job.output_path}."


def _push_undo(message: str) -> None:
    """Make an undo step, which needs a window in the context; a timer has none.

    Blender 4.5 reads an overridden context without Python's lock if another thread happens to hold that, and crashes
    when the other thread releases it (``BPY_context_member_get``). Therefore the context is overridden only if it has
    no window, and the queue delivers a result only when the threads of its job, and a search for records, have ended.
    """
    windows = bpy.context.window_manager.windows
    is_in_timer = windows and not bpy.context.window
    with bpy.context.temp_override(window=windows[0]) if is_in_timer else nullcontext():
        if bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=message)
