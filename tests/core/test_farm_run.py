"""Jobs that are divided give the same bytes as undivided ones, whoever does which part, how often and in what order."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

import s2l_core
from s2l_core import cli
from s2l_core.errors import BadPlan, CannotWrite, FileMissing, SpeakerFileForeign, TasksUnfinished
from s2l_core.events import Event, Log, Report
from s2l_core.farm import planning, states
from s2l_core.farm.joining import join_plan
from s2l_core.farm.local import run_here
from s2l_core.farm.plan import Plan, PlannedJob, read_plan, to_json, write_plan
from s2l_core.farm.planning import make_plan
from s2l_core.farm.run import run_task
from s2l_core.jobs import DubJob, Encoding, Media, PoseJob, StillJob, TrainJob
from s2l_core.jobs import to_json as job_to_json
from s2l_core.media.chunks import reserved_result
from s2l_core.media.video import read_frames
from s2l_core.verbs import divided

from .conftest import CLIP, EmbeddedHead
from .test_posing import write_path

ROOT = Path(__file__).resolve().parents[2]
LINE = CLIP.with_name("line.flac")
SMALL = 16


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divided, "CHUNK", SMALL)
    monkeypatch.setattr(planning, "CHUNK", SMALL)


@pytest.fixture
def dub(hasty_speaker: str, tmp_path: Path) -> DubJob:
    """Two seconds: 50 frames."""
    output = str(tmp_path / "out" / "shot010.mp4")
    return DubJob(hasty_speaker, Media(str(CLIP), 0.0, 4.0), Media(str(LINE), 0.5, 2.5), output, device="cpu")


def planned(folder: Path, *jobs: PlannedJob, **roots: str) -> Plan:
    plan = make_plan(jobs, SMALL, roots or None)
    states.make_folders(folder)
    write_plan(folder, plan)
    return plan


def digest(path: str | Path) -> str:
    """The hash of a file: pytest compares long bytes for minutes when they differ."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def undivided(job: DubJob | StillJob | PoseJob, output: Path) -> str:
    verb = getattr(s2l_core, job.verb)
    verb(replace(job, output_path=str(output)))
    return digest(output)


def names(plan: Plan, *kinds: str) -> list[str]:
    return [task.name for task in plan.tasks if task.kind in kinds]


def run_all(folder: Path, wanted: Sequence[str], **roots: str) -> None:
    for name in wanted:
        run_task(str(folder), name, roots)


@pytest.mark.usefixtures("small_chunks")
def test_a_dub_in_chunks_has_the_bytes_of_an_undivided_one(dub: DubJob, tmp_path: Path) -> None:
    plan = planned(tmp_path / "plan", dub)
    assert names(plan, "frames") == [f"shot010-frames-{number:04}" for number in (1, 2, 3, 4)]
    run_all(tmp_path / "plan", [*names(plan, "look"), *reversed(names(plan, "frames")), *names(plan, "frames")])
    result = run_task(str(tmp_path / "plan"), "shot010-join")["result"]
    assert "igned" in result["credentials"]  # also where the package is missing
    assert (result["frames_written"], result["frames_resumed"]) == (50, 50)
    assert digest(dub.output_path) == undivided(dub, tmp_path / "whole.mp4")
    assert [path.name for path in Path(dub.output_path).parent.iterdir()] == ["shot010.mp4"]


@pytest.mark.usefixtures("small_chunks")
def test_pictures_of_a_dub_are_the_same_in_chunks(dub: DubJob, tmp_path: Path) -> None:
    pictures = replace(dub, output_path=str(tmp_path / "divided"), encoding=Encoding("png", layer="mouth"))
    plan = planned(tmp_path / "plan", pictures)
    run_all(tmp_path / "plan", names(plan, "look", "frames", "join"))
    s2l_core.dub(replace(pictures, output_path=str(tmp_path / "whole")))
    whole = {path.name: digest(path) for path in (tmp_path / "whole").iterdir()}
    assert len(whole) == 52  # 50 pictures, the notice and its credentials
    assert {path.name: digest(path) for path in (tmp_path / "divided").iterdir()} == whole


@pytest.mark.usefixtures("small_chunks")
def test_a_still_in_chunks_has_the_bytes_of_an_undivided_one(tmp_path: Path) -> None:
    face = str(tmp_path / "face.png")
    cv2.imwrite(face, next(read_frames(Media(str(CLIP), 0.2))).image[..., ::-1])
    voice, output = Media(str(LINE), 1.0, 2.5), str(tmp_path / "speaks.mp4")
    still = StillJob(Media(face), voice, output, blinks=True, device="cpu", consent=True)
    plan = planned(tmp_path / "plan", still)
    run_all(tmp_path / "plan", names(plan, "look", "frames", "join"))
    assert digest(still.output_path) == undivided(still, tmp_path / "whole.mp4")


