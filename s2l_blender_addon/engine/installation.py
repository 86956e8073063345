"""The engine of this installation: its missing parts, and its setup."""

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
FAREWELL_SECONDS = 5.0  # in which a setup that is stopped may remove its files

_setup: EngineSetup | None = None


def setup() -> EngineSetup | None:
    """The running setup, or the last one; None if there was none."""
    return _setup


def is_being_set_up() -> bool:
    return _setup is not None and not _setup.has_ended


def missing(context: bpy.types.Context) -> list[str]:
    """The missing parts of the engine, one phrase each; empty if the engine is complete."""
    try:
        python = find_worker_python(context)
    except EngineIncomplete:
        names = packages()
        return ["A Python environment for the engine", f"{len(names)} packages: {', '.join(names)}"]
    return [] if shutil.which(python) else [f"The chosen worker Python: {python}"]


def start(context: bpy.types.Context) -> EngineSetup:
    """Start to set up the engine, in place of an earlier one; :func:`advance` must be called until it returns True."""
    global _setup
    _setup = EngineSetup(base_python(context), engine_environment(), settings(context).torch_build)
    return _setup


def base_python(context: bpy.types.Context) -> str:
    """The Python with which the engine's environment is created."""
    return bpy.path.abspath(settings(context).base_python) or sys.executable


def watch() -> None:
    """Call :func:`advance` with a timer until the setup has ended."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_SECONDS, persistent=True)


def advance(patience: float = 0.0) -> bool:
    """Process the messages of the setup, waiting for ``patience`` seconds at most; returns True when it has ended."""
    if not is_being_set_up() or _setup is None:
        return True
    if not _setup.poll(patience):
        return False
    if _setup.error is None:
        preferences = settings(bpy.context)
        preferences.worker_python = ""  # so that the new engine is used
        preferences.engine_report = report(_setup.info)
    return True


def report(info: dict[str, Any]) -> str:
    """The information that the engine returned, one item per line."""
    return "\n".join(f"{name}: {_text(value)}" for name, value in info.items())


def unregister() -> None:
    """Stop the setup."""
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
