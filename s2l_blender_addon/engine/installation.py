"""The engine of this installation: what of it is missing, and its setup while that runs."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import bpy

from ...s2l_core.errors import EngineIncomplete
from .. import screen
from ..preferences import engine_environment, find_worker_python, settings
from .setup import EngineSetup, packages

TICK_SECONDS = 0.2
FAREWELL_SECONDS = 5.0  # for the files of a setup that Blender leaves behind

_setup: EngineSetup | None = None


def setup() -> EngineSetup | None:
    """The setup that runs, or how the last one ended."""
    return _setup


def is_being_set_up() -> bool:
    return _setup is not None and not _setup.has_ended


def missing(context: bpy.types.Context) -> list[str]:
    """What there must be before anything can be computed, a phrase each; empty where the engine is there."""
    try:
        python = find_worker_python(context)
    except EngineIncomplete:
        names = packages()
        return ["A Python environment of the engine's own", f"{len(names)} packages: {', '.join(names)}"]
    return [] if shutil.which(python) else [f"The worker Python that was chosen: {python}"]


def start(context: bpy.types.Context) -> EngineSetup:
    """Begin to make the engine, in place of an earlier one; :func:`advance` must follow until it has ended."""
    global _setup
    _setup = EngineSetup(base_python(context), engine_environment(), settings(context).torch_build)
    return _setup


def base_python(context: bpy.types.Context) -> str:
    """The Python that the engine's environment is made with."""
    return bpy.path.abspath(settings(context).base_python) or sys.executable


def watch() -> None:
    """Advance the setup with a timer."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def advance(patience: float = 0.0) -> bool:
    """Take in what the setup did, waiting for it at most so many seconds; True once it has ended."""
    if not is_being_set_up() or _setup is None:
        return True
    if not _setup.poll(patience):
        return False
    if _setup.error is None:
        preferences = settings(bpy.context)
        preferences.worker_python = ""  # so that the new one is used
        preferences.engine_report = report(_setup.info)
    return True


def report(info: dict[str, Any]) -> str:
    """What an engine says of itself, one thing a line."""
    return "\n".join(f"{name}: {_text(value)}" for name, value in info.items())


def unregister() -> None:
    """Stop the setup: Blender leaves it behind."""
    global _setup
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _setup is not None:
        _setup.cancel()
        _setup.wait(FAREWELL_SECONDS)
    _setup = None


def _tick() -> float | None:
    has_ended = advance()
    screen.redraw(bpy.context.window_manager)
    return None if has_ended else TICK_SECONDS


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
