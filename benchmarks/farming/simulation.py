"""A plan on more machines than there are: which worker does which task when, with failures."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from s2l_core.farm.plan import Plan, Task, critical_seconds
from s2l_core.jobs import DubJob, Media, TrainJob

HOUR = 3600.0


@dataclass(frozen=True)
class TaskTimes:
    """Measured processor seconds of tasks, and what they read.

    Attributes:
        train: Training a speaker.
        start: Starting a process and opening a job.
        look: Looking at a second of a clip, besides.
        frame: Rendering a frame.
        join: Joining a frame.
        footage_rate: Bytes of a second of footage.
        speaker_bytes: Bytes of a speaker file.
    """

    train: float
    start: float
    look: float
    frame: float
    join: float
    footage_rate: float
    speaker_bytes: float


@dataclass(frozen=True)
class Season:
    """What is to be dubbed.

    Attributes:
        shots: Number of shots.
        speakers: Number of speakers.
        languages: Number of languages.
        seconds: Shortest and longest shot.
        training_seconds: Length of the footage of a training.
    """

    shots: int = 800
    speakers: int = 40
    languages: int = 5
    seconds: tuple[float, float] = (2.0, 12.0)
    training_seconds: float = 120.0


@dataclass(frozen=True)
class Run:
    """What came of a simulated run.

    Attributes:
        workers: Number of workers.
        makespan: Seconds until everything was done.
        utilisation: Share of the workers' time in which they did a task to its end.
        lost: Number of tasks that were lost with a worker, and repeated.
        bytes_read: Bytes that were read from the shared folder.
    """

    workers: int
    makespan: float
    utilisation: float
    lost: int
    bytes_read: float

    @property
    def read_rate(self) -> float:
        """Bytes per second that the shared folder has to deliver on average."""
        return self.bytes_read / self.makespan


def plan_of(season: Season, times: TaskTimes, chunk: int = 128, seed: int = 1) -> Plan:
    """A plan of a season, with the measured times as estimates."""
    chance, rate = random.Random(seed), 25
    tasks: list[Task] = []
    jobs: list[TrainJob | DubJob] = []
    for speaker in range(season.speakers):
        jobs.append(TrainJob(Media(f"SHOW/speaker{speaker}.mp4"), f"SHOW/speaker{speaker}.s2l", consent=True))
        tasks.append(Task(f"speaker{speaker}-train", "train", len(jobs) - 1, seconds=times.train))
    for shot in range(season.shots):
        frames = round(chance.uniform(*season.seconds) * rate)
        speaker = chance.randrange(season.speakers)
        for language in range(season.languages):
            name, number = f"shot{shot:03}-{language}", len(jobs)
            footage, voice = Media(f"SHOW/{shot}.mp4"), Media(f"SHOW/{shot}-{language}.wav")
            jobs.append(DubJob(f"SHOW/speaker{speaker}.s2l", footage, voice, f"SHOW/{name}.mp4"))
            look = times.start + times.look * frames / rate
            tasks.append(Task(f"{name}-look", "look", number, 0, frames, (f"speaker{speaker}-train",), seconds=look))
            parts = []
            for place, first in enumerate(range(0, frames, chunk)):
                count = min(chunk, frames - first)
                parts.append(f"{name}-frames-{place}")
                seconds = times.start + times.frame * count
                tasks.append(Task(parts[-1], "frames", number, first, count, (f"{name}-look",), seconds=seconds))
            seconds = times.start + times.join * frames
            tasks.append(Task(f"{name}-join", "join", number, 0, frames, tuple(parts), seconds=seconds))
    return Plan("0", chunk, {"SHOW": "/"}, tuple(jobs), tuple(tasks))


def bytes_of(task: Task, season: Season, times: TaskTimes) -> float:
    """Bytes that a task reads from the shared folder: its footage and its speaker. Voices are small."""
    if task.kind == "train":
        return season.training_seconds * times.footage_rate
    return times.speaker_bytes + task.count / 25 * times.footage_rate


def simulate(
    plan: Plan,
    speeds: Sequence[float],
    reads: dict[str, float],
    hours_between_failures: float = 8.0,
    away_seconds: float = 300.0,
    seed: int = 1,
) -> Run:
    """Do a plan with workers of given speeds, the most urgent task first.

    Args:
        plan: The plan.
        speeds: For each worker, how many estimated seconds it does in a second.
        reads: Bytes that each task reads.
        hours_between_failures: Mean time after which a worker loses its task.
        away_seconds: Time until a failed worker is back.
        seed: Random seed of the failures.
    """
    chance = random.Random(seed)
    urgency = critical_seconds(plan)
    left = {task.name: len(task.needs) for task in plan.tasks}
    after: dict[str, list[str]] = {}
    for task in plan.tasks:
        for need in task.needs:
            after.setdefault(need, []).append(task.name)
    ready = [(-urgency[task.name], task.name) for task in plan.tasks if not task.needs]
    heapq.heapify(ready)
    idle = [(-speed, worker) for worker, speed in enumerate(speeds)]
    heapq.heapify(idle)
    events: list[tuple[float, int, str, bool]] = []  # the moment, the worker, its task, whether that is done
    now, useful, lost, read, remaining = 0.0, 0.0, 0, 0.0, len(plan.tasks)
    while remaining:
        while ready and idle:
            _, name = heapq.heappop(ready)
            _, worker = heapq.heappop(idle)
            seconds = plan.by_name[name].seconds / speeds[worker]
            until_failure = chance.expovariate(1 / (hours_between_failures * HOUR))
            read += reads[name]
            if until_failure < seconds:
                lost += 1
                heapq.heappush(ready, (-urgency[name], name))
                heapq.heappush(events, (now + until_failure + away_seconds, worker, "", False))
            else:
                useful += seconds
                heapq.heappush(events, (now + seconds, worker, name, True))
        now, worker, name, is_done = heapq.heappop(events)
        heapq.heappush(idle, (-speeds[worker], worker))
        if is_done:
            remaining -= 1
            for waiting in after.get(name, []):
                left[waiting] -= 1
                if not left[waiting]:
                    heapq.heappush(ready, (-urgency[waiting], waiting))
    return Run(len(speeds), now, useful / (now * len(speeds)), lost, read)
