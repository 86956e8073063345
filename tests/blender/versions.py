"""Operations of the tests that differ between versions of Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

_HAS_NEW_NAMES = bpy.app.version >= (5, 2)  # of the times of strips
_HAS_MEDIA_TYPES = bpy.app.version >= (5, 0)


def handles(strip: Any) -> tuple[int, int]:
    """The first frame of the timeline on which a strip is shown or heard, and the frame after the last one."""
    names = ("left_handle", "right_handle") if _HAS_NEW_NAMES else ("frame_final_start", "frame_final_end")
    return getattr(strip, names[0]), getattr(strip, names[1])


def set_handles(strip: Any, first: int, end: int) -> None:
    """Show a strip from one frame of the timeline to the one before another."""
    names = ("left_handle", "right_handle") if _HAS_NEW_NAMES else ("frame_final_start", "frame_final_end")
    setattr(strip, names[0], first)
    setattr(strip, names[1], end)


def set_duration(strip: Any, frames: int) -> None:
    """Move the right handle of a strip, so that it is shown or heard on this number of frames."""
    setattr(strip, "duration" if _HAS_NEW_NAMES else "frame_final_duration", frames)


def trim(strip: Any, start: int | None = None, end: int | None = None) -> None:
    """Set the distances of the handles from the ends of the content; negative ones lie outside of it."""
    names = ("left_handle_offset", "right_handle_offset")
    if not _HAS_NEW_NAMES:
        names = ("frame_offset_start", "frame_offset_end")
    for name, frames in zip(names, (start, end), strict=True):
        if frames is not None:
            setattr(strip, name, frames)


def trim_content(strip: Any, start: int, end: int) -> None:
    """Cut frames off both ends of a strip's content for good; what is left begins where the whole did."""
    first = content_start(strip)
    names = ("content_trim_start", "content_trim_end")
    if not _HAS_NEW_NAMES:
        names = ("animation_offset_start", "animation_offset_end")
    setattr(strip, names[0], start)
    setattr(strip, names[1], end)
    set_content_start(strip, first)  # since 5.2 the rest stays where it was


def content_start(strip: Any) -> float:
    """The frame of the timeline at which the content of a strip begins."""
    return getattr(strip, "content_start" if _HAS_NEW_NAMES else "frame_start")


def set_content_start(strip: Any, frame: float) -> None:
    """Move a strip, so that its content begins at a frame of the timeline."""
    setattr(strip, "content_start" if _HAS_NEW_NAMES else "frame_start", frame)


def content_duration(strip: Any) -> int:
    """The number of frames of the timeline that the content of a strip takes."""
    return getattr(strip, "content_duration" if _HAS_NEW_NAMES else "frame_duration")


def new_effect(strips: Any, name: str, kind: str, channel: int, first: int, end: int, *inputs: Any) -> Any:
    """Add an effect strip on the frames from one to the one before another."""
    length = {"length": end - first} if bpy.app.version >= (5, 0) else {"frame_end": end}
    taken = {f"input{number}": strip for number, strip in enumerate(inputs, 1)}
    return strips.new_effect(name, kind, channel, first, **length, **taken)


def set_format(scene: Any, file_format: str) -> None:
    """Let a scene render a movie (``FFMPEG``), multi-layer EXR or pictures of a format."""
    kinds = {"FFMPEG": "VIDEO", "OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE"}
    if _HAS_MEDIA_TYPES:
        scene.render.image_settings.media_type = kinds.get(file_format, "IMAGE")
    scene.render.image_settings.file_format = file_format


def new_compositor_tree(scene: Any) -> Any:
    """Give a scene an empty tree of compositing nodes."""
    if bpy.app.version < (5, 0):
        scene.use_nodes = True
        return scene.node_tree
    tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    if bpy.app.version >= (5, 3):
        scene.compositor_effects.new("Compositor").node_group = tree
    else:
        scene.compositing_node_group = tree
    return tree


def mixdown(path: Path, **options: Any) -> None:
    """Mix down the sound of the present scene. Since 5.2 it would end at once if the last render has failed."""
    if bpy.app.version >= (5, 2):
        scene = bpy.data.scenes.new("Render")
        scene.render.resolution_x = scene.render.resolution_y = 4
        new_effect(scene.sequence_editor_create().strips, "Colour", "COLOR", 1, 1, 2)
        bpy.ops.render.render(scene=scene.name)
        bpy.data.scenes.remove(scene)
    bpy.ops.sound.mixdown(filepath=str(path), **options)


def sequencer_override(scene: Any) -> Any:
    """The context of a sequencer that shows a scene."""
    window = bpy.context.window
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    if bpy.app.version >= (5, 0):
        bpy.context.workspace.sequencer_scene = scene
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region, scene=scene)


def add_movie_at_its_own_speed(scene: Any, path: Path, start: int) -> Any:
    """Add a movie as the sequencer's Add menu does with "Adjust Playback Rate"."""
    options = set(bpy.ops.sequencer.movie_strip_add.get_rna_type().properties.keys())
    names = options & {"move_strips", "move_strips_after_add"}  # to follow the mouse crashes without a window
    with sequencer_override(scene):
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(path), frame_start=start, channel=1, sound=False, use_framerate=False,
            adjust_playback_rate=True, set_view_transform=False, **dict.fromkeys(names, False),
        )  # fmt: skip
    return scene.sequence_editor.active_strip
