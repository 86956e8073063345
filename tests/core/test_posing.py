"""The embedded speaker's head filmed with another camera: one picture at a time, and along a path."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import s2l_core
from s2l_core.errors import CannotWrite, FileMissing, HeadOutOfView, SpeakerWithoutDepth
from s2l_core.events import Event, Log, Report
from s2l_core.footage import Footage, prepare
from s2l_core.geometry.axes import poses_to_blender
from s2l_core.geometry.camera import invert_pose, make_pose
from s2l_core.jobs import CameraView, Media, PoseJob, RenderJob
from s2l_core.media.audio import read_audio
from s2l_core.media.video import probe, read_frames
from s2l_core.media.writing import VideoWriter
from s2l_core.model.speaker import SpeakerModel
from s2l_core.verbs import pose as posing
from s2l_core.whole_head.reposing import View

from .conftest import EmbeddedHead

SIZE = 192
MOMENT, FRAME = 2.0, 50


@pytest.fixture(scope="module")
def footage(embedded_head: EmbeddedHead) -> Footage:
    return prepare(embedded_head.footage)


@pytest.fixture
def job(embedded_head: EmbeddedHead, footage: Footage, tmp_path: Path) -> RenderJob:
    """The footage's own view of a frame, at half its size."""
    camera = footage.track.intrinsics
    scale = SIZE / camera.width
    view = CameraView(camera.fx * scale, camera.fy * scale, SIZE / 2, SIZE / 2, SIZE, SIZE)
    pose = tuple(footage.track.poses[FRAME].ravel().tolist())
    path = str(tmp_path / "frame.npy")
    return RenderJob(embedded_head.speaker_path, embedded_head.footage, MOMENT, view, pose, path, device="cpu")


def render(job: RenderJob) -> np.ndarray:
    s2l_core.render(job)
    return np.load(job.output_path, allow_pickle=False)


def orbit(job: RenderJob, yaw: float) -> RenderJob:
    """The camera goes around the head by degrees and keeps looking at it in the same way."""
    pose = np.reshape(job.pose, (4, 4)).copy()
    pose[:3, :3] = make_pose([0.0, np.radians(yaw), 0.0], [0.0, 0.0, 0.0])[:3, :3] @ pose[:3, :3]
    return dataclasses.replace(job, pose=tuple(pose.ravel().tolist()))