@pytest.mark.usefixtures("small_chunks")
def test_a_pose_in_chunks_has_the_bytes_of_an_undivided_one(embedded_head: EmbeddedHead, tmp_path: Path) -> None:
    path = write_path(tmp_path / "arc.json", -8.0, 0.0, 8.0)
    pose = PoseJob(embedded_head.speaker_path, embedded_head.footage, path, str(tmp_path / "posed.mp4"), device="cpu")
    plan = planned(tmp_path / "plan", pose)
    assert len(names(plan, "frames")) == 2
    run_all(tmp_path / "plan", names(plan, "look", "frames", "join"))
    assert digest(pose.output_path) == undivided(pose, tmp_path / "whole.mp4")


@pytest.mark.usefixtures("small_chunks")
def test_a_machine_may_have_the_roots_elsewhere(dub: DubJob, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for name, path in {"anna.s2l": dub.speaker_path, "take.mp4": str(CLIP), "line.flac": str(LINE)}.items():
        shutil.copy(path, here / name)
    job = DubJob(
        str(here / "anna.s2l"),
        replace(dub.footage, path=str(here / "take.mp4")),
        Media(str(here / "line.flac"), 0.5, 2.5),
        str(here / "out" / "shot.mp4"),
        device="cpu",
    )
    plan = planned(tmp_path / "plan", job, SHOW=str(here))
    run_all(tmp_path / "plan", names(plan, "look", "frames")[:2])
    here.rename(there)
    run_all(tmp_path / "plan", names(plan, "frames", "join"), SHOW=str(there))
    assert not here.exists()
    moved = replace(
        job,
        speaker_path=str(there / "anna.s2l"),
        footage=replace(job.footage, path=str(there / "take.mp4")),
        voice=Media(str(there / "line.flac"), 0.5, 2.5),
    )
    assert digest(there / "out" / "shot.mp4") == undivided(moved, tmp_path / "whole.mp4")


@pytest.mark.usefixtures("small_chunks")
def test_chunks_share_an_output_that_no_other_job_may_write(dub: DubJob, tmp_path: Path) -> None:
    plan = planned(tmp_path / "plan", dub)
    run_all(tmp_path / "plan", names(plan, "look"))
    with reserved_result(dub.output_path, dub.encoding, is_shared=True):
        run_task(str(tmp_path / "plan"), "shot010-frames-0002")
        with pytest.raises(CannotWrite, match="Another job is writing"):
            s2l_core.dub(dub)
    assert states.read_state(tmp_path / "plan", "shot010-frames-0002").status == "done"


@pytest.mark.usefixtures("small_chunks")
def test_a_task_waits_for_those_that_it_needs(dub: DubJob, tmp_path: Path) -> None:
    planned(tmp_path / "plan", dub)
    with pytest.raises(TasksUnfinished, match="needs shot010-look"):
        run_task(str(tmp_path / "plan"), "shot010-frames-0001")
    told = join_plan(str(tmp_path / "plan"))
    assert (told["outputs"], told["unfinished"]) == ([], 6)
    assert told["tasks"][0] == "shot010-look waits for a machine."
    assert told["tasks"][1] == "shot010-frames-0001 waits for shot010-look."


def test_a_killed_task_is_repeated_and_gives_the_same_bytes(hasty_speaker: str, tmp_path: Path) -> None:
    output = str(tmp_path / "shot.mp4")
    job = DubJob(hasty_speaker, Media(str(CLIP), 0.0, 4.0), Media(str(LINE), 0.0, 1.5), output, device="cpu")
    planned(tmp_path / "plan", job)
    run_task(str(tmp_path / "plan"), "shot-look")
    command = [sys.executable, "-m", "s2l_core.cli", "run", str(tmp_path / "plan"), "shot-frames-0001", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        next(line for line in process.stderr if '"Dub"' in line and '"done": 0' not in line)
        process.send_signal(signal.SIGKILL)
    assert states.read_state(tmp_path / "plan", "shot-frames-0001").status == "running"
    run_all(tmp_path / "plan", ["shot-frames-0001", "shot-join"])
    assert digest(output) == undivided(job, tmp_path / "whole.mp4")


@pytest.mark.usefixtures("small_chunks")
def test_joining_that_was_killed_at_its_very_end_is_not_done_again(dub: DubJob, tmp_path: Path) -> None:
    pictures = replace(dub, output_path=str(tmp_path / "divided"), encoding=Encoding("png"))
    plan = planned(tmp_path / "plan", pictures)
    run_all(tmp_path / "plan", names(plan, "look", "frames", "join"))
    states.forget_state(tmp_path / "plan", plan.task("divided-join"))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "divided").iterdir()}
    assert run_task(str(tmp_path / "plan"), "divided-join")["result"]["frames_written"] == 50
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "divided").iterdir()} == before
    assert states.read_state(tmp_path / "plan", "divided-join").status == "done"


