#!/usr/bin/env python3
"""Stands in for the worker Python: speaks the protocol of the worker without doing the work.

The environment variable S2L_FAKE_BEHAVIOUR names what it does with the request.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any


def send(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def progress(phase: str, done: int, total: int, eta: float | None = None, note: str = "") -> None:
    params = {"id": 1, "phase": phase, "done": done, "total": total, "eta_seconds": eta, "note": note}
    send(method="progress", params=params)


def answer(request: dict[str, Any]) -> None:
    """Report progress, leave the output file and answer."""
    job = request["params"]
    for done in (0, 1, 2):
        progress("checking", done, 2, 75.0)
    results: dict[str, dict[str, Any]] = {
        "info": {"version": "0.0.0", "devices": ["cpu", "imaginary"], "job": job},
        "check": {"verdict": "usable", "advice": ["Record more speech.", "Move closer."], "job": job},
        "train": {"speaker_path": job.get("speaker_path"), "job": job},
        "dub": {
            **{"output_path": job.get("output_path"), "summary": "Dubbed 30 frames.", "untouched": []},
            **{"frames_written": 30, "frames_dubbed": 30, "job": job},
        },
        "still": {
            **{"output_path": job.get("output_path"), "summary": "Rendered 30 frames.", "frames_written": 30},
            **{"warnings": json.loads(os.environ.get("S2L_FAKE_WARNINGS", "[]")), "job": job},
        },
        "head": {"output_path": job.get("output_path"), "job": job},
        "preview": {"output_path": job.get("output_path"), "reason": ""},
        "faces": {"faces": json.loads(os.environ.get("S2L_FAKE_FACES", "[]"))},
        "offset": json.loads(os.environ.get("S2L_FAKE_OFFSET", "{}")),
        "estimate": {"seconds": 372.0, "memory_bytes": 1234567890, "disk_bytes": 40100000},
    }
    is_quick = request["method"] in ("preview", "offset", "faces", "estimate")
    if is_quick:
        Path(os.environ["S2L_FAKE_LOG"]).write_text(json.dumps(job))
    if request["method"] == "preview":
        shutil.copy(os.environ["S2L_FAKE_PICTURE"], job["output_path"])
    if request["method"] == "train":
        shutil.copy(__file__, job["speaker_path"])
    if request["method"] == "dub":
        footage = job["footage"]["path"]
        (shutil.copytree if Path(footage).is_dir() else shutil.copy)(footage, job["output_path"])
    if request["method"] == "still":
        shutil.copy(os.environ["S2L_FAKE_MOVIE"], job["output_path"])
    if request["method"] == "head":
        hand_out_head(job)
    send(id=request["id"], result=results[request["method"]])
    if is_quick and (line := sys.stdin.readline()):  # who answers in seconds stays warm
        answer(json.loads(line))


def dub_pictures(request: dict[str, Any]) -> None:
    """Dub into a folder of pictures: those of a folder at 25 frames per second that the environment names."""
    job = request["params"]
    pictures, output = sorted(Path(os.environ["S2L_FAKE_PICTURES"]).iterdir()), Path(job["output_path"])
    output.mkdir()
    moments = job["moments"] or [frame / 25 for frame in range(round(25 * job["voice"]["seconds"]))]
    for number, moment in enumerate(moments, 1):
        shutil.copy(pictures[round(moment * 25)], output / f"{number:06}.png")
    send(id=request["id"], result={"output_path": str(output), "frames_written": len(moments), "job": job})


def hand_out_head(job: dict[str, Any]) -> None:
    """Write the head that the environment names, its plate if there is one, and the job."""
    head, output = Path(os.environ["S2L_FAKE_HEAD"]), Path(job["output_path"])
    output.with_suffix(".json").write_text(json.dumps(job))
    shutil.copy(head, output)
    plate = head.with_name(f"{head.stem}_plate.png")
    if plate.exists():
        shutil.copy(plate, output.with_name(f"{output.stem}_plate.png"))


def answer_slowly(request: dict[str, Any]) -> None:
    """Stay halfway for a while, then answer."""
    progress("checking", 1, 2, 75.0)
    time.sleep(0.5)
    answer(request)


def go_on(request: dict[str, Any]) -> None:
    """Dub in a hundred steps, each a line in a file beside the output, from where an earlier worker stopped.

    As the real worker does, it goes on for a while after the end of stdin; two at once spoil the output.
    """
    output = Path(request["params"]["output_path"])
    partial, busy = output.with_name("steps.partial"), output.with_name("busy")
    if busy.exists() and Path(f"/proc/{busy.read_text()}").exists():
        partial.write_text("two workers at once\n")
    busy.write_text(str(os.getpid()))
    threading.Thread(target=end_after_stdin, daemon=True).start()
    while (done := len(partial.read_text().splitlines()) if partial.exists() else 0) < 100:
        progress("dubbing", done, 100)
        with partial.open("a") as file:
            file.write(f"step {done}\n")
        time.sleep(0.02)
    busy.unlink()
    partial.rename(output)
    send(id=1, result={"output_path": str(output), "frames_written": 30})
    sys.stdin.read()


def end_after_stdin() -> None:
    sys.stdin.read()
    time.sleep(1.0)
    os._exit(1)


def fail(request: dict[str, Any]) -> None:
    send(
        id=1, error={"code": -32000, "message": "Nobody is there.", "data": {"code": "no_face", "hint": "Look again."}}
    )


def leave_as_it_was(request: dict[str, Any]) -> None:
    """Dub footage in which something is in front of every mouth."""
    job = request["params"]
    shutil.copy(job["footage"]["path"], job["output_path"])
    result = {"output_path": job["output_path"], "summary": "Dubbed 0 of 30 frames: 30 occluded."}
    untouched = [{"first": 0, "last": 29, "reason": "occluded"}]
    send(id=1, result=result | {"frames_written": 30, "frames_dubbed": 0, "untouched": untouched})


def crash(request: dict[str, Any]) -> None:
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(9)


def quit(request: dict[str, Any]) -> None:  # noqa: A001 - the names here are what the tests say
    """End without an answer."""


def wait(request: dict[str, Any]) -> None:
    """Work until cancelled."""
    progress("waiting", 1, 4)
    for line in sys.stdin:
        if json.loads(line)["method"] == "cancel":
            send(id=1, error={"code": -32000, "message": "Stopped.", "data": {"code": "cancelled", "hint": ""}})
            return


def show_pictures(request: dict[str, Any]) -> None:
    """Train, with a picture of the work, until cancelled."""
    send(method="preview", params={"id": 1, "path": os.environ["S2L_FAKE_PICTURE"]})
    progress("training", 1, 4, note="held-out 29.3 dB")
    sys.stdin.readline()
    send(id=1, error={"code": -32000, "message": "Stopped.", "data": {"code": "cancelled", "hint": ""}})


def wait_for_the_end(request: dict[str, Any]) -> None:
    """Answer, and end when stdin does."""
    send(id=1, result={"done": True})
    sys.stdin.read()


def ignore(request: dict[str, Any]) -> None:
    """Ignore all messages, also cancel."""
    time.sleep(600)


def babble(request: dict[str, Any]) -> None:
    """Fill both pipes with text that is not part of the protocol, then answer."""
    for stream in (sys.stdout, sys.stderr):
        for number in range(20000):
            print(f"noise {number}", file=stream)
    print("[1, 2]\n{}\n" + json.dumps({"method": "progress", "params": "nonsense"}), flush=True)
    answer(request)


def say_nonsense(request: dict[str, Any]) -> None:
    """Send messages of unknown form, then an invalid answer."""
    for params in (
        {"id": 1, "phase": 3},
        {"id": 1, "phase": "a", "done": "b", "total": [], "eta_seconds": 1, "note": ""},
        {"id": 1, "phase": "a", "done": 10**400, "total": 1, "eta_seconds": 1, "note": ""},
        {"id": 1, "phase": "a", "done": 1, "total": float("inf"), "eta_seconds": 1, "note": ""},
    ):
        send(method="progress", params=params)
    send(method="dance", params={"id": 1})
    print(os.environ["S2L_FAKE_LAST"], flush=True)
    sys.stdin.read()


def never_end_a_line(request: dict[str, Any]) -> None:
    while True:
        sys.stdout.write("x" * 1_000_000)


if __name__ == "__main__":
    assert "from s2l_core.worker import main" in sys.argv[-2], sys.argv
    globals()[os.environ["S2L_FAKE_BEHAVIOUR"]](json.loads(sys.stdin.readline()))
