"""The properties that are saved in .blend files: ``Scene.s2l``, ``Strip.s2l`` and, of heads, ``Object.s2l``.

Their names stay, so that files of older versions keep their settings.
"""

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

from ..s2l_core.consent_record import LONGEST_NAME, LONGEST_TEXT
from ..s2l_core.jobs import HIGHEST_CRF
from .pictures import faces
from .sequencer import stills, strips, visible_label


def _movie_names(group: bpy.types.PropertyGroup, context: bpy.types.Context, text: str) -> list[str]:
    return strips.names(group.id_data, strips.MOVIE)


def _sound_names(group: bpy.types.PropertyGroup, context: bpy.types.Context, text: str) -> list[str]:
    return strips.names(group.id_data, strips.SOUND)


def _shown_names(group: bpy.types.PropertyGroup, context: bpy.types.Context, text: str) -> list[str]:
    return strips.names(group.id_data, strips.SHOWN)


def _driven(group: bpy.types.PropertyGroup) -> str:
    return strips.driven(strips.owner_of(group))


def _drive(group: bpy.types.PropertyGroup, name: str) -> None:
    strips.drive(strips.owner_of(group), name)


def _voice(group: bpy.types.PropertyGroup) -> str:
    sound = strips.voice(strips.owner_of(group))
    return sound.name if sound else ""


def _give_voice(group: bpy.types.PropertyGroup, name: str) -> None:
    strips.give_voice(strips.owner_of(group), name)


def _consent(group: bpy.types.PropertyGroup) -> bool:
    return stills.has_consent(strips.owner_of(group))


def _set_consent(group: bpy.types.PropertyGroup, is_given: bool) -> None:
    stills.set_consent(strips.owner_of(group), is_given)


class ConsentDetails:
    """Details of a person's consent, which may stay empty."""

    consent_who: StringProperty(
        name="Who Agreed",
        description="Person who agreed, or a number under which the production knows that person; empty to use the "
        "name of the speaker, or of the strip",
        maxlen=LONGEST_NAME,
    )
    consent_for: StringProperty(
        name="Agreed To", description="What the person agreed to; empty for any use", maxlen=LONGEST_TEXT
    )
    consent_until: StringProperty(
        name="Agreed Until",
        description="Last day of the consent, such as 2027-12-31; empty for no end",
        maxlen=10,
    )
    consent_evidence: StringProperty(
        name="Evidence",
        description="Where the agreement can be found, such as the number of a contract",
        maxlen=LONGEST_TEXT,
    )


class S2L_PG_strip(ConsentDetails, bpy.types.PropertyGroup):
    """The role of a strip in dubbing. Strips refer to each other by identifiers, which survive renaming."""

    identifier: StringProperty(
        name="Identifier", description="Identifier of the strip, which survives renaming", options={"HIDDEN"}
    )
    speaker_path: StringProperty(
        name="Speaker",
        description="Trained speaker file (.s2l) of the person in this strip; empty to use the speaker of the scene",
        subtype="FILE_PATH",
    )
    has_face: BoolProperty(name="Has Face", description="Whether a face has been chosen", options={"HIDDEN"})
    face: FloatVectorProperty(
        name="Face", description="Position at which the speaker first appears, from 0 to 1 across and down", size=2
    )
    track: IntProperty(
        name="Sound Track",
        description="Number of the file's sound track that holds the voice, counted from 1; 0 to choose automatically",
        default=0,
        min=0,
        soft_max=16,
    )
    voice_identifier: StringProperty(
        name="Voice Identifier", description="Identifier of the sound strip with the voice", options={"HIDDEN"}
    )
    voice: StringProperty(
        name="Voice",
        description="Sound strip with the voice recorded with these pictures; empty to use the sound of the movie file",
        get=_voice,
        set=_give_voice,
        search=_sound_names,
    )
    face_since: FloatProperty(
        name="Face Since",
        description="Time in the file at which the speaker first appears, in seconds",
        options={"HIDDEN"},
    )
    drives_identifier: StringProperty(
        name="Drives Identifier", description="Identifier of the strip that this sound drives", options={"HIDDEN"}
    )
    drives: StringProperty(
        name="Drives",
        description="Movie or image strip that is dubbed with this sound",
        get=_driven,
        set=_drive,
        search=_shown_names,
    )
    verdict: StringProperty(
        name="Verdict",
        description="What the last check of the content credentials of this result said",
        options={"HIDDEN"},
    )
    is_valid: BoolProperty(
        name="Valid", description="Whether the last check found the result validly signed", options={"HIDDEN"}
    )
    agreed_file: StringProperty(
        name="Agreed File", description="File whose speaker has agreed to speak in a still", options={"HIDDEN"}
    )
    consent: BoolProperty(
        name="The Speaker Agreed",
        description="Confirm that the person in this picture has agreed to it, or that nobody has to be asked, as for "
        "a painting; recorded in the result",
        get=_consent,
        set=_set_consent,
    )


