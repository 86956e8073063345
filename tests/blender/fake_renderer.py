#!/usr/bin/env python3
"""Stands in for the worker Python of the render engine: serves one request after the other until its stdin ends.

The environment variable S2L_FAKE_BEHAVIOUR names what it does with each, except with those to sign a render. Its
pictures tell what was asked for: red grows from 0 to 1 from left to right, green from top to bottom; blue is the moment
in seconds, depth the distance of the head in metres, and the mask covers the left half.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from array import array
from pathlib import Path
from typing import Any

Request = dict[str, Any]


def send(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def refuse(request: Request, code: str, message: str) -> None:
    error = {"code": -32000, "message": message, "data": {"code": code, "hint": "Look again."}}
    send(id=request["id"], error=error)


def render(request: Request, **said: Any) -> None:
    """Draw the picture and answer."""
    job = request["params"]
    width, height = job["camera"]["width"], job["camera"]["height"]
    rows, columns = range(height), range(width)
    alpha = 1.0 if job["background"] else 0.5
    planes = array("f")
    planes.extend((x + 0.5) / width for y in rows for x in columns)
    planes.extend((y + 0.5) / height for y in rows for x in columns)
    for value in (job["moment"], alpha, job["pose"][11] / 1000):
        planes.extend([value] * (width * height))
    planes.extend(float(x < width / 2) for y in rows for x in columns)
    write(job["output_path"], (6, height, width), planes)
    told = {"output_path": job["output_path"], "trust": 1.0, "degrees_outside": 0.0, "without_face": False}
    log(job)
    send(id=request["id"], result={**told, **said})


def write(path: str, shape: tuple[int, ...], values: array[float]) -> None:
    """A ``.npy`` file, since this Python may have no NumPy."""
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape})
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())


def log(job: dict[str, Any]) -> None:
    """Log a job and the process that did it, for the test."""
    with Path(os.environ["S2L_FAKE_LOG"]).open("a") as file:
        file.write(json.dumps({**job, "process": os.getpid()}) + "\n")


def sign(request: Request) -> None:
    send(id=request["id"], result={"files": request["params"]["files"], "credentials": "Signed."})


def render_turned_too_far(request: Request) -> None:
    render(request, trust=0.2, degrees_outside=12.3)


def render_without_face(request: Request) -> None:
    render(request, without_face=True)


def render_too_little(request: Request) -> None:
    """Draw one row less than requested."""
    request["params"]["camera"]["height"] -= 1
    render(request)


def render_nothing(request: Request) -> None:
    """Report success without a picture."""
    send(id=request["id"], result={"output_path": request["params"]["output_path"]})


def render_rubbish(request: Request) -> None:
    """Write a file that is not a picture."""
    Path(request["params"]["output_path"]).write_bytes(b"")
    send(id=request["id"], result={"output_path": request["params"]["output_path"]})


def fail(request: Request) -> None:
    refuse(request, "file_missing", f"There is no file {request['params']['footage']['path']}.")


def crash(request: Request) -> None:
    log(request["params"])
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(9)


def crash_once(request: Request) -> None:
    """The first process crashes, the next renders."""
    (render if Path(os.environ["S2L_FAKE_LOG"]).exists() else crash)(request)


def wait(request: Request) -> None:
    """Work until cancelled."""
    params = {"id": request["id"], "phase": "Landmarks", "done": 1, "total": 4, "eta_seconds": None, "note": ""}
    send(method="progress", params=params)
    for line in sys.stdin:
        if json.loads(line)["method"] == "cancel":
            refuse(request, "cancelled", "Stopped.")
            return


def wait_then_render(request: Request) -> None:
    """The first request waits to be cancelled, the others are rendered."""
    (wait if request["id"] == 1 else render)(request)


def ignore(request: Request) -> None:
    """Ignore all messages, also cancel."""
    time.sleep(600)


if __name__ == "__main__":
    assert "from s2l_core.worker import main" in sys.argv[-2], sys.argv
    while line := sys.stdin.readline():
        request = json.loads(line)
        (sign if request["method"] == "sign" else globals()[os.environ["S2L_FAKE_BEHAVIOUR"]])(request)
