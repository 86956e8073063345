"""What is timed: clips in several sizes, and the speakers who were trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from s2l_core.jobs import Device, DubJob, Media, PoseJob, PresetName, PreviewJob, StillJob, TrainJob, to_document
from s2l_core.media.audio import SPEECH_RATE, open_audio, read_speech
from s2l_core.media.video import VideoInfo, probe, read_frames
from s2l_core.media.writing import VideoWriter

from .library import Library

HASTY = {"appearance_steps": 1, "depth_steps": 0, "head_steps": 1, "speech_factor": 0.02}
"""Steps of a training whose speaker can be rendered, and nothing more."""


@dataclass(frozen=True)
class Material:
    """A clip with what is done to it.

    Attributes:
        clip: The footage, which has sound.
        folder: Folder for results.
        voice: The words to say.
        seconds: Length of footage and voice that are used; 0 means all of it.
        device: Device to compute on.
        speaker: The trained speaker.
    """

    clip: str
    folder: Path
    voice: str
    seconds: float
    device: Device
    speaker: str

    @cached_property
    def info(self) -> VideoInfo:
        return probe(Media(self.clip))

    @property
    def footage(self) -> Media:
        return Media(self.clip, 0.0, self.seconds or None)

    @property
    def title(self) -> str:
        return f"{Path(self.clip).stem}, {self.info.width}x{self.info.height}"

    def train(self, preset: PresetName = "draft") -> dict[str, Any]:
        """The document of a training whose speaker is not kept."""
        path = str(self.folder / "timed.s2l")
        return to_document(
            TrainJob(self.footage, path, preset=preset, device=self.device, consent=True, any_sound=True)
        )

    def dub(self, voice: Media | None = None, footage: Media | None = None) -> dict[str, Any]:
        """The document of a dub."""
        voice = voice or Media(self.voice, 0.0, self.seconds or None)
        output = str(self.folder / "dub.mp4")
        return to_document(DubJob(self.speaker, footage or self.footage, voice, output, device=self.device))

    def preview(self, moment: float) -> dict[str, Any]:
        """The document of a preview of the frame that shows a moment of the footage."""
        dub = DubJob(
            *(self.speaker, self.footage, Media(self.voice), str(self.folder / "dub.mp4")),
            moments=(moment,),
            device=self.device,
        )
        return to_document(PreviewJob(dub, 0, str(self.folder / "preview.png")))

    def still(self) -> dict[str, Any]:
        """The document of a speaking picture: the first frame of the clip."""
        voice = Media(self.voice, 0.0, self.seconds or None)
        return to_document(
            StillJob(Media(self.clip), voice, str(self.folder / "still.mp4"), device=self.device, consent=True)
        )

    def pose(self, camera_path: Path) -> dict[str, Any]:
        """The document of a rendering from another camera."""
        output = str(self.folder / "pose.mp4")
        return to_document(PoseJob(self.speaker, self.footage, str(camera_path), output, device=self.device))


def train_speaker(
    library: Library, clip: str, path: Path, seconds: float, device: Device, steps: dict[str, Any] | None
) -> None:
    """Train a speaker with the preset ``draft``, of which ``steps`` replaces some fields."""
    print(f"Training on {clip}", flush=True)
    media = Media(clip, 0.0, seconds or None)
    job = TrainJob(media, str(path), preset="draft", device=device, consent=True, any_sound=True)
    library.ask("run", job=to_document(job), preset="draft", steps=steps)


def scaled(clip: str, lines: int, path: Path, seconds: float = 0.0) -> str:
    """The path of a clip whose shorter side has a number of pixels, which is written unless it is there."""
    if path.is_file():
        return str(path)
    media, info = Media(clip, 0.0, seconds or None), probe(Media(clip))
    factor = lines / min(info.true_size)
    width, height = (round(side * factor / 2) * 2 for side in info.true_size)
    with VideoWriter(str(path), width, height, info.rate, info.colour, open_audio(media)) as writer:
        for frame in read_frames(media):
            writer.write(cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_CUBIC))
    return str(path)


def lasting_voice(voice: str, seconds: float, path: Path) -> str:
    """The path of a sound of some length, in which a voice is repeated."""
    speech = read_speech(Media(voice))
    count = round(seconds * SPEECH_RATE)
    soundfile.write(path, np.resize(speech, count), SPEECH_RATE)
    return str(path)
