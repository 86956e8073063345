"""What scenes and heads remember, all of it under ``Scene.s2l`` and ``Object.s2l``."""

# Blender declares properties as annotations.
# mypy: disable-error-code="valid-type"

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..s2l_core.jobs import HIGHEST_CRF
from .pictures import faces
from .sequencer import strips


def _movie_names(group: bpy.types.PropertyGroup, context: bpy.types.Context, text: str) -> list[str]:
    return strips.names(group.id_data, strips.MOVIE)


def _sound_names(group: bpy.types.PropertyGroup, context: bpy.types.Context, text: str) -> list[str]:
    return strips.names(group.id_data, strips.SOUND)


def _driven(group: bpy.types.PropertyGroup) -> str:
    return strips.driven(strips.owner_of(group))


def _drive(group: bpy.types.PropertyGroup, name: str) -> None:
    strips.drive(strips.owner_of(group), name)


def _voice(group: bpy.types.PropertyGroup) -> str:
    sound = strips.voice(strips.owner_of(group))
    return sound.name if sound else ""


def _give_voice(group: bpy.types.PropertyGroup, name: str) -> None:
    strips.give_voice(strips.owner_of(group), name)


class S2L_PG_strip(bpy.types.PropertyGroup):
    """What a strip is to dubbing. Strips are renamed, so they know each other by identifiers."""

    identifier: StringProperty(name="Identifier", description="What the strip is known by", options={"HIDDEN"})
    speaker_path: StringProperty(
        name="Speaker",
        description="The trained speaker file (.s2l) of the one who speaks in this strip; empty for the scene's",
        subtype="FILE_PATH",
    )
    has_face: BoolProperty(name="Has Face", description="Whether a face was chosen", options={"HIDDEN"})
    face: FloatVectorProperty(
        name="Face", description="Where the speaker is first seen, from 0 to 1 across and down", size=2
    )
    track: IntProperty(
        name="Sound Track",
        description="Which of several sound tracks of the file holds the voice, from 1; 0 for the one that is heard",
        default=0,
        min=0,
        soft_max=16,
    )
    voice_identifier: StringProperty(
        name="Voice Identifier", description="What the strip of the voice is known by", options={"HIDDEN"}
    )
    voice: StringProperty(
        name="Voice",
        description="The sound strip with the voice that was filmed with these pictures; empty for the movie's own",
        get=_voice,
        set=_give_voice,
        search=_sound_names,
    )
    face_since: FloatProperty(
        name="Face Since", description="Second of the file at which the speaker is first seen", options={"HIDDEN"}
    )
    drives_identifier: StringProperty(
        name="Drives Identifier", description="What the driven strip is known by", options={"HIDDEN"}
    )
    drives: StringProperty(
        name="Drives",
        description="The movie or image strip whose lips this sound moves",
        get=_driven,
        set=_drive,
        search=_movie_names,
    )


class S2L_PG_check(bpy.types.PropertyGroup):
    footage: StringProperty(name="Footage", description="The file that was checked")
    verdict: StringProperty(name="Verdict", description="How well the footage suits training")
    advice: StringProperty(name="Advice", description="What would make the footage better, one sentence a line")


class S2L_PG_train(bpy.types.PropertyGroup):
    speaker_name: StringProperty(
        name="Speaker", description="Name of the speaker, and of the file that is written", default="Speaker"
    )
    preset: EnumProperty(
        name="Training",
        description="How long to train",
        items=(
            ("draft", "Draft", "Minutes of training, to judge whether the footage will do"),
            ("balanced", "Balanced", "Good lips in reasonable time"),
            ("final", "Final", "The best lips, for the final cut"),
        ),
        default="balanced",
    )
    any_sound: BoolProperty(
        name="Any Sound", description="Train although the lips do not seem to move with the sound", default=False
    )
    folder: StringProperty(
        name="Folder",
        description="Where the speaker file goes; empty for a folder beside the .blend file",
        subtype="DIR_PATH",
    )
    estimate: StringProperty(name="Estimate", description="What a training takes", options={"HIDDEN", "SKIP_SAVE"})
    consent: StringProperty(name="Consent", description="Who agreed to be learnt from", options={"HIDDEN"})
    result: StringProperty(name="Result", description="Figures of the last training as JSON", options={"HIDDEN"})


