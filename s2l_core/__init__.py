"""Speech2Lip: learn one speaker's lips from a short video and move them with any speech.

The verbs of the library, each a function of a job document from :mod:`s2l_core.jobs` and an optional
:class:`s2l_core.events.Report`. They are imported when first asked for, so that importing this package costs nothing
and needs neither NumPy nor PyTorch (Blender imports it).
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "info": ".verbs.info",
    "check": ".verbs.check",
    "train": ".verbs.train",
    "dub": ".verbs.dub",
    "preview": ".verbs.preview",
    "offset": ".verbs.offset",
    "faces": ".verbs.faces",
    "evaluate": ".verbs.evaluate",
    "heatmap": ".verbs.heatmap",
    "head": ".verbs.head",
    "pose": ".verbs.pose",
    "render": ".verbs.pose",
    "describe": ".verbs.describe",
    "calibrate": ".verbs.calibrate",
    "estimate": ".verbs.calibrate",
    "SpeakerModel": ".model.speaker",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
