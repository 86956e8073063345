#!/usr/bin/env python3
"""Drive the engine from another program, which needs the standard library only.

    python drive_the_worker.py .venv/bin/python take.mp4

The first argument is the engine's Python. Requests and answers are JSON-RPC 2.0, one object a line. Any language that
can start a process and read its output can do the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class Engine:
    """A worker process, to be used in a ``with`` statement. It does one job after the other."""

    def __init__(self, python: str) -> None:
        # -I: neither the current folder nor PYTHON* variables can put other code into the process.
        command = [python, "-I", "-m", "s2l_core.worker"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._requests = 0

    def run(self, verb: str, **job: Any) -> dict[str, Any]:
        """Run a job; its fields are those of the job documents."""
        assert self._process.stdin and self._process.stdout
        self._requests += 1
        request = {"jsonrpc": "2.0", "id": self._requests, "method": verb, "params": job}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("method") == "progress":
                progress = message["params"]
                print(f"{progress['phase']}: {progress['done']:.0f} of {progress['total']:.0f}")
            elif "error" in message:
                raise RuntimeError(f"{message['error']['message']} {message['error']['data']['hint']}")
            elif "result" in message:
                result: dict[str, Any] = message["result"]
                return result
        raise RuntimeError("The engine has ended.")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()  # the worker ends when its input does, and gives back all memory
        self._process.wait()


if __name__ == "__main__":
    with Engine(sys.argv[1]) as engine:
        print(engine.run("check", footage={"path": sys.argv[2], "end": 30}))
