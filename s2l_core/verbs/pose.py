"""The verbs ``pose`` and ``render``: render a speaker's head for another camera (paper section 5.4)."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..ahead import MOST_WORKERS, in_order
from ..consent_ledger import ledger_beside
from ..credentials.claim import Claim
from ..device import one_thread
from ..errors import AudioEmpty, HeadOutOfView, NoSound
from ..events import Report, checkpoint
from ..files import reserved, state_of, write_whole
from ..fingerprints import by_content, fingerprint_file
from ..footage import Footage, landmarks_content, shown_at
from ..geometry.axes import MILLIMETRES
from ..geometry.camera import Array, Intrinsics, invert_pose
from ..geometry.splatting import in_bands
from ..jobs import Encoding, PoseJob, RenderJob, to_document
from ..media import srgb
from ..media.audio import open_audio
from ..media.chunks import reserved_result
from ..media.frames import FrameReader
from ..media.raster import ORDINARY, Picture
from ..media.sequence import files_of
from ..media.waveform import Waveform
from ..results import PoseResult, RenderResult
from ..version import VERSION
from ..whole_head.camera_path import CameraPath, read_camera_path
from ..whole_head.reposing import HeadRenderer, View
from ..whole_head.scene import HeadScene, depth_of, open_scene
from .divided import Form, Rendered, finish
from .marking import claim_of_pose

_ENCODING = Encoding()
NOTHING = 1e10
"""Depth in metres of pixels without a surface, as in Blender."""
_NEAREST = 150.0
"""Millimetres from the middle of the face within which a camera is taken to be inside the head."""
_Key = tuple[Any, ...]


class PosedHead:
    """A head that is ready to be rendered from any camera at any moment of its footage.

    Args:
        scene: The head and its footage.
        report: Receives the progress.

    Attributes:
        scene: The head and its footage.
        renderer: Renders a frame of it; several threads may do so at once.
    """

    def __init__(self, scene: HeadScene, report: Report) -> None:
        self.scene = scene
        self._frames = FrameReader(scene.footage.media, scene.footage.times)
        self.renderer = HeadRenderer(
            scene.speaker, scene.footage, scene.plate, scene.torso, scene.matting, report=report, cache=scene.cache
        )

    def read(self, index: int) -> NDArray[np.uint8]:
        """Decode frame ``index`` of the footage."""
        return self._frames.read(index)


def pose(job: PoseJob, report: Report | None = None) -> PoseResult:
    """Write a movie of the head, rendered along a camera path, with the footage's sound.

    Footage and path begin together, and the movie ends with the shorter one. It has the footage's frame rate and the
    path's picture size. If the path says which moments of the footage its cameras show, the movie has a frame for each
    camera and the path's frame rate, and sound only if these moments pass as fast as the movie.

    Raises:
        CameraPathUnreadable: See :func:`s2l_core.whole_head.camera_path.read_camera_path`.
        HeadOutOfView: The face is out of view somewhere on the path.
        Speech2LipError: As :func:`s2l_core.whole_head.scene.open_scene`, or a file cannot be used.
    """
    report = report or Report()
    with reserved_result(job.output_path, _ENCODING, *files_read(job)):
        opened = OpenPose(job, report)
        return opened.result(finish(opened, report))


def files_read(job: PoseJob) -> tuple[str, ...]:
    """Files that a job reads."""
    return (*files_of(job.footage), job.speaker_path, job.camera_path, job.landmarks)


class OpenPose:
    """A camera path whose files are open, see :class:`s2l_core.verbs.divided.Divided`.

    Args:
        job: The job.
        report: Receives the progress of opening the head.

    Raises:
        Speech2LipError: See :func:`pose`.
    """

    phase, between_reports = "Render", 1

    def __init__(self, job: PoseJob, report: Report) -> None:
        # Open head and path, and compute the pose of the head in every frame.
        started = time.monotonic()
        self._job, self._path = job, read_camera_path(job.camera_path)
        self._head = _open_once(job, report)
        scene, path = self._head.scene, self._path
        footage, self._region = scene.footage, scene.region
        frames, rate = path.frames(footage.seconds, footage.info.rate)
        self._moments = np.arange(frames) / float(rate)
        self._indices = _shown(path, footage, self._moments)
        self._cameras, self._poses = _follow(path, self._moments, footage.track.poses[self._indices])
        self._outside = np.array([self._region.degrees_outside(each) for each in self._poses])
        if self._outside.any():
            worst = float(self._outside.max())
            report.log("warning", _warning(int(np.count_nonzero(self._outside)), worst, job.fade))
        sound, comment = _sound(path, footage, frames, rate), scene.speaker.synthetic_media("head")
        self.form = Form(
            job.output_path,
            _ENCODING,
            ORDINARY,
            footage.info.colour,
            path.width,
            path.height,
            rate,
            frames,
            sound,
            comment,
            _identity(job, footage, scene.speaker.face.lips.depth.device.type),
        )
        self._prepare_seconds = time.monotonic() - started

    def look(self, report: Report) -> None:
        """Nothing: the clip was looked at when it was opened."""

    def read(self, frames: range) -> Generator[Picture, None, None]:
        """Render some of the frames, several at once. Close the generator if it is not used to its end."""
        cores, shown = torch.get_num_threads(), ((number, self._head.read(self._indices[number])) for number in frames)
        with one_thread():
            yield from in_order(self._rendered, shown, min(cores, MOST_WORKERS))

    def _rendered(self, shown: tuple[int, NDArray[np.uint8]]) -> Picture:
        """Render a frame with a number, of which an image is given."""
        number, image = shown
        camera = self._path.camera_at(float(self._moments[number]))
        pose = self._poses[number]
        trusted = self._region.nearest_trusted(pose) if self._job.fade else pose
        index, background = int(self._indices[number]), self._job.background
        view = self._head.renderer.render(image, index, camera, trusted, background, self._cameras[number])
        return np.asarray((view.colours * view.alpha[..., None] * 255).round().clip(0, 255).astype(np.uint8))

    def claim(self) -> Claim:
        """See :func:`s2l_core.verbs.marking.claim_of_pose`."""
        return claim_of_pose(self._job, self._head.scene.speaker)

    def result(self, rendered: Rendered) -> PoseResult:
        """The result of the verb."""
        return {
            "output_path": self._job.output_path,
            "credentials": rendered.credentials,
            "frames": rendered.written,
            "frames_resumed": rendered.resumed,
            "frames_without_face": int((~self._head.scene.footage.track.found[self._indices]).sum()),
            "frames_outside": int(np.count_nonzero(self._outside)),
            "trust": min(self._region.trust(each) for each in self._poses),
            "degrees_outside": float(self._outside.max()),
            "prepare_seconds": self._prepare_seconds,
            "render_seconds": rendered.seconds,
            "fps": rendered.fps,
        }


def _identity(job: PoseJob, footage: Footage, device: str) -> dict[str, Any]:
    """Everything that determines the frames of a job. Chunks with the same identity are reused."""
    known = {path: fingerprint_file(path) for path in (job.speaker_path, job.camera_path)}
    known |= {job.output_path: "", job.landmarks: landmarks_content(job.landmarks)}
    known[job.footage.path] = footage.fingerprint
    return {"job": by_content(to_document(job), known) | {"device": device}, "version": VERSION}


def render(job: RenderJob, report: Report | None = None) -> RenderResult:
    """Write one picture as a ``.npy`` file: float32 (6, height, width), top row first.

    The layers are scene-linear red, green and blue, premultiplied by alpha; alpha; depth in metres along the camera's
    axis, 1e10 outside the head; the mask of the head in [0, 1]. The head stays open for the next job with the same
    speaker and footage. Nothing else is carried over, so a picture does not depend on those before it.

    Raises:
        HeadOutOfView: The camera cannot see the face.
        Speech2LipError: As :func:`s2l_core.whole_head.scene.open_scene`, or a file cannot be used.
    """
    refuse_hidden_face(np.array(job.pose).reshape(4, 4))
    with reserved(job.output_path, *files_of(job.footage), job.speaker_path, job.landmarks):
        return _render(job, report or Report())


def _render(job: RenderJob, report: Report) -> RenderResult:
    wanted = np.array(job.pose).reshape(4, 4)
    head = _open_once(job, report)
    footage, region, view = head.scene.footage, head.scene.region, job.camera
    index = int(footage.shown_in_blender(job.moment))
    camera = Intrinsics(view.fx, view.fy, view.cx, view.cy, view.width, view.height)
    report.progress("Render", 0, 1)
    trusted = region.nearest_trusted(wanted) if job.fade else wanted
    moved = np.array(job.camera_from_footage).reshape(4, 4) if job.camera_from_footage else None
    camera_from_footage = wanted @ invert_pose(footage.track.poses[index]) if moved is None else moved
    with one_thread():  # 0.22 instead of 0.27 s for 512 x 512 pixels on two cores
        image = head.read(index)
        rendered = head.renderer.render(image, index, camera, trusted, job.background, camera_from_footage)
    layers = to_layers(rendered)
    write_whole(job.output_path, _npy(layers), lasting=False)
    report.progress("Render", 1, 1)
    return {
        "output_path": job.output_path,
        "trust": region.trust(wanted),
        "degrees_outside": region.degrees_outside(wanted),
        "without_face": not bool(footage.track.found[index]),
    }


def to_layers(view: View) -> NDArray[np.float32]:
    """The layers of :func:`render`, float32 (6, h, w)."""
    height, width = view.alpha.shape
    layers = np.empty((6, height, width), np.float32)
    for rows in in_bands(height, width):
        coded, alpha, depth = view.colours[rows], view.alpha[rows], view.depth[rows]
        layers[:3, rows] = np.moveaxis(srgb.to_linear(coded) * alpha[..., None], -1, 0)
        layers[3, rows], layers[5, rows] = alpha, view.mask[rows]
        layers[4, rows] = np.where(depth > 0, depth / MILLIMETRES, NOTHING)
    return layers


def _npy(layers: NDArray[np.float32]) -> bytes:
    """The content of a ``.npy`` file."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, np.lib.format.header_data_from_array_1_0(layers))
    for layer in layers:
        checkpoint()
        content.write(layer.tobytes())
    return content.getvalue()


