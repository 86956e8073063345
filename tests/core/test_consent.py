"""Consent: the record, the ledger beside the speaker files, and what is refused when a consent has ended."""

from __future__ import annotations

import json
import multiprocessing
import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import s2l_core
from s2l_core import cli
from s2l_core.consent_ledger import LEDGER, enter, make_under, read_ledger, revoke
from s2l_core.consent_record import ConsentRecord, read_record
from s2l_core.errors import (
    BadJob,
    CannotWrite,
    ConsentExpired,
    ConsentMissing,
    ConsentRevoked,
    ConsentUnreadable,
    FileMissing,
)
from s2l_core.events import Report
from s2l_core.jobs import (
    CameraView,
    ConsentJob,
    DescribeJob,
    DubJob,
    HeadJob,
    Media,
    PreviewJob,
    RenderJob,
    StillJob,
    TrainJob,
    refuse_without_consent,
)
from s2l_core.model.speaker import SpeakerModel, read_header

from .conftest import CLIP, EmbeddedHead

LINE = CLIP.parent / "line.flac"
ANNA = ConsentRecord("Anna Example", "German dub of episode 3", "2999-12-31", "Production office", "Contract 12")
CAMERA = CameraView(100.0, 100.0, 24.0, 24.0, 48, 48)
POSE = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 700.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def speaker(hasty_speaker: str, tmp_path: Path) -> str:
    """A speaker file with its ledger, in a folder of its own."""
    for name in (Path(hasty_speaker).name, LEDGER):
        shutil.copy(Path(hasty_speaker).with_name(name), tmp_path / name)
    return str(tmp_path / Path(hasty_speaker).name)


def test_the_hash_depends_on_what_a_record_says_and_on_nothing_else() -> None:
    assert ANNA.hash == replace(ANNA).hash != replace(ANNA, until="").hash
    assert ConsentRecord("Ada").hash == "a66405200addd68f388066aeebf9825db6b1763ab40a439db05559b8cf573f7a"


@pytest.mark.parametrize(
    "fields",
    [
        {"who": " "},
        {"who": "a" * 201},
        {"who": "\ud800"},
        {"who": "Ada", "until": "tomorrow"},
        {"who": "Ada", "until": "2027-02-30"},
        {"who": "Ada", "until": "20270101"},
        {"who": "Ada", "evidence": "a" * 501},
    ],
    ids=repr,
)
def test_a_record_that_says_nothing_useful_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(BadJob):
        ConsentRecord(**fields)


def test_a_consent_lasts_until_the_end_of_its_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    job = TrainJob(
        Media("take.mp4"), "anna.s2l", consent=True, consent_record=ConsentRecord("Anna", until="2027-03-01")
    )
    monkeypatch.setattr("s2l_core.consent_record.today", lambda: date(2027, 3, 1))
    refuse_without_consent(job)
    monkeypatch.setattr("s2l_core.consent_record.today", lambda: date(2027, 3, 2))
    with pytest.raises(ConsentExpired, match="Anna ended on 2027-03-01"):
        refuse_without_consent(job)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"who": 3}', '{"who": "Ada", "shoe": "38"}', "[" * 100_000])
def test_a_file_that_is_no_record_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "consent.json"
    path.write_text(content)
    with pytest.raises(ConsentUnreadable, match=re.escape(str(path))):
        read_record(str(path))


def test_a_record_file_stands_for_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anna.json").write_text(json.dumps({"who": "Anna Example", "evidence": "Contract 12"}))
    jobs: list[TrainJob] = []

    def train(job: TrainJob, report: Report) -> dict[str, Any]:
        jobs.append(job)
        return {}

    monkeypatch.setitem(vars(s2l_core), "train", train)
    cli.main(["train", "take.mp4", "anna.s2l", "--consent-record", str(tmp_path / "anna.json")])
    assert jobs[0].consent and jobs[0].consent_record == ConsentRecord("Anna Example", evidence="Contract 12")


