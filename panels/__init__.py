"""One file per place in the interface."""

from __future__ import annotations

from . import preferences, sequencer

CLASSES = (*sequencer.CLASSES, preferences.S2L_AP_preferences)

register = sequencer.register
unregister = sequencer.unregister
