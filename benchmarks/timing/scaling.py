"""The part ``scale`` of the benchmark: how time and memory grow with length and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from s2l_core.jobs import Media

from .library import Library
from .material import Material, lasting_voice
from .rounds import Answer, Figures

_SHORTEST_TRAINING = 10.0
"""Least seconds of footage on which a speaker is trained."""

Opener = Callable[[], Library]
"""Starts a process, whose peak memory is then that of one task alone."""


def exponent(costs: Mapping[float, float]) -> float | None:
    """The power with which a cost grows with a size: the slope of a line through the logarithms. None for one size."""
    if len(costs) < 2:
        return None
    sizes, values = np.log(list(costs)), np.log(list(costs.values()))
    return float(np.polyfit(sizes, values, 1)[0])


def grow(costs: Mapping[float, Answer]) -> Figures:
    """Seconds and peak memory by size, with the exponents of both."""
    seconds, memory = ({size: each[name] for size, each in costs.items()} for name in ("seconds", "peak_mb"))
    return {
        "seconds": seconds,
        "peak_mb": memory,
        "exponent of seconds": exponent(seconds),
        "exponent of memory": exponent(memory),
    }


def time_lengths(
    open_library: Opener,
    material: Material,
    clip: str,
    lengths: Sequence[float],
    voices: Sequence[float],
    train: bool,
) -> Figures:
    """How preparing, training and dubbing grow with the length of footage and voice in seconds.

    Args:
        open_library: Starts a process.
        material: The clip that is dubbed by longer and longer voices.
        clip: A long clip, of which more and more is prepared and trained on.
        lengths: Seconds of it.
        voices: Seconds of the voices.
        train: Whether to train.
    """
    prepared, trained, dubbed = {}, {}, {}
    for seconds in lengths:
        longer = replace(material, clip=clip, seconds=seconds)
        with open_library() as library:
            prepared[seconds] = library.ask("prepare", media=asdict(longer.footage))
            if train and seconds >= _SHORTEST_TRAINING:
                job = longer.train("balanced")
                answer = library.ask("run", job=job)
                trained[seconds] = answer | {"seconds": answer["result"]["train_seconds"]}
    for seconds in voices:
        voice = lasting_voice(material.voice, seconds, material.folder / "voice.wav")
        with open_library() as library:
            library.ask("prepare", media=asdict(material.footage))
            (material.folder / "dub.mp4").unlink(missing_ok=True)
            dubbed[seconds] = library.ask("run", job=material.dub(Media(voice)))
    return {"prepare": grow(prepared), "train": grow(trained), "dub": grow(dubbed)}


def time_sizes(open_library: Opener, materials: Mapping[int, Material]) -> Figures:
    """How a dub grows with the number of pixels of a frame, given clips by their number of lines."""
    dubbed = {}
    for material in materials.values():
        with open_library() as library:
            library.ask("prepare", media=asdict(material.footage))
            library.ask("run", job=material.dub())
            (material.folder / "dub.mp4").unlink(missing_ok=True)
            dubbed[float(material.info.width * material.info.height)] = library.ask("run", job=material.dub())
    return grow(dubbed)