def test_a_task_that_always_fails_keeps_no_other_from_its_turn(hasty_speaker: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.s2l"
    shutil.copy(hasty_speaker, broken)
    good = DubJob(
        hasty_speaker, Media(str(CLIP), 0.0, 1.0), Media(str(LINE), 0.0, 0.5), str(tmp_path / "good.mp4"), device="cpu"
    )
    bad = replace(good, speaker_path=str(broken), output_path=str(tmp_path / "bad.mp4"))
    planned(tmp_path / "plan", bad, good)
    broken.write_bytes(b"nothing")
    events: list[Event] = []
    told = run_here(str(tmp_path / "plan"), 2, report=Report(events.append))
    assert told["outputs"] == [good.output_path]
    assert told["unfinished"] == 3
    assert told["tasks"][0].startswith("bad-look failed: ")
    assert told["tasks"][1:] == ["bad-frames-0001 waits for bad-look.", "bad-join waits for bad-frames-0001."]
    assert states.read_state(tmp_path / "plan", "bad-look").code == SpeakerFileForeign.code
    assert [event.text for event in events if isinstance(event, Log)] == [told["tasks"][0]]
    assert digest(good.output_path) == undivided(good, tmp_path / "whole.mp4")


def test_a_process_that_is_lost_three_times_counts_as_failed(
    hasty_speaker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, output = Media(str(LINE), 0.0, 0.5), str(tmp_path / "shot.mp4")
    planned(tmp_path / "plan", DubJob(hasty_speaker, Media(str(CLIP), 0.0, 1.0), voice, output, device="cpu"))
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    told = run_here(str(tmp_path / "plan"), 1)
    assert told["unfinished"] == 3
    assert "shot-look failed: The process of shot-look ended unexpectedly with status 1." in told["tasks"][0]


def test_dubs_wait_for_the_training_of_their_speaker(tmp_path: Path) -> None:
    speaker, footage = str(tmp_path / "anna.s2l"), Media(str(CLIP))
    train = TrainJob(footage, speaker, consent=True, preset="draft")
    dubs = [DubJob(speaker, footage, Media(str(LINE)), str(tmp_path / language / "Shot 010.mp4")) for language in "ab"]
    plan = make_plan([dubs[0], train, dubs[1]])
    assert names(plan, "train", "look") == ["anna-train", "shot-010-look", "shot-010-2-look"]
    assert plan.task("shot-010-2-look").needs == ("anna-train",)
    assert plan.task("anna-train").preset == "draft"
    assert to_json(plan) == to_json(make_plan([dubs[0], train, dubs[1]]))


def test_jobs_that_cannot_be_planned_are_refused(tmp_path: Path) -> None:
    dub = DubJob(str(tmp_path / "anna.s2l"), Media(str(CLIP)), Media(str(LINE)), str(tmp_path / "shot.mp4"))
    with pytest.raises(FileMissing, match=r"anna\.s2l, and no job"):
        make_plan([dub])
    with pytest.raises(BadPlan, match="Two jobs write"):
        make_plan([dub, dub])
    train = TrainJob(Media(str(CLIP)), dub.speaker_path, consent=True)
    with pytest.raises(BadPlan, match="in none of the roots"):
        make_plan([train, dub], roots={"SHOW": str(tmp_path)})
    with pytest.raises(BadPlan, match="waits for its own result"):
        make_plan([replace(train, footage=Media(dub.output_path)), dub])


def test_the_command_line_plans_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = TrainJob(Media(str(CLIP)), str(tmp_path / "anna.s2l"), consent=True, preset="draft")
    dub = DubJob(train.speaker_path, train.footage, Media(str(LINE)), str(tmp_path / "shot.mp4"))
    (tmp_path / "jobs.json").write_text(f"[{job_to_json(dub)}, {job_to_json(train)}]")
    words = ["plan", str(tmp_path / "jobs.json"), "--out", str(tmp_path / "plan"), "--json"]
    assert cli.main(words) == cli.main(words) == 0
    assert read_plan(tmp_path / "plan").jobs[0].verb == "train"
    capsys.readouterr()
    assert cli.main(["join", str(tmp_path / "plan"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["tasks"][0] == "anna-train waits for a machine."