class S2L_PG_check(bpy.types.PropertyGroup):
    footage: StringProperty(name="Footage", description="File that was checked")
    verdict: StringProperty(name="Verdict", description="Suitability of the footage for training")
    advice: StringProperty(name="Advice", description="Suggestions for better footage, one sentence per line")


class S2L_PG_train(ConsentDetails, bpy.types.PropertyGroup):
    speaker_name: StringProperty(
        name="Speaker", description="Name of the speaker and of the speaker file", default="Speaker"
    )
    preset: EnumProperty(
        name="Training",
        description="Duration and quality of the training",
        items=(
            ("draft", "Draft", "Train for a few minutes, to judge whether the footage is suitable"),
            ("balanced", "Balanced", "Balance quality and training time"),
            ("final", "Final", "Train longest, for heads that are shown in other poses"),
        ),
        default="balanced",
    )
    any_sound: BoolProperty(
        name="Any Sound", description="Train even if the lips do not seem to move with the sound", default=False
    )
    folder: StringProperty(
        name="Folder",
        description="Folder for the speaker file; empty to use a folder beside the .blend file",
        subtype="DIR_PATH",
    )
    estimate: StringProperty(
        name="Estimate",
        description="Estimated time, memory and disk space for training",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    consent: StringProperty(
        name="Consent", description="Name of the speaker who has agreed to the training", options={"HIDDEN"}
    )
    result: StringProperty(name="Result", description="Result of the last training as JSON", options={"HIDDEN"})


def _keep_alpha(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    if group.layer == "mouth" and group.format == "h264":
        group.format = "auto"


class S2L_PG_dub(bpy.types.PropertyGroup):
    speaker_path: StringProperty(name="Speaker", description="Trained speaker file (.s2l)", subtype="FILE_PATH")
    sound_strip: StringProperty(
        name="Sound",
        description="Sound strip with the new speech; empty to use the active sound strip",
        search=_sound_names,
    )
    folder: StringProperty(
        name="Folder",
        description="Folder for the dubbed movie; empty to use a folder beside the .blend file",
        subtype="DIR_PATH",
    )
    layer: EnumProperty(
        name="Result",
        description="Content of the new strip",
        items=(
            ("picture", "Picture", "Write whole pictures with the new mouth"),
            ("mouth", "Mouth Overlay", "Write only the mouth with a soft edge, to lie over the unchanged movie strip"),
        ),
        update=_keep_alpha,
    )
    format: EnumProperty(
        name="Format",
        description="File format of the result",
        items=(
            ("auto", "Automatic", "H.264, or ProRes if the footage has alpha or the result is a mouth overlay", 0, 5),
            ("h264", "H.264", "MP4 that plays everywhere, with 8 bits per channel and without alpha", 0, 0),
            ("prores", "ProRes", "MOV for editing, with 10 bits per channel, and with alpha if there is any", 0, 1),
            ("ffv1", "FFV1", "Lossless MKV, with alpha if there is any", 0, 2),
            ("png", "PNG Sequence", "Folder of PNG pictures", 0, 3),
            ("exr", "EXR Sequence", "Folder of scene-linear OpenEXR pictures", 0, 4),
        ),
        default="auto",
        update=_keep_alpha,
    )
    crf: IntProperty(
        name="Rate Factor",
        description="Constant rate factor of H.264: lower values give better quality and larger files",
        default=17,
        min=0,
        max=HIGHEST_CRF,
    )
    use_silence_level: BoolProperty(
        name="Close Below Level",
        description="Close the mouth while the voice is below a level, instead of as the speaker does in pauses",
        default=False,
    )
    silence_db: FloatProperty(
        name="Silence",
        description="Level below which the mouth closes, in dB relative to the speech",
        default=-25.0,
        min=-80.0,
        max=0.0,
    )
    rest_strength: FloatProperty(
        name="Rest Pose",
        description="How far the mouth closes in pauses and in silence, from 0 (not at all) to 1 (to its rest pose)",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    estimate: StringProperty(
        name="Estimate",
        description="Estimated time, memory and disk space for dubbing",
        options={"HIDDEN", "SKIP_SAVE"},
    )


class S2L_PG_still(bpy.types.PropertyGroup):
    speaker_path: StringProperty(
        name="Speaker",
        description="Trained speaker file (.s2l) whose way of speaking moves the picture; empty for the built-in one",
        subtype="FILE_PATH",
    )
    blinks: BoolProperty(name="Blinks", description="Let the eyes blink", default=False)
    head_motion: BoolProperty(name="Head Motion", description="Let the head move slightly", default=False)
    estimate: StringProperty(
        name="Estimate",
        description="Estimated time, memory and disk space for a picture that speaks",
        options={"HIDDEN", "SKIP_SAVE"},
    )


class S2L_PG_offset(bpy.types.PropertyGroup):
    sound: StringProperty(name="Sound", description="Sound strip that was measured")
    seconds: FloatProperty(name="Offset", description="Delay of the sound in seconds; negative if it is early")
    confidence: FloatProperty(name="Confidence", description="Confidence of the measurement", subtype="FACTOR", max=1.0)
    is_reliable: BoolProperty(name="Reliable", description="Whether the offset is clear enough to be corrected")


class S2L_PG_speaker(bpy.types.PropertyGroup):
    """A speaker in the scene's list; ``name`` is the name of the speaker."""

    path: StringProperty(name="File", description="Trained speaker file (.s2l)", subtype="FILE_PATH")
    quality: StringProperty(
        name="Quality", description="Quality of the lips on footage that was held out from training"
    )
    facts: StringProperty(name="Facts", description="Details of the training, one per line")
    consent: StringProperty(name="Consent", description="State of the speaker's consent, as a sentence")
    consent_hash: StringProperty(name="Record", description="Hash of the record of consent; empty if there is none")
    has_ended: BoolProperty(name="Ended", description="Whether the consent was revoked, or its last day has passed")


class S2L_PG_submit(bpy.types.PropertyGroup):
    dubs: BoolProperty(
        name="Dubs", description="Dub every movie and image strip that is driven by sound strips", default=True
    )
    training: BoolProperty(
        name="Training",
        description="Train the speaker of the panel Train, and dub the strips that have no speaker with it",
        default=False,
    )
    head: BoolProperty(
        name="Head",
        description="Render the head on all frames of the scene, as its camera sees it, and insert the movie",
        default=False,
    )
    farm: EnumProperty(
        name="Farm",
        description="What runs the plan",
        items=(
            ("OPENJD", "Open Job Description", "Write a job bundle, for AWS Deadline Cloud and others"),
            ("FLAMENCO", "Flamenco", "Write a job of Flamenco 3"),
            ("NONE", "Plan Only", "Write only the plan, for s2l batch on this machine or on a Ray cluster"),
        ),
    )
    chunk: IntProperty(
        name="Frames per Task",
        description="Number of frames that a task renders, in steps of 128",
        default=128,
        min=128,
        max=100_000,
        step=128,
    )
    priority: IntProperty(
        name="Priority", description="Jobs with a higher priority are done first", default=50, min=0, max=100
    )
    folder: StringProperty(
        name="Shared Folder",
        description="Folder that all machines reach and that contains all files; empty for that of the .blend file",
        subtype="DIR_PATH",
    )


class S2L_PG_render(bpy.types.PropertyGroup):
    fade: BoolProperty(
        name="Keep to Trusted Poses",
        description="Turn the head no further than the footage shows it",
        default=True,
    )


class S2L_PG_label(bpy.types.PropertyGroup):
    language: EnumProperty(
        name="Language",
        description="Language of the label",
        items=[(code, name, f"Write the label in {name}") for code, name in visible_label.LANGUAGES.items()],
        default="en",
    )
    position: EnumProperty(
        name="Position",
        description="Corner of the picture in which the label stands",
        items=(
            ("TOP_LEFT", "Top Left", "Place the label in the upper left corner"),
            ("TOP_RIGHT", "Top Right", "Place the label in the upper right corner"),
            ("BOTTOM_LEFT", "Bottom Left", "Place the label in the lower left corner"),
            ("BOTTOM_RIGHT", "Bottom Right", "Place the label in the lower right corner"),
        ),
        default="TOP_LEFT",
    )
    is_throughout: BoolProperty(
        name="Throughout", description="Show the label as long as anything synthetic is seen", default=True
    )
    seconds: FloatProperty(
        name="Seconds",
        description="How long the label is shown at the beginning of each synthetic part",
        default=5.0,
        min=1.0,
        max=3600.0,
    )


class S2L_PG_scene(bpy.types.PropertyGroup):
    footage_strip: StringProperty(
        name="Footage",
        description="Movie or image strip of the speaker; empty to use the active strip",
        search=_movie_names,
    )
    face: EnumProperty(
        name="Face",
        description="Person in the movie strip who is the speaker",
        items=faces.items,
        update=faces.choose,
        options={"SKIP_SAVE"},
    )
    offset: PointerProperty(type=S2L_PG_offset)
    speakers: CollectionProperty(type=S2L_PG_speaker)
    speaker_index: IntProperty(name="Speaker", description="Selected speaker in the list")
    check: PointerProperty(type=S2L_PG_check)
    train: PointerProperty(type=S2L_PG_train)
    dub: PointerProperty(type=S2L_PG_dub)
    still: PointerProperty(type=S2L_PG_still)
    submit: PointerProperty(type=S2L_PG_submit)
    render: PointerProperty(type=S2L_PG_render)
    label: PointerProperty(type=S2L_PG_label)


class S2L_PG_direction(bpy.types.PropertyGroup):
    """A corner of the convex hull of the directions from which the footage shows a head."""

    angles: FloatVectorProperty(name="Direction", description="Yaw and pitch in degrees", size=2, options={"HIDDEN"})


class S2L_PG_head(bpy.types.PropertyGroup):
    """Of the Empty of a head: the speaker, the movie and the timing that it was made from.

    Frame ``f`` of the timeline shows the movie at ``(f - origin) * seconds_per_frame`` seconds.
    """

    is_head: BoolProperty(name="Head", description="Whether this object carries the pose of a head")
    speaker_path: StringProperty(name="Speaker", description="Trained speaker file (.s2l)", subtype="FILE_PATH")
    movie_path: StringProperty(name="Footage", description="Movie that is projected onto the head", subtype="FILE_PATH")
    has_face: BoolProperty(name="Has Face", description="Whether a face has been chosen", options={"HIDDEN"})
    face: FloatVectorProperty(
        name="Face", description="Position at which the speaker first appears, from 0 to 1 across and down", size=2
    )
    face_since: FloatProperty(
        name="Face Since",
        description="Time in the movie at which the speaker first appears, in seconds",
        options={"HIDDEN"},
    )
    start: FloatProperty(
        name="Start", description="Start of the used part of the movie, in seconds", subtype="TIME_ABSOLUTE"
    )
    end: FloatProperty(name="End", description="End of the used part of the movie, in seconds", subtype="TIME_ABSOLUTE")
    origin: FloatProperty(name="Origin", description="Frame of the timeline that shows second 0 of the movie")
    seconds_per_frame: FloatProperty(
        name="Seconds per Frame", description="Seconds of the movie per frame of the timeline", precision=6
    )
    first: IntProperty(name="First", description="First frame of the timeline with a tracked pose")
    end_frame: IntProperty(name="End Frame", description="Frame of the timeline after the last one with a tracked pose")
    intrinsics: FloatVectorProperty(
        name="Camera", description="Camera of the footage in pixels: fx, fy, cx, cy, width, height", size=6
    )
    directions: CollectionProperty(type=S2L_PG_direction)
    margin: FloatProperty(name="Margin", description="Margin around the trusted directions, in degrees")
    warning: StringProperty(
        name="Warning", description="Warning of the last check of the view", options={"HIDDEN", "SKIP_SAVE"}
    )
    landmarks: StringProperty(
        name="Landmarks", description="Landmark detector used for the footage", default="bundled", options={"HIDDEN"}
    )


CLASSES = (
    S2L_PG_strip,
    S2L_PG_check,
    S2L_PG_train,
    S2L_PG_dub,
    S2L_PG_still,
    S2L_PG_offset,
    S2L_PG_speaker,
    S2L_PG_submit,
    S2L_PG_render,
    S2L_PG_label,
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
