"""What moves without the head: on a painted face with a lively mouth, and on film."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from s2l_core.canonical.motion import Motion, head_mask, lip_jaw_mask, measure_motion, moving_parts
from s2l_core.errors import CannotWrite
from s2l_core.face.layout import IBUG68
from s2l_core.geometry.camera import Intrinsics, make_pose, project
from s2l_core.geometry.mapping import CanonicalView, canonical_from_observed, pixel_grid, sample
from s2l_core.jobs import HeatmapJob, Media
from s2l_core.verbs.heatmap import heatmap

SPEAKER = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
CAMERA = Intrinsics.centred(300.0, 128, 160)
BOX = CAMERA.rectangle
VIEW = CanonicalView(
    torch.full((160, 128), 600.0), BOX, CAMERA, torch.tensor(make_pose([0.0] * 3, [0.0, 0.0, 600.0])).float()
)


def face() -> np.ndarray:
    """Landmarks (68, 3) in a plane: jaw line, brows, nose, eyes and lips of a face 120 mm wide."""
    shape = np.zeros((68, 3))
    jaw = np.linspace(np.pi, 0, 17)
    shape[:17, :2] = np.stack([60 * np.cos(jaw), 70 * np.sin(jaw)], -1)
    shape[17:36, :2] = np.stack([np.linspace(-40, 40, 19), np.full(19, -30.0)], -1)
    for first, x in ((36, -30), (42, 30)):
        turn = np.linspace(np.pi, 3 * np.pi, 6, endpoint=False)
        shape[first : first + 6, :2] = np.stack([x + 12 * np.cos(turn), -15 + 4 * np.sin(turn)], -1)
    for first, count, width, height in ((48, 12, 25, 9), (60, 8, 18, 3)):
        turn = np.linspace(np.pi, 3 * np.pi, count, endpoint=False)
        shape[first : first + count, :2] = np.stack([width * np.cos(turn), 38 + height * np.sin(turn)], -1)
    return shape


PIXELS = project(face(), VIEW.pose.double().numpy(), CAMERA)


def around_mouth(radius: float) -> np.ndarray:
    middle = PIXELS[48:60].mean(axis=0)
    rows, columns = np.mgrid[:160, :128] + 0.5
    return np.hypot(columns - middle[0], rows - middle[1]) < radius


def still(heat: float = 0.01) -> Motion:
    level = np.full((160, 128), heat, np.float32)
    return Motion(level, level.copy())


def test_removing_the_heads_motion_leaves_the_mouths() -> None:
    generator = torch.Generator().manual_seed(0)
    skin = torch.nn.functional.interpolate(torch.rand(1, 3, 40, 32, generator=generator), (160, 128), mode="bilinear")
    mouth = torch.from_numpy(around_mouth(8)).float()
    turns = [(0.05, -0.1), (-0.05, 0.1), (0.0, 0.15), (0.05, 0.0)]
    poses = torch.tensor(
        np.stack([make_pose([pitch, yaw, 0.0], [4.0, 0.0, 600.0]) for pitch, yaw in turns]), dtype=torch.float32
    )
    there = canonical_from_observed(pixel_grid(BOX), VIEW, CAMERA, poses).pixels
    pictures = torch.cat(
        [sample(skin * (1 - mouth * level), at[None]) for at, level in zip(there, (0.2, 0.8, 0.5, 0.9), strict=True)]
    )
    motion = measure_motion(skin[0], pictures, VIEW, poses)
    cheek = (slice(70, 90), slice(30, 45))
    assert motion.canonical[cheek].mean() < 0.3 * motion.observed[cheek].mean()
    assert motion.canonical[around_mouth(6)].mean() > 5 * motion.canonical[cheek].mean()


def test_lips_and_jaw_are_what_moves_around_the_mouth() -> None:
    motion = still()
    motion.canonical[around_mouth(16)] = 0.1
    motion.canonical[20:30] = 0.3  # a fringe in the wind is neither
    mask = lip_jaw_mask(motion, VIEW, face(), IBUG68)
    assert mask[around_mouth(10)].all()
    assert not mask[~around_mouth(26)].any()


def test_a_livelier_jaw_belongs_to_the_mouth_farther_down() -> None:
    quiet, lively = still(), still()
    quiet.canonical[around_mouth(8)] = lively.canonical[around_mouth(22)] = 0.1
    bottoms = [np.flatnonzero(lip_jaw_mask(m, VIEW, face(), IBUG68).any(axis=1))[-1] for m in (quiet, lively)]
    assert bottoms[1] > bottoms[0] + 4


def test_lips_belong_to_the_mask_even_where_nothing_moves() -> None:
    mask = moving_parts(still(0.0), VIEW, face(), IBUG68)
    lids = np.round(PIXELS[[37, 44]]).astype(int)
    assert mask[around_mouth(4)].all() and mask[lids[:, 1], lids[:, 0]].all()
    assert not mask[:40].any()


def test_the_head_ends_where_its_colours_and_its_motion_do_but_not_at_the_rim_of_the_mesh() -> None:
    rows, columns = np.mgrid[:160, :128] + 0.5
    mesh = (np.hypot((columns - 64) / 30, (rows - 85) / 40)) < 1
    hair = (np.hypot((columns - 64) / 36, (rows - 70) / 45) < 1) & ~mesh & (rows < 80)
    neck = (np.abs(columns - 64) < 14) & (rows > 120)
    noise = np.random.default_rng(0).normal(0, 4, (160, 128, 3))
    picture = np.full((160, 128, 3), (40.0, 90.0, 160.0))
    picture[mesh | neck] = (200.0, 150.0, 130.0)
    picture[hair] = (60.0, 40.0, 30.0)
    motion = still(0.02)
    motion.observed[mesh | hair] = 0.1
    mask = head_mask(np.clip(picture + noise, 0, 255).astype(np.uint8), motion, mesh)
    assert mask[mesh].mean() > 0.99 and mask[hair].mean() > 0.95
    assert mask[neck & (rows > 135)].mean() < 0.01 and mask[~(mesh | hair | neck)].mean() < 0.02


def test_a_close_up_is_all_head() -> None:
    mesh = np.zeros((160, 128), bool)
    mesh[2:158, 2:126] = True
    motion = still(0.02)
    motion.observed[:] = 0.1
    assert head_mask(np.full((160, 128, 3), 150, np.uint8), motion, mesh).mean() > 0.95


def test_the_picture_of_a_film_shows_that_lips_and_jaw_move_most(tmp_path: Path) -> None:
    path = tmp_path / "heat.png"
    result = heatmap(HeatmapJob(Media(str(SPEAKER), 3.0, 6.0), str(path)))
    sheet = cv2.imread(str(path))
    assert sheet is not None and sheet.shape[1] > 2 * sheet.shape[0] and sheet.std() > 20
    assert result["canonical_percent"] < 0.7 * result["observed_percent"]
    assert result["lip_jaw_share"] > 1.5 * result["lip_jaw_area"] > 0


def test_the_film_itself_is_not_painted_over() -> None:
    with pytest.raises(CannotWrite):
        heatmap(HeatmapJob(Media(str(SPEAKER)), str(SPEAKER)))
