"""Camera paths: read from JSON that nobody vouches for, and asked for any moment."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2l_core.errors import CameraPathUnreadable, FileMissing
from s2l_core.geometry.axes import points_to_blender, poses_from_blender, poses_to_blender
from s2l_core.geometry.camera import Array, make_pose, project, rotation_vector, transform
from s2l_core.whole_head.camera_path import CameraPath, parse_camera_path, read_camera_path

IDENTITY = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
TRACKED = make_pose([0.1, -0.2, 0.05], [20.0, -10.0, 600.0])


def moved(x: float, y: float, z: float) -> list[float]:
    return [1.0, 0.0, 0.0, x, 0.0, 1.0, 0.0, y, 0.0, 0.0, 1.0, z, 0.0, 0.0, 0.0, 1.0]


def turned(degrees: float) -> list[float]:
    """About the world's y axis."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [c, 0.0, s, 0.0, 0.0, 1.0, 0.0, 0.0, -s, 0.0, c, 0.0, 0.0, 0.0, 0.0, 1.0]


def document(*cameras: list[float], **changes: Any) -> dict[str, Any]:
    entries = [{"camera_to_world": camera, "fov": 30.0, "aspect": 1.0} for camera in cameras]
    return {"render_width": 64, "render_height": 48, "fps": 10, "camera_path": entries, **changes}


def path_of(*cameras: list[float], **changes: Any) -> CameraPath:
    return parse_camera_path(document(*cameras, **changes))


def seen(path: CameraPath, moment: float) -> Array:
    """camera_from_head of the tracked head."""
    return path.camera_from_world_at(moment) @ path.world_from_head_at(moment, TRACKED)


def test_the_footages_own_camera_sees_the_head_as_tracked() -> None:
    path = path_of(IDENTITY)
    np.testing.assert_allclose(seen(path, 0.0), TRACKED, atol=1e-9)


def test_a_camera_to_the_right_of_the_footages_sees_the_head_farther_left() -> None:
    """World units are metres and y is up; the library has millimetres and y down."""
    pose = seen(path_of(moved(0.1, 0.02, 0.0)), 0.0)
    np.testing.assert_allclose(pose[:3, 3] - TRACKED[:3, 3], [-100.0, 20.0, 0.0], atol=1e-9)


def test_the_field_of_view_is_vertical() -> None:
    camera = path_of(IDENTITY).camera_at(0.0)
    top = math.tan(math.radians(15.0)) * 1000.0
    pixel = project([[0.0, -top, 1000.0]], np.eye(4), camera)
    np.testing.assert_allclose(pixel, [[32.0, 0.0]], atol=1e-9)


def test_between_two_cameras_rotation_and_position_are_interpolated() -> None:
    path = path_of(turned(0.0), turned(40.0))
    angles = [
        np.degrees(np.linalg.norm(rotation_vector(path.camera_from_world_at(moment)[:3, :3])))
        for moment in (-1.0, 0.0, 0.025, 0.05, 0.1, 9.0)
    ]
    np.testing.assert_allclose(angles, [0.0, 0.0, 10.0, 20.0, 40.0, 40.0], atol=1e-6)
    straight = path_of(moved(0.0, 0.0, 0.0), moved(0.0, 0.0, 0.4)).camera_from_world_at(0.025)
    np.testing.assert_allclose(straight[:3, 3], [0.0, 0.0, 100.0], atol=1e-9)


def test_zoom_is_interpolated() -> None:
    cameras = document(IDENTITY, IDENTITY)
    cameras["camera_path"][1]["fov"] = 10.0
    focal = parse_camera_path(cameras).camera_at(0.05).fy
    np.testing.assert_allclose(2 * math.degrees(math.atan(24 / focal)), 20.0)


def test_a_path_may_move_the_head_itself() -> None:
    cameras = document(IDENTITY, IDENTITY)
    for entry, place in zip(cameras["camera_path"], (moved(0.0, 0.0, -1.0), moved(0.2, 0.0, -1.0)), strict=True):
        entry["head_to_world"] = place
    pose = seen(parse_camera_path(cameras), 0.05)
    np.testing.assert_allclose(pose, make_pose([0.0, 0.0, 0.0], [100.0, 0.0, 1000.0]), atol=1e-9)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [({"fps": 10}, 0.4), ({"fps": 10, "seconds": 2.0}, 2.0), ({"seconds": 8.0}, 8.0)],
    ids=["rate", "rate and length", "length"],
)
def test_length_follows_from_the_cameras_where_it_is_not_given(times: dict[str, float], seconds: float) -> None:
    cameras = document(*[IDENTITY] * 4)
    del cameras["fps"]
    path = parse_camera_path({**cameras, **times})
    assert path.seconds == pytest.approx(seconds)
    assert path.times[-1] < path.seconds


def test_a_lens_may_be_shifted() -> None:
    camera = parse_camera_path(with_camera(cx=30.0, cy=20.0)).camera_at(0.0)
    assert (camera.cx, camera.cy) == (30.0, 20.0)
    camera = path_of(IDENTITY).camera_at(0.0)
    assert (camera.cx, camera.cy) == (32.0, 24.0)


