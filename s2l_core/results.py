"""The results of the verbs: JSON objects with these fields. Standard library only.

A number that is not finite reaches callers of :func:`s2l_core.execution.run_job` as null.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Verdict = Literal["good", "usable", "poor"]
ConsentState = Literal["given", "expired", "revoked"]


class InfoResult(TypedDict):
    """Result of ``info``.

    Attributes:
        version: Version of the engine.
        schema: Version of the job documents that it reads.
        python: Version of its Python.
        executable: Path of its Python.
        torch: Version of PyTorch.
        platform: Name of the operating system and the processor.
        devices: Names of all devices; the first one is ``"cpu"``.
        device: The device that the job's choice means.
        landmarks: Names of the installed landmark back-ends.
    """

    version: str
    schema: int
    python: str
    executable: str
    torch: str
    platform: str
    devices: list[str]
    device: str
    landmarks: list[str]


class Person(TypedDict):
    """A person in footage that was checked.

    Attributes:
        seconds: How long the person is seen; for the chosen one, how much of that is usable.
        share: The same as a share of the footage.
        x: Horizontal position of the face when it is first seen, from 0 at the left to 1, for ``Media.face``.
        y: Vertical position, from 0 at the top to 1.
        since: Second of the medium at which the person is first seen.
        is_chosen: Whether this is the person that would be trained on.
    """

    seconds: float
    share: float
    x: float
    y: float
    since: float
    is_chosen: bool


class CheckResult(TypedDict):
    """Result of ``check``.

    Attributes:
        duration_seconds: Length of the footage.
        rate: Frames per second.
        face_share: Share of the frames with a usable face.
        face_width_px: Median width of the face in pixels.
        yaw_degrees: Lower and upper bound that hold 98% of the frames' yaw.
        pitch_degrees: The same for pitch.
        roll_degrees: The same for roll.
        people: Everybody who is seen, the chosen person first.
        uncertain_seconds: Seconds in which it is uncertain whose face it is.
        blur: Median of :func:`s2l_core.face.sharpness.measure_blur`; None if it could not be measured.
        voice_track: Number of the sound track that was used; None if the file has only one.
        loudness_db: See :class:`s2l_core.media.audio.SpeechLevel`.
        noise_db: See :class:`s2l_core.media.audio.SpeechLevel`.
        offset_seconds: Seconds by which the sound lags behind the picture; None if that is uncertain.
        verdict: How well the footage suits training: the worst of all findings.
        advice: One sentence for each finding.
    """

    duration_seconds: float
    rate: float
    face_share: float
    face_width_px: float
    yaw_degrees: list[float]
    pitch_degrees: list[float]
    roll_degrees: list[float]
    people: list[Person]
    uncertain_seconds: float
    blur: float | None
    voice_track: int | None
    loudness_db: float
    noise_db: float
    offset_seconds: float | None
    verdict: Verdict
    advice: list[str]


class FoundFace(TypedDict):
    """A person in a video.

    Attributes:
        x: Horizontal position of the face when it is first seen, from 0 at the left to 1, for ``Media.face``.
        y: Vertical position, from 0 at the top to 1.
        since: Second of the medium at which the person is first seen.
        share: Share of the sampled frames that show the person.
        width_px: Median width of the face in pixels.
        picture: Path of a PNG file with the face.
    """

    x: float
    y: float
    since: float
    share: float
    width_px: float
    picture: str


class FacesResult(TypedDict):
    """Result of ``faces``.

    Attributes:
        faces: The people who are seen in at least a tenth of the sampled frames, sorted by that share; photographs come
            last.
    """

    faces: list[FoundFace]


class OffsetResult(TypedDict):
    """Result of ``offset``.

    Attributes:
        offset_seconds: Seconds by which the sound lags behind the picture; negative if it is ahead.
        confidence: From 0, which somebody else's sound reaches too, to 1.
        is_reliable: Whether the offset is clear enough to correct the sound by it.
    """

    offset_seconds: float
    confidence: float
    is_reliable: bool


class Measures(TypedDict):
    """Rendered frames compared with the real ones, as means over the held-out frames. A measure that cannot be computed
    is None. ``docs/quality.md`` defines all of them.

    Attributes:
        mouth_psnr: PSNR of the mouth box in dB.
        mouth_ssim: SSIM of the mouth box.
        lpips: LPIPS of the mouth box, if its network is installed.
        cpbd: Sharpness of the mouth box, from 0 to 1.
        lmd: Distance of the lip landmarks from the real ones, in % of the distance of the outer eye corners.
        frame_psnr: PSNR of the whole frame in dB.
        opening_correlation: Correlation of the mouth's opening with the real one.
        width_correlation: Correlation of the mouth's width with the real one.
        articulation: Standard deviation of the opening, relative to that of the real mouth.
        open_closed_ratio: Ratio of the ninth and the first decile of the opening.
        closures: Share of the short closures of the real mouth, as of p, b and m, in which the rendered one closes.
        mouth_delay_frames: Delay of the mouth's opening behind the real one, where both correlate best.
        jitter: Jitter of the lip landmarks, relative to that of the real ones.
        grain: Fine detail inside the mask, relative to that of the real frame.
        seam: Gradient across the border of the mask, relative to that of the real frame.
        outside_mask_max_error: Largest difference of a pixel outside the mask, in code values.
        kid: Distance of the rendered mouths from the training footage's as sets of pictures, times 1000, if the network
            of LPIPS is installed.
        kid_real: The same of the real held-out mouths, which is what ``kid`` can reach.
        real_or_dub_auc: How well a classifier tells rendered mouths from real ones: 0.5 not at all, 1 always.
        flicker: Change between successive mouths that motion does not explain, relative to that of the real ones.
        teeth: Mean absolute error of the brightness of the teeth in [0, 1], in frames whose real mouth is open.
        sync_offset_frames: Offset of sound and lips in frames of 40 ms, if there is a sync expert.
        sync_confidence: Confidence of that offset, if there is a sync expert.
        sync_within_one_frame: Share of 2 s windows with an offset of at most one frame, if there is a sync expert.
    """

    mouth_psnr: float | None
    mouth_ssim: float | None
    lpips: NotRequired[float | None]
    cpbd: float | None
    lmd: float | None
    frame_psnr: float | None
    opening_correlation: float | None
    width_correlation: float | None
    articulation: float | None
    open_closed_ratio: float | None
    closures: float | None
    mouth_delay_frames: float | None
    jitter: float | None
    grain: float | None
    seam: float | None
    outside_mask_max_error: float | None
    kid: NotRequired[float | None]
    kid_real: NotRequired[float | None]
    real_or_dub_auc: NotRequired[float | None]
    flicker: NotRequired[float | None]
    teeth: NotRequired[float | None]
    sync_offset_frames: NotRequired[float | None]
    sync_confidence: NotRequired[float | None]
    sync_within_one_frame: NotRequired[float | None]


class HeldOutMeasures(Measures):
    """A speaker measured on the held-out part of its training footage, before encoding.

    Attributes:
        mean_image_psnr: ``mouth_psnr`` of the mean of the training lips, which a moving mouth must exceed.
        opening_ratio: Another name of ``articulation``.
        frames: Number of held-out frames.
        mouth_box_px: Mean width and height of the mouth box in pixels.
    """

    mean_image_psnr: float
    opening_ratio: float | None
    frames: int
    mouth_box_px: list[float]


class DrivingMeasures(TypedDict):
    """Held-out frames driven by silence and by other speech.

    Attributes:
        silence_motion: Share of the frames whose mouth moves during digital silence.
        leakage: Correlation of the mouth's opening with that of the footage when other speech drives it.
        leakage_audio_only: The same without look model and Blend-Net: what chance and the landmark model contribute.
    """

    silence_motion: float
    leakage: float
    leakage_audio_only: float


class EvaluateResult(HeldOutMeasures, DrivingMeasures):
    """Result of ``evaluate``: what ``dub`` renders for the held-out span alone with its defaults, driven by the span's
    own sound; and the same measures for other ways to render it.

    Attributes:
        h264: Measures of the movie that is written with the default encoding.
        whole_clip: Measures if all of the footage is dubbed.
        renderer_alone: The same without the resting mouth in silence and without skipping frames.
    """

    h264: Measures
    whole_clip: Measures
    renderer_alone: Measures


class TrainResult(TypedDict):
    """Result of ``train``.

    Attributes:
        speaker_path: Path of the ``.s2l`` file that was written.
        name: Name of the speaker.
        frames: Number of training frames.
        prepare_seconds: Time until the head was tracked.
        train_seconds: Time from there to the end of the last stage.
        speaker_file_bytes: Size of the ``.s2l`` file.
        held_out: Measures on the held-out last tenth of the footage.
    """

    speaker_path: str
    name: str
    frames: int
    prepare_seconds: float
    train_seconds: float
    speaker_file_bytes: int
    held_out: HeldOutMeasures


class SkippedRun(TypedDict):
    """A run of frames that keep the footage's pixels.

    Attributes:
        first: Its first frame in the result.
        last: Its last frame.
        reason: One of :data:`s2l_core.mouth.reliability.REASONS`.
    """

    first: int
    last: int
    reason: str


class DubResult(TypedDict):
    """Result of ``dub``.

    Attributes:
        output_path: Path of the movie, or of the folder of pictures.
        credentials: A sentence: how the result is signed, or why it is not.
        summary: A sentence: how many frames were dubbed, and why others were not.
        voice_track: Number of the sound track with the voice; None if the file has only one.
        frames_expected: Number of frames that the job asks for.
        frames_written: Number of frames of the result.
        frames_resumed: How many of them an earlier, interrupted run wrote.
        frames_dubbed: How many of them have a new mouth, at least in part.
        duration_error_ms: Duration of the pictures minus that of the voice.
        frames_without_face: Number of speaking frames without a face.
        untouched: Runs of frames that keep the footage's pixels.
        speaker_seed: Seed of the speaker's training; None if the speaker file does not state it.
        speaker_version: Version that trained the speaker; None if the speaker file does not state it.
        speaker_mouth_psnr: ``mouth_psnr`` of the speaker; None if the speaker file does not state it.
        prepare_seconds: Time until the head was tracked.
        dub_seconds: Time from there to the end.
        dub_fps: Frames that were written per second in that time.
    """

    output_path: str
    credentials: str
    summary: str
    voice_track: int | None
    frames_expected: int
    frames_written: int
    frames_resumed: int
    frames_dubbed: int
    duration_error_ms: float
    frames_without_face: int
    untouched: list[SkippedRun]
    speaker_seed: int | None
    speaker_version: str | None
    speaker_mouth_psnr: float | None
    prepare_seconds: float
    dub_seconds: float
    dub_fps: float


class StillResult(TypedDict):
    """Result of ``still``.

    Attributes:
        output_path: Path of the movie, or of the folder of pictures.
        credentials: A sentence: how the result is signed, or why it is not.
        summary: A sentence: how many frames were rendered, and what moved.
        warnings: A sentence for each property of the picture that will look bad, such as a turned face.
        voice_track: Number of the sound track with the voice; None if the file has only one.
        frames_expected: Number of frames that the job asks for.
        frames_written: Number of frames of the result.
        frames_resumed: How many of them an earlier, interrupted run wrote.
        duration_error_ms: Duration of the pictures minus that of the voice.
        changed_box: Left, top, right and bottom, in pixels of the picture, of the rectangle outside of which no pixel
            changes before encoding.
        face_width_px: Width of the face in pixels.
        yaw_degrees: Angle by which the face is turned to the side; 0 means that it looks into the camera.
        mouth_inside: What an opened mouth shows: the ``"picture"``'s own teeth, mouths of the ``"speaker"``, or the
            ``"included"`` rendered one.
        prepare_seconds: Time until the first frame was rendered.
        still_seconds: Time from there to the end.
        still_fps: Frames that were written per second in that time.
    """

    output_path: str
    credentials: str
    summary: str
    warnings: list[str]
    voice_track: int | None
    frames_expected: int
    frames_written: int
    frames_resumed: int
    duration_error_ms: float
    changed_box: list[int]
    face_width_px: float
    yaw_degrees: float
    mouth_inside: Literal["picture", "speaker", "included"]
    prepare_seconds: float
    still_seconds: float
    still_fps: float


class PreviewResult(TypedDict):
    """Result of ``preview``.

    Attributes:
        output_path: Path of the PNG file.
        credentials: A sentence: how the picture is signed, or why it is not; empty if nothing in it was changed.
        reason: Why the frame keeps the footage's pixels, one of :data:`s2l_core.mouth.reliability.REASONS`; empty if it
            is dubbed, and for a still.
        preview_seconds: Time that the preview took.
    """

    output_path: str
    credentials: str
    reason: str
    preview_seconds: float


class DescribeResult(TypedDict):
    """Result of ``describe``. Measures are None if the speaker file does not state them.

    Attributes:
        name: Name of the speaker.
        footage_path: Path of the training footage on the machine that trained.
        footage_seconds: Length of the footage.
        trained_seconds: How much of it the speaker was trained on.
        quality: Summary of the measures.
        mouth_psnr: See :class:`Measures`.
        lmd: See :class:`Measures`.
        opening_correlation: See :class:`Measures`.
        preset: Name of the training preset.
        architecture: Name of the lip model.
        seed: Seed of the training.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``; empty if unknown.
        version: Version that trained the speaker.
        consent: Whether the person agreed to the training.
        consent_hash: Hash of the record of consent; empty in the files of earlier versions.
        consent_until: Last day of the consent, by the ledger beside the file; empty if it has no end, or the ledger
            does not have the record.
        consent_revoked: When the consent was revoked, by that ledger; empty if it was not.
        speaker_file_bytes: Size of the ``.s2l`` file.
        picture_path: Path of the portrait that was written; empty if none was.
    """

    name: str
    footage_path: str
    footage_seconds: float
    trained_seconds: float
    quality: Verdict
    mouth_psnr: float | None
    lmd: float | None
    opening_correlation: float | None
    preset: str
    architecture: str
    seed: int
    device: str
    version: str
    consent: bool
    consent_hash: str
    consent_until: str
    consent_revoked: str
    speaker_file_bytes: int
    picture_path: str


class ConsentEntry(TypedDict):
    """A record in a ledger.

    Attributes:
        hash: Hash of the record.
        who: The person who agreed.
        purpose: To what.
        until: Last day; empty if there is no end.
        recorded_by: Who recorded it.
        evidence: Where the agreement can be found.
        recorded: When it was recorded.
        files: Names of the files that were made under it.
        state: Whether it applies.
        revoked: When it was revoked; empty if it was not.
        reason: Why.
    """

    hash: str
    who: str
    purpose: str
    until: str
    recorded_by: str
    evidence: str
    recorded: str
    files: list[str]
    state: ConsentState
    revoked: str
    reason: str


class ConsentResult(TypedDict):
    """Result of ``consent``.

    Attributes:
        ledger_path: Path of the ledger.
        entries: The records: all, the one to show, or the one that was revoked.
    """

    ledger_path: str
    entries: list[ConsentEntry]


class ChangedRun(TypedDict):
    """A run of frames that were changed.

    Attributes:
        first: Its first frame, from 0.
        last: Its last frame.
    """

    first: int
    last: int


class Origin(TypedDict):
    """A source in the chain of content credentials.

    Attributes:
        title: Its file name.
        is_signed: Whether its own credentials are known.
        signed_by: Names in its certificate; empty if unknown.
        software: Name and version of the software that signed it.
        problems: What was wrong with it when it was opened, such as a change after it was signed.
    """

    title: str
    is_signed: bool
    signed_by: str
    software: str
    problems: list[str]


class CheckedFile(TypedDict):
    """A file whose content credentials were checked.

    Attributes:
        path: The file, or the folder of pictures.
        status: ``"valid"``, ``"invalid"`` if it or its credentials were changed, or ``"unsigned"``.
        summary: A sentence.
        where: Whether the credentials are ``"inside"`` of the file or ``"beside"`` it; empty without any.
        signed_by: Names in the certificate of the key.
        is_trusted: Whether the certificate is on a list of trusted ones; a name is a mere statement otherwise.
        signed_at: Time stamp of a server; empty without one.
        software: Name and version of the software that signed it.
        actions: What was done, as C2PA names it, such as ``"c2pa.edited"``.
        synthesis: IPTC's digital source types, such as ``"compositeWithTrainedAlgorithmicMedia"``.
        part: What Speech2Lip generated, such as ``"lips"``.
        consent: Hash of the record of consent.
        frames: Runs of frames that were changed; empty if that is not stated.
        box: Left, top, right and bottom, in pixels, of the rectangle that was changed; None if it is not stated.
        chain: The source that was opened, its own source, and so on.
        problems: What is wrong.
    """

    path: str
    status: Literal["valid", "invalid", "unsigned"]
    summary: str
    where: Literal["", "inside", "beside"]
    signed_by: str
    is_trusted: bool
    signed_at: str
    software: str
    actions: list[str]
    synthesis: list[str]
    part: str
    consent: str
    frames: list[ChangedRun]
    box: list[int] | None
    chain: list[Origin]
    problems: list[str]


class VerifyResult(TypedDict):
    """Result of ``verify``.

    Attributes:
        valid: Whether all files are signed, and none of them was changed.
        files: Each of them.
    """

    valid: bool
    files: list[CheckedFile]


class SignResult(TypedDict):
    """Result of ``sign``.

    Attributes:
        files: The files that were signed.
        credentials: A sentence: how they are signed, or why they are not.
    """

    files: list[str]
    credentials: str


class HeatmapResult(TypedDict):
    """Result of ``heatmap``.

    Attributes:
        output_path: Path of the PNG file.
        frames: Number of frames that were compared.
        observed_percent: Mean motion of the face as filmed, in % of the range of colours.
        canonical_percent: The same after the motion of the head was removed.
        lip_jaw_share: Share of the remaining motion that lies in the outlined region of lips and jaw.
        lip_jaw_area: Share of the face that this region covers.
    """

    output_path: str
    frames: int
    observed_percent: float
    canonical_percent: float
    lip_jaw_share: float
    lip_jaw_area: float


class HeadResult(TypedDict):
    """Result of ``head``.

    Attributes:
        output_path: Path of the ``.npz`` file.
        plate_path: Path of the background plate, a PNG file.
        frames: Number of frames.
        frames_without_face: Number of frames whose pose is interpolated.
        vertices: Number of vertices that belong to the head.
        confidence: Mean confidence of their depth, from 0 to 1.
        plate_known_share: Share of the plate's pixels that the head uncovered.
    """

    output_path: str
    plate_path: str
    frames: int
    frames_without_face: int
    vertices: int
    confidence: float
    plate_known_share: float


class PoseResult(TypedDict):
    """Result of ``pose``.

    Attributes:
        output_path: Path of the movie.
        credentials: A sentence: how the movie is signed, or why it is not.
        frames: Number of frames.
        frames_resumed: Number of them that an earlier, interrupted run had rendered.
        frames_without_face: Number of frames whose footage shows no face.
        frames_outside: Number of frames with a pose outside the trust region.
        trust: Lowest trust of all frames, from 0 to 1.
        degrees_outside: Largest angle by which a pose lies outside the trust region.
        prepare_seconds: Time until the first frame was rendered.
        render_seconds: Time from there to the end.
        fps: Frames that were rendered per second in that time.
    """

    output_path: str
    credentials: str
    frames: int
    frames_resumed: int
    frames_without_face: int
    frames_outside: int
    trust: float
    degrees_outside: float
    prepare_seconds: float
    render_seconds: float
    fps: float


class RenderResult(TypedDict):
    """Result of ``render``.

    Attributes:
        output_path: Path of the ``.npy`` file.
        trust: Trust of the pose, from 0 to 1; 1 inside the trust region.
        degrees_outside: Angle by which the pose lies outside the trust region.
        without_face: Whether the footage shows no face at this moment.
    """

    output_path: str
    trust: float
    degrees_outside: float
    without_face: bool


class EstimateResult(TypedDict):
    """Result of ``estimate``, see :class:`s2l_core.estimates.Estimate`."""

    seconds: float
    memory_bytes: int
    disk_bytes: int


class CalibrateResult(TypedDict):
    """Result of ``calibrate``, see :class:`s2l_core.estimates.Calibration`."""

    version: str
    device: str
    detection_seconds: float
    megapixel_seconds: float
    step_seconds: float
    render_seconds: float
    corrections: dict[str, float]
