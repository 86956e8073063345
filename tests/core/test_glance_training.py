"""Training of "Lip movements generation at a glance": clips, batches, resuming, and the file of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import s2l_core
from benchmarks.glance import HELD_OUT
from demo import train_glance
from demo.train_glance import find_people
from s2l_core.errors import BadJob, Cancelled, FileMissing, GlanceWeightsUnreadable
from s2l_core.events import Report
from s2l_core.face.layout import MESH468
from s2l_core.glance.batches import Windows, window
from s2l_core.glance.clips import LipClip, read_clips
from s2l_core.glance.crops import apply, crop, lip_points, place_crops
from s2l_core.glance.drawing import draw_lips
from s2l_core.glance.generator import Generator
from s2l_core.glance.sound import log_mel, rows_of_pictures
from s2l_core.glance.training import TrainingSettings, train_generator
from s2l_core.glance.weights import load_generator, read_facts, save_generator
from s2l_core.jobs import Media

WIDTH = 1 / 64
HASTY = TrainingSettings(width=WIDTH, steps=4, lips_steps=2, batch=2)
CPU = torch.device("cpu")


def clip(person: str = "anna", count: int = 24, seed: int = 0) -> LipClip:
    random = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 255, (count, 3, 64, 64), dtype=torch.uint8, generator=random)
    mel = torch.randn(4 * count, 128, generator=random)
    return LipClip(person, pictures, mel, torch.randn(count - 1, 2, 64, 64, generator=random).half())


def state(generator: Generator) -> list[torch.Tensor]:
    return list(generator.state_dict().values())


# ---- Crops and sound


def test_crops_hold_the_mouth_still_while_the_head_moves() -> None:
    random = np.random.default_rng(0)
    face = random.uniform(100, 300, (468, 3)).astype(np.float32)
    left, right = MESH468.mouth_corners
    face[left, :2], face[right, :2] = (160, 250), (240, 250)
    moved = np.stack([face + [3.0 * frame, -2.0 * frame, 0] for frame in range(20)])
    (placement,) = place_crops(moved, MESH468)
    lips = placement.lips(moved, MESH468)
    np.testing.assert_allclose(lips[0], lips[-1], atol=1e-3)
    corners = apply(placement.matrices[:1], moved[:1, MESH468.mouth_corners, :2].astype(np.float64))[0]
    assert np.linalg.norm(corners[1] - corners[0]) == pytest.approx(64 / 1.3, rel=1e-3)
    assert len(lip_points(MESH468)) == 40


def test_a_frame_without_a_face_ends_a_shot() -> None:
    points = np.random.default_rng(0).uniform(0, 99, (1, 468, 3)).repeat(30, axis=0)
    points[10] = np.nan
    assert [len(placement.frames) for placement in place_crops(points, MESH468)] == [10, 19]


def test_a_crop_is_what_its_matrix_says() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(crop(picture, np.eye(2, 3)), picture)


def test_a_second_of_sound_has_four_rows_a_picture_and_its_loudness_does_not_matter() -> None:
    speech = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    mel = rows_of_pictures(log_mel(speech), 25)
    assert mel.shape == (100, 128)
    np.testing.assert_allclose(log_mel(speech / 4)[:100], mel, atol=1e-3)


def test_clips_of_the_embedded_speaker(own_cache: None) -> None:
    media = Media(str(Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"), end=2.0)
    (talking,) = read_clips(media, Report())
    assert talking.person == "speaker" and len(talking) == 50
    assert talking.mel.shape == (200, 128) and talking.flow.shape == (49, 2, 64, 64)
    again = read_clips(media, Report())
    assert torch.equal(again[0].pictures, talking.pictures)


# ---- Batches


def test_a_window_is_sixteen_pictures_with_their_sound_and_flow() -> None:
    talking = clip()
    row = window(talking, 3, 7)
    assert row.video.shape == (1, 3, 16, 64, 64) and row.flow.shape == (1, 2, 15, 64, 64)
    torch.testing.assert_close(row.mel[0, 0], talking.mel[12:76])
    torch.testing.assert_close(row.picture[0], talking.pictures[7].float() / 127.5 - 1)


def test_batches_are_determined_by_the_seed_and_look_different() -> None:
    windows = Windows([clip(), clip("bea", seed=1)])
    first, again = (windows.draw(4, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.video, again.video) and torch.equal(first.mel, again.mel)
    assert not torch.equal(first.video, windows.draw(4, np.random.default_rng(6)).video)


def test_looks_go_from_dark_to_light_skin() -> None:
    talking = clip()
    talking.pictures[:] = torch.tensor([190, 150, 125], dtype=torch.uint8)[:, None, None]
    levels = Windows([talking]).draw(24, np.random.default_rng(0)).picture.mean(dim=(1, 2, 3)) * 127.5 + 127.5
    assert levels.min() < 80 and levels.max() > 160


# ---- Training


def train(path: Path | None, report: Report | None = None, settings: TrainingSettings = HASTY) -> Generator:
    return train_generator([clip()], [clip("bea", seed=1)], settings, path, CPU, report or Report())


def test_the_seed_determines_the_generator(tmp_path: Path) -> None:
    first, again = train(tmp_path / "a.safetensors"), train(tmp_path / "b.safetensors")
    assert all(torch.equal(one, other) for one, other in zip(state(first), state(again), strict=True))
    assert (tmp_path / "a.jpg").read_bytes().startswith(b"\xff\xd8")


def test_an_interrupted_training_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole.safetensors")
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 6  # in the middle of the second stage

    with pytest.raises(Cancelled):
        train(tmp_path / "parts.safetensors", Report(is_cancelled=is_cancelled))
    resumed = train(tmp_path / "parts.safetensors")
    assert all(torch.equal(one, other) for one, other in zip(state(whole), state(resumed), strict=True))


def test_training_learns_the_mean_picture() -> None:
    settings = TrainingSettings(width=WIDTH, steps=12, lips_steps=1, batch=2, rate=5e-3)
    talking = clip()
    talking.pictures[:] = 220
    trained = train_generator([talking], [], settings, None, CPU, Report())
    row = window(talking, 0, 0)
    torch.manual_seed(0)
    before = Generator(WIDTH).eval()(row.picture, row.mel)
    after = trained(row.picture, row.mel)
    assert (after - row.video).abs().mean() < (before - row.video).abs().mean()


def test_a_training_can_continue_that_of_weights() -> None:
    start = Generator(WIDTH)
    nothing = replace(HASTY, steps=0, lips_steps=0)
    trained = train_generator([clip()], [], nothing, None, CPU, Report(), start)
    assert all(torch.equal(one, other) for one, other in zip(state(start), state(trained), strict=True))


# ---- Drawing


@pytest.mark.parametrize("seconds", [0.2, 0.64, 2.02])
def test_lips_are_drawn_for_speech_of_any_length(seconds: float) -> None:
    speech = np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)
    drawn = draw_lips(Generator(WIDTH).eval(), np.full((64, 64, 3), 128, np.uint8), speech)
    assert drawn.shape == (int(25 * seconds + 1e-6), 64, 64, 3) and drawn.dtype == np.uint8


# ---- Weights


def test_weights_come_back_in_half_precision(tmp_path: Path) -> None:
    generator = Generator(WIDTH).eval()
    save_generator(generator, str(tmp_path / "a.safetensors"), {"people": ["anna"]})
    loaded = load_generator(str(tmp_path / "a.safetensors"))
    assert loaded.width == WIDTH
    for one, other in zip(state(generator), state(loaded), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_generator(Generator(WIDTH), str(path), {})
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for content in (b"", good[:-9], bytes(flipped), b"\0" * 100, Path(__file__).read_bytes()):
        path.write_bytes(content)
        with pytest.raises(GlanceWeightsUnreadable):
            load_generator(str(path))
    with pytest.raises(FileMissing):
        load_generator(str(tmp_path / "none.safetensors"))


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    generator = Generator(WIDTH)
    with torch.no_grad():
        generator.last.bias[0] = float("nan")
    save_generator(generator, str(tmp_path / "a.safetensors"), {})
    with pytest.raises(GlanceWeightsUnreadable):
        load_generator(str(tmp_path / "a.safetensors"))


def test_the_included_weights_are_small_and_say_whom_they_learnt_from() -> None:
    weights = Path(str(s2l_core.__file__)).parent / "glance" / "weights.safetensors"
    assert weights.stat().st_size <= 15_000_000
    learnt = read_facts()["people"]
    assert "grid_s1_1200s" in learnt and not set(learnt) & set(HELD_OUT)
    speech = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    drawn = draw_lips(load_generator(), np.full((64, 64, 3), 150, np.uint8), speech)
    assert 20 < drawn.mean() < 235


# ---- Data


def test_people_are_held_out_by_their_names(tmp_path: Path) -> None:
    for name in ("anna.mp4", "bea.mpg", "bea_again.mov", "notes.txt"):
        (tmp_path / name).touch()
    learnt, others = find_people([tmp_path], ["bea*"])
    assert [Path(path).name for path in learnt] == ["anna.mp4"]
    assert [Path(path).name for path in others] == ["bea.mpg", "bea_again.mov"]


def test_a_folder_without_videos_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadJob):
        find_people([tmp_path], [])


def test_weights_that_know_somebody_who_is_held_out_are_not_trained_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("anna.mp4", "bea.mp4"):
        (tmp_path / name).touch()
    start = str(tmp_path / "start.safetensors")
    save_generator(Generator(WIDTH), start, {"people": ["bea"]})
    words = ["--train", "--data", str(tmp_path), "--out", str(tmp_path), "--hold-out", "bea", "--start", start]
    assert train_glance.main([*words, "--device", "cpu", "--threads", "1"]) == 1
    assert "learnt from bea" in capsys.readouterr().err


def test_a_training_that_cannot_begin_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    taken = str(tmp_path / "text.mp4")
    for words in (["--data", str(tmp_path), "--out", taken], ["--data", taken, "--out", str(tmp_path / "out")]):
        assert train_glance.main(["--train", "--width", "0.02", "--device", "cpu", "--threads", "1", *words]) == 1
        said = capsys.readouterr().err
        assert "text.mp4" in said and "Traceback" not in said
