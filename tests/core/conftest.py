"""Fixtures of the tests without Blender."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from s2l_core.canonical import choose_canonical
from s2l_core.events import Report
from s2l_core.footage import prepare
from s2l_core.jobs import Media
from s2l_core.model.speaker import SpeakerModel
from s2l_core.regions import lip_shape_size
from s2l_core.training.depth import learn_depth

CLIP = Path(__file__).resolve().parents[2] / "demo" / "speaker.mp4"
SECONDS = 8.0


class EmbeddedHead(NamedTuple):
    """A speaker with a learned head and nothing else learnt, and the footage."""

    speaker_path: str
    footage: Media


@pytest.fixture(scope="session")
def embedded_head(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> EmbeddedHead:
    media = Media(str(CLIP), 0.0, SECONDS)
    footage = prepare(media)
    found = footage.track.found
    face = learn_depth(choose_canonical(footage, found), footage, found, 60, Report())
    path = tmp_path_factory.mktemp("head") / "anna.s2l"
    SpeakerModel.untrained("Anna", face, lip_shape_size(footage.layout)).save(str(path))
    return EmbeddedHead(str(path), media)
