"""The origin of a result strip, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import bpy

from ..sequencer.results import JOB, MADE, RESULT

_FIGURES = {
    "frames_written": ("Frames", "{}"),
    "frames": ("Frames", "{}"),
    "frames_dubbed": ("Dubbed", "{}"),
    "frames_without_face": ("Without Face", "{}"),
    "speaker_seed": ("Seed", "{}"),
    "speaker_mouth_psnr": ("Held-Out", "{:.1f} dB"),
}
"""The figures of a result that are shown: label and number format by name."""
_LARGEST, _LONGEST = 1e15, 500


@dataclass(frozen=True)
class Provenance:
    """The origin of a strip.

    Attributes:
        facts: Names and values.
        untouched: A sentence for each span of frames that was left unchanged, with the reason.
        warnings: A sentence for each property of the picture of a still that looks bad.
        credentials: How the file is signed with content credentials, or why it is not; empty if that is not known.
    """

    facts: tuple[tuple[str, str], ...]
    untouched: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    credentials: str = ""


def of(strip: bpy.types.Strip) -> Provenance:
    """The origin that is stored in a result strip, whose content is not trusted."""
    return _read(*(str(strip.get(name, "")) for name in (JOB, RESULT, MADE)))


@lru_cache(maxsize=8)  # panels ask whenever they are drawn
def _read(job_text: str, result_text: str, made_text: str) -> Provenance:
    job, result, made = _mapping(job_text), _mapping(result_text), _mapping(made_text)
    facts = [
        ("Picture", _file_names(job.get("picture"))),
        ("Speaker", PurePath(str(job.get("speaker_path", ""))).stem or ("Built-in" if "picture" in job else "")),
        ("Sound", _file_names(job.get("voice"))),
        ("Created", str(made.get("date", "")).replace("T", " ")[:16]),
        ("Version", str(made.get("speech2lip", ""))),
        *(
            (label, form.format(result[key]))
            for key, (label, form) in _FIGURES.items()
            if isinstance(result.get(key), int | float) and abs(result[key]) < _LARGEST
        ),
    ]
    untouched = filter(None, map(_untouched, _list(result, "untouched")))
    warnings = (text for text in _list(result, "warnings") if isinstance(text, str))
    shown = [(name, _drawable(value)) for name, value in facts if value]
    credentials = result.get("credentials")
    return Provenance(
        tuple(shown),
        tuple(map(_drawable, untouched)),
        tuple(map(_drawable, warnings)),
        _drawable(credentials) if isinstance(credentials, str) else "",
    )


def _drawable(text: str) -> str:
    """The text, shortened and without lone surrogates, which Blender cannot draw."""
    return text[:_LONGEST].encode(errors="replace").decode()


def _file_names(media: Any) -> str:
    """The names of the files of a picture or a voice."""
    match media:
        case {"path": str(path)}:
            return PurePath(path).name
        case {"sounds": list(sounds)}:
            paths = [sound["path"] for sound in sounds if isinstance(sound, dict) and "path" in sound]
            return ", ".join(dict.fromkeys(PurePath(str(path)).name for path in paths))
    return ""


def _untouched(span: Any) -> str:
    match span:
        case {"first": int(first), "last": int(last), "reason": str(reason)}:
            return f"Frames {first + 1} to {last + 1}: {reason}"
    return ""


def _list(result: dict[str, Any], name: str) -> list[Any]:
    value = result.get(name)
    return value if isinstance(value, list) else []


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
