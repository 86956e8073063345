"""The benchmark of "Lip movements generation at a glance": what is measured, and of whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import glance
from benchmarks.glancing import rows
from benchmarks.glancing.measures import COLUMNS, landmark_distance, measure, opening
from benchmarks.glancing.people import Lips, Person
from benchmarks.glancing.rows import mean_motion, static
from demo.train_glance import refuse_known
from s2l_core.errors import BadJob
from s2l_core.face.layout import MESH468
from s2l_core.glance.crops import lip_points
from s2l_core.glance.generator import Generator
from s2l_core.glance.weights import save_generator

COUNT = 20


def person(name: str = "anna", reach: float = 4.0) -> Person:
    """Somebody whose lower lip moves down by up to ``reach`` pixels, and whose crop is a quarter of the frame."""
    random = np.random.default_rng(0)
    closed = random.uniform(20, 44, (40, 2))
    lower = np.isin(lip_points(MESH468), MESH468.inner_bottom)
    motion = reach * np.abs(np.sin(np.arange(COUNT)))[:, None, None] * np.where(lower[:, None], [0.0, 1.0], 0.0)
    pictures = random.integers(0, 255, (COUNT, 64, 64, 3), np.uint8)
    frame = random.integers(0, 255, (128, 128, 3), np.uint8)
    speech = random.normal(0, 0.1, 16_000 * COUNT // 25).astype(np.float32)
    matrix = np.array([[1.0, 0.0, -32.0], [0.0, 1.0, -32.0]])
    return Person(name, speech, Lips(closed + motion, pictures), frame, matrix, MESH468)


def test_the_real_lips_have_no_distance_from_themselves() -> None:
    talking = person()
    figures = measure(talking.real, talking.real, talking)
    assert figures["lmd"] == figures["lmd_wrong"] == 0
    assert figures["opening"] == pytest.approx(1) and figures["articulation"] == pytest.approx(1)
    assert figures["ssim"] == pytest.approx(1) and figures["psnr"] == 100
    assert figures.keys() == COLUMNS.keys()


def test_the_distance_of_landmarks_ignores_where_the_lips_are() -> None:
    points = person().real.points
    assert landmark_distance(points + 5, points) == pytest.approx(0)
    wider = points + np.where(np.arange(40)[:, None] < 20, [1.0, 0.0], [-1.0, 0.0])
    assert landmark_distance(wider, points) == pytest.approx(1)


def test_the_opening_is_that_of_the_inner_lips() -> None:
    talking = person()
    assert np.ptp(opening(talking.real.points, MESH468)) > 1
    still = talking.real.points[:1].repeat(COUNT, axis=0)
    assert np.ptp(opening(still, MESH468)) == 0


def test_a_still_picture_is_the_given_one() -> None:
    talking = person()
    made = static.learn([])(talking, talking.speech)
    assert made.pictures is not None
    np.testing.assert_array_equal(made.pictures[-1], talking.frame[32:96, 32:96])
    assert measure(made, made, talking)["articulation"] == pytest.approx(0)


def test_the_mean_motion_is_that_of_other_people() -> None:
    talking = person(reach=4.0)
    same = mean_motion.learn([person("bea", reach=4.0)])(talking, talking.speech)
    wilder = mean_motion.learn([person("cleo", reach=40.0)])(talking, talking.speech)
    still = static.learn([])(talking, talking.speech)
    real = talking.real.points
    assert landmark_distance(same.points, real) < landmark_distance(still.points, real)
    assert landmark_distance(wilder.points, real) > landmark_distance(still.points, real)


def test_a_pasted_picture_changes_the_crop_alone() -> None:
    talking = person()
    pasted = talking.pasted(np.zeros((64, 64, 3), np.uint8))
    assert (pasted[40:88, 40:88] == 0).all()
    outside = np.ones((128, 128), bool)
    outside[32:96, 32:96] = False
    np.testing.assert_array_equal(pasted[outside], talking.frame[outside])


def test_wrong_speech_is_that_of_somebody_else() -> None:
    people = [person(name) for name in ("anna", "bea", "cleo")]
    for number, each in enumerate(people):
        each.speech[:] = number
    heard: list[tuple[str, float]] = []

    def speak(who: Person, speech: NDArray[np.float32]) -> Lips:
        heard.append((who.name, float(speech[0])))
        return who.real

    glance.rows_of(speak, people)
    assert heard == [("anna", 0), ("anna", 2), ("bea", 1), ("bea", 0), ("cleo", 2), ("cleo", 1)]


def test_people_whom_the_weights_know_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = str(tmp_path / "weights.safetensors")
    save_generator(Generator(1 / 64), path, {"people": ["anna", "bea"]})
    refuse_known(["/videos/cleo.mpg"], path)
    with pytest.raises(BadJob):
        refuse_known(["/videos/bea.mpg", "/videos/cleo.mpg"], path)


def test_each_row_has_a_file_of_its_own() -> None:
    names = {path.stem for path in Path(str(rows.__file__)).parent.glob("[!_]*.py")}
    assert names == set(rows.ROWS)
