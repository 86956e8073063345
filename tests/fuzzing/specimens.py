"""Good input: small files that the product writes, and two of other programs."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import soundfile

import s2l_core
from s2l_core.face.mesh_models import bundled_models
from s2l_core.jobs import Encoding, HeadJob, Media
from s2l_core.media.audio import SPEECH_RATE, open_audio, read_speech
from s2l_core.media.pictures import write_picture
from s2l_core.media.video import read_frames
from s2l_core.media.writing import VideoWriter

SECONDS = 0.2
SIDE = 160
MOVIES = ("movie.mp4", "movie.mov", "movie.mkv")
SOUNDS = ("voice.wav", "voice.flac", "voice.ogg", "voice.mp3")
PICTURES = ("shot.0001.png", "shot.0001.exr", "shot.0001.jpg", "shot.0001.tif")


@dataclass(frozen=True)
class Specimens:
    """Good files in one folder.

    Attributes:
        folder: The folder.
        footage: A moment of video of the speaker.
        voice: Speech for three frames.
    """

    folder: Path
    footage: Media
    voice: Media

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def content(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def make(folder: Path, clip: Path, speaker_path: str) -> Specimens:
    """Write the good files.

    Args:
        folder: Folder for the files.
        clip: Footage of a speaker.
        speaker_path: The ``.s2l`` file that was trained on it.
    """
    footage = Media(str(clip), 0.0, SECONDS)
    (folder / "speaker.s2l").write_bytes(Path(speaker_path).read_bytes())
    s2l_core.head(HeadJob(str(folder / "speaker.s2l"), footage, str(folder / "head.npz")))
    _write_movies(folder, footage)
    _write_sounds(folder, clip)
    with zipfile.ZipFile(folder / "face.task", "w") as archive:
        archive.writestr("face_detector.tflite", bundled_models().detector)
        archive.writestr("face_landmarks_detector.tflite", bundled_models().mesh)
    camera = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    views = [{"camera_to_world": camera, "fov": fov, "aspect": 1.0} for fov in (25.0, 26.0)]
    path = {"render_width": 48, "render_height": 48, "fps": 25, "seconds": 0.08, "camera_path": views}
    (folder / "camera.json").write_text(json.dumps(path))
    return Specimens(folder, footage, Media(str(folder / "voice.wav"), 0.0, 0.12))


def _write_movies(folder: Path, footage: Media) -> None:
    images = [cv2.resize(frame.image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in read_frames(footage)]
    sound = open_audio(footage)
    for name, encoding in zip(MOVIES, (Encoding(), Encoding("prores"), Encoding("ffv1")), strict=True):
        with VideoWriter(str(folder / name), SIDE, SIDE, Fraction(25), sound=sound, encoding=encoding) as writer:
            for image in images:
                writer.write(image)
    for name in PICTURES:
        if name.endswith((".png", ".exr")):
            write_picture(folder / name, images[0], Encoding("exr" if name.endswith("exr") else "png"))
        else:
            (folder / name).write_bytes(cv2.imencode(Path(name).suffix, images[0][..., ::-1])[1].tobytes())


def _write_sounds(folder: Path, clip: Path) -> None:
    speech = read_speech(Media(str(clip), 0.0, 1.0))
    for name in SOUNDS:
        soundfile.write(folder / name, speech, SPEECH_RATE)
