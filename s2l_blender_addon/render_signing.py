"""Signs what Blender renders from scenes that show results or heads, since a render loses their credentials.

Handlers only note what is written; the engine's process signs it after the render. In a Blender without a window the
render's end waits for it, because Blender may end then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..s2l_core.errors import Speech2LipError
from ..s2l_core.jobs import SignJob
from .engine import warm_worker
from .engine.worker_client import Request
from .preferences import find_worker_python, settings
from .sequencer import results

_POLL_SECONDS = 0.2


@dataclass
class _Render:
    """A render that is going on.

    Attributes:
        sources: Paths of the synthetic media that it shows.
        files: Paths of the files that were written.
    """

    sources: list[str]
    files: list[str] = field(default_factory=list)


_render: _Render | None = None
_waiting: list[SignJob] = []
_request: Request | None = None
_last = ""


def last_outcome() -> str:
    """How the last render was signed, or why it was not; empty if none was to be signed."""
    return _last


def synthetic_media(scene: bpy.types.Scene) -> list[str]:
    """Paths of the synthetic media that a render of a scene shows: results in its sequencer, and footage of heads."""
    frames = range(min(scene.frame_start, scene.frame_current), max(scene.frame_end, scene.frame_current) + 1)
    strips = results.shown(scene, frames) if scene.render.use_sequencer else []
    heads = [item for item in scene.objects if item.s2l.is_head and not item.hide_render]
    movies = [bpy.path.abspath(item.s2l.movie_path, library=item.library) for item in heads if item.s2l.movie_path]
    return list(dict.fromkeys([*strips, *movies]))


def advance() -> bool:
    """Start the next job, or take the result of the running one; returns True if nothing is left to do."""
    global _request, _last
    if _request is None and _waiting:
        job = _waiting.pop(0)
        try:
            _request = warm_worker.current(find_worker_python(bpy.context)).ask(job)
        except Speech2LipError as error:
            _tell(f"The render was not signed: {error}")
    if _request is not None and _request.poll():
        problem, result, _request = _request.error, _request.result or {}, None
        _tell(f"The render was not signed: {problem}" if problem else str(result.get("credentials", ""))[:500])
    return _request is None and not _waiting


def _tell(text: str) -> None:
    global _last
    _last = text
    print(f"Speech2Lip: {text}", flush=True)


@persistent
def _begin(scene: bpy.types.Scene, *_: object) -> None:
    global _render
    sources = synthetic_media(scene) if settings(bpy.context).sign_renders else []
    _render = _Render(sources) if sources else None


@persistent
def _note(scene: bpy.types.Scene, *_: object) -> None:
    if _render is not None:
        path = _written(scene)
        if path not in _render.files:
            _render.files.append(path)


def _written(scene: bpy.types.Scene) -> str:
    """The file that was just written: with the number of the frame, or of a still that a script renders without."""
    render = scene.render
    numbered, plain = bpy.path.abspath(render.frame_path(frame=scene.frame_current)), bpy.path.abspath(render.filepath)
    there = [path for path in (numbered, plain, plain + render.file_extension) if Path(path).is_file()]
    return max(there, key=lambda path: Path(path).stat().st_mtime, default=numbered)


@persistent
def _end(scene: bpy.types.Scene, *_: object) -> None:
    """Sign what was written, also by a render that was cancelled."""
    global _render
    render, _render = _render, None
    if render is None or not render.files:
        return
    _waiting.append(SignJob(tuple(render.files), tuple(render.sources)))
    if not bpy.app.background:
        bpy.app.timers.register(_tick, persistent=True)  # the handler may be called while Blender still renders
        return
    while not advance():
        if _request is not None:
            _request.poll(_POLL_SECONDS)


def _tick() -> float | None:
    return None if advance() else _POLL_SECONDS


_HANDLERS = (
    (bpy.app.handlers.render_init, _begin),
    (bpy.app.handlers.render_write, _note),
    (bpy.app.handlers.render_complete, _end),
    (bpy.app.handlers.render_cancel, _end),
)


def register() -> None:
    for handlers, function in _HANDLERS:
        handlers.append(function)


def unregister() -> None:
    global _render, _request
    for handlers, function in _HANDLERS:
        handlers.remove(function)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _request is not None:
        _request.cancel()
    _waiting.clear()
    _render = _request = None
