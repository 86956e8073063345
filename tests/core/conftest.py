"""Fixtures of the tests without Blender."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

import s2l_core.execution  # noqa: F401 (sets the threads of numeric libraries, before these are imported)
from examples.train_and_dub import train_and_dub
from s2l_core.canonical.regions import lip_shape_size
from s2l_core.canonical.view import choose_canonical
from s2l_core.events import Report
from s2l_core.face.matte import open_matting
from s2l_core.footage import prepare
from s2l_core.jobs import Media
from s2l_core.model.speaker import SpeakerModel
from s2l_core.training.head_depth import learn_depth
from s2l_core.training.presets import PRESETS

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
    face = learn_depth(choose_canonical(footage, found), footage, found, 60, open_matting(), Report())
    path = tmp_path_factory.mktemp("head") / "anna.s2l"
    SpeakerModel.untrained("Anna", face, footage.known_head, lip_shape_size(footage.layout)).save(str(path))
    return EmbeddedHead(str(path), media)


@pytest.fixture(scope="session")
def tutorial_results(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> tuple[str, str]:
    """The speaker and the dub that the first tutorial makes, in seconds instead of minutes."""
    hasty = replace(PRESETS["draft"], appearance_steps=1, depth_steps=0, head_steps=1, speech_factor=0.02)
    footage, line = Media(str(CLIP), 0.0, 12.0), Media(str(CLIP.parent / "line.flac"), 0.0, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "draft", hasty)
        return train_and_dub(footage, line, tmp_path_factory.mktemp("tutorial"), consent=True)


@pytest.fixture(scope="session")
def hasty_speaker(tutorial_results: tuple[str, str]) -> str:
    """The path of a speaker that has hardly learnt anything: enough to be rendered."""
    return tutorial_results[0]


def pytest_make_parametrize_id(val: object) -> str | None:
    """A short id for a long text, which would fill the screen in the report of a failure."""
    return f"{len(val)} long" if isinstance(val, str | bytes) and len(val) > 200 else None
