"""Close-ups of the rendered speaker: where the rendered mouth lies in the enlarged clip, and how memory is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks import closeups
from benchmarks.trials.memory import peak_memory
from demo.speaker import close_up
from demo.speaker.camera import SIZE, Camera, Window
from demo.speaker.head import LIPS_OUTER, Head
from demo.speaker.people import EMBEDDED, folder_of
from demo.speaker.performance import recorded

CAMERA = close_up.camera_of(540)


def square(left: int, top: int) -> np.ndarray:
    """A picture of the clip's size with a white square of 8 pixels on grey."""
    picture = np.full((SIZE, SIZE, 3), 60, np.uint8)
    picture[top : top + 8, left : left + 8] = 255
    return picture


def test_an_enlarged_picture_shows_points_where_the_camera_projects_them() -> None:
    point = np.array([12.0, 30.0, 770.0])
    x, y = Camera().project(point)
    white = close_up.enlarge(square(round(x) - 4, round(y) - 4), CAMERA)[..., 0] > 200
    assert white.shape == (540, 960)
    rows, columns = np.nonzero(white)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    away = (np.round([x, y]) - [x, y]) * CAMERA.focal_length / Camera().focal_length
    np.testing.assert_allclose(found, CAMERA.project(point) + away, atol=0.6)


def test_the_mouth_is_400_pixels_wide_in_2160_lines() -> None:
    camera = close_up.camera_of(2160)
    lips = np.array([[-23.2, 0.0, 662.0], [23.2, 0.0, 662.0]])  # of the embedded speaker, 108 mm before the ears
    width = np.diff(camera.project(lips)[:, 0])
    assert (camera.width, camera.height) == (3840, 2160)
    assert width == pytest.approx(400, rel=0.01)


def test_the_window_holds_the_lips_and_ends_with_the_picture() -> None:
    rest = np.zeros((6500, 3))
    rest[list(LIPS_OUTER)] = [[x, y, 0.0] for x, y in zip(np.linspace(-25, 25, 12), [0, 8] * 6, strict=True)]
    pose = np.eye(4)
    pose[:3, 3] = [0.0, 115.0, 770.0]
    window = close_up.mouth_window(cast(Head, SimpleNamespace(rest=rest)), CAMERA, pose)
    lips = CAMERA.project(rest[list(LIPS_OUTER)] + pose[:3, 3])
    assert window.left < lips[:, 0].min() - 40 and window.left + window.width > lips[:, 0].max() + 40
    assert window.top < lips[:, 1].min() - 40 and window.top + window.height == 540


def test_a_mouth_is_faded_in_from_the_border_of_its_window() -> None:
    picture, window = np.full((54, 96, 3), 50, np.uint8), Window(20, 10, 50, 30)
    joined = close_up.insert(np.full((30, 50, 3), 200, np.uint8), window, picture)
    assert (joined[25, 45] == 200).all() and (joined[25, 25] == 200).all()
    assert (joined[25, 20] > 50).all() and (joined[25, 20] < 200).all()
    joined[10:40, 20:70] = 50
    assert (joined == picture).all()


def test_the_performance_of_the_clip_is_read_from_its_truth() -> None:
    with np.load(folder_of(EMBEDDED) / "truth.npz", allow_pickle=False) as truth:
        performance = recorded(truth, EMBEDDED, np.array([10, 40]))
        assert (performance.poses == truth["pose"][[10, 40]]).all()
        weights = performance.expression(1)
        np.testing.assert_array_equal(np.array(list(weights.values()), np.float32), truth["weights"][40])
    assert performance.shoulder_poses[0, 2, 3] > 100


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_children_counts(tmp_path: Path) -> None:
    hold = "import time; block = bytearray(150_000_000); time.sleep(0.5)"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    assert 150e6 < peak_memory([sys.executable, "-c", start], str(tmp_path)) < 400e6
    with pytest.raises(subprocess.CalledProcessError):
        peak_memory([sys.executable, "-c", "raise SystemExit(3)"], str(tmp_path))


def test_clips_that_exist_are_not_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        commands.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "speaker_1080.mp4").touch()
    assert closeups.rendered(Path("head.npz"), [1080], tmp_path) == [tmp_path / "speaker_1080.mp4"]
    assert not commands
    closeups.rendered(Path("head.npz"), [1080, 2160], tmp_path)
    assert commands[0][-3:] == ["--lines", "1080", "2160"]
