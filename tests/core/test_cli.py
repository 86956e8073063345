"""The command line: exit statuses, what goes to stdout, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import s2l_core
from s2l_core import cli, terminal
from s2l_core.consent_record import ConsentRecord
from s2l_core.errors import NoFace
from s2l_core.events import Report
from s2l_core.jobs import (
    CalibrateJob,
    CheckJob,
    ConsentJob,
    DescribeJob,
    DubJob,
    Encoding,
    EvaluateJob,
    FacesJob,
    HeadJob,
    HeatmapJob,
    InfoJob,
    Job,
    Media,
    OffsetJob,
    PoseJob,
    PreviewJob,
    SignJob,
    StillJob,
    TrainJob,
    VerifyJob,
)
from s2l_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
Verb = Callable[[Job, Report], dict[str, Any]]

FOREVER = """
import sys, time
import s2l_core
from s2l_core import cli

def check(job, report):
    while True:
        report.progress("Checking", 1, 2)
        time.sleep(0.01)

s2l_core.check = check
sys.exit(cli.main(["check", "take.mp4", "--json"]))
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Verb], None]:
    """Let a small function stand in for a verb of the library."""
    return lambda name, verb: monkeypatch.setitem(vars(s2l_core), name, verb)


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("info", InfoJob()),
        (
            "check take.mp4 --voice take.wav --start 1 --end 9.5 --landmarks face-alignment",
            CheckJob(Media("take.mp4", 1.0, 9.5), Media("take.wav"), "face-alignment"),
        ),
        (
            "train take.mp4 anna.s2l --name Anna --preset final --seed 3 --device cpu",
            TrainJob(Media("take.mp4"), "anna.s2l", name="Anna", preset="final", seed=3, device="cpu"),
        ),
        (
            "train take.mp4 anna.s2l --architecture explicit --speech models/hubert#9",
            TrainJob(Media("take.mp4"), "anna.s2l", architecture="explicit", speech="models/hubert#9"),
        ),
        (
            "dub anna.s2l take.mp4 line.wav out.mp4 --voice-start 2 --rate 30000/1001 --remainder keep",
            DubJob("anna.s2l", Media("take.mp4"), Media("line.wav", 2.0), "out.mp4", "30000/1001", "keep"),
        ),
        (
            "dub anna.s2l take.mp4 line.wav out.mp4 --speech-network nets/hubert",
            DubJob("anna.s2l", Media("take.mp4"), Media("line.wav"), "out.mp4", speech_network="nets/hubert"),
        ),
        (
            "still face.jpg line.wav out.mov --format prores --layer mouth --blinks --seed 3 --consent",
            StillJob(
                Media("face.jpg"),
                Media("line.wav"),
                "out.mov",
                encoding=Encoding("prores", layer="mouth"),
                blinks=True,
                seed=3,
                consent=True,
            ),
        ),
        (
            "still take.mp4 line.wav out.mp4 --at 2.5 --face 0.3 0.4 --rate 24 --speaker anna.s2l --head-motion",
            StillJob(
                Media("take.mp4", 2.5, face=(0.3, 0.4)),
                Media("line.wav"),
                "out.mp4",
                rate="24",
                speaker_path="anna.s2l",
                head_motion=True,
            ),
        ),
        (
            "still face.jpg line.wav frame.png --frame 7 --consent",
            PreviewJob(StillJob(Media("face.jpg"), Media("line.wav"), "", consent=True), 7, "frame.png"),
        ),
        (
            "evaluate anna.s2l --landmarks face.task --speech-network hubert",
            EvaluateJob("anna.s2l", landmarks="face.task", speech_network="hubert"),
        ),
        ("train take.mp4 anna.s2l --consent", TrainJob(Media("take.mp4"), "anna.s2l", consent=True)),
        (
            "train take.mp4 anna.s2l --name Anna --consent --consent-for dub --consent-until 2027-12-31",
            TrainJob(
                Media("take.mp4"),
                "anna.s2l",
                "Anna",
                consent=True,
                consent_record=ConsentRecord("Anna", "dub", "2027-12-31"),
            ),
        ),
        ("consent list speakers", ConsentJob("list", "speakers")),
        ("consent revoke anna.s2l --reason asked", ConsentJob("revoke", "anna.s2l", reason="asked")),
        ("describe anna.s2l --picture anna.png", DescribeJob("anna.s2l", "anna.png")),
        ("verify dub.mp4 dub_png", VerifyJob(("dub.mp4", "dub_png"))),
        ("sign render.mp4 --source a.mp4 --source b", SignJob(("render.mp4",), ("a.mp4", "b"))),
        (
            "preview anna.s2l take.mp4 line.wav frame.png --frame 7 --face 0.3 0.4",
            PreviewJob(DubJob("anna.s2l", Media("take.mp4", face=(0.3, 0.4)), Media("line.wav"), ""), 7, "frame.png"),
        ),
        ("faces take.mp4 faces --end 9", FacesJob(Media("take.mp4", 0.0, 9.0), "faces")),
        ("offset take.mp4 --start 2", OffsetJob(Media("take.mp4", 2.0), Media("take.mp4", 2.0))),
        ("offset take.mp4 --voice take.wav", OffsetJob(Media("take.mp4"), Media("take.wav"))),
        ("calibrate --anew --device cpu", CalibrateJob(anew=True, device="cpu")),
        ("heatmap take.mp4 --end 9 --out heat.png", HeatmapJob(Media("take.mp4", 0.0, 9.0), "heat.png")),
        ("evaluate anna.s2l --footage moved.mp4", EvaluateJob("anna.s2l", Media("moved.mp4"))),
        ("head anna.s2l take.mp4 --start 1 --out anna.npz", HeadJob("anna.s2l", Media("take.mp4", 1.0), "anna.npz")),
        (
            "head anna.s2l take.mp4 --out anna.npz --depth mesh",
            HeadJob("anna.s2l", Media("take.mp4"), "anna.npz", depth="mesh"),
        ),
        (
            "pose --model anna.s2l --footage take.mp4 --camera arc.json --out posed.mp4 --depth mesh",
            PoseJob("anna.s2l", Media("take.mp4"), "arc.json", "posed.mp4", depth="mesh"),
        ),
        (
            "pose --model anna.s2l --footage take.mp4 --camera arc.json --out posed.mp4",
            PoseJob("anna.s2l", Media("take.mp4"), "arc.json", "posed.mp4"),
        ),
        (
            "pose --model anna.s2l --dub dubbed.mp4 --camera arc.json --out posed.mp4 --no-background --no-fade",
            PoseJob("anna.s2l", Media("dubbed.mp4"), "arc.json", "posed.mp4", background=False, fade=False),
        ),
    ],
)
def test_a_command_line_is_a_job(line: str, job: Job, stand_in: Callable[[str, Verb], None]) -> None:
    done: list[Job] = []

    def verb(job: Job, report: Report) -> dict[str, Any]:
        done.append(job)
        return {}

    stand_in(job.verb, verb)
    assert cli.main(line.split()) == 0
    assert done == [job]


