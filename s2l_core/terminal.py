"""Output of the command line: events while a job runs, then its result or error."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from . import events, standard_streams
from .errors import InternalError, Speech2LipError
from .json_text import plain, to_json
from .standard_streams import Forgiving

Listener = Callable[[events.Event], None]


@contextmanager
def json_events() -> Iterator[Listener]:
    """Yield a listener that prints events to stderr as JSON lines."""
    errors_to = Forgiving(sys.stderr)

    def tell(event: events.Event) -> None:
        line = {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
        print(to_json(line), file=errors_to, flush=True)

    yield tell


@contextmanager
def progress_bars() -> Iterator[Listener]:
    """Yield a listener that shows a progress bar for each phase on stderr, and writes error logs to the log file."""
    texts = [TextColumn(f"{{task.{name}}}") for name in ("description", "fields[left]", "fields[note]")]
    columns = (texts[0], BarColumn(), TaskProgressColumn(), *texts[1:])
    tasks: dict[str, TaskID] = {}
    pictures: set[str] = set()
    bars = Progress(*columns, console=Console(file=cast(TextIO, Forgiving(sys.stderr))))
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
                    bars.console.print(plain(text), markup=False)
                case events.Preview(path) if path not in pictures:
                    pictures.add(path)
                    bars.console.print(f"Preview: {plain(path)}", markup=False)

        yield tell


def _remaining(eta_seconds: float | None) -> str:
    if not eta_seconds or eta_seconds < 1:
        return ""
    minutes, seconds = divmod(round(eta_seconds), 60)
    return f"{minutes}:{seconds:02d} left"


def log_path() -> Path:
    """Path of the log file."""
    return platformdirs.user_log_path("speech2lip", appauthor=False, ensure_exists=True) / "s2l.log"


def write_log(text: str) -> None:
    """Append to the log file, or print to stderr if the file cannot be written."""
    try:
        with log_path().open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(text + "\n")
    except OSError:
        print(plain(text), file=Forgiving(sys.stderr))


def print_result(result: dict[str, Any], as_json: bool) -> bool:
    """Print a result, or an error as JSON, to stdout. If that fails, print the reason to stderr and return False."""
    text = to_json(result, indent=2) if as_json else "\n".join(plain(list(describe(result))))
    problem = standard_streams.print_result(text)
    if problem is not None and not isinstance(problem, BrokenPipeError):  # a closed pipe was closed on purpose
        say(f"The result cannot be printed: {problem.strerror}.")
    return problem is None


def print_error(error: Speech2LipError, as_json: bool) -> None:
    """Print an error: to stdout as JSON, or to stderr as a sentence."""
    if as_json:
        print_result({"error": {"code": error.code, "message": error.message, "hint": error.hint}}, as_json)
        return
    say(str(error))
    with suppress(OSError):
        if isinstance(error, InternalError) and (path := log_path()).is_file():
            say(f"The log is in {path}")


def say(sentence: str) -> None:
    """Print a sentence to stderr."""
    print(f"s2l: {plain(sentence)}", file=Forgiving(sys.stderr), flush=True)


def describe(result: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Readable lines of a result."""
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
