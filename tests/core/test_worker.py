"""The worker as its callers meet it: a process that speaks JSON lines.

The verbs are stood in for by small functions, so that these tests are about the process and not about the work.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60

ENGINE = """
import os, sys, time
import s2l_core
from s2l_core import errors, worker

def check(job, report):
    print("a library talks on stdout")
    os.system("echo so does a program that it starts")
    report.log("info", "Hello.")
    report.progress("Counting", 1, 2, "held-out 29.3 dB")
    report.preview("mouth.png")
    return {"path": job.footage.path}

def train(job, report):
    while True:
        report.progress("Training", 1, 2)
        time.sleep(0.01)

def dub(job, report):
    report.progress("Dubbing", 1, 2)
    time.sleep(1000)  # never reports again

def evaluate(job, report):
    kinds = {
        "no face": errors.NoFace("no face in take.mp4"),
        "memory": MemoryError(),
        "bug": ZeroDivisionError("secret detail"),
        "package": ModuleNotFoundError("No module named 'torch'", name="torch"),
    }
    if job.speaker_path in kinds:
        raise kinds[job.speaker_path]
    return {"not JSON": object()}

s2l_core.check, s2l_core.train, s2l_core.dub, s2l_core.evaluate = check, train, dub, evaluate
worker.GRACE_SECONDS = 0.5
worker.main()
"""

FOOTAGE = {"footage": {"path": "take.mp4"}}
TRAINING = {**FOOTAGE, "speaker_path": "anna.s2l"}
DUBBING = {**TRAINING, "voice": {"path": "line.wav"}, "output_path": "out.mp4"}


class Engine:
    """A worker process and the two ends of its pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def send(self, **message: Any) -> None:
        self.send_line(json.dumps({"jsonrpc": "2.0", **message}))

    def send_line(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert message.pop("jsonrpc") == "2.0"
        return message

    def receive_answer(self) -> dict[str, Any]:
        while "method" in (message := self.receive()):
            pass
        return message

    def close_requests(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    with engine.process:
        try:
            yield engine
        finally:
            with contextlib.suppress(BrokenPipeError):
                engine.close_requests()
            engine.process.kill()


def test_a_job_answers_with_its_events_and_one_result(engine: Engine) -> None:
    engine.send(id=1, method="check", params=FOOTAGE)
    assert [engine.receive() for _ in range(4)] == [
        {"method": "log", "params": {"id": 1, "level": "info", "text": "Hello."}},
        {
            "method": "progress",
            "params": {
                "id": 1,
                "phase": "Counting",
                "done": 1,
                "total": 2,
                "eta_seconds": None,
                "note": "held-out 29.3 dB",
            },
        },
        {"method": "preview", "params": {"id": 1, "path": "mouth.png"}},
        {"id": 1, "result": {"path": "take.mp4"}},
    ]


def test_only_protocol_lines_go_to_stdout(engine: Engine) -> None:
    engine.send(id=1, method="check", params=FOOTAGE)
    engine.receive_answer()  # every line up to it was JSON
    engine.send(id=2, method="shutdown")
    output, noise = engine.process.communicate(timeout=LIMIT_SECONDS)
    assert json.loads(output)["id"] == 2
    assert "a library talks on stdout" in noise
    assert "so does a program that it starts" in noise


def test_jobs_run_one_after_the_other(engine: Engine) -> None:
    for number in (1, "two", 3):
        engine.send(id=number, method="check", params={"footage": {"path": f"{number}.mp4"}})
    assert [engine.receive_answer() for _ in range(3)] == [
        {"id": number, "result": {"path": f"{number}.mp4"}} for number in (1, "two", 3)
    ]


def test_cancel_stops_the_running_job_and_the_next_one_runs(engine: Engine) -> None:
    engine.send(id=1, method="train", params=TRAINING)
    assert engine.receive()["method"] == "progress"
    engine.send(method="cancel", params={"id": 1})
    assert engine.receive_answer()["error"]["data"]["code"] == "cancelled"
    engine.send(id=2, method="check", params=FOOTAGE)
    assert engine.receive_answer() == {"id": 2, "result": {"path": "take.mp4"}}


def test_cancel_reaches_a_job_that_waits(engine: Engine) -> None:
    engine.send(id=1, method="train", params=TRAINING)
    engine.send(id=2, method="check", params=FOOTAGE)
    engine.send(id=3, method="cancel", params={"id": 2})
    assert engine.receive_answer() == {"id": 3, "result": None}
    engine.send(method="cancel", params={"id": 1})
    assert engine.receive_answer()["id"] == 1
    answer = engine.receive_answer()
    assert (answer["id"], answer["error"]["data"]["code"]) == (2, "cancelled")


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("{", -32700),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), -32700),
        ("[" * 100_000, -32700),
        ("[]", -32600),
        ("3", -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "check", "params": [1]}', -32600),
        ('{"jsonrpc": "2.0", "method": "check", "params": {}}', -32600),
        ('{"jsonrpc": "2.0", "id": true, "method": "check", "params": {}}', -32600),
        (f'{{"jsonrpc": "2.0", "id": "{"x" * 30_000_000}", "method": "check", "params": {{}}}}', -32600),
        (f'{{"jsonrpc": "2.0", "id": {"1" * 5000}, "method": "check", "params": {{}}}}', -32700),
        ('"' + "x" * (64 * 1024 * 1024 + 10) + '"', -32700),
        ('{"jsonrpc": "2.0", "id": 1, "method": "fly"}', -32601),
        (f'{{"jsonrpc": "2.0", "id": 1, "method": "{"x" * 30_000_000}"}}', -32601),
        (f'{{"jsonrpc": "2.0", "id": 1, "method": "check", "params": {{"{"x" * 30_000_000}": 1}}}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "__getattr__"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "check", "params": {"footage": 3}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "check", "params": {"verb": "info"}}', -32602),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_line_is_refused_and_the_worker_goes_on(engine: Engine, line: str, number: int) -> None:
    engine.send_line(line)
    error = engine.receive()["error"]
    assert error["code"] == number
    assert len(error["message"]) < 200
    engine.send(id=9, method="check", params=FOOTAGE)
    assert engine.receive_answer()["id"] == 9


