"""What the command line shows: events while a job runs, then its result or its error."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from . import events
from .errors import InternalError, Speech2LipError

Listener = Callable[[events.Event], None]


@contextmanager
def json_events() -> Iterator[Listener]:
    """Events as JSON lines on stderr."""

    def tell(event: events.Event) -> None:
        line = {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
        print(json.dumps(line), file=sys.stderr, flush=True)

    yield tell


@contextmanager
def progress_bars() -> Iterator[Listener]:
    """One bar for each phase on stderr, with the remaining time; errors with tracebacks go to the log file."""
    texts = [TextColumn(f"{{task.{name}}}") for name in ("description", "fields[left]", "fields[note]")]
    columns = (texts[0], BarColumn(), TaskProgressColumn(), *texts[1:])
    tasks: dict[str, TaskID] = {}
    pictures: set[str] = set()
    bars = Progress(*columns, console=Console(stderr=True))
    with ExitStack() as shown:

        def tell(event: events.Event) -> None:
            match event:
                case events.Progress(phase, done, total, eta_seconds, note):
                    if not tasks:
                        shown.enter_context(bars)
                    if phase not in tasks:
                        tasks[phase] = bars.add_task(phase, left="", note="")
                    left = _remaining(eta_seconds)
                    bars.update(tasks[phase], completed=done, total=total, left=left, note=note)
                case events.Log("error", text):
                    write_log(text)
                case events.Log(_, text):
                    bars.console.print(text, markup=False)
                case events.Preview(path) if path not in pictures:
                    pictures.add(path)
                    bars.console.print(f"Preview: {path}", markup=False)

        yield tell


def _remaining(eta_seconds: float | None) -> str:
    if not eta_seconds or eta_seconds < 1:
        return ""
    minutes, seconds = divmod(round(eta_seconds), 60)
    return f"{minutes}:{seconds:02d} left"


def log_path() -> Path:
    return platformdirs.user_log_path("speech2lip", appauthor=False, ensure_exists=True) / "s2l.log"


def write_log(text: str) -> None:
    with log_path().open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def print_error(error: Speech2LipError, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, indent=2))
    else:
        print(f"s2l: {error}", file=sys.stderr)
        if isinstance(error, InternalError):
            print(f"s2l: The log is {log_path()}", file=sys.stderr)


def describe(result: dict[str, Any], indent: str = "") -> Iterator[str]:
    """A result as lines for reading."""
    for key, value in result.items():
        label = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(value, dict):
            yield label
            yield from describe(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, start=1):
                yield from describe({f"{key} {number}": item}, indent)
        elif isinstance(value, list) and any(isinstance(item, str) for item in value):
            yield label
            yield from (f"{indent}  - {item}" for item in value)
        elif isinstance(value, list):
            yield f"{label} {', '.join(f'{item:.4g}' for item in value) or 'none'}"
        else:
            yield f"{label} {value:.4g}" if isinstance(value, float) else f"{label} {value}"