def test_the_speaker_file_states_the_hash_and_no_name(speaker: str) -> None:
    (entry,) = read_ledger(Path(speaker).with_name(LEDGER))
    assert entry.files == (Path(speaker).name,)
    assert SpeakerModel.load(speaker).consent_hash == entry.hash
    facts = s2l_core.describe(DescribeJob(speaker))
    assert (facts["consent_hash"], facts["consent_until"], facts["consent_revoked"]) == (entry.hash, "", "")
    assert read_header(speaker)["origin"]["job"]["consent_record"] is None


def test_a_ledger_lists_shows_and_revokes(tmp_path: Path) -> None:
    enter(tmp_path / "anna.s2l", ANNA)
    enter(tmp_path / "anna_2.s2l", ANNA)
    enter(tmp_path / "ben.s2l", ConsentRecord("Ben", until="2020-01-31"))
    listed = s2l_core.consent(ConsentJob("list", str(tmp_path)))["entries"]
    assert [(entry["who"], entry["state"], entry["files"]) for entry in listed] == [
        ("Anna Example", "given", ["anna.s2l", "anna_2.s2l"]),
        ("Ben", "expired", ["ben.s2l"]),
    ]
    for named in (ANNA.hash, ANNA.hash[:6], "Anna Example", "anna_2.s2l"):
        (shown,) = s2l_core.consent(ConsentJob("show", str(tmp_path / LEDGER), named))["entries"]
        assert shown["purpose"] == "German dub of episode 3"

    (revoked,) = s2l_core.consent(ConsentJob("revoke", str(tmp_path), "Anna Example", "She asked."))["entries"]
    assert (revoked["state"], revoked["reason"]) == ("revoked", "She asked.")
    again = s2l_core.consent(ConsentJob("revoke", str(tmp_path), "Anna Example"))["entries"]
    assert again == [revoked]


def test_the_command_prints_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enter(tmp_path / "anna.s2l", ANNA)
    assert cli.main(["consent", "revoke", str(tmp_path), "Anna Example", "--reason", "asked", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"][0]["state"] == "revoked"
    assert cli.main(["consent", "list", str(tmp_path)]) == 0
    assert "who: Anna Example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (ConsentJob("show", "{folder}", "Nobody"), ConsentMissing),
        (ConsentJob("show", "{folder}"), BadJob),
        (ConsentJob("list", "{folder}/elsewhere"), FileMissing),
        (ConsentJob("revoke", "{folder}/nothing.s2l"), FileMissing),
    ],
)
def test_records_that_are_not_there_are_refused(job: ConsentJob, error: type[Exception], tmp_path: Path) -> None:
    enter(tmp_path / "anna.s2l", ANNA)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(error):
        s2l_core.consent(replace(job, path=job.path.format(folder=tmp_path)))


def changed(ledger: dict[str, Any], **values: Any) -> dict[str, Any]:
    (entry,) = ledger["entries"]
    return {**ledger, "entries": [{**entry, **values}]}


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: [],
        lambda ledger: {**ledger, "version": 2},
        lambda ledger: changed(ledger, record={"who": "Somebody Else"}),
        lambda ledger: changed(ledger, hash="0" * 64),
        lambda ledger: changed(ledger, files="anna.s2l"),
        lambda ledger: changed(ledger, reason="a" * 501),
        lambda ledger: {**ledger, "entries": 2 * ledger["entries"]},
        lambda ledger: {**ledger, "entries": 10_001 * ledger["entries"]},
    ],
)
def test_a_hostile_ledger_is_refused_and_kept(change: Any, speaker: str) -> None:
    path = Path(speaker).with_name(LEDGER)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    before = path.read_bytes()
    with pytest.raises(ConsentUnreadable):
        SpeakerModel.load(speaker)
    with pytest.raises(ConsentUnreadable):
        enter(speaker, ANNA)
    assert path.read_bytes() == before