def test_true_cancels_nothing(engine: Engine) -> None:
    engine.send(id=1, method="train", params=TRAINING)
    engine.send(id=2, method="cancel", params={"id": True})
    assert engine.receive_answer() == {"id": 2, "result": None}
    assert engine.receive()["method"] == "progress"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("no face", "no_face"),
        ("memory", "out_of_memory"),
        ("package", "engine_incomplete"),
        ("bug", "internal_error"),
        ("unsendable result", "internal_error"),
    ],
)
def test_trouble_becomes_a_sentence_with_a_code_and_a_hint(engine: Engine, trouble: str, code: str) -> None:
    engine.send(id=1, method="evaluate", params={"speaker_path": trouble})
    error = engine.receive_answer()["error"]
    assert error["code"] == -32000
    assert error["data"]["code"] == code
    assert error["data"]["hint"]
    assert error["message"]
    assert "Traceback" not in error["message"]


def test_the_traceback_of_a_bug_is_in_the_log(engine: Engine) -> None:
    engine.send(id=1, method="evaluate", params={"speaker_path": "bug"})
    log = engine.receive()
    assert log["method"] == "log"
    assert log["params"]["level"] == "error"
    assert "ZeroDivisionError: secret detail" in log["params"]["text"]


def test_the_end_of_stdin_cancels_the_job_and_ends_the_process(engine: Engine) -> None:
    engine.send(id=1, method="train", params=TRAINING)
    assert engine.receive()["method"] == "progress"
    engine.close_requests()
    assert engine.receive_answer()["error"]["data"]["code"] == "cancelled"
    assert engine.process.wait(LIMIT_SECONDS) == 0


def test_a_job_that_hears_nothing_cannot_keep_the_process_alive(engine: Engine) -> None:
    engine.send(id=1, method="dub", params=DUBBING)
    assert engine.receive()["method"] == "progress"
    engine.close_requests()
    assert engine.process.wait(LIMIT_SECONDS) == 1


def test_shutdown_is_answered_and_ends_the_process(engine: Engine) -> None:
    engine.send(id=1, method="shutdown")
    assert engine.receive() == {"id": 1, "result": None}
    assert engine.process.wait(LIMIT_SECONDS) == 0


def test_the_worker_starts_without_the_heavy_libraries() -> None:
    code = "import sys, s2l_core.worker; sys.exit(bool({'torch', 'numpy', 'bpy', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
