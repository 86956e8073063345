"""The properties editor: the settings of the render engine "Speech2Lip", Blender's settings that it supports, and what
other machines are to do.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from ..operators import S2L_OT_submit
from ..operators.submit import draw_submit
from ..s2l_blender_addon.compat import sequencer_scene
from ..s2l_blender_addon.head import animation
from ..s2l_blender_addon.head.render_engine import S2L_RenderEngine
from ..s2l_blender_addon.sequencer import strips

ENGINE = S2L_RenderEngine.bl_idname
# The modules of Blender's panels that apply to the render engine.
_MODULES = {
    "bl_ui.properties_data_camera",
    "bl_ui.properties_data_mesh",
    "bl_ui.properties_object",
    "bl_ui.properties_output",
}
_PANELS = ("RENDER_PT_color_management", "VIEWLAYER_PT_context_layer", "VIEWLAYER_PT_layer")


class S2L_PT_render(bpy.types.Panel):
    bl_label = "Speech2Lip"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(scene.s2l.render, "fade")
        layout.prop(scene.render, "film_transparent")


class S2L_PT_render_submit(bpy.types.Panel):
    """What other machines do before the scene is rendered."""

    bl_label = "Speech2Lip Submit"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scene = sequencer_scene(context)
        return strips.has_any(scene) or bool(animation.heads(scene))

    def draw(self, context: bpy.types.Context) -> None:
        draw_submit(self.layout, sequencer_scene(context))
        self.layout.operator(S2L_OT_submit.bl_idname)


CLASSES = (S2L_PT_render, S2L_PT_render_submit)


def register() -> None:
    for panel in _panels_of_blender():
        panel.COMPAT_ENGINES.add(ENGINE)


def unregister() -> None:
    for panel in _panels_of_blender():
        panel.COMPAT_ENGINES.discard(ENGINE)


def _panels_of_blender() -> Iterator[type[bpy.types.Panel]]:
    for panel in bpy.types.Panel.__subclasses__():
        is_supported = panel.__module__ in _MODULES or panel.__name__.startswith(_PANELS)
        if is_supported and "BLENDER_RENDER" in getattr(panel, "COMPAT_ENGINES", ()):
            yield panel
