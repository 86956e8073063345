"""One file per place in the interface."""

from __future__ import annotations

from . import head, preferences, sequencer

CLASSES = (*sequencer.CLASSES, *head.CLASSES, preferences.S2L_AP_preferences)


def register() -> None:
    sequencer.register()
    head.register()


def unregister() -> None:
    head.unregister()
    sequencer.unregister()
