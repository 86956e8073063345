"""An edit in a Blender without a window that adds a job to the queue, or resumes what an earlier Blender left there.

    blender -b --python benchmarks/waiting/session.py -- SETTINGS

The settings are a JSON file, see ``session_settings.py``. The queue's timer is driven in a loop, as an event loop
would, and a job whose worker was lost is retried. Each line of stdout that begins with ``session`` is an event: a JSON
object with ``status``, ``outcome``, ``phase``, ``share`` of the phase that is done, ``gap`` (seconds since the last
tick), ``worker`` (process identifier) and ``moment``.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from session_settings import Settings  # Blender runs this file by its path

ADD_ON = "bl_ext.user_default.speech2lip"
IDLE_SECONDS = 0.05


def main() -> None:
    settings = Settings(**json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text()))
    bpy.ops.preferences.addon_enable(module=ADD_ON)
    queue = importlib.import_module(f"{ADD_ON}.s2l_blender_addon.queue.job_queue")
    if settings.worker_grace is not None:
        recovery = importlib.import_module(f"{ADD_ON}.s2l_blender_addon.queue.recovery")
        recovery.WORKER_GRACE_SECONDS = settings.worker_grace
    if Path(settings.blend).exists():
        bpy.ops.wm.open_mainfile(filepath=settings.blend)
        for entry in queue.entries():
            bpy.ops.s2l.resume_entry(entry=entry.identifier)
    else:
        compose(settings)
        bpy.ops.wm.save_as_mainfile(filepath=settings.blend)
        press("S2L_OT_train_speaker" if settings.verb == "train" else "S2L_OT_dub_strip")
    drive(queue, settings)


def compose(settings: Settings) -> None:
    """Add footage and voice to the sequencer."""
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    frames = round(settings.seconds * 25)
    strips = scene.sequence_editor_create().strips
    movie = strips.new_movie("Interview", settings.footage, 2, 1)
    compat = importlib.import_module(f"{ADD_ON}.s2l_blender_addon.compat")
    compat.set_duration(movie, min(compat.content_duration(movie), frames))
    speech = strips.new_sound("Line", settings.voice, 1, 1)
    compat.set_duration(speech, min(compat.content_duration(speech), frames))
    scene.s2l.footage_strip, scene.s2l.dub.sound_strip = movie.name, speech.name
    scene.s2l.train.preset, scene.s2l.dub.speaker_path = "draft", settings.speaker
    scene.s2l.train.folder = scene.s2l.dub.folder = settings.folder


def press(name: str) -> None:
    """Press a button that adds to the queue: Blender runs no ``invoke`` without a window."""
    cls = getattr(importlib.import_module(f"{ADD_ON}.operators"), name)
    parts = {key: value for key, value in vars(cls).items() if callable(value)}
    operator: Any = type(name, (cls.__mro__[1],), {**parts, "existing": "KEEP", "consent": True})()
    operator.report = lambda level, text: print(text)
    operator.enqueue(bpy.context)


def drive(queue: Any, settings: Settings) -> None:
    """Call the queue's timer until nothing waits or runs."""
    started = last = time.monotonic()
    is_cancelled = False
    while True:
        pause = queue._tick()
        now = time.monotonic()
        (entry,) = queue.entries()
        tell(entry, now - last)
        last = now
        if entry.failure and entry.failure.code == "worker_lost":
            bpy.ops.s2l.retry_entry(entry=entry.identifier)
        elif entry.status not in ("waiting", "running"):
            break
        elif settings.cancel_after is not None and not is_cancelled and now - started > settings.cancel_after:
            queue.cancel(entry)
            is_cancelled = True
            tell(entry, 0.0, "cancelling")
        time.sleep(pause or IDLE_SECONDS)


def tell(entry: Any, gap: float, status: str = "") -> None:
    progress = entry.client.progress if entry.client else None
    event = {
        "status": status or entry.status,
        "outcome": entry.outcome,
        "phase": progress.phase if progress else "",
        "share": progress.done / progress.total if progress and progress.total else 0.0,
        "gap": gap,
        "worker": entry.client._process._process.pid if entry.client else 0,
        "moment": time.time(),
    }
    print("session", json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
