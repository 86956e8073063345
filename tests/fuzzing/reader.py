"""A process that reads what Blender's add-on and the command line read: ``python -m tests.fuzzing.reader``.

It answers JSON lines like the worker. Exceptions that are not errors of the product are an ``internal_error``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2l_core import cli

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "speech2lip"


def main() -> None:
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    extension = types.ModuleType(PACKAGE)  # as in Blender, but nothing is registered
    extension.__path__ = [str(ROOT)]
    sys.modules[PACKAGE] = extension
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            answer = _answer(message["method"], message["params"])
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), file=protocol, flush=True)


def _answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": READERS[method](**params)}
    except Exception as error:
        if any(kind.__name__ == "Speech2LipError" for kind in type(error).__mro__):
            return {"error": {"message": str(error), "data": {"code": getattr(error, "code", ""), "hint": ""}}}
        return {"error": {"message": traceback.format_exc(), "data": {"code": "internal_error", "hint": ""}}}


def _read_head(path: str) -> dict[str, Any]:
    head = _of_add_on("head.file").read(Path(path))
    return {"frames": len(head.times)}


def _read_record(path: str) -> dict[str, Any]:
    """Read a record as when a file is opened, and when the entry is shown."""
    entry, _ = _of_add_on("queue.records").read(Path(path))
    output = _of_add_on("queue.entries").output_of(entry.job)
    if output and f"{output}.job.json" != path:
        raise AssertionError(f"The record writes {output}.")
    return {"shown": [entry.name, entry.status, entry.outcome, str(entry.failure)]}


def _hear(path: str) -> dict[str, Any]:
    """Run a job whose worker sends the content of a file."""
    worker = Path(path).with_name("worker.sh")
    worker.write_text(f'#!/bin/sh\nread request\nexec cat "{path}"\n')
    worker.chmod(0o700)
    module = _of_add_on("engine.worker_client")
    jobs = importlib.import_module(f"{PACKAGE}.s2l_core.jobs")
    client = module.WorkerClient(str(worker), jobs.InfoJob())
    if not any(client.poll(0.1) for _ in range(100)):
        raise AssertionError("The job never ends.")
    shown = f"{client.progress and client.progress.done / max(client.progress.total, 1)} {client.preview_path}"
    return {"shown": shown, "result": client.result, "error": client.error and str(client.error)}


def _run_words(words: list[str]) -> dict[str, Any]:
    """Exit status of the command line, whose output must be one JSON object."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        try:
            status = cli.main(words)
        except SystemExit as end:
            return {"status": end.code}
    return {"status": status, "output": json.loads(output.getvalue())}


def _of_add_on(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.s2l_blender_addon.{name}")


READERS: dict[str, Callable[..., dict[str, Any]]] = {
    "head": _read_head,
    "record": _read_record,
    "answers": _hear,
    "words": _run_words,
}

if __name__ == "__main__":
    main()