def test_a_ledger_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER).mkdir()
    with pytest.raises((ConsentUnreadable, CannotWrite)):
        enter(tmp_path / "anna.s2l", ANNA)


def write_many(folder: str, number: int) -> None:
    for each in range(10):
        enter(Path(folder) / f"{number}_{each}.s2l", ConsentRecord(f"Speaker {number} {each}"))


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(str(tmp_path), number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(read_ledger(tmp_path / LEDGER)) == 30
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]


def everything_that_shows(speaker: str, folder: Path) -> list[Any]:
    footage, voice = Media(str(CLIP), 0.0, 1.0), Media(str(LINE), 0.0, 0.2)
    dub = DubJob(speaker, footage, voice, str(folder / "dub.mp4"), device="cpu")
    return [
        dub,
        PreviewJob(dub, 0, str(folder / "frame.png")),
        StillJob(footage, voice, str(folder / "still.mp4"), speaker_path=speaker, device="cpu", consent=True),
        HeadJob(speaker, footage, str(folder / "head.npz"), device="cpu"),
        RenderJob(speaker, footage, 0.0, CAMERA, POSE, str(folder / "picture.npy"), device="cpu"),
    ]


def test_nothing_shows_a_speaker_who_revoked(speaker: str, tmp_path: Path) -> None:
    path = Path(speaker).with_name(LEDGER)
    revoked = revoke(path, SpeakerModel.load(speaker).consent_hash).revoked[:10]
    for job in everything_that_shows(speaker, tmp_path):
        with pytest.raises(ConsentRevoked, match=f"was revoked on {revoked}"):
            getattr(s2l_core, job.verb)(job)
    again = TrainJob(Media(str(CLIP)), speaker, read_ledger(path)[0].record.who, device="cpu", consent=True)
    with pytest.raises(ConsentRevoked):
        s2l_core.train(again)
    assert s2l_core.describe(DescribeJob(speaker))["consent_revoked"].startswith(revoked)


def test_a_speaker_whom_a_preview_left_open_is_refused_after_revoking(speaker: str, tmp_path: Path) -> None:
    job = next(job for job in everything_that_shows(speaker, tmp_path) if isinstance(job, PreviewJob))
    s2l_core.preview(job)
    revoke(Path(speaker).with_name(LEDGER), SpeakerModel.load(speaker).consent_hash)
    with pytest.raises(ConsentRevoked):
        s2l_core.preview(job)


def test_a_head_that_is_open_is_refused_as_soon_as_its_speaker_revokes(
    embedded_head: EmbeddedHead, tmp_path: Path
) -> None:
    speaker = SpeakerModel.load(embedded_head.speaker_path)
    speaker.origin = {"consent_hash": ANNA.hash}
    speaker.save(str(tmp_path / "anna.s2l"))
    enter(tmp_path / "anna.s2l", ANNA)
    job = RenderJob(
        str(tmp_path / "anna.s2l"), embedded_head.footage, 0.0, CAMERA, POSE, str(tmp_path / "a.npy"), device="cpu"
    )
    s2l_core.render(job)
    revoke(tmp_path / LEDGER, ANNA.hash)
    with pytest.raises(ConsentRevoked):
        s2l_core.render(job)


def test_a_speaker_file_without_a_hash_keeps_working(speaker: str) -> None:
    model = SpeakerModel.load(speaker)
    revoke(Path(speaker).with_name(LEDGER), model.consent_hash)
    del model.origin["consent_hash"]
    model.save(speaker)
    assert SpeakerModel.load(speaker).consent_hash == ""


def test_a_still_is_made_under_its_record(tmp_path: Path) -> None:
    make_under(tmp_path / "still.mp4", None)
    assert not (tmp_path / LEDGER).exists()
    make_under(tmp_path / "still.mp4", ANNA)
    revoke(tmp_path / LEDGER, ANNA.hash)
    with pytest.raises(ConsentRevoked):
        make_under(tmp_path / "still.mp4", ANNA)
