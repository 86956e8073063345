"""Real people seen by a camera on an arc around the head: nobody knows the true pictures, but faults can be counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_fill_holes
from scipy.spatial.transform import Rotation

from s2l_core.evaluation.realism import flicker, kernel_distance, lip_features
from s2l_core.events import Report
from s2l_core.face.matte import Matting
from s2l_core.footage import Footage
from s2l_core.geometry.camera import project
from s2l_core.model.perception import Lpips
from s2l_core.subsampling import evenly_spaced
from s2l_core.whole_head.reposing import HeadRenderer

from .likeness import Picture
from .novel import turn_about
from .rows import Pose

ANGLES = (5, 10, 15)
_FRAMES = 16
"""Frames of the held-out part that are seen from each angle; six times as many of the rest are compared with them."""
_SLOW, _LONG = 0.4, 12
"""Degrees between two pictures of the slow arc, and their number."""
_DIFFERS = 0.05
"""Difference of colours in [0, 1] from the background above which a pixel is left over."""
_RIM = 0.01
"""Distance around the person, as a share of the picture's width, in which edges are soft."""
_SIDE = 128
"""Side in pixels of the crops of the head that are compared."""
_AROUND = 0.35
"""Margin of a crop around the landmarks, as a share of their size."""


@dataclass(frozen=True)
class Arc:
    """A clip whose head is seen by a camera on an arc.

    Attributes:
        footage: The clip.
        renderer: Renders it.
        matting: Segments the results again.
        held_out: Second from which frames were not trained on.
    """

    footage: Footage
    renderer: HeadRenderer
    matting: Matting
    held_out: float

    def measure(self, perception: Lpips | None, report: Report) -> dict[str, dict[str, float]]:
        """Means by angle, to both sides together.

        ``leftover``: share of the pixels outside of the person that differ from the background alone by more than 0.05.
        ``holes``: share of the person's pixels without a colour of the person. ``iou``: intersection over union of the
        rendered opacity and a segmentation of the picture. ``kid``: kernel distance of crops of the head from those of
        the training part, times 1000; the angle 0 is that of the held-out frames as they are. ``flicker``: change
        between successive pictures of a slow arc around the angle, over that of the same frame's neighbours as filmed.
        """
        track = self.footage.track
        later = np.flatnonzero(track.found & (self.footage.times >= self.held_out))
        earlier = np.flatnonzero(track.found & (self.footage.times < self.held_out))
        chosen = later[evenly_spaced(len(later), _FRAMES)]
        known = earlier[evenly_spaced(len(earlier), 6 * _FRAMES)]
        frames = dict(self.footage.pictures(np.unique(np.concatenate([known, chosen])), "Read frames", report))
        reference = self._features([(frames[i], track.poses[i]) for i in known.tolist()], perception)
        figures: dict[str, dict[str, float]] = {"0": {}}
        if reference is not None:
            own = self._features([(frames[i], track.poses[i]) for i in chosen.tolist()], perception)
            assert own is not None
            figures["0"]["kid"] = kernel_distance(own, reference)
        for angle in ANGLES:
            shown, rows = [], []
            for done, index in enumerate(chosen.tolist()):
                report.progress(f"See the head from {angle} degrees", done, len(chosen))
                for turn in (-angle, angle):
                    pose, place = self._seen_from(index, turn)
                    picture, row = self._judge(frames[index], index, pose, place)
                    shown.append((picture, pose))
                    rows.append(row)
            figures[str(angle)] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
            if reference is not None:
                features = self._features(shown, perception)
                assert features is not None
                figures[str(angle)]["kid"] = kernel_distance(features, reference)
            figures[str(angle)]["flicker"] = self._flicker(frames[int(chosen[0])], int(chosen[0]), angle)
        return figures

    def strip(self, index: int, report: Report) -> Picture:
        """One frame from all angles, side by side."""
        ((_, image),) = self.footage.pictures(np.array([index]), "Read frames", report)
        turns = [-angle for angle in reversed(ANGLES)] + [0, *ANGLES]
        return np.concatenate([self._picture(image, index, *self._seen_from(index, turn)) for turn in turns], axis=1)

    def _seen_from(self, index: int, degrees: float) -> tuple[Pose, Pose]:
        """Poses of the head and of the footage's camera for a camera on an arc around the head's origin."""
        pose = self.footage.track.poses[index]
        place = turn_about(pose[:3, 3], Rotation.from_euler("Y", degrees, degrees=True).as_matrix())
        return place @ pose, place

    def _picture(self, image: Picture, index: int, pose: Pose, place: Pose) -> Picture:
        view = self.renderer.render(image, index, self.footage.track.intrinsics, pose, True, place)
        return (view.colours * 255).round().clip(0, 255).astype(np.uint8)

    def _judge(self, image: Picture, index: int, pose: Pose, place: Pose) -> tuple[Picture, dict[str, float]]:
        camera = self.footage.track.intrinsics
        picture = self._picture(image, index, pose, place)
        alpha = self.renderer.render(image, index, camera, pose, False, place).alpha
        behind = self.renderer.background_alone(camera, place)
        near = binary_dilation(alpha > 0.02, iterations=max(1, round(_RIM * camera.width)))
        different = np.abs(picture / 255.0 - behind).max(axis=-1) > _DIFFERS
        person = alpha > 0.5
        segmented = self.matting.matte(picture) > 0.5
        return picture, {
            "leftover": float(different[~near].mean()),
            "holes": float((binary_fill_holes(person) & ~person).sum() / person.sum()),
            "iou": float((person & segmented).sum() / (person | segmented).sum()),
        }

    def _features(self, shown: list[tuple[Picture, Pose]], perception: Lpips | None) -> NDArray[np.float64] | None:
        """Features of crops of the head, or None without a network."""
        if perception is None:
            return None
        crops = [self._crop(picture, pose) for picture, pose in shown]
        return lip_features(perception, torch.from_numpy(np.stack(crops)).movedim(-1, 1))

    def _crop(self, picture: Picture, pose: Pose) -> Picture:
        track = self.footage.track
        points = project(track.shape, pose, track.intrinsics)
        side = (1 + 2 * _AROUND) * float(np.ptp(points, axis=0).max())
        left, top = points.mean(axis=0) - side / 2
        matrix = np.array([[_SIDE / side, 0, -left * _SIDE / side], [0, _SIDE / side, -top * _SIDE / side]])
        return np.asarray(
            cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        )

    def _flicker(self, image: Picture, index: int, angle: int) -> float:
        turns = angle + _SLOW * (np.arange(_LONG) - _LONG / 2)
        moving = np.stack([self._picture(image, index, *self._seen_from(index, float(turn))) for turn in turns])
        filmed = np.stack(list(self._following(index)))
        return flicker(moving) / max(flicker(filmed), 1e-6)

    def _following(self, index: int) -> Iterator[Picture]:
        last = min(index + _LONG, len(self.footage.times))
        for _, picture in self.footage.pictures(np.arange(index, last), "Read frames", Report()):
            yield picture
