"""The engine as a JSON-RPC 2.0 server: requests on stdin and responses on stdout, one JSON object per line.

``python -m s2l_core.worker`` runs jobs one after the other. The method of a request is a verb, such as ``train``, and
its params are a job document of :mod:`s2l_core.jobs`. While a job runs, its events are sent as notifications
``progress``, ``preview`` and ``log``, each with the ``id`` of the request. ``cancel`` with ``{"id": ...}`` stops a job
that is running or waiting; ``shutdown``, or the end of stdin, stops all jobs and ends the process, which frees all
memory of the device. Only the standard library is imported until a job starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import reprlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

from . import standard_streams
from .errors import BadJob, Cancelled, InternalError, Speech2LipError
from .events import Event, Report
from .execution import run_job
from .jobs import JOB_TYPES, from_document
from .json_text import to_json

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, JOB_FAILED = -32700, -32600, -32601, -32602, -32000
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_LONGEST_LINE = 64 * 1024 * 1024  # bytes; the job of an hour's dub has a few million
_LONGEST_ID = 200  # characters; it is repeated in every message about the job
GRACE_SECONDS = 5.0  # a job that does not stop within this time after the end of stdin is killed

RequestId = int | str


@dataclass(frozen=True)
class Request:
    """A request to run a job."""

    id: RequestId
    method: str
    params: dict[str, Any]


class Channel:
    """Writes protocol messages; may be used from several threads.

    A message that cannot be written is dropped: the caller has ended then, which also closes stdin.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def answer(self, request_id: RequestId, result: Any) -> None:
        """Send the result of a request."""
        self._send({"id": request_id, "result": result})

    def refuse(self, request_id: RequestId | None, number: int, error: Speech2LipError) -> None:
        """Send an error with a JSON-RPC error number."""
        data = {"code": error.code, "hint": error.hint}
        self._send({"id": request_id, "error": {"code": number, "message": error.message, "data": data}})

    def _send(self, message: dict[str, Any]) -> None:
        line = to_json({"jsonrpc": "2.0", **message}).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(line)
            self._stream.flush()

    def close(self) -> None:
        """Close the stream."""
        with contextlib.suppress(OSError):  # closing writes what is still buffered
            self._stream.close()


class Worker:
    """Runs jobs in the main thread, and reads requests in another one, so that ``cancel`` is received meanwhile."""

    def __init__(self, requests: BinaryIO, channel: Channel) -> None:
        self._requests = requests
        self._channel = channel
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._cancelled: set[RequestId] = set()
        self._ending = threading.Event()

    def run(self) -> None:
        """Run jobs until ``shutdown`` or the end of the requests."""
        threading.Thread(target=self._listen, daemon=True).start()
        while (request := self._waiting.get()) is not None:
            self._work(request)

    def _listen(self) -> None:
        for line in _lines(self._requests):
            if line.strip() and not self._accept(line):
                break
        self._ending.set()
        self._waiting.put(None)
        abandon = threading.Timer(GRACE_SECONDS, os._exit, [1])
        abandon.daemon = True
        abandon.start()

    def _accept(self, line: bytes) -> bool:
        """Handle one line; returns False if the worker has to end."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._channel.refuse(None, PARSE_ERROR, BadJob("The line is not valid JSON.", "Send one request per line."))
            return True
        fields = message if isinstance(message, dict) else {}
        request_id, method, params = fields.get("id"), fields.get("method"), fields.get("params", {})
        known_id = request_id if _is_id(request_id) else None
        if not isinstance(method, str) or not isinstance(params, dict):
            self._channel.refuse(known_id, INVALID_REQUEST, BadJob("The line is not a JSON-RPC request."))
        elif method == "shutdown":
            if known_id is not None:
                self._channel.answer(known_id, None)
            return False
        elif method == "cancel":
            self._cancel(params.get("id"), known_id)
        elif method not in JOB_TYPES:
            self._channel.refuse(known_id, METHOD_NOT_FOUND, BadJob(f"There is no method {reprlib.repr(method)}."))
        elif known_id is None:
            self._channel.refuse(None, INVALID_REQUEST, BadJob(f"The request to {method} has no id."))
        else:
            self._waiting.put(Request(known_id, method, params))
        return True

    def _cancel(self, job_id: Any, request_id: RequestId | None) -> None:
        if _is_id(job_id):
            self._cancelled.add(job_id)
        if request_id is not None:
            self._channel.answer(request_id, None)

    def _work(self, request: Request) -> None:
        def is_cancelled() -> bool:
            return self._ending.is_set() or request.id in self._cancelled

        def tell(event: Event) -> None:
            self._channel.notify(type(event).__name__.lower(), id=request.id, **dataclasses.asdict(event))

        try:
            job = from_document({"verb": request.method, **request.params})
            if job.verb != request.method:
                raise BadJob(f"The job has the verb {job.verb!r}, but the method is {request.method!r}.")
        except BadJob as error:
            self._channel.refuse(request.id, INVALID_PARAMS, error)
            return
        try:
            if is_cancelled():
                raise Cancelled("The job was cancelled.")
            self._channel.answer(request.id, run_job(job, Report(tell, is_cancelled)))
        except Speech2LipError as error:
            self._channel.refuse(request.id, JOB_FAILED, error)
        except (TypeError, ValueError) as error:
            self._channel.refuse(request.id, JOB_FAILED, InternalError(f"The result cannot be sent: {error}."))
        finally:
            self._cancelled.discard(request.id)


def _lines(requests: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream. Of a line that is too long, only the beginning, which is not valid JSON."""
    while line := requests.readline(_LONGEST_LINE):
        yield line
        while len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            line = requests.readline(_LONGEST_LINE)


def _is_id(value: Any) -> TypeGuard[RequestId]:
    """Whether a value is a valid request id. ``true`` is not, although it is an int in Python."""
    return (type(value) is int and abs(value) < 2**63) or (isinstance(value, str) and len(value) <= _LONGEST_ID)


def main() -> None:
    # Libraries print to stdout. The protocol uses a duplicate of it, and everything else is redirected to stderr.
    standard_streams.open_missing()
    channel = Channel(os.fdopen(os.dup(_STDOUT), "wb"))
    os.dup2(_STDERR, _STDOUT)
    # Ctrl-C in a terminal reaches the whole process group, but the caller decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Worker(os.fdopen(_STDIN, "rb", closefd=False), channel).run()
    channel.close()


if __name__ == "__main__":
    main()