def test_frames_of_an_animation_show_their_own_moments_of_the_footage() -> None:
    """Otherwise the movie has the footage's rate, and ends with the footage."""
    cameras = document(IDENTITY, IDENTITY, IDENTITY, fps=24000 / 1001)
    assert parse_camera_path(cameras).frames(0.04, Fraction(25)) == (1, Fraction(25))
    for entry, moment in zip(cameras["camera_path"], (2.0, 1.5, 1.0), strict=True):
        entry["footage_seconds"] = moment
    path = parse_camera_path(cameras)
    assert path.frames(0.04, Fraction(25)) == (3, Fraction(24000, 1001))
    assert path.shown is not None and path.shown.tolist() == [2.0, 1.5, 1.0]


def without(name: str) -> dict[str, Any]:
    cameras = document(IDENTITY)
    del cameras[name]
    return cameras


def with_camera(**changes: Any) -> dict[str, Any]:
    entry = {**document(IDENTITY)["camera_path"][0], **changes}
    return {**document(IDENTITY), "camera_path": [entry]}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([], "must be a JSON object"),
        ({}, "camera_path must be a list"),
        (document(), "camera_path must be a list of 1 to"),
        ({**document(IDENTITY), "camera_path": [7]}, "Each camera must be"),
        (without("render_width"), "whole numbers"),
        (document(IDENTITY, render_height=48.5), "whole numbers"),
        (document(IDENTITY, render_height=True), "whole numbers"),
        (document(IDENTITY, render_height=0), "64 x 0 pixels"),
        (document(IDENTITY, render_width=100_000), "100000 x 48 pixels"),
        (without("fps"), "needs fps, seconds or both"),
        (document(IDENTITY, fps=0), "fps must be a number"),
        (document(IDENTITY, fps="25"), "fps must be a number"),
        (document(IDENTITY, seconds=float("nan")), "seconds must be a number"),
        (document(IDENTITY, seconds=1e9), "seconds must be a number"),
        (document(IDENTITY, fps=1e-300), "fps must be a number"),
        (document(*[IDENTITY] * 100, fps=0.001), "It lasts 100000 s"),
        (document(IDENTITY, seconds=1e-300), "seconds must be a number"),
        (with_camera(fov=1e-300), "Camera 0: fov must be a number"),
        (with_camera(fov=None), "Camera 0: fov must be a number"),
        (with_camera(fov=180.0), "fov must be a number"),
        (with_camera(fov=float("nan")), "fov must be a number"),
        (with_camera(camera_to_world=None), "a list of 16 numbers"),
        (with_camera(camera_to_world=["1"] * 16), "a list of 16 numbers"),
        (with_camera(camera_to_world=[IDENTITY]), "a list of 16 numbers"),
        (with_camera(camera_to_world=IDENTITY[:12]), "not a rigid"),
        (with_camera(camera_to_world=[0.0] * 15 + [1.0]), "not a rigid"),
        (with_camera(camera_to_world=[float("nan"), *IDENTITY[1:]]), "not a rigid"),
        (with_camera(camera_to_world=[10**400, *IDENTITY[1:]]), "not a rigid"),
        (with_camera(cx=None, cy=1.0), "Camera 0: cx must be a number"),
        (with_camera(footage_seconds=-1.0), "Camera 0: footage_seconds must be a number between 0"),
        (
            document(IDENTITY, fps=0.5, camera_path=with_camera(footage_seconds=1.0)["camera_path"]),
            "fps must be a number",
        ),
        (with_camera(head_to_world=IDENTITY[:9]), "head_to_world of camera 0 is not a rigid"),
        (
            {
                **document(IDENTITY),
                "camera_path": [
                    with_camera(head_to_world=IDENTITY)["camera_path"][0],
                    *document(IDENTITY)["camera_path"],
                ],
            },
            "Camera 1 has no head_to_world",
        ),
    ],
)
def test_what_is_wrong_with_a_path_is_said(content: Any, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "path.json"
    file.write_text(json.dumps(content))
    with pytest.raises(CameraPathUnreadable, match=complaint):
        read_camera_path(str(file))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"])
def test_what_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "path.json").write_bytes(content)
    with pytest.raises(CameraPathUnreadable, match="not valid JSON"):
        read_camera_path(str(tmp_path / "path.json"))


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        read_camera_path(str(tmp_path / "none.json"))


def test_poses_go_to_blenders_axes_and_back() -> None:
    np.testing.assert_allclose(poses_from_blender(poses_to_blender(TRACKED)), TRACKED, atol=1e-9)
    points = np.array([[10.0, 20.0, 30.0], [0.0, -5.0, 1.0]])
    there = transform(points_to_blender(points), poses_to_blender(TRACKED))
    np.testing.assert_allclose(there, points_to_blender(transform(points, TRACKED)), atol=1e-12)
    assert points_to_blender([0.0, 0.0, 1000.0]).tolist() == [0.0, 0.0, -1.0]