def to_coded(linear: np.ndarray) -> np.ndarray:
    """The curve of sRGB."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def small(image: np.ndarray) -> np.ndarray:
    """At half the size, in [0, 1]."""
    halves = image.reshape(SIZE, image.shape[0] // SIZE, SIZE, image.shape[1] // SIZE, 3)
    return np.asarray(halves.mean(axis=(1, 3)) / 255)


def test_the_footages_own_view_shows_the_footage(job: RenderJob) -> None:
    layers = render(job)
    frame = next(read_frames(Media(job.footage.path, MOMENT))).image
    assert (layers.shape, layers.dtype) == ((6, SIZE, SIZE), np.float32)
    face = layers[5] > 0.99
    difference = np.abs(to_coded(layers[:3]).transpose(1, 2, 0) - small(frame))
    assert 0.15 < face.mean() < 0.6
    assert difference[face].mean() < 0.02
    assert difference.mean() < 0.02
    np.testing.assert_allclose(layers[3], 1.0, atol=1e-3)


def test_depth_is_metres_where_the_head_is_and_far_elsewhere(job: RenderJob, footage: Footage) -> None:
    layers = render(job)
    depth, mask = layers[4], layers[5]
    distance = footage.track.poses[FRAME, 2, 3] / 1000
    assert np.abs(depth[mask > 0.99] - distance).max() < 0.15
    assert (depth[mask == 0.0] == posing.NOTHING).all()


def test_without_a_background_only_the_person_is_there(job: RenderJob) -> None:
    layers = render(dataclasses.replace(job, background=False))
    assert (layers[3] >= layers[5] - 1e-6).all()
    assert (layers[3] - layers[5])[-4:].max() > 0.9  # the shoulders
    assert (layers[:3, layers[3] == 0.0] == 0.0).all()
    assert layers[:3].max() <= 1.0


def test_a_camera_that_goes_around_sees_the_head_turned(job: RenderJob) -> None:
    """The nose goes to the side, so that one half of the head gets narrower."""
    left, right = (render(dataclasses.replace(orbit(job, yaw), background=False)) for yaw in (-15.0, 15.0))
    assert np.abs(left[:3] - right[:3]).mean() > 0.02
    assert left[5].sum() == pytest.approx(right[5].sum(), rel=0.15)


def test_a_picture_does_not_depend_on_those_before_it(job: RenderJob) -> None:
    """Chunks of a farm fit together: what is kept between requests changes nothing."""
    turned = orbit(job, 10.0)
    first = render(turned)
    for moment in (0.0, 7.0, MOMENT - 0.04):
        render(dataclasses.replace(job, moment=moment))
    np.testing.assert_array_equal(render(turned), first)
    posing._opened.clear()
    np.testing.assert_array_equal(render(turned), first)


def test_speaker_and_footage_are_opened_once(job: RenderJob) -> None:
    render(job)
    kept = list(posing._opened.values())
    render(dataclasses.replace(job, moment=1.0))
    assert list(posing._opened.values()) == kept
    shorter = dataclasses.replace(job.footage, end=2.5)
    render(dataclasses.replace(job, footage=shorter))
    (other,) = posing._opened.values()
    assert other.scene.footage.media == shorter


def test_how_far_a_pose_can_be_trusted_is_told(job: RenderJob) -> None:
    near, far = s2l_core.render(job), s2l_core.render(orbit(job, 70.0))
    assert (near["trust"], near["degrees_outside"], near["without_face"]) == (1.0, 0.0, False)
    assert far["trust"] < 0.2
    assert far["degrees_outside"] > 20.0


def test_beyond_the_trusted_poses_the_head_is_turned_back_unless_it_shall_not(job: RenderJob) -> None:
    far, farther = (dataclasses.replace(orbit(job, yaw), background=False) for yaw in (60.0, 70.0))
    kept, turned = render(far), render(farther)
    assert np.abs(kept[5] - turned[5]).mean() < 0.01
    as_asked = [render(dataclasses.replace(each, fade=False)) for each in (far, farther)]
    assert np.abs(as_asked[0][5] - as_asked[1][5]).mean() > 0.01


@pytest.mark.parametrize(
    ("pose", "complaint"),
    [
        (make_pose([0.0, 0.0, 0.0], [0.0, 0.0, 60.0]), "inside the head"),
        (make_pose([0.0, 0.0, 0.0], [0.0, 0.0, -600.0]), "looks away"),
        (make_pose([0.0, np.pi, 0.0], [0.0, 0.0, 600.0]), "behind the head"),
    ],
)
def test_a_camera_that_cannot_see_the_face_is_refused(job: RenderJob, pose: np.ndarray, complaint: str) -> None:
    with pytest.raises(HeadOutOfView, match=complaint):
        s2l_core.render(dataclasses.replace(job, pose=tuple(pose.ravel().tolist())))
    assert not Path(job.output_path).exists()


def test_a_speaker_without_depth_is_refused(job: RenderJob, tmp_path: Path) -> None:
    speaker = SpeakerModel.load(job.speaker_path)
    speaker.face.head.mask.zero_()
    speaker.save(str(tmp_path / "flat.s2l"))
    with pytest.raises(SpeakerWithoutDepth):
        s2l_core.render(dataclasses.replace(job, speaker_path=str(tmp_path / "flat.s2l")))


def test_missing_files_are_said_to_be_missing(job: RenderJob) -> None:
    for name in ("speaker_path", "footage"):
        gone: Any = "gone" if name == "speaker_path" else Media("gone.mp4")
        with pytest.raises(FileMissing):
            s2l_core.render(dataclasses.replace(job, **{name: gone}))


def test_layers_are_linear_and_premultiplied() -> None:
    half = np.full((1, 1), 0.5, np.float32)
    layers = posing.to_layers(View(np.full((1, 1, 3), 0.5, np.float32), half, np.full((1, 1), 700.0, np.float32), half))
    assert layers[:, 0, 0].tolist() == pytest.approx([0.107, 0.107, 0.107, 0.5, 0.7, 0.5], abs=1e-3)


def write_path(path: Path, *yaws: float, distance: float = 0.6, **changes: Any) -> str:
    """An arc around a point in front of the footage's camera, one camera a degree of ``yaws``, four a second."""
    pivot = make_pose([0.0, 0.0, 0.0], [0.0, 0.0, -distance])
    turns = [make_pose([0.0, np.radians(yaw), 0.0], [0.0, 0.0, 0.0]) for yaw in yaws]
    cameras = [{"camera_to_world": (pivot @ turn @ invert_pose(pivot)).ravel().tolist(), "fov": 25.8} for turn in turns]
    document = {"render_width": SIZE, "render_height": SIZE, "fps": 4, "camera_path": cameras, **changes}
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def pose_job(embedded_head: EmbeddedHead, tmp_path: Path) -> PoseJob:
    path = write_path(tmp_path / "arc.json", -8.0, 0.0, 8.0)
    return PoseJob(embedded_head.speaker_path, embedded_head.footage, path, str(tmp_path / "posed.mp4"), device="cpu")


