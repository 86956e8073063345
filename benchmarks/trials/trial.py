"""A clip with its speakers and baselines, and the measurement of each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from s2l_core.canonical.view import choose_canonical
from s2l_core.device import choose_device
from s2l_core.evaluation.baselines import Baselines
from s2l_core.evaluation.drivers import Driver, canonical_lips, dub_driver, nearest_exemplars, speaker_driver, written
from s2l_core.evaluation.evaluator import Evaluator
from s2l_core.evaluation.held_out import available_lpips, measure_driving, other_sounds
from s2l_core.events import Report
from s2l_core.files import write_whole
from s2l_core.footage import Footage, prepare
from s2l_core.jobs import Device, DubJob, Media, TrainJob
from s2l_core.media.audio import SPEECH_RATE, read_speech
from s2l_core.media.mix import read_context
from s2l_core.model.perception import Lpips
from s2l_core.model.speaker import SpeakerModel
from s2l_core.model.sync import JUDGE, SyncExpert, train_expert
from s2l_core.mouth.dub_frames import open_footage
from s2l_core.speech.features import HOP_SECONDS, log_mel, normalise_loudness
from s2l_core.training.presets import Preset
from s2l_core.training.split import split_footage
from s2l_core.verbs.dub import dub
from s2l_core.verbs.train import train

from .results import Columns

COLUMNS = (
    *("mouth_psnr", "mouth_ssim", "lpips", "cpbd", "lmd", "frame_psnr", "opening_correlation", "width_correlation"),
    *("sync_offset_frames", "sync_confidence", "sync_within_one_frame", "silence_motion", "leakage"),
    *("leakage_audio_only", "articulation", "open_closed_ratio", "closures", "mouth_delay_frames"),
    *("jitter", "seam", "grain"),
    *("outside_mask_max_error", "kid", "kid_real", "real_or_dub_auc", "flicker", "teeth"),
    "train_seconds",
)
JUDGE_SEED = 1000
CROSS_EXCERPTS = 3
MANY_STEPS = 10**6

Drive = Callable[[NDArray[np.float32], bool], Driver]
"""Makes a driver from speech that begins with the footage's span; the second argument leaves out look model and
Blend-Net.
"""


@dataclass(frozen=True)
class Contender:
    """One row with one seed.

    Attributes:
        driver: Renders the held-out frames, driven by their own sound.
        drive: Makes drivers for other sounds; None if the contender does not depend on sound.
        train_seconds: Training time without tracking the head.
        whole: Whether the driver was opened on the whole footage instead of its held-out part.
    """

    driver: Driver
    drive: Drive | None = None
    train_seconds: float | None = None
    whole: bool = False


@dataclass
class Trial:
    """A clip, and everything that speakers and baselines share.

    Attributes:
        path: The footage.
        folder: Folder of trained speakers.
        landmarks: Back-end that measures the lips.
        device: Device to compute on.
        again: Whether to train again the speakers that are in the folder.
        voices: Further sounds that drive the contenders.
        report: Receives the progress.
    """

    path: str
    folder: Path
    landmarks: str
    device: Device
    again: bool
    voices: Sequence[Path]
    report: Report

    def __post_init__(self) -> None:
        device = choose_device(self.device)
        self.speech = read_speech(Media(self.path))
        self.footage = prepare(Media(self.path), "bundled", device.type, self.report)
        self.split = split_footage(self.footage)
        usable = self.footage.times < self.split["train"][1]
        self.face = choose_canonical(self.footage, usable).to(device)
        start, end = self.split["held_out"]
        self.held_out = Media(self.path, start, end)
        self.test = prepare(self.held_out, "bundled", device.type, self.report, known=self.footage.known_head)
        self.test_speech = read_speech(self.held_out)
        self.test_context = read_context(self.held_out)

        self.indices = np.flatnonzero(usable & self.footage.track.found)
        self.times = self.footage.times[self.indices] - self.footage.media.start
        self.mel = log_mel(normalise_loudness(self.speech))[: round(float(self.times[-1]) / HOP_SECONDS)]

    @property
    def name(self) -> str:
        """The file name of the clip without its suffix."""
        return Path(self.path).stem

    @cached_property
    def lips(self) -> torch.Tensor:
        return canonical_lips(self.face, self.footage, self.indices)

    @cached_property
    def baselines(self) -> Baselines:
        return Baselines(self.face, self.lips, self.times, self.mel)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Evaluator of the held-out part, opened alone, as a dub of it is."""
        return self._evaluator(self.test)

    @cached_property
    def evaluator_of_whole(self) -> Evaluator:
        """Evaluator of the held-out part within the whole footage."""
        return self._evaluator(self.footage)

    def _evaluator(self, footage: Footage) -> Evaluator:
        span = self.split["held_out"]
        perception, expert = self._judges
        lips = self.lips[::3]
        return Evaluator(footage, self.face, span, self.landmarks, perception, expert, lips, report=self.report)

    @cached_property
    def _judges(self) -> tuple[Lpips | None, SyncExpert]:
        device = self.lips.device
        expert = train_expert(torch.from_numpy(self.mel).to(device), self.times, self.lips, JUDGE_SEED, JUDGE)
        return available_lpips(device, self.report), expert

    def measure(self, contender: Contender) -> Columns:
        """All columns of a row, None if one does not apply, and those of driving it by the other voices."""
        evaluator = self.evaluator_of_whole if contender.whole else self.evaluator
        columns: Columns = dict.fromkeys(COLUMNS)
        columns |= cast(
            Columns, evaluator.measure(contender.driver, self.speech if contender.whole else self.test_speech)
        )
        columns["train_seconds"] = contender.train_seconds
        if contender.drive is not None:
            sounds = other_sounds(self.speech, self.split["train"][1] - self.footage.media.start, evaluator.seconds)
            columns |= cast(Columns, measure_driving(evaluator, contender.drive, sounds))
            for voice in self.voices:
                columns |= self._cross(contender.drive, voice)
        return columns

    def speaker_path(self, name: str, seed: int) -> Path:
        return self.folder / f"{name}_{seed}.s2l"

    def train(self, name: str, preset: Preset, seed: int) -> tuple[SpeakerModel, float]:
        """A speaker, from the folder or newly trained, and its training time in seconds."""
        path, note = self.speaker_path(name, seed), self.folder / f"{name}_{seed}.json"
        if self.again or not (path.is_file() and note.is_file()):
            job = TrainJob(Media(self.path), str(path), name, device=self.device, seed=seed, consent=True)
            seconds = train(job, self.report, preset)["train_seconds"]
            write_whole(str(note), json.dumps({"train_seconds": seconds}).encode())
        speaker = SpeakerModel.load(str(path), choose_device(self.device))
        return speaker, float(json.loads(note.read_text())["train_seconds"])

    def train_for(self, name: str, preset: Preset, seed: int, seconds: float) -> tuple[SpeakerModel, float]:
        """As :meth:`train`, for a time in seconds instead of a number of steps, and without early stopping."""
        endless = replace(preset, appearance_steps=MANY_STEPS, seconds=seconds, early_stopping=False)
        return self.train(name, endless, seed)

    def by_dub(
        self, speaker: SpeakerModel, train_seconds: float | None = None, footage: Footage | None = None
    ) -> Contender:
        """A speaker as ``dub`` renders the held-out part alone, with its defaults.

        Args:
            speaker: The speaker.
            train_seconds: Its training time.
            footage: The held-out part with the head tracked; None means as in the training of the clip's speakers.
        """
        test = footage or self.test

        def drive(sound: NDArray[np.float32], audio_only: bool) -> Driver:
            if audio_only:
                return speaker_driver(speaker, test, sound, audio_only)
            return dub_driver(speaker, test, sound, self.report)

        driver = dub_driver(speaker, test, self.test_speech, self.report, self.test_context)
        return Contender(driver, drive, train_seconds)

    def by_dub_of_other(self, speaker: SpeakerModel) -> Contender:
        """As :meth:`by_dub`, for a speaker that was trained elsewhere, whose file tells the head to track."""
        device = choose_device(self.device)
        return self.by_dub(speaker, footage=open_footage(self.held_out, "bundled", speaker, device, self.report))

    def by_movie(self, speaker: SpeakerModel, speaker_path: str) -> Contender:
        """As :meth:`by_dub`, read from the movie that ``dub`` writes with its default encoding."""
        path = str(self.folder / "dub.mp4")
        moments = tuple(self.test.times.tolist())
        dub(DubJob(speaker_path, self.held_out, self.held_out, path, moments=moments, device=self.device), self.report)
        return Contender(written(speaker.face, path, self.test))

    def by_dub_of_whole(self, speaker: SpeakerModel) -> Contender:
        """A speaker as ``dub`` renders the whole footage, with its defaults."""
        return Contender(dub_driver(speaker, self.footage, self.speech, self.report), whole=True)

    def by_nearest(self, speaker: SpeakerModel) -> Contender:
        """Exemplars of a speaker, chosen frame by frame and shown as they are."""
        return Contender(nearest_exemplars(speaker, self.test, self.test_speech))

    def by_renderer(self, speaker: SpeakerModel) -> Contender:
        """A speaker's renderer alone on the whole footage, see :func:`s2l_core.evaluation.drivers.speaker_driver`."""
        return Contender(speaker_driver(speaker, self.footage, self.speech), whole=True)

    def _cross(self, drive: Drive, voice: Path) -> Columns:
        """Synchrony and leakage when somebody else's voice drives the held-out frames; means over excerpts."""
        sound = read_speech(Media(str(voice)))
        length = round(self.evaluator.seconds * SPEECH_RATE)
        count = max(1, min(CROSS_EXCERPTS, len(sound) // length))
        excerpts = [self.evaluator.say(sound[start * length :]) for start in range(count)]
        results = [
            {
                **self.evaluator.cross(drive(excerpt, False), excerpt),
                "leakage_audio_only": self.evaluator.leakage(drive(excerpt, True)),
            }
            for excerpt in excerpts
        ]
        return {f"{voice.stem}_{name}": float(np.mean([each[name] for each in results])) for name in results[0]}
