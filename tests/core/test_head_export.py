"""The head as a file for animators: mesh, poses, curves and plate fit each other and the footage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import s2l_core
from s2l_core.canonical.regions import lip_shape_size
from s2l_core.errors import BadJob, CannotWrite, SpeakerWithoutDepth
from s2l_core.face.layout import IBUG68
from s2l_core.footage import prepare
from s2l_core.geometry.camera import project
from s2l_core.geometry.mapping import observed_from_canonical
from s2l_core.jobs import HeadJob
from s2l_core.model.speaker import SpeakerModel
from s2l_core.whole_head.mesh import head_mesh

from .conftest import EmbeddedHead

DEMO = Path(__file__).resolve().parents[2] / "demo"
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def result(embedded_head: EmbeddedHead, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("export") / "anna.npz"
    return s2l_core.head(HeadJob(embedded_head.speaker_path, embedded_head.footage, str(path), device="cpu"))


@pytest.fixture(scope="module")
def arrays(result: dict[str, Any]) -> Arrays:
    with np.load(result["output_path"], allow_pickle=False) as file:
        return dict(file)


def to_pixels(points: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """As a camera of Blender's at the origin sees points (..., 3) of the head: x right, y up, looking along -z."""
    x, y, z = np.moveaxis(points @ pose[:3, :3].T + pose[:3, 3], -1, 0)
    fx, fy, cx, cy = intrinsics[:4]
    return np.stack([cx + fx * x / -z, cy - fy * y / -z], axis=-1)


def test_numpy_alone_reads_what_was_promised(arrays: Arrays, result: dict[str, Any]) -> None:
    height, width = arrays["mask"].shape
    torso = arrays["torso_mask"].shape
    frames, curves = len(arrays["times"]), len(arrays["curve_names"])
    assert {name: (array.dtype.name, array.shape) for name, array in arrays.items() if name != "curve_names"} == {
        "version": ("int64", ()),
        "vertices": ("float32", (height, width, 3)),
        "back": ("float32", (height, width, 3)),
        "mask": ("bool", (height, width)),
        "confidence": ("float32", (height, width)),
        "uv": ("float32", (height, width, 2)),
        "times": ("float64", (frames,)),
        "found": ("bool", (frames,)),
        "poses": ("float32", (frames, 4, 4)),
        "intrinsics": ("float64", (6,)),
        "curves": ("float32", (frames, curves)),
        "torso_vertices": ("float32", (*torso, 3)),
        "torso_mask": ("bool", torso),
        "plate_depth": ("float64", ()),
        "directions": ("float32", (len(arrays["directions"]), 2)),
        "margin": ("float64", ()),
    }
    assert min(height, width) >= 256
    assert frames == result["frames"] == 200
    assert arrays["curve_names"].tolist()[:2] == ["jaw_open", "mouth_open"]
    assert all(np.isfinite(array).all() for name, array in arrays.items() if name != "curve_names")


def test_the_mesh_lies_where_the_library_has_the_head(arrays: Arrays, embedded_head: EmbeddedHead) -> None:
    head = SpeakerModel.load(embedded_head.speaker_path).face.head
    track = prepare(embedded_head.footage).track
    frame = 100
    mesh = head_mesh(head)
    ours = to_pixels(arrays["vertices"][mesh.mask], arrays["poses"][frame], arrays["intrinsics"])
    np.testing.assert_allclose(ours, project(mesh.vertices[mesh.mask], track.poses[frame], track.intrinsics), atol=0.01)


def test_the_mesh_has_the_depth_of_the_canonical_view(embedded_head: EmbeddedHead) -> None:
    """Carried to a frame, vertices lie between the four canonical pixels around them."""
    head = SpeakerModel.load(embedded_head.speaker_path).face.head
    track = prepare(embedded_head.footage).track
    pose = head.view.pose.new_tensor(track.poses[50][None])
    there = observed_from_canonical(head.view, track.intrinsics, pose).pixels[0].numpy()
    mesh = head_mesh(head)
    assert mesh.mask.shape == tuple(2 * length for length in head.mask.shape)
    ours = project(mesh.vertices, track.poses[50], track.intrinsics)
    middle = (ours[0::2, 0::2] + ours[0::2, 1::2] + ours[1::2, 0::2] + ours[1::2, 1::2]) / 4
    inside = cv2.erode(head.mask.numpy().astype(np.uint8), np.ones((9, 9))) > 0
    assert np.abs(middle - there)[inside].max() < 0.2


def test_the_border_is_a_smooth_line(arrays: Arrays) -> None:
    """Its corners are blunt, where those of a grid would be right angles, and no face is turned over."""
    mask, uv = arrays["mask"], arrays["uv"].astype(np.float64)
    a, b, c, d = uv[:-1, :-1], uv[:-1, 1:], uv[1:, 1:], uv[1:, :-1]
    faces = mask[:-1, :-1] & mask[:-1, 1:] & mask[1:, 1:] & mask[1:, :-1]
    area = np.cross(c - a, b - d)[faces]
    assert (np.sign(area) == np.sign(area[0])).all()
    outline = border(mask, uv, arrays["intrinsics"][4:])
    steps = np.roll(outline, -1, axis=0) - outline
    steps = steps[np.linalg.norm(steps, axis=1) > 0.05]
    turns = np.degrees(
        np.arctan2(np.cross(steps, np.roll(steps, -1, axis=0)), (steps * np.roll(steps, -1, axis=0)).sum(1))
    )
    assert np.quantile(np.abs(turns), 0.95) < 40


