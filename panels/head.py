"""The tab "Speech2Lip" in the sidebar of the 3D view, and its entry in the Add menu."""

from __future__ import annotations

import bpy

from ..operators import S2L_OT_check_view, S2L_OT_create_head, S2L_OT_match_camera, S2L_OT_toggle_tracked_pose
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.head import rendering
from ..s2l_blender_addon.head import scene as head_scene
from ..s2l_blender_addon.sentences import draw_lines
from ..s2l_blender_addon.sequencer import strips
from .queue import QueuePanel


class ViewPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Speech2Lip"


class S2L_PT_view_queue(ViewPanel, QueuePanel, bpy.types.Panel):
    pass


class S2L_PT_create_head(ViewPanel, bpy.types.Panel):
    bl_label = "Create Head"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        movie = strips.footage_or_result(scene)
        layout.prop(scene.s2l.dub, "speaker_path")
        layout.prop(scene.s2l, "footage_strip", icon="FILE_MOVIE", placeholder=movie.name if movie else "")
        if movie and scene.s2l.footage_strip not in {"", movie.name}:
            layout.label(text=f"Shows the dubbed strip {movie.name}", icon="INFO")
        layout.operator(S2L_OT_create_head.bl_idname)


class S2L_PT_head(ViewPanel, bpy.types.Panel):
    """The settings of the selected head, see :func:`head_scene.find`."""

    bl_label = "Head"
    bl_order = 2

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return head_scene.find(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        head: bpy.types.Object = head_scene.find(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.label(text=head.name, icon="EMPTY_ARROWS")
        layout.prop(head.s2l, "speaker_path")
        layout.prop(head.s2l, "movie_path")
        layout.operator(S2L_OT_toggle_tracked_pose.bl_idname, depress=head_scene.is_muted(head))
        layout.operator(S2L_OT_match_camera.bl_idname)
        layout.operator(S2L_OT_check_view.bl_idname)
        draw_lines(layout, head.s2l.warning or rendering.last_warning(), context.region.width, icon="ERROR")


CLASSES = (S2L_PT_view_queue, S2L_PT_create_head, S2L_PT_head)


def _draw_entry(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator(S2L_OT_create_head.bl_idname, icon="USER")


def register() -> None:
    bpy.types.VIEW3D_MT_add.append(_draw_entry)


def unregister() -> None:
    bpy.types.VIEW3D_MT_add.remove(_draw_entry)
