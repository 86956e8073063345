"""What a result strip was made of, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import bpy

from ..s2l_core.errors import BadJob
from ..s2l_core.jobs import DubJob, Mix, from_json
from .results import JOB, MADE, RESULT

_FIGURES = {"frames_written": "Frames", "frames_without_face": "Without Face", "frames_untouched": "Untouched"}


@dataclass(frozen=True)
class Provenance:
    """What made a strip.

    Attributes:
        facts: Names and values.
        untouched: Spans that were left as they are, each with its reason, one sentence each.
    """

    facts: tuple[tuple[str, str], ...]
    untouched: tuple[str, ...]


def of(strip: bpy.types.Strip) -> Provenance:
    """What made a result strip; nothing that it says is trusted."""
    return _read(*(str(strip.get(name, "")) for name in (JOB, RESULT, MADE)))


@lru_cache(maxsize=8)  # panels ask whenever they are drawn
def _read(job_text: str, result_text: str, made_text: str) -> Provenance:
    result, made = _mapping(result_text), _mapping(made_text)
    try:
        job = from_json(job_text)
    except BadJob as error:
        return Provenance((("Job", error.message),), ())
    facts = [("Speaker", PurePath(job.speaker_path).stem), ("Sound", _sound(job))] if isinstance(job, DubJob) else []
    facts += [("Made", str(made["date"]).replace("T", " ")[:16])] if "date" in made else []
    facts += [("Version", str(made["speech2lip"]))] if "speech2lip" in made else []
    facts += [(label, str(result[key])) for key, label in _FIGURES.items() if key in result]
    spans = result.get("untouched")
    sentences = [_untouched(span) for span in spans] if isinstance(spans, list) else []
    return Provenance(tuple(facts), tuple(filter(None, sentences)))


def _sound(job: DubJob) -> str:
    if isinstance(job.voice, Mix):
        paths = list(dict.fromkeys(PurePath(sound.path).name for sound in job.voice.sounds))
        return ", ".join(paths)
    return PurePath(job.voice.path).name


def _untouched(span: Any) -> str:
    match span:
        case {"start": int() | float() as start, "end": int() | float() as end, "reason": str(reason)}:
            return f"{start:.1f} to {end:.1f} s: {reason}"
    return ""


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
