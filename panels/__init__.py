"""The panels and menus of the add-on, one file for each place in the interface."""

from __future__ import annotations

from . import head, label, preferences, render, result, sequencer, speakers

CLASSES = (
    *sequencer.CLASSES,
    *speakers.CLASSES,
    *label.CLASSES,
    *result.CLASSES,
    *head.CLASSES,
    *render.CLASSES,
    preferences.S2L_AP_preferences,
)


def register() -> None:
    sequencer.register()
    head.register()
    render.register()


def unregister() -> None:
    render.unregister()
    head.unregister()
    sequencer.unregister()
