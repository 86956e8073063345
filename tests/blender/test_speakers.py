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
    assert (speaker.consent, speaker.has_ended, len(speaker.consent_hash)) == ("The speaker has agreed", False, 64)
    assert json.loads(scene.s2l.train.result)["job"]["consent"] is True


def test_details_of_the_consent_are_in_the_job(module, scene, footage, fake_worker, tmp_path) -> None:
    train = scene.s2l.train
    train.folder, train.consent_for, train.consent_until = str(tmp_path), "German dub", "2999-12-31"
    bpy.ops.s2l.train_speaker(consent=True)
    record = json.loads(train.result)["job"]["consent_record"]
    assert (record["who"], record["purpose"], record["until"]) == ("Speaker", "German dub", "2999-12-31")
    assert scene.s2l.speakers[0].consent == "The speaker has agreed until 2999-12-31"
    for day, sentence in (("tomorrow", "is not a day"), ("2020-01-31", "ended on 2020-01-31")):
        train.consent_until = day
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.s2l.train_speaker(consent=True)


@pytest.fixture
def agreed(module, scene, tmp_path):
    """A speaker in the list whose consent is in the ledger beside the speaker file."""
    record = module("s2l_core.consent_record").ConsentRecord("Ada Example", until="2999-12-31")
    module("s2l_core.consent_ledger").enter(tmp_path / "Ada.s2l", record)
    facts = {"name": "Ada", "consent": True, "consent_hash": record.hash, "consent_until": record.until}
    module("s2l_blender_addon.speakers").remember(scene, str(tmp_path / "Ada.s2l"), facts)
    return scene.s2l.speakers[0]


def test_a_speaker_can_revoke(module, scene, footage, agreed, fake_worker, tmp_path) -> None:
    assert bpy.ops.s2l.revoke_consent(reason="asked") == {"FINISHED"}
    assert agreed.has_ended and agreed.consent.startswith("Consent was revoked on ")
    (entry,) = module("s2l_core.consent_ledger").read_ledger(tmp_path / "consent.s2l.json")
    assert entry.reason == "asked" and entry.revoked[:10] in agreed.consent
    assert not bpy.ops.s2l.revoke_consent.poll()

    scene.s2l.train.folder, scene.s2l.train.consent_until = str(tmp_path), "2999-12-31"
    scene.s2l.train.consent_who = "Ada Example"
    with pytest.raises(RuntimeError, match="Ada Example was revoked on"):
        bpy.ops.s2l.train_speaker(consent=True)


def test_a_consent_that_ended_is_told(module, scene) -> None:
    facts = {"name": "Ada", "consent": True, "consent_until": "2020-01-31"}
    module("s2l_blender_addon.speakers").remember(scene, "/speakers/Ada.s2l", facts)
    assert (scene.s2l.speakers[0].consent, scene.s2l.speakers[0].has_ended) == ("Consent ended on 2020-01-31", True)
    assert not bpy.ops.s2l.revoke_consent.poll()  # the file states no record


def test_a_ledger_that_lacks_the_record_is_told(scene, agreed, tmp_path) -> None:
    (tmp_path / "consent.s2l.json").unlink()
    with pytest.raises(RuntimeError, match="no record"):
        bpy.ops.s2l.revoke_consent()
    assert not agreed.has_ended


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
