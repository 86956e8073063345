"""Registers everything with Blender and takes all of it away again."""

from __future__ import annotations

import bpy

from .. import operators, panels
from . import batch, keymap, presets, properties, speakers, translations
from .engine import installation as engine
from .engine import running_job as jobs
from .head import render_engine
from .pictures import thumbnails
from .pictures import training as preview
from .queue import job_queue, recovery

CLASSES = (*properties.CLASSES, *operators.CLASSES, *panels.CLASSES, render_engine.S2L_RenderEngine)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.register()
    preview.register()
    thumbnails.register()
    speakers.register()
    panels.register()
    presets.register()
    keymap.register()
    translations.register()
    render_engine.register()
    recovery.register()
    batch.register()


def unregister() -> None:
    batch.unregister()
    recovery.unregister()
    job_queue.unregister()
    engine.unregister()
    jobs.abandon()
    render_engine.unregister()
    translations.unregister()
    keymap.unregister()
    presets.unregister()
    panels.unregister()
    speakers.unregister()
    thumbnails.unregister()
    preview.unregister()
    properties.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
