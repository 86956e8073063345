"""The visible note over everything synthetic in a scene: text strips above the results of dubs and stills, and heads.

The wording follows the EU's code of practice on marking and labelling of AI-generated content (June 2026): the acronym
``AI``, and whether the content was generated or modified. A dub modifies footage, and a still a picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ...s2l_core.errors import BadJob
from .. import compat
from . import stacking
from .results import JOB

LABEL = "s2l_label"
"""Custom property that our text strips have."""
LANGUAGES = {
    "bg": "Bulgarian",
    "hr": "Croatian",
    "cs": "Czech",
    "da": "Danish",
    "nl": "Dutch",
    "en": "English",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "de": "German",
    "el": "Greek",
    "hu": "Hungarian",
    "ga": "Irish",
    "it": "Italian",
    "lv": "Latvian",
    "lt": "Lithuanian",
    "mt": "Maltese",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "es": "Spanish",
    "sv": "Swedish",
}
_WORDS = {
    "bg": "ПРОМЕНЕНО С ИИ",
    "hr": "IZMIJENJENO UMJETNOM INTELIGENCIJOM",
    "cs": "UPRAVENO POMOCÍ AI",
    "da": "ÆNDRET MED AI",
    "nl": "AANGEPAST MET AI",
    "et": "MUUDETUD TEHISINTELLEKTIGA",
    "fi": "MUOKATTU TEKOÄLYLLÄ",
    "fr": "MODIFIÉ PAR IA",
    "de": "MIT KI VERÄNDERT",
    "el": "ΤΡΟΠΟΠΟΙΗΘΗΚΕ ΜΕ ΤΝ",
    "hu": "MI-VEL MÓDOSÍTVA",
    "ga": "ATHRAITHE LE HINTLEACHT SHAORGA",
    "it": "MODIFICATO CON IA",
    "lv": "PĀRVEIDOTS AR MI",
    "lt": "PAKEISTA NAUDOJANT DI",
    "mt": "MODIFIKAT BL-IA",
    "pl": "ZMIENIONE PRZEZ AI",
    "pt": "MODIFICADO COM IA",
    "ro": "MODIFICAT CU IA",
    "sk": "UPRAVENÉ POMOCOU AI",
    "sl": "SPREMENJENO Z UI",
    "es": "MODIFICADO CON IA",
    "sv": "ÄNDRAT MED AI",
}
_HEIGHT, _BORDER = 0.045, 0.03
"""Size of the letters, and distance from the corner, as shares of the picture's shorter side."""


def text_in(language: str) -> str:
    """The label in a language of :data:`LANGUAGES`: English words, or the acronym with words of that language."""
    return f"AI · {_WORDS[language]}" if language in _WORDS else "AI MODIFIED"


def labels(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    """The labels in a scene that were added here."""
    return [strip for strip in _all_strips(scene) if LABEL in strip]


def synthetic_frames(scene: bpy.types.Scene) -> list[range]:
    """The frames of the timeline on which something synthetic may be seen, as separate ranges in their order.

    Results and strips of scenes with a head count, unless they, their channel or a meta strip around them are muted.
    Frames between two cuts are not separate: ranges that touch are joined.
    """
    spans = [span for strip in _all_strips(scene) if _is_synthetic(strip) and (span := _seen(strip))]
    joined: list[range] = []
    for span in sorted(spans, key=lambda span: span.start):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined


def relabel(scene: bpy.types.Scene, language: str, position: str, seconds: float | None) -> int:
    """Replace the labels of a scene by new ones over everything that is synthetic now, and return their number.

    Args:
        scene: The scene.
        language: A key of :data:`LANGUAGES`.
        position: ``TOP_LEFT``, ``TOP_RIGHT``, ``BOTTOM_LEFT`` or ``BOTTOM_RIGHT``.
        seconds: How long each label is shown from its beginning; None means throughout.

    Raises:
        BadJob: There is no free channel above the strips; nothing was changed.
    """
    rate = scene.render.fps / scene.render.fps_base
    most = None if seconds is None else max(1, round(seconds * rate))
    spans = [span if most is None else span[:most] for span in synthetic_frames(scene)]
    earlier, editor = labels(scene), scene.sequence_editor
    channel = _free_channel(editor, spans, earlier)
    for strip in earlier:
        stacking.level_of(strip).strips.remove(strip)
    for span in spans:
        strip = compat.new_text(editor.strips, "AI Label", channel, span)
        _dress(strip, scene, text_in(language), position)
        strip[LABEL] = language
    return len(spans)


def _all_strips(scene: bpy.types.Scene) -> Iterable[bpy.types.Strip]:
    return scene.sequence_editor.strips_all if scene.sequence_editor else ()


def _is_synthetic(strip: bpy.types.Strip) -> bool:
    shown = strip.scene if strip.type == "SCENE" else None
    return JOB in strip or (shown is not None and any(thing.s2l.is_head for thing in shown.objects))


def _seen(strip: bpy.types.Strip) -> range:
    """The frames on which a strip is shown, inside of the meta strips around it; empty if it is muted."""
    seen, around = stacking.span(strip), strip
    while around is not None:
        if stacking.is_hidden(stacking.level_of(around), around):
            return range(0)
        outer = stacking.span(around)
        seen = range(max(seen.start, outer.start), min(seen.stop, outer.stop))
        around = around.parent_meta()
    return seen


def _free_channel(editor: bpy.types.SequenceEditor, spans: list[range], earlier: list[bpy.types.Strip]) -> int:
    """A channel above all strips on these frames but earlier labels, which is neither muted nor locked."""
    others = [strip for strip in editor.strips if strip not in earlier]
    over = [strip for strip in others if any(stacking.overlaps(strip, span) for span in spans)]
    lowest = max((strip.channel for strip in over), default=0) + 1
    for channel in range(lowest, stacking.HIGHEST_CHANNEL + 1):
        setting = editor.channels[channel]
        if not (setting.mute or setting.lock):
            return channel
    raise BadJob("There is no free channel above the strips for the label.", "Free the highest channel.")


def _dress(strip: bpy.types.TextStrip, scene: bpy.types.Scene, text: str, position: str) -> None:
    """White letters on a dark box in a corner of the picture."""
    vertical, horizontal = position.split("_")
    height, width = scene.render.resolution_y, scene.render.resolution_x
    side = min(height, width)
    beside, above = _BORDER * side / width, _BORDER * side / height
    strip.text, strip.font_size = text, _HEIGHT * side
    strip.color, strip.use_box, strip.box_color = (1.0, 1.0, 1.0, 1.0), True, (0.0, 0.0, 0.0, 0.7)
    strip.box_margin, strip.use_shadow = 0.25 * _HEIGHT * side / width, False
    strip.alignment_x, strip.anchor_x, strip.anchor_y = horizontal, horizontal, vertical
    strip.location = (
        beside if horizontal == "LEFT" else 1.0 - beside,
        above if vertical == "BOTTOM" else 1.0 - above,
    )
    strip.blend_type = "ALPHA_OVER"
    strip.select = False  # Blender outlines a selected text in the middle of the picture