def border(mask: np.ndarray, uv: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The vertices of the border one after the other, in pixels."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    columns, rows = max(outlines, key=len)[:, 0].T
    return np.asarray(uv[rows, columns] * size)


def test_jaw_and_lips_follow_the_truth(arrays: Arrays) -> None:
    names = arrays["curve_names"].tolist()
    with np.load(DEMO / "truth.npz", allow_pickle=False) as truth:
        weights = dict(zip(truth["weight_names"].tolist(), truth["weights"][: len(arrays["times"])].T, strict=True))

    def correlation(curve: str, true: np.ndarray) -> float:
        return float(np.corrcoef(arrays["curves"][:, names.index(curve)], true)[0, 1])

    assert correlation("jaw_open", weights["jawOpen"]) > 0.8
    assert correlation("mouth_open", weights["jawOpen"] - weights["mouthClose"]) > 0.8
    assert correlation("eye_open_left", weights["eyeBlink_L"]) < -0.8
    assert correlation("eye_open_right", weights["eyeBlink_R"]) < -0.8


def test_curves_begin_at_rest_and_shapes_are_in_standard_deviations(arrays: Arrays) -> None:
    curves = dict(zip(arrays["curve_names"].tolist(), arrays["curves"].T, strict=True))
    for name in ("jaw_open", "mouth_open", "mouth_wide", "mouth_round"):
        assert 0.0 <= curves[name].min() < 0.02 < curves[name].max() < 1.0
    assert np.median(curves["eye_open_left"]) == pytest.approx(1.0, abs=0.05)
    assert 0.5 < curves["lip_shape_1"].std() <= 1.0


def test_front_and_back_of_the_head_are_closed(arrays: Arrays) -> None:
    mask, front, back = arrays["mask"], arrays["vertices"], arrays["back"]
    inner = cv2.erode(np.pad(mask, 1).astype(np.uint8), np.ones((3, 3)))[1:-1, 1:-1] > 0
    border = mask & ~inner
    np.testing.assert_array_equal(front[border], back[border])
    deep = cv2.erode(mask.astype(np.uint8), np.ones((41, 41))) > 0
    assert (back[deep][:, 2] < front[deep][:, 2] - 0.03).all()
    assert 0.1 < np.ptp(np.concatenate([front[mask][:, 2], back[mask][:, 2]])) < 0.3


def test_neck_and_shoulders_are_below_the_face_and_behind_it(arrays: Arrays) -> None:
    shown = arrays["torso_vertices"][arrays["torso_mask"]]
    pose = np.median(arrays["poses"], axis=0)
    head = arrays["vertices"][arrays["mask"]] @ pose[:3, :3].T + pose[:3, 3]
    assert np.median(shown[:, 1]) < head[:, 1].min() + 0.05
    assert np.median(shown[:, 2]) < head[:, 2].max() - 0.02
    assert np.ptp(shown[:, 0]) > np.ptp(head[:, 0])


def test_the_plate_lies_beside_the_file(result: dict[str, Any], arrays: Arrays) -> None:
    plate = cv2.imread(result["plate_path"])
    assert Path(result["plate_path"]).name == "anna_plate.png"
    assert plate.shape[1::-1] == tuple(arrays["intrinsics"][4:])
    distance = -np.median(arrays["poses"][:, 2, 3])
    assert distance - 0.1 < arrays["plate_depth"] < distance + 0.2


def test_poses_of_the_footage_are_trusted(arrays: Arrays) -> None:
    assert (arrays["directions"].min(axis=0) - arrays["margin"] < 0).all()
    assert (arrays["directions"].max(axis=0) + arrays["margin"] > 0).all()
    assert arrays["margin"] > 0.0


def test_a_speaker_without_depth_is_refused(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    speaker = SpeakerModel.load(embedded_head.speaker_path)
    speaker.face.head.confidence.zero_()
    speaker.save(str(tmp_path / "flat.s2l"))
    with pytest.raises(SpeakerWithoutDepth):
        s2l_core.head(HeadJob(str(tmp_path / "flat.s2l"), embedded_head.footage, str(tmp_path / "flat.npz")))
    assert [path.name for path in tmp_path.iterdir()] == ["flat.s2l"]


def test_other_landmarks_than_the_speakers_are_refused(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    speaker = SpeakerModel.load(embedded_head.speaker_path)
    known_head = replace(speaker.known_head, shape=speaker.known_head.shape[: IBUG68.count])
    other = SpeakerModel.untrained("Anna", speaker.face, known_head, lip_shape_size(IBUG68))
    other.save(str(tmp_path / "other.s2l"))
    with pytest.raises(BadJob, match="different landmark model"):
        s2l_core.head(HeadJob(str(tmp_path / "other.s2l"), embedded_head.footage, str(tmp_path / "other.npz")))


def test_the_footage_is_not_overwritten(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    with pytest.raises(CannotWrite):
        s2l_core.head(HeadJob(embedded_head.speaker_path, embedded_head.footage, embedded_head.footage.path))


def test_the_mesh_of_the_landmarks_gives_another_depth_in_the_same_outline(
    embedded_head: EmbeddedHead, arrays: Arrays, tmp_path: Path
) -> None:
    path = tmp_path / "mesh.npz"
    job = HeadJob(embedded_head.speaker_path, embedded_head.footage, str(path), device="cpu", depth="mesh")
    s2l_core.head(job)
    with np.load(path, allow_pickle=False) as file:
        mesh = dict(file)
    np.testing.assert_array_equal(mesh["mask"], arrays["mask"])
    apart = np.linalg.norm(mesh["vertices"] - arrays["vertices"], axis=-1)[mesh["mask"]]
    assert 0.0005 < np.median(apart) < 0.03  # metres
