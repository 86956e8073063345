"""A process under test: sends requests, and monitors answers, processor time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1.0
"""Processor time that a refusal or a cancellation may take, which does not depend on the load of the machine."""
MOST_MEMORY = 2_000_000_000
LONGEST_WAIT = 30.0
"""Wall-clock time without processor time after which a process counts as blocked."""
_LOOK_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Outcome:
    """Outcome of a request.

    Attributes:
        answer: The last message that the process sent for the request.
        fault: What is wrong with the process itself, in a few words; empty if nothing is.
        seconds: Processor time in seconds.
        memory: Peak memory of the process in bytes.
        log: Tracebacks that the process reported.
    """

    answer: dict[str, Any] = field(default_factory=dict)
    fault: str = ""
    seconds: float = 0.0
    memory: int = 0
    log: list[str] = field(default_factory=list)


class Engine:
    """A long-lived process that answers JSON lines, and is restarted if it ends.

    Args:
        module: Module that the process runs.
        log_path: File for its stderr.
    """

    def __init__(self, module: str, log_path: Path) -> None:
        self._module, self._log_path = module, log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._starts = 0

    def ask(self, lines: bytes, number: int, patience: float, is_batch: bool = False) -> Outcome:
        """Send lines, and wait for the answer to a request; a job that takes longer is cancelled, as a user would.

        Args:
            lines: The request, and any lines before it.
            number: Id of the request.
            patience: Processor time in seconds after which the job is cancelled; a second later, it counts as hanging.
            is_batch: Whether there are requests before it, which may also end the process.
        """
        process = self._running()
        _forget_peak(process)
        outcome = Outcome()
        begun, is_cancelled, awake = _seconds(process), False, time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self._send(lines)
        while not outcome.fault and "id" not in outcome.answer:
            self._take(outcome, {number} if is_batch else {number, None})
            if process.poll() is not None:
                outcome.fault = "" if is_batch and process.returncode == 0 else f"ended with {process.returncode}"
                outcome.log.append("\n".join(self._log_path.read_text(errors="replace").splitlines()[-40:]))
                break
            before, outcome.seconds = outcome.seconds, _seconds(process) - begun
            awake = time.monotonic() if outcome.seconds > before else awake
            outcome.memory = _peak(process)
            if outcome.memory > MOST_MEMORY:
                outcome.fault = f"takes {outcome.memory / 1e9:.1f} GB"
            elif outcome.seconds > patience + SECOND or time.monotonic() > awake + LONGEST_WAIT:
                outcome.fault = "hangs" if is_cancelled else "hangs without being cancelled"
                outcome.log.append(self._stack())
            elif outcome.seconds > patience and not is_cancelled:
                is_cancelled = True
                self._send(b"".join(_line(method="cancel", params={"id": each}) for each in {number, *_ids(lines)}))
        if outcome.fault or process.poll() is not None:
            self.close()
        return outcome

    def start(self) -> int:
        """Start the process, unless it runs.

        Returns:
            How often it was started so far.
        """
        self._running()
        return self._starts

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._unread, self._starts = b"", self._starts + 1
            current = self._log_path.with_suffix(".current")  # a damaged path may be relative, and is written to then
            current.mkdir(exist_ok=True)
            with self._log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-X", "faulthandler", "-m", self._module],
                    cwd=current,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                )
        return self._process

    def _send(self, content: bytes) -> None:
        assert self._process and self._process.stdin
        while content:
            content = content[self._process.stdin.write(content) or 0 :]

    def _take(self, outcome: Outcome, numbers: set[int | None]) -> None:
        """Read messages for a moment, up to an answer; an answer without an id refers to a line that is not JSON."""
        assert self._process and self._process.stdout
        if not select.select([self._process.stdout], [], [], _LOOK_SECONDS)[0]:
            return
        *lines, self._unread = (self._unread + os.read(self._process.stdout.fileno(), 1 << 20)).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line, parse_constant=_refuse_constant)
            except ValueError:
                outcome.fault = f"says what is not JSON: {line[:200]!r}"
                return
            if message.get("method") == "log" and message["params"]["level"] == "error":
                outcome.log.append(message["params"]["text"])
            elif "method" not in message and (message["id"] in numbers or _is_internal(message)):
                outcome.answer = message

    def _stack(self) -> str:
        """Stack traces of the process, if it prints them within a moment."""
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(6)  # faulthandler writes the stacks of all threads
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        _, mark, stacks = self._log_path.read_text(errors="replace").rpartition("Fatal Python error")
        return mark + stacks[:4000]


def request(number: int, method: str, params: str) -> bytes:
    """A request with params as JSON text."""
    text = f'{{"jsonrpc": "2.0", "id": {number}, "method": {json.dumps(method)}, "params": {params}}}\n'
    return text.encode("utf-8", "surrogatepass")


def _line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def _is_internal(message: dict[str, Any]) -> bool:
    return bool(message.get("error", {}).get("data", {}).get("code") == "internal_error")


def _ids(lines: bytes) -> set[int | str]:
    """Ids of requests that may have been started."""
    found: set[int | str] = set()
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, RecursionError, AttributeError):
            identifier = json.loads(line).get("id")
            found |= {identifier} if isinstance(identifier, int | str) else set()
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time in seconds of all threads of a process."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak(process: subprocess.Popen[bytes]) -> int:
    """Peak memory of a process in bytes."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _forget_peak(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
