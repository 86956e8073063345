"""Which functions of the library belong to which stage of a job, and the time that is spent in each stage.

The library contains no code that measures time. Its functions are wrapped from outside, as a profiler does.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

HOOKS: dict[str, tuple[str, ...]] = {
    "decode": ("media.container:decode_video",),
    "faces": ("face.following:FaceFollower.follow", "casting:tell_people_apart"),
    "track": ("face.tracking:track_head",),
    "features": ("mouth.line_codes:speech_track", "mouth.line_codes:rest_in_silence"),
    "light": ("mouth.occlusion:MouthFitter.sample_cells", "mouth.occlusion:MouthFitter.fit"),
    "network": (
        "mouth.dub_frames:DubFrames.dubbed",
        "mouth.dub_frames:DubFrames._change",
        "mouth.rendering:MouthRenderer.codes",
        "mouth.exemplar_painter:ExemplarPainter.paint",
        "model.blend:BlendNet.forward",
    ),
    "warp and blend": (
        "mouth.pasting:LipPaster.paste",
        "mouth.pasting:LipPaster.change",
        "mouth.sight:Sighter.find",
        "mouth.sight:Sighter.colours",
        "mouth.pasting:LipPaster.change",
        "mouth.sight:Sighter.find",
        "mouth.sight:Sighter.colours",
        "canonical.regions:Observer.observe",
        "canonical.compositing:warp",
        "canonical.compositing:composite",
        "canonical.compositing:place",
    ),
    "convert": (
        "media.planes:Converter.to_rgb",
        "media.planes:Converter.to_yuv",
        "media.raster:to_image",
        "media.raster:to_picture",
        "media.raster:to_frame",
        "media.raster:with_change",
        "media.planes:Planes.copied",
        "media.writing:VideoWriter._converted",
        "media.planes:Converter.to_rgb",
        "media.planes:Converter.to_yuv",
        "media.planes:Planes.copied",
    ),
    "encode": (
        "media.writing:VideoWriter.write",
        "media.writing:VideoWriter.__exit__",
        "media.chunks:Chunks.join",
    ),
    "depth": ("training.head_depth:learn_depth",),
    "observe": ("training.clip:observe",),
    "speech": ("training.speech_fits:fit_speech", "training.speech:speech_stage"),
    "appearance": ("training.appearance:appearance_stages", "training.exemplars:collect_exemplars"),
    "holes": ("training.holes:learn_holes",),
    "measure": ("evaluation.held_out:measure",),
    "picture": ("stills.still_frames:StillFrames.render", "whole_head.reposing:HeadRenderer.render"),
}
"""Functions, by stage, as ``module:name``. Names that a commit does not have are left out, so that other commits can be
measured; time in none of them counts as ``other``.
"""
WRITTEN = ("media.writing:VideoWriter.write",)
"""Functions whose first return means that a frame was written."""


class Stopwatch:
    """Seconds that each stage takes, without those of the stages inside of it; summed over threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        with self._lock:
            self.seconds: dict[str, float] = defaultdict(float)
            self.started = time.perf_counter()
            self.first_frame: float | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time in the context as that of a stage."""
        open_stages = self._here.__dict__.setdefault("stages", [])
        open_stages.append(0.0)
        begun = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - begun
            inner = open_stages.pop()
            if open_stages:
                open_stages[-1] += elapsed
            with self._lock:
                self.seconds[name] += elapsed - inner

    def note_frame(self) -> None:
        """Remember when the first frame was written."""
        if self.first_frame is None:
            self.first_frame = time.perf_counter() - self.started

    def wrapped(self, function: Callable[..., Any], stage: str, writes: bool = False) -> Callable[..., Any]:
        """A function that does the same and is timed; of a generator, each step."""
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
                iterator = function(*args, **kwargs)
                try:
                    while True:
                        with self.stage(stage):
                            try:
                                value = next(iterator)
                            except StopIteration:
                                return
                        yield value
                finally:
                    iterator.close()

            return steps

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                result = function(*args, **kwargs)
            if writes:
                self.note_frame()
            return result

        return call


def install(stopwatch: Stopwatch) -> list[str]:
    """Wrap the functions of :data:`HOOKS` wherever the library refers to them. Returns those that it does not have."""
    missing = []
    for stage, names in HOOKS.items():
        for name in names:
            owner, function = find(name)
            if function is None:
                missing.append(name)
            else:
                replace(function, stopwatch.wrapped(function, stage, name in WRITTEN), owner)
    return missing


def find(name: str) -> tuple[Any, Callable[..., Any] | None]:
    """The module or class of a function, and the function; None if the library does not have it."""
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    try:
        owner: Any = importlib.import_module(f"s2l_core.{module}")
    except ModuleNotFoundError:
        return None, None
    for each in owners:
        owner = getattr(owner, each, None)
    return owner, getattr(owner, attribute, None)


def replace(old: Callable[..., Any], new: Callable[..., Any], owner: Any) -> None:
    """Replace a function in its module or class, and in all modules that have imported it."""
    for place in (owner, *_modules()):
        for key in [key for key, value in vars(place).items() if value is old]:
            setattr(place, key, new)


def _modules() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.split(".")[0] == "s2l_core"]