def _keep_alpha(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    if group.layer == "mouth" and group.format == "h264":
        group.format = "auto"


class S2L_PG_dub(bpy.types.PropertyGroup):
    speaker_path: StringProperty(name="Speaker", description="The trained speaker file (.s2l)", subtype="FILE_PATH")
    sound_strip: StringProperty(
        name="Sound",
        description="The sound strip with the new words; empty for the active sound strip",
        search=_sound_names,
    )
    folder: StringProperty(
        name="Folder",
        description="Where the dubbed movie goes; empty for a folder beside the .blend file",
        subtype="DIR_PATH",
    )
    layer: EnumProperty(
        name="Result",
        description="What the new strip shows",
        items=(
            ("picture", "Picture", "The whole picture with the new mouth"),
            ("mouth", "Mouth Overlay", "The mouth alone with a soft edge, over the untouched movie strip"),
        ),
        update=_keep_alpha,
    )
    format: EnumProperty(
        name="Format",
        description="How the result is written",
        items=(
            ("auto", "Automatic", "H.264, or ProRes where there is alpha: in the footage, or in a mouth overlay", 0, 5),
            ("h264", "H.264", "MP4 that plays everywhere, with 8 bits a channel and without alpha", 0, 0),
            ("prores", "ProRes", "MOV for editing, with 10 bits a channel, and with alpha where there is any", 0, 1),
            ("ffv1", "FFV1", "MKV without any loss, and with alpha where there is any", 0, 2),
            ("png", "PNG Sequence", "A folder of PNG pictures", 0, 3),
            ("exr", "EXR Sequence", "A folder of linear OpenEXR pictures", 0, 4),
        ),
        default="auto",
        update=_keep_alpha,
    )
    crf: IntProperty(
        name="Rate Factor", description="Of H.264: lower is better and bigger", default=17, min=0, max=HIGHEST_CRF
    )
    use_silence_level: BoolProperty(
        name="Close Below Level",
        description="Close the mouth wherever the voice is below a level, instead of as this speaker does in pauses",
        default=False,
    )
    silence_db: FloatProperty(
        name="Silence",
        description="Level at which the mouth closes, in dB relative to the speech",
        default=-25.0,
        min=-80.0,
        max=0.0,
    )
    rest_strength: FloatProperty(
        name="Rest Pose",
        description="How far the mouth closes in pauses and in silence: not at all at 0, to its rest at 1",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    estimate: StringProperty(name="Estimate", description="What a dub takes", options={"HIDDEN", "SKIP_SAVE"})


class S2L_PG_offset(bpy.types.PropertyGroup):
    sound: StringProperty(name="Sound", description="The sound strip that was measured")
    seconds: FloatProperty(name="Offset", description="By how many seconds the sound comes late")
    confidence: FloatProperty(name="Confidence", description="How clear the offset is", subtype="FACTOR", max=1.0)
    is_reliable: BoolProperty(name="Reliable", description="Whether the offset is clear enough to be fixed")


class S2L_PG_speaker(bpy.types.PropertyGroup):
    """A speaker in the scene's list; its ``name`` is the speaker's."""

    path: StringProperty(name="File", description="The trained speaker file (.s2l)", subtype="FILE_PATH")
    quality: StringProperty(name="Quality", description="How good the lips are on footage that was not learnt from")
    facts: StringProperty(name="Facts", description="What the speaker was learnt from, one fact a line")


class S2L_PG_render(bpy.types.PropertyGroup):
    fade: BoolProperty(
        name="Keep to Trusted Poses",
        description="Turn the head no farther than the footage shows it",
        default=True,
    )


class S2L_PG_scene(bpy.types.PropertyGroup):
    footage_strip: StringProperty(
        name="Footage",
        description="The movie or image strip of the speaker; empty for the active one",
        search=_movie_names,
    )
    face: EnumProperty(
        name="Face",
        description="Which of the people in the movie strip is the speaker",
        items=faces.items,
        update=faces.choose,
        options={"SKIP_SAVE"},
    )
    offset: PointerProperty(type=S2L_PG_offset)
    speakers: CollectionProperty(type=S2L_PG_speaker)
    speaker_index: IntProperty(name="Speaker", description="The chosen speaker of the list")
    check: PointerProperty(type=S2L_PG_check)
    train: PointerProperty(type=S2L_PG_train)
    dub: PointerProperty(type=S2L_PG_dub)
    render: PointerProperty(type=S2L_PG_render)


class S2L_PG_direction(bpy.types.PropertyGroup):
    """A corner of the convex hull of the directions from which the footage tells how a head looks."""

    angles: FloatVectorProperty(name="Direction", description="Yaw and pitch in degrees", size=2, options={"HIDDEN"})


class S2L_PG_head(bpy.types.PropertyGroup):
    """On the Empty of a head: what it was made from.

    Frame ``f`` of the timeline shows the movie's second ``(f - origin) * seconds_per_frame``.
    """

    is_head: BoolProperty(name="Head", description="Whether this object is the pose of a head")
    speaker_path: StringProperty(name="Speaker", description="The trained speaker file (.s2l)", subtype="FILE_PATH")
    movie_path: StringProperty(name="Footage", description="The movie on the head", subtype="FILE_PATH")
    has_face: BoolProperty(name="Has Face", description="Whether a face was chosen", options={"HIDDEN"})
    face: FloatVectorProperty(
        name="Face", description="Where the speaker is first seen, from 0 to 1 across and down", size=2
    )
    face_since: FloatProperty(
        name="Face Since", description="Second of the movie at which the speaker is first seen", options={"HIDDEN"}
    )
    start: FloatProperty(name="Start", description="First second of the movie that is used", subtype="TIME_ABSOLUTE")
    end: FloatProperty(name="End", description="Second of the movie at which its use ends", subtype="TIME_ABSOLUTE")
    origin: FloatProperty(name="Origin", description="Frame of the timeline on which second 0 of the movie falls")
    seconds_per_frame: FloatProperty(
        name="Seconds per Frame", description="Seconds of the movie that pass in one frame of the timeline", precision=6
    )
    first: IntProperty(name="First", description="First frame of the timeline on which the head is tracked")
    end_frame: IntProperty(name="End Frame", description="Frame of the timeline after the last one that is tracked")
    intrinsics: FloatVectorProperty(
        name="Camera", description="The camera of the footage in pixels: fx, fy, cx, cy, width, height", size=6
    )
    directions: CollectionProperty(type=S2L_PG_direction)
    margin: FloatProperty(name="Margin", description="Degrees around the trusted directions that are trusted too")
    warning: StringProperty(
        name="Warning", description="What was wrong with the view when it was checked", options={"HIDDEN", "SKIP_SAVE"}
    )
    landmarks: StringProperty(
        name="Landmarks", description="What found the landmarks of the face", default="bundled", options={"HIDDEN"}
    )


CLASSES = (
    S2L_PG_strip,
    S2L_PG_check,
    S2L_PG_train,
    S2L_PG_dub,
    S2L_PG_offset,
    S2L_PG_speaker,
    S2L_PG_render,
    S2L_PG_scene,
    S2L_PG_direction,
    S2L_PG_head,
)


def register() -> None:
    bpy.types.Scene.s2l = PointerProperty(type=S2L_PG_scene)
    bpy.types.Object.s2l = PointerProperty(type=S2L_PG_head)
    bpy.types.Strip.s2l = PointerProperty(type=S2L_PG_strip)


def unregister() -> None:
    del bpy.types.Strip.s2l
    del bpy.types.Object.s2l
    del bpy.types.Scene.s2l
