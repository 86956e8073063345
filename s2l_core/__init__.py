"""Speech2Lip: train a speaker's lips from a short video, and animate them with any speech.

This package provides the verbs of the library. Each is a function of a job from :mod:`s2l_core.jobs` and an optional
:class:`s2l_core.events.Report`. A verb is imported when it is first used, so that importing this package, as Blender
does, takes no time and needs neither NumPy nor PyTorch.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "info": ".verbs.info",
    "check": ".verbs.check",
    "train": ".verbs.train",
    "dub": ".verbs.dub",
    "still": ".verbs.still",
    "preview": ".verbs.preview",
    "offset": ".verbs.offset",
    "faces": ".verbs.faces",
    "evaluate": ".verbs.evaluate",
    "heatmap": ".verbs.heatmap",
    "head": ".verbs.head",
    "pose": ".verbs.pose",
    "render": ".verbs.pose",
    "describe": ".verbs.describe",
    "consent": ".verbs.consent",
    "verify": ".verbs.verify",
    "sign": ".verbs.sign",
    "calibrate": ".verbs.calibrate",
    "estimate": ".verbs.calibrate",
    "SpeakerModel": ".model.speaker",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
