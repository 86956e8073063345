"""Runs inputs in a few processes in parallel, and collects faults.

An input may be accepted or refused. A refusal has an error code with the reason, and takes at most a second of
processor time; an accepted job ends within a second after it was cancelled. The process survives, its memory is
bounded, and no file except the result of the job has changed.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .engine import Engine, Outcome
from .kinds import KINDS, MODULES, OUTPUT, Input
from .mutations import Mutator
from .specimens import Specimens

PROCESSES = 2
_OLDER = b"an older result"
_OLDER_NAMES = (
    "portrait.png",
    "picture.npy",
    "dub.mp4",
    "posed.mp4",
    "preview.png",
    "heat.png",
    "anna.s2l",
    "head.npz",
)
_FOREIGN = ("bystander.txt", f"{OUTPUT}/notes.txt")
"""Files that do not belong to the job."""
_IN_THE_WAY = f"{OUTPUT}/dub.mp4.partial/take.mov"
"""Another one, in the scratch folder of a dub: the dub may fail then, but must not remove the file."""
_NO_REASONS = {"internal_error", "engine_incomplete", "out_of_memory", "error", "worker_lost"}
"""Codes that do not explain why the input is refused."""
_LEAST_SECONDS, _MARGIN_SECONDS = 0.3, 0.5
_WARM_UP_SECONDS = 20.0
_GOOD = -1
"""Number of the good input."""


@dataclass(frozen=True)
class Fault:
    """A fault, and the input that causes it."""

    number: int
    kind: str
    what: str
    folder: Path
    log: str

    def __str__(self) -> str:
        return f"{self.number} {self.kind}: {self.what}\n  {self.folder}\n{self.log}"


@dataclass
class Tally:
    """Outcomes of all inputs.

    Attributes:
        codes: Number of times that each code was returned, by kind; ``"accepted"`` stands for a result.
        faults: The faults.
        slowest: Longest processor time in seconds, and its input.
        largest: Largest memory in bytes, and its input.
    """

    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    largest: tuple[int, int] = (0, 0)

    def add(self, number: int, kind: str, outcome: Outcome) -> None:
        code = outcome.answer.get("error", {}).get("data", {}).get("code", "accepted")
        self.codes[kind, outcome.fault or code] += 1
        self.slowest = max(self.slowest, (outcome.seconds, number))
        self.largest = max(self.largest, (outcome.memory, number))


def kind_of(number: int) -> str:
    """The kind of an input."""
    return random.Random(f"kind of {number}").choices(list(KINDS), [kind.share for kind in KINDS.values()])[0]


def run(numbers: range, specimens: Specimens, folder: Path) -> Tally:
    """Run inputs.

    Args:
        numbers: Numbers of the inputs.
        specimens: Good files from which the inputs are made.
        folder: Folder for the inputs; those with faults remain there.
    """
    tally, waiting, lock = Tally(), iter(numbers), threading.Lock()
    before = _hashes(specimens.folder)

    def work(place: int) -> None:
        tester = Tester(specimens, folder / f"process-{place}")
        try:
            while True:
                with lock:
                    number = next(waiting, None)
                if number is None:
                    return
                outcome, faults = tester.try_out(number)
                with lock:
                    tally.add(number, kind_of(number), outcome)
                    tally.faults += faults
        finally:
            tester.close()

    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(work, range(min(PROCESSES, len(numbers)))))
    if _hashes(specimens.folder) != before:
        tally.faults.append(Fault(-1, "all", "a source has changed", specimens.folder, ""))
    return tally


class Tester:
    """Runs inputs in its own processes.

    Args:
        specimens: Good files from which the inputs are made.
        folder: Folder for the inputs.
    """

    def __init__(self, specimens: Specimens, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._specimens, self._folder = specimens, folder
        self._engines = {name: Engine(module, folder / f"{name}.log") for name, module in MODULES.items()}
        self._patience: dict[str, float] = {}
        self._warm: dict[str, int] = {}

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()

    def try_out(self, number: int) -> tuple[Outcome, list[Fault]]:
        """Outcome of an input, and faults."""
        kind = kind_of(number)
        if self._warm.get(kind) != self._starts(kind):
            self._warm_up(kind)
        return self._give(number, kind, Mutator(random.Random(number)), self._patience[kind])

    def accept_good(self, kind: str) -> Outcome:
        """Outcome of the good input of a kind."""
        outcome, _ = self._give(_GOOD, kind, Mutator(None), _WARM_UP_SECONDS)
        return outcome

    def _warm_up(self, kind: str) -> None:
        """Let a process import what a kind needs, and measure the duration of its good input once."""
        self.accept_good(kind)
        if kind not in self._patience:
            seconds = self.accept_good(kind).seconds if KINDS[kind].is_bounded else 0.0
            self._patience[kind] = max(seconds, _LEAST_SECONDS) + _MARGIN_SECONDS
        self._warm[kind] = self._starts(kind)

    def _starts(self, kind: str) -> int:
        return self._engines[KINDS[kind].process].start()

    def _give(self, number: int, kind: str, mutator: Mutator, patience: float) -> tuple[Outcome, list[Fault]]:
        folder = self._folder / f"{kind}-{number}"
        in_the_way = [_IN_THE_WAY] if mutator.chance(0.1) else []
        for name in (*_FOREIGN, *in_the_way, *(f"{OUTPUT}/{older}" for older in _OLDER_NAMES)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(_OLDER)
        given = KINDS[kind].make(mutator, self._specimens, folder, number)
        before = _hashes(folder)
        engine = self._engines[KINDS[kind].process]
        outcome = engine.ask(given.lines, number, patience, given.is_batch)
        whats = [
            what
            for what in (
                outcome.fault,
                *_judge(outcome, given),
                *_lost(folder, before, given, "result" in outcome.answer or given.is_batch),
            )
            if what
        ]
        faults = [Fault(number, kind, what, folder, "\n".join(outcome.log)[-4000:]) for what in whats]
        if not faults or number == _GOOD:
            shutil.rmtree(folder)
        else:
            (folder / "request.jsonl").write_bytes(given.lines)
            (folder / "faults.txt").write_text("\n".join(map(str, faults)))
        return outcome, faults


def _judge(outcome: Outcome, given: Input) -> Iterator[str]:
    """Faults of an answer."""
    if outcome.fault or not outcome.answer:
        return
    if "error" in outcome.answer:
        error = outcome.answer["error"]
        code = error["data"]["code"]
        if code in _NO_REASONS:
            outcome.log.append(error["message"])
            yield f"has the code {code}"
        if len(error["message"]) > 2000:
            yield f"is refused in {len(error['message'])} letters"
        return
    if given.is_damage:
        yield "is accepted"
    picture = outcome.answer["result"].get("output_path") if isinstance(outcome.answer["result"], dict) else None
    if picture and str(picture).endswith(".npy") and not np.isfinite(np.load(picture, allow_pickle=False)).all():
        yield "gives a picture that is not finite"


def _lost(folder: Path, before: dict[str, str], given: Input, may_write: bool) -> Iterator[str]:
    """Changes of files other than the result of the job, whose damaged name the input may contain."""
    after = _hashes(folder)
    for name in before:
        if after.get(name) == before[name]:
            continue
        if name not in after:
            yield f"{name} is gone"
        elif not may_write or not name.startswith(f"{OUTPUT}/") or name in (*_FOREIGN, _IN_THE_WAY):
            yield f"{name} has changed"
    for name in after.keys() - before.keys():
        named = str(folder / name).encode() in given.lines
        if not (named or name.startswith(f"{OUTPUT}/") or name == "worker.sh"):
            yield f"{name} has appeared"


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in files}


def report(tally: Tally) -> str:
    """Table of outcomes and faults."""
    lines = [f"{count:6}  {kind:16} {code}" for (kind, code), count in sorted(tally.codes.items())]
    lines += [f"slowest {tally.slowest[0]:.2f} s of the processor (input {tally.slowest[1]}), "]
    lines += [f"largest {tally.largest[0] / 1e6:.0f} MB (input {tally.largest[1]})"]
    return "\n".join([*lines, *map(str, tally.faults)])