def test_a_movie_is_as_long_as_the_path_and_sounds_like_the_footage(pose_job: PoseJob) -> None:
    result = s2l_core.pose(pose_job)
    info = probe(pose_job.output_path)
    assert (info.width, info.height, info.rate) == (SIZE, SIZE, Fraction(25))
    assert result["frames"] == len(list(read_frames(Media(pose_job.output_path)))) == 19  # 3 cameras at 4 a second
    assert info.has_sound
    ours, rate = read_audio(Media(pose_job.output_path))
    theirs, _ = read_audio(Media(pose_job.footage.path, 0.0, 0.7))
    count = round(0.7 * rate)
    assert np.corrcoef(ours[:count, 0], theirs[:count, 0])[0, 1] > 0.9
    assert (result["frames_outside"], result["trust"]) == (0, 1.0)


def test_a_movie_says_that_it_is_synthetic(pose_job: PoseJob) -> None:
    s2l_core.pose(pose_job)
    with av.open(pose_job.output_path) as movie:
        assert movie.metadata["comment"].startswith("Synthetic media: generated head of Anna")


def test_the_camera_is_where_the_path_has_it(pose_job: PoseJob, footage: Footage, tmp_path: Path) -> None:
    """At the second camera that is where the footage's is; the field of view is its too."""
    degrees = 2 * np.degrees(np.arctan(footage.info.height / 2 / footage.track.intrinsics.fy))
    path = write_path(tmp_path / "still.json", 0.0, seconds=0.2)
    document = json.loads(Path(path).read_text())
    document["camera_path"][0]["fov"] = degrees
    Path(path).write_text(json.dumps(document))
    s2l_core.pose(dataclasses.replace(pose_job, camera_path=path))
    ours = [frame.image / 255 for frame in read_frames(Media(pose_job.output_path))]
    theirs = [small(frame.image) for frame in read_frames(Media(pose_job.footage.path, 0.0, 0.2))]
    assert len(ours) == len(theirs) == 5
    assert max(np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)) < 0.03


def test_a_frame_of_an_animation_is_the_picture_that_render_shows(
    job: RenderJob, pose_job: PoseJob, tmp_path: Path
) -> None:
    """With a shifted lens, a head and a camera that were moved, and moments of the footage that pass backwards."""
    turned, still = orbit(job, 9.0), np.eye(4)
    still[:3, 3] = 12.0, -7.0, 25.0
    camera = dataclasses.replace(job.camera, cx=job.camera.cx + 11.0, cy=job.camera.cy - 6.0)
    pictures = [
        dataclasses.replace(each, camera=camera, moment=moment, camera_from_footage=tuple(still.ravel().tolist()))
        for each, moment in ((turned, MOMENT + 0.04), (job, MOMENT))
    ]
    entries = [
        {
            "camera_to_world": poses_to_blender(invert_pose(still)).ravel().tolist(),
            "head_to_world": poses_to_blender(invert_pose(still) @ np.reshape(each.pose, (4, 4))).ravel().tolist(),
            "fov": 2 * np.degrees(np.arctan(SIZE / 2 / camera.fy)),
            "cx": camera.cx,
            "cy": camera.cy,
            "footage_seconds": each.moment,
        }
        for each in pictures
    ]
    document = {"render_width": SIZE, "render_height": SIZE, "fps": 30, "camera_path": entries}
    (tmp_path / "animation.json").write_text(json.dumps(document))
    s2l_core.pose(dataclasses.replace(pose_job, camera_path=str(tmp_path / "animation.json")))
    shown = list(read_frames(Media(pose_job.output_path)))
    info = probe(pose_job.output_path)
    assert (len(shown), info.rate, info.has_sound) == (2, Fraction(30), False)
    for frame, each in zip(shown, pictures, strict=True):
        expected = to_coded(render(each)[:3]).transpose(1, 2, 0)
        assert np.abs(frame.image / 255 - expected).mean() < 0.01


def test_an_animation_has_the_sound_of_moments_that_pass_as_fast_as_the_movie(
    pose_job: PoseJob, tmp_path: Path
) -> None:
    path = write_path(tmp_path / "arc.json", 0.0, 2.0, fps=25)
    document = json.loads(Path(path).read_text())
    for number, entry in enumerate(document["camera_path"]):
        entry["footage_seconds"] = MOMENT + number / 25
    Path(path).write_text(json.dumps(document))
    s2l_core.pose(dataclasses.replace(pose_job, camera_path=path))
    assert probe(pose_job.output_path).has_sound
    ours, rate = read_audio(Media(pose_job.output_path))
    theirs, _ = read_audio(Media(pose_job.footage.path, MOMENT, MOMENT + 0.08))
    count = round(0.07 * rate)
    assert np.corrcoef(ours[:count, 0], theirs[:count, 0])[0, 1] > 0.9


