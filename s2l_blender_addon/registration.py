"""Registers the add-on with Blender, and unregisters it."""

from __future__ import annotations

import bpy

from .. import operators, panels
from . import batch, keymap, preferences, presets, properties, render_signing, speakers, translations
from .engine import installation, running_job
from .head import render_engine
from .pictures import thumbnails
from .pictures import training as training_picture
from .queue import job_queue, recovery

CLASSES = (*properties.CLASSES, *operators.CLASSES, *panels.CLASSES, render_engine.S2L_RenderEngine)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.register()
    preferences.register()
    training_picture.register()
    thumbnails.register()
    speakers.register()
    panels.register()
    presets.register()
    keymap.register()
    translations.register()
    render_engine.register()
    render_signing.register()
    recovery.register()
    batch.register()


def unregister() -> None:
    batch.unregister()
    recovery.unregister()
    render_signing.unregister()
    job_queue.unregister()
    installation.unregister()
    running_job.abandon()
    render_engine.unregister()
    translations.unregister()
    keymap.unregister()
    presets.unregister()
    panels.unregister()
    speakers.unregister()
    thumbnails.unregister()
    training_picture.unregister()
    preferences.unregister()
    properties.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
