"""Of long footage, training looks at runs of different frames, and holds little of each."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from s2l_core.canonical.regions import lip_shapes
from s2l_core.face.layout import MESH468
from s2l_core.face.tracking import HeadTrack, no_head
from s2l_core.footage import Footage
from s2l_core.geometry.camera import make_pose
from s2l_core.training.selection import choose_evenly, choose_runs
from s2l_core.training.speech import known_excerpts

RATE = 25


def footage(seconds: float, turned_from: float = np.inf) -> Footage:
    """Footage of a head that is turned by half a radian for ten seconds."""
    count = round(seconds * RATE)
    times = np.arange(count) / RATE
    track = no_head(count, MESH468, 320, 240)
    turned = (times >= turned_from) & (times < turned_from + 10)
    track.poses[turned] = make_pose(np.array([0.0, 0.5, 0.0]), np.array([0.0, 0.0, 800.0]))
    track.found[:] = True
    openings = 0.1 + 0.1 * np.sin(times)
    info = SimpleNamespace(rate=Fraction(RATE))
    return cast(Footage, SimpleNamespace(times=times, track=track, openings=openings, info=info))


def test_of_short_footage_every_frame_with_a_face_is_chosen() -> None:
    short = footage(60.0)
    short.track.found[100:200] = False
    usable = short.times < 50.0
    assert np.array_equal(choose_runs(short, usable, 60.0), usable & short.track.found)


@pytest.mark.parametrize("minutes", [6, 20, 60])
def test_of_long_footage_no_more_is_chosen_than_of_five_minutes(minutes: int) -> None:
    long = footage(60.0 * minutes)
    usable = long.times < 54.0 * minutes
    chosen = choose_runs(long, usable, 300.0)
    assert 290 * RATE < chosen.sum() <= 300 * RATE and not (chosen & ~usable).any()
    starts, ends = (np.flatnonzero(np.diff(np.pad(chosen, 1).astype(int)) == step) for step in (1, -1))
    assert (ends - starts).min() >= 8 * RATE
    assert choose_evenly(long, ~usable, 30.0).sum() <= 30 * RATE


def test_a_rare_pose_is_chosen() -> None:
    long = footage(1200.0, turned_from=700.0)
    chosen = choose_runs(long, np.ones(len(long.times), dtype=bool), 60.0)
    assert chosen[(long.times >= 700.0) & (long.times < 710.0)].sum() > 5 * RATE


def test_speech_is_learnt_where_frames_were_chosen() -> None:
    known = torch.zeros(100)
    known[40:60] = 1.0
    assert known_excerpts(known, 10).tolist() == list(range(36, 55))
    assert known_excerpts(torch.ones(12), 10).tolist() == [0, 1, 2]
    assert known_excerpts(torch.zeros(12), 10).tolist() == [0, 1, 2]


def bytes_of_lip_shapes(count: int) -> int:
    landmarks = np.ones((count, MESH468.count, 3), np.float32)
    track: HeadTrack = no_head(count, MESH468, 320, 240)
    tracemalloc.start()
    lip_shapes(landmarks, track, MESH468)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_lip_shapes_take_little_memory_for_each_further_frame() -> None:
    """With the motion of all landmarks, each frame took 40 kB."""
    assert (bytes_of_lip_shapes(8000) - bytes_of_lip_shapes(4000)) / 4000 < 1500