def test_json_puts_one_result_on_stdout_and_events_on_stderr(
    stand_in: Callable[[str, Verb], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def check(job: Job, report: Report) -> dict[str, Any]:
        report.progress("Reading", 1, 2, "so far so good")
        return {"verdict": "good"}

    stand_in("check", check)
    assert cli.main(["check", "take.mp4", "--json"]) == 0
    output, events = capsys.readouterr()
    assert json.loads(output) == {"verdict": "good"}
    assert json.loads(events) == {
        "event": "progress",
        "phase": "Reading",
        "done": 1,
        "total": 2,
        "eta_seconds": None,
        "note": "so far so good",
    }


def test_a_person_reads_plain_lines(stand_in: Callable[[str, Verb], None], capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "face_share": 0.98765,
        "advice": ["Move closer."],
        "pose": {"yaw": [-3.0, 4.0]},
        "reasons": [],
        "faces": [{"x": 0.25}, {"x": 0.75}],
    }
    stand_in("check", lambda job, report: result)
    assert cli.main(["check", "take.mp4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "face share: 0.9877",
        "advice:",
        "  - Move closer.",
        "pose:",
        "  yaw: -3, 4",
        "reasons: none",
        "faces 1:",
        "  x: 0.25",
        "faces 2:",
        "  x: 0.75",
    ]


@pytest.mark.parametrize(("dubbed", "status"), [(0, 1), (1, 0), (50, 0)])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_dub_that_changed_nothing_is_status_1(
    stand_in: Callable[[str, Verb], None],
    capsys: pytest.CaptureFixture[str],
    dubbed: int,
    status: int,
    flags: list[str],
) -> None:
    result = {"output_path": "out.mp4", "summary": f"Dubbed {dubbed} of 50 frames.", "frames_dubbed": dubbed}
    stand_in("dub", lambda job, report: result)
    assert cli.main(["dub", "anna.s2l", "take.mp4", "line.wav", "out.mp4", *flags]) == status
    shown = capsys.readouterr().out
    assert json.loads(shown) == result if flags else f"summary: Dubbed {dubbed} of 50 frames." in shown


def test_trouble_is_one_sentence_and_status_1(
    stand_in: Callable[[str, Verb], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def check(job: Job, report: Report) -> dict[str, Any]:
        raise NoFace("No face was found in take.mp4.")

    stand_in("check", check)
    assert cli.main(["check", "take.mp4", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error == {"code": "no_face", "message": "No face was found in take.mp4.", "hint": NoFace.hint}
    assert cli.main(["check", "take.mp4"]) == 1
    assert capsys.readouterr().err.strip() == f"s2l: No face was found in take.mp4. {NoFace.hint}"


def test_the_traceback_of_a_bug_goes_to_the_log_file(
    stand_in: Callable[[str, Verb], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def check(job: Job, report: Report) -> dict[str, Any]:
        raise ZeroDivisionError("secret detail")

    stand_in("check", check)
    monkeypatch.setattr(terminal, "log_path", lambda: tmp_path / "s2l.log")
    assert cli.main(["check", "take.mp4"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert str(tmp_path / "s2l.log") in shown
    assert "ZeroDivisionError: secret detail" in (tmp_path / "s2l.log").read_text()


@pytest.mark.parametrize(
    "line",
    [
        *("", "fly", "check", "train take.mp4", "train take.mp4 anna.s2l --preset hasty", "info --device tpu"),
        "pose --model anna.s2l --camera arc.json --out posed.mp4",
        "pose --model anna.s2l --footage take.mp4 --dub dubbed.mp4 --camera arc.json --out posed.mp4",
    ],
)
def test_wrong_usage_is_status_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    assert stop.value.code == 2
    assert "usage: s2l" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["check take.mp4 --start -1", "check take.mp4 --end 0", "dub a.s2l b.mp4 c.wav d.mp4 --rate fast"]
)
def test_values_that_no_job_can_have_are_status_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 2
    assert capsys.readouterr().err.startswith("s2l: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_with_status_130(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FOREVER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        process.stderr.readline()  # it is at work
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(output)["error"]["code"] == "cancelled"


def test_the_version_is_the_manifests(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"Speech2Lip {VERSION}\n"