def test_depth_of_the_mesh_gives_other_sides_and_the_same_background(pose_job: PoseJob, tmp_path: Path) -> None:
    path = write_path(tmp_path / "side.json", 10.0, seconds=0.04)
    pictures = []
    for depth in ("learned", "mesh"):
        output = str(tmp_path / f"{depth}.mp4")
        s2l_core.pose(dataclasses.replace(pose_job, camera_path=path, output_path=output, depth=depth))
        pictures.append(next(read_frames(Media(output))).image.astype(int))
    changed = np.abs(pictures[0] - pictures[1]).max(axis=2)
    assert changed[: SIZE // 8, : SIZE // 8].max() < 8  # a corner far from the head, but for the codec
    assert (changed > 16).mean() > 0.001


def test_progress_and_a_warning_are_told(pose_job: PoseJob, tmp_path: Path) -> None:
    events: list[Event] = []
    path = write_path(tmp_path / "far.json", 60.0, seconds=0.2)
    result = s2l_core.pose(dataclasses.replace(pose_job, camera_path=path), Report(events.append))
    warnings = [event.text for event in events if isinstance(event, Log)]
    assert len(warnings) == 1 and "In 5 frames the head is up to" in warnings[0] and "turned back" in warnings[0]
    assert result["frames_outside"] == 5 and result["trust"] < 1.0
    progress = [event for event in events if getattr(event, "phase", "") == "Render"]
    assert [(event.done, event.total) for event in progress] == [(done, 5) for done in range(6)]  # type: ignore[union-attr]


def test_a_path_through_the_head_is_refused_before_anything_is_rendered(pose_job: PoseJob, tmp_path: Path) -> None:
    path = write_path(tmp_path / "round.json", 0.0, 170.0)
    with pytest.raises(HeadOutOfView, match=r"inside the head at 0\.\d+ s of its path"):
        s2l_core.pose(dataclasses.replace(pose_job, camera_path=path))
    assert not Path(pose_job.output_path).exists()


def test_the_camera_path_is_not_overwritten(pose_job: PoseJob) -> None:
    with pytest.raises(CannotWrite):
        s2l_core.pose(dataclasses.replace(pose_job, output_path=pose_job.camera_path))


def test_where_no_face_is_found_the_frame_stays_as_it_is(
    pose_job: PoseJob, embedded_head: EmbeddedHead, footage: Footage, tmp_path: Path
) -> None:
    pictures = [frame.image for frame in read_frames(Media(embedded_head.footage.path, 0.0, 1.0))]
    grey = np.full_like(pictures[0], 90)
    grey[100:140, 100:140] = (200, 30, 30)
    clip = tmp_path / "gone.mp4"
    height, width = grey.shape[:2]
    with VideoWriter(str(clip), width, height, Fraction(25)) as writer:
        for picture in [*pictures, *[grey] * 10]:
            writer.write(picture)
    degrees = 2 * np.degrees(np.arctan(footage.info.height / 2 / prepare(Media(str(clip))).track.intrinsics.fy))
    path = write_path(tmp_path / "still.json", 0.0, seconds=9.0)
    document = json.loads(Path(path).read_text())
    document["camera_path"][0]["fov"] = degrees
    Path(path).write_text(json.dumps(document))
    result = s2l_core.pose(dataclasses.replace(pose_job, footage=Media(str(clip)), camera_path=path))
    assert (result["frames"], result["frames_without_face"]) == (35, 10)
    last = list(read_frames(Media(pose_job.output_path)))[-1].image / 255
    assert np.abs(last - small(grey)).mean() < 0.02
    assert not probe(pose_job.output_path).has_sound


def test_the_background_stays_where_it_is_while_the_head_turns(job: RenderJob) -> None:
    still = tuple(np.eye(4).ravel().tolist())
    turned = orbit(job, 12.0)
    first, head_alone, camera = (
        render(each) for each in (job, dataclasses.replace(turned, camera_from_footage=still), turned)
    )
    alone = [render(dataclasses.replace(each, background=False))[3] for each in (job, turned)]
    background = (alone[0] == 0) & (alone[1] == 0) & (head_alone[5] == 0)
    assert background.mean() > 0.2
    assert np.abs(head_alone - first)[:3, background].max() < 0.02
    assert np.abs(camera - first)[:3, background].mean() > 0.01
