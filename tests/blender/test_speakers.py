"""Several speakers in one file, and their assignment to strips."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import pytest


@pytest.fixture
def two_pairs(scene, strips, movie, sound, tmp_path):
    """Two consecutive movie strips, each with a sound strip that drives it and a speaker of its own."""
    for number, name in enumerate(("Ada", "Bob")):
        start = 1 + 60 * number
        footage = strips.new_movie(f"{name} Interview", str(movie), 1, start)
        line = strips.new_sound(f"{name} Line", str(sound), 2, start)
        line.s2l.drives = footage.name
        speaker = tmp_path / f"{name}.s2l"
        speaker.touch()
        footage.s2l.speaker_path = str(speaker)
    scene.s2l.dub.folder = str(tmp_path)
    return strips


def test_a_sound_strip_drives_the_strip_that_it_names_whatever_that_is_called_later(two_pairs) -> None:
    two_pairs["Ada Interview"].name = "Renamed"
    assert two_pairs["Ada Line"].s2l.drives == "Renamed"
    two_pairs["Ada Line"].s2l.drives = ""
    assert two_pairs["Ada Line"].s2l.drives == ""


def test_dub_all_dubs_every_pair_with_its_own_speaker(module, scene, two_pairs, fake_worker) -> None:
    assert bpy.ops.s2l.dub_all() == {"FINISHED"}
    entries = module("s2l_blender_addon.queue.job_queue").entries()
    assert [entry.name for entry in entries] == ["Dub Ada Interview", "Dub Bob Interview"]
    assert [Path(entry.job.speaker_path).stem for entry in entries] == ["Ada", "Bob"]


def test_dub_all_says_which_strip_has_no_speaker_and_dubs_the_others(module, two_pairs, fake_worker) -> None:
    two_pairs["Ada Interview"].s2l.speaker_path = ""
    with pytest.raises(RuntimeError, match="Ada Interview has no speaker"):
        bpy.ops.s2l.dub_all()
    assert [entry.name for entry in module("s2l_blender_addon.queue.job_queue").entries()] == ["Dub Bob Interview"]


def test_dub_all_is_grey_while_no_sound_drives_anything(scene, footage, speech) -> None:
    assert not bpy.ops.s2l.dub_all.poll()


def test_trained_speaker_is_in_the_list(scene, footage, fake_worker, tmp_path) -> None:
    scene.s2l.train.folder = str(tmp_path)
    bpy.ops.s2l.train_speaker(consent=True)
    (speaker,) = scene.s2l.speakers
    assert (speaker.name, speaker.path) == ("Speaker", str(tmp_path / "Speaker.s2l"))
    assert "The speaker has agreed" in speaker.facts.splitlines()
    assert json.loads(scene.s2l.train.result)["job"]["consent"] is True


def test_chosen_speaker_speaks_in_the_strip_of_the_footage(module, scene, footage) -> None:
    module("s2l_blender_addon.speakers").remember(scene, "/speakers/Ada.s2l", {"name": "Ada"})
    assert bpy.ops.s2l.use_speaker() == {"FINISHED"}
    assert footage.s2l.speaker_path == "/speakers/Ada.s2l"
    assert bpy.ops.s2l.remove_speaker() == {"FINISHED"}
    assert len(scene.s2l.speakers) == 0
    assert not bpy.ops.s2l.use_speaker.poll()


def test_a_speaker_needs_no_picture_where_none_can_be_written(module, scene, monkeypatch) -> None:
    speakers = module("s2l_blender_addon.speakers")
    monkeypatch.setattr(bpy.utils, "extension_path_user", lambda *_, **__: "")  # as Blender answers then
    speakers.remember(scene, "/speakers/Ada.s2l", {"name": "Ada"})
    assert scene.s2l.speakers[0].name == "Ada" and speakers.picture_path("/speakers/Ada.s2l") == ""
