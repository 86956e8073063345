"""A program that trains in workers which are killed: prints what came of it as JSON. ``test_kill.py`` starts it.

Workers are forks of one process that has imported everything and computed nothing, so that each starts at once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2l_core.worker import Channel, Worker  # isort: skip (it says how threads shall wait before torch is imported)
from s2l_core import cache
from s2l_core.jobs import Media, TrainJob, to_document
from s2l_core.training import checkpoint, loop, presets

KILLS = 10
SHORT = replace(presets.PRESETS["draft"], appearance_steps=8, depth_steps=9, head_steps=5, speech_factor=0.04)


class Training:
    """A worker in a process of its own that trains one speaker."""

    def __init__(self, footage: str, speaker: str) -> None:
        reader, self._requests = os.pipe()
        answers, writer = os.pipe()
        job = TrainJob(Media(footage, 0.0, 10.5), speaker, preset="draft", device="cpu", consent=True)
        self.process = os.fork()
        if self.process == 0:
            Worker(os.fdopen(reader, "rb"), Channel(os.fdopen(writer, "wb"))).run()
            os._exit(0)
        os.close(reader)
        os.close(writer)
        request = {"jsonrpc": "2.0", "id": 1, "method": "train", "params": to_document(job)}
        os.write(self._requests, json.dumps(request).encode() + b"\n")
        self._answers = os.fdopen(answers, "rb")

    def moments(self) -> Iterator[tuple[str, float]]:
        """Phases and what is done of them, until the worker answers."""
        for line in self._answers:
            message = json.loads(line)
            if message.get("method") == "progress":
                yield message["params"]["phase"], message["params"]["done"]
            elif "id" in message:
                assert "result" in message, message
                return

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._requests)
        self._answers.close()


def choose_marks(first: dict[tuple[str, float], int], chance: random.Random) -> list[int]:
    """At least ten random moments, one in each phase among them, by where they come first."""
    phases = dict.fromkeys(phase for phase, _ in first)
    marks = {chance.choice([place for (phase, _), place in first.items() if phase == wanted]) for wanted in phases}
    while len(marks) < KILLS:
        marks.add(chance.choice(list(first.values())))
    return sorted(marks)


def main(footage: str, folder: Path, seed: int) -> dict[str, Any]:
    """Train without interruption, then with; the two files shall be equal."""
    chance = random.Random(seed)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache of the whole")
    speaker = folder / "speaker.s2l"
    uninterrupted = Training(footage, str(speaker))
    seen = list(uninterrupted.moments())
    uninterrupted.kill()
    speaker.rename(folder / "whole.s2l")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    first: dict[tuple[str, float], int] = {}
    for place, moment in enumerate(seen):
        first.setdefault(moment, place)
    marks = choose_marks(first, chance)
    for mark in marks:
        interrupted = Training(footage, str(speaker))
        reached = any(first.get(moment, -1) >= mark for moment in interrupted.moments())
        time.sleep(chance.random() * 0.1)
        interrupted.kill()
        assert reached, seen[mark]
    last = Training(footage, str(speaker))
    after = list(last.moments())
    last.kill()
    return {"killed_in": [seen[mark][0] for mark in marks], "moments": len(seen), "moments_of_the_last": len(after)}


if __name__ == "__main__":
    presets.PRESETS["draft"] = SHORT
    for module in (cache, checkpoint, loop):
        module.SAVE_SECONDS = 0.5  # type: ignore[attr-defined]
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
