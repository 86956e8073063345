"""Runs in Blender: installs the extension, opens the Video Editing workspace, and adds the demo's strips to the
timeline.
"""

import os
from pathlib import Path

import bpy

FOOTAGE, LINE = "Interview", "New Words"
SAVE = Path("/project/save")
"""The file is saved when this one is there, as Save As would open a window of its own."""


def prepare() -> None:
    preferences = bpy.context.preferences
    preferences.view.show_splash = False
    preferences.view.ui_scale = 1.1
    bpy.ops.extensions.package_install_files(
        filepath=os.environ["S2L_EXTENSION"], repo="user_default", enable_on_install=True
    )
    scripts = Path(bpy.utils.system_resource("SCRIPTS"))
    workspace = scripts / "startup/bl_app_templates_system/Video_Editing/startup.blend"
    bpy.ops.workspace.append_activate(idname="Video Editing", filepath=str(workspace))
    bpy.app.timers.register(furnish, first_interval=2.0)


def furnish() -> None:
    window = bpy.context.window_manager.windows[0]
    scene = window.workspace.sequencer_scene or window.scene
    window.workspace.sequencer_scene = scene
    scene.render.fps, scene.render.resolution_x, scene.render.resolution_y = 25, 384, 384
    scene.frame_end = 300
    strips = scene.sequence_editor_create().strips
    movie = strips.new_movie(FOOTAGE, "/project/speaker.mp4", channel=2, frame_start=1)
    strips.new_sound("Own Voice", "/project/speaker.mp4", channel=1, frame_start=1).mute = True
    line = strips.new_sound(LINE, "/project/line.flac", channel=4, frame_start=1)
    line.s2l.drives = movie.name
    scene.sequence_editor.active_strip = movie
    scene.s2l.train.folder = scene.s2l.dub.folder = "/project"
    for area in window.screen.areas:
        if area.type == "SEQUENCE_EDITOR" and area.spaces.active.view_type in ("SEQUENCER", "SEQUENCER_PREVIEW"):
            area.spaces.active.show_region_ui = True
            bpy.app.timers.register(lambda area=area: show_tab(area), first_interval=1.0)
    scene.s2l.submit.farm = "NONE"
    bpy.app.timers.register(save, persistent=True)


def save() -> float:
    if SAVE.exists():
        bpy.ops.wm.save_as_mainfile(filepath="/project/edit.blend")
        SAVE.unlink()
    return 1.0


def show_tab(area: bpy.types.Area) -> None:
    for region in area.regions:
        if region.type == "UI":
            region.active_panel_category = "Speech2Lip"
    area.tag_redraw()


prepare()
