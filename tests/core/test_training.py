"""The way from footage to a dubbed video, on the embedded speaker."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import s2l_core
from s2l_core.errors import BadJob, Cancelled, CannotWrite
from s2l_core.events import Event, Progress, Report
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import IBUG68, mouth_opening
from s2l_core.jobs import Architecture, DubJob, EvaluateJob, Media, PresetName, TrainJob
from s2l_core.media.video import probe, read_frames
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
SPEAKER = ROOT / "demo" / "speaker.mp4"
SECONDS = 20.0


def training(path: Path, seed: int = 0) -> TrainJob:
    return TrainJob(Media(str(SPEAKER), 0.0, SECONDS), str(path), "Demo", preset="draft", seed=seed, consent=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return s2l_core.train(training(tmp_path_factory.mktemp("training") / "demo.s2l"))


def dub(trained: dict[str, Any], folder: Path, voice: np.ndarray, **changes: Any) -> tuple[dict[str, Any], Path]:
    sound, output = folder / "voice.wav", folder / "dubbed.mp4"
    soundfile.write(sound, voice, 16_000)
    job = DubJob(trained["speaker_path"], Media(str(SPEAKER), 0.0, 2.0), Media(str(sound)), str(output))
    return s2l_core.dub(replace(job, **changes)), output


def test_held_out_lips_follow_speech_and_nothing_else_changes(trained: dict[str, Any]) -> None:
    held_out = trained["held_out"]
    assert held_out["opening_correlation"] > 0.3
    assert held_out["mouth_psnr"] > held_out["mean_image_psnr"]
    assert held_out["outside_mask_max_error"] == 0


@pytest.mark.parametrize("architecture", ["grids", "explicit", "paper"])
def test_other_lip_models_go_the_same_way(architecture: Architecture, tmp_path: Path) -> None:
    name: PresetName = "paper" if architecture == "paper" else "draft"
    preset = replace(PRESETS[name], appearance_steps=1, depth_steps=0, architecture=architecture)
    job = TrainJob(Media(str(SPEAKER), 0.0, 12.0), str(tmp_path / "demo.s2l"), preset=name, consent=True)
    phases: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            phases.append(event.phase)

    result = s2l_core.train(job, Report(listen), preset)
    assert result["held_out"]["outside_mask_max_error"] == 0
    assert SpeakerModel.load(str(tmp_path / "demo.s2l")).architecture == architecture
    assert ("Learn speech" in phases) == (architecture != "paper")
    assert ("Refine synchrony" in phases) == (architecture == "paper")


def test_evaluating_the_file_gives_what_training_measured(trained: dict[str, Any]) -> None:
    again = s2l_core.evaluate(EvaluateJob(trained["speaker_path"]))
    assert again["mouth_psnr"] == pytest.approx(trained["held_out"]["mouth_psnr"], abs=0.05)
    assert again["opening_correlation"] == pytest.approx(trained["held_out"]["opening_correlation"], abs=0.05)


def test_other_footage_is_not_evaluated_on(trained: dict[str, Any], tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(SPEAKER.read_bytes() + b"\0")
    with pytest.raises(BadJob, match="not the footage"):
        s2l_core.evaluate(EvaluateJob(trained["speaker_path"], Media(str(other))))


def test_the_same_seed_gives_the_same_speaker(trained: dict[str, Any], tmp_path: Path) -> None:
    again = s2l_core.train(training(tmp_path / "again.s2l"))
    assert again["held_out"] == trained["held_out"]


def test_digital_silence_closes_the_mouth(trained: dict[str, Any], tmp_path: Path) -> None:
    _, output = dub(trained, tmp_path, np.zeros(32_000, np.float32))
    detector = open_detector("bundled")
    openings = []
    for frame in read_frames(Media(str(output))):
        face = detector.detect(frame.image)
        assert face is not None
        openings.append(float(mouth_opening(face.points, detector.layout)))
    assert np.mean(openings) < 0.03
    assert np.std(openings) < 0.01


@pytest.mark.parametrize("rate", ["", "24", "30000/1001", "60"])
def test_a_dub_has_exactly_the_frames_of_its_voice(trained: dict[str, Any], tmp_path: Path, rate: str) -> None:
    voice = np.random.default_rng(0).normal(0, 0.1, round(1.234 * 16_000)).astype(np.float32)
    result, output = dub(trained, tmp_path, voice, rate=rate)
    expected = round(Fraction(round(1.234 * 16_000), 16_000) * Fraction(rate or 25))
    assert result["frames_written"] == result["frames_expected"] == expected
    assert len(list(read_frames(Media(str(output))))) == expected
    assert probe(str(output)).rate == Fraction(rate or 25)
    assert abs(result["duration_error_ms"]) <= 500 / float(Fraction(rate or 25))


def test_a_voice_longer_than_the_footage_turns_it_back_and_a_shorter_one_may_keep_the_rest(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    longer, _ = dub(trained, tmp_path, np.zeros(5 * 16_000, np.float32))
    assert longer["frames_written"] == 125
    kept, output = dub(trained, tmp_path, np.zeros(16_000, np.float32), remainder="keep")
    assert kept["frames_written"] == 50
    source = [frame.image for frame in read_frames(Media(str(SPEAKER), 0.0, 2.0))]
    dubbed = [frame.image for frame in read_frames(Media(str(output)))]
    assert np.abs(dubbed[-1].astype(int) - source[-1]).mean() < 2.0


def test_a_source_is_never_overwritten(trained: dict[str, Any], tmp_path: Path) -> None:
    voice = tmp_path / "voice.wav"
    with pytest.raises(CannotWrite, match="source"):
        dub(trained, tmp_path, np.zeros(16_000, np.float32), output_path=str(voice))
    assert soundfile.info(voice).frames == 16_000


def test_a_speaker_is_not_dubbed_with_landmarks_of_another_kind(trained: dict[str, Any], tmp_path: Path) -> None:
    speaker = SpeakerModel.load(trained["speaker_path"])
    speaker.known_head = replace(speaker.known_head, shape=speaker.known_head.shape[: IBUG68.count])
    speaker.save(str(tmp_path / "other.s2l"))
    with pytest.raises(BadJob, match="different landmark model"):
        dub({"speaker_path": str(tmp_path / "other.s2l")}, tmp_path, np.zeros(16_000, np.float32))


def test_cancelling_stops_the_work_and_leaves_nothing(tmp_path: Path) -> None:
    seen: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            seen.append(event.phase)

    report = Report(listen, lambda: "Learn speech" in seen)
    with pytest.raises(Cancelled):
        s2l_core.train(training(tmp_path / "never.s2l"), report)
    assert list(tmp_path.iterdir()) == []