def refuse_hidden_face(pose: Array) -> None:
    """Raise an error if a camera cannot see the face at any focal length.

    Args:
        pose: (4, 4) camera_from_head.

    Raises:
        HeadOutOfView: The camera is inside or behind the head, or looks away from it.
    """
    if np.linalg.norm(pose[:3, 3]) < _NEAREST:
        raise HeadOutOfView("The camera is inside the head.")
    if pose[2, 3] <= 0.0:
        raise HeadOutOfView("The camera looks away from the head.")
    if invert_pose(pose)[2, 3] >= 0.0:
        raise HeadOutOfView("The camera is behind the head.")


_opened: dict[_Key, PosedHead] = {}


def _open_once(job: PoseJob | RenderJob, report: Report) -> PosedHead:
    """The head of a job. It stays open for the next job with the same files."""
    read = (job.speaker_path, str(ledger_beside(job.speaker_path)), *files_of(job.footage), job.landmarks)
    files = [state_of(path) for path in read]
    key = (job.speaker_path, job.footage, job.landmarks, job.device, depth_of(job), *files)
    if key not in _opened:
        _opened.clear()
        _opened[key] = PosedHead(open_scene(job, report), report)
    return _opened[key]


def _follow(path: CameraPath, moments: Array, tracked: Array) -> tuple[Array, Array]:
    """camera_from_footage and camera_from_head (n, 4, 4) at moments (n,) of a path, for tracked poses (n, 4, 4) of the
    head.
    """
    cameras = np.stack([path.camera_from_world_at(float(moment)) for moment in moments])
    heads = [path.world_from_head_at(float(moment), each) for moment, each in zip(moments, tracked, strict=True)]
    poses = cameras @ np.stack(heads)
    for moment, each in zip(moments, poses, strict=True):
        try:
            refuse_hidden_face(each)
        except HeadOutOfView as error:
            raise HeadOutOfView(f"{error.message.removesuffix('.')} at {moment:.2f} s of its path.") from None
    return cameras, poses


def _shown(path: CameraPath, footage: Footage, moments: Array) -> NDArray[np.int64]:
    """Indices (n,) of the frames of the footage that are shown at moments (n,) of a path."""
    if path.shown is not None:
        return footage.shown_in_blender(path.shown)
    return shown_at(footage.times, footage.times[0] + moments)


def _sound(path: CameraPath, footage: Footage, frames: int, rate: Fraction) -> Waveform | None:
    """The footage's sound, cut to the exact length of the frames; None if it has no sound, or passes at another pace
    than the pictures.
    """
    seconds, start = float(frames / rate), float(footage.times[0])
    if path.shown is not None:
        start = float(path.shown[0])
        if np.abs(path.shown - start - path.times).max() > 0.5 / rate:
            return None
    try:
        sound = open_audio(replace(footage.media, start=start, end=start + seconds))
        sound.refuse_broken()
    except (NoSound, AudioEmpty):
        return None
    return sound.lasting(round(seconds * sound.rate))


def _warning(frames: int, degrees: float, fade: bool) -> str:
    turned = "; it is turned back to the nearest trusted pose" if fade else ""
    return f"In {frames} frames the head is up to {degrees:.0f} degrees outside its trust region{turned}."
