"""The simulation of a farm: more workers end sooner, and failures cost time but no task."""

from __future__ import annotations

import pytest

from benchmarks.farming.simulation import Season, TaskTimes, bytes_of, plan_of, simulate
from s2l_core.farm.plan import critical_seconds

TIMES = TaskTimes(train=100.0, start=1.0, look=1.0, frame=0.1, join=0.0, footage_rate=10.0, speaker_bytes=5.0)
SEASON = Season(shots=6, speakers=2, languages=2, seconds=(4.0, 6.0), training_seconds=30.0)


def test_one_worker_takes_as_long_as_all_tasks_together() -> None:
    plan = plan_of(SEASON, TIMES)
    run = simulate(plan, [2.0], dict.fromkeys(plan.by_name, 1.0), hours_between_failures=1e9)
    assert run.makespan == pytest.approx(sum(task.seconds for task in plan.tasks) / 2)
    assert run.utilisation == pytest.approx(1.0)
    assert (run.lost, run.bytes_read) == (0, len(plan.tasks))


def test_many_workers_wait_for_the_training() -> None:
    plan = plan_of(SEASON, TIMES)
    run = simulate(plan, [1.0] * 50, dict.fromkeys(plan.by_name, 0.0), hours_between_failures=1e9)
    longest = max(critical_seconds(plan).values())
    assert run.makespan == pytest.approx(longest)
    assert longest > 100.0
    assert run.utilisation < 0.5


def test_what_a_failed_worker_loses_is_done_again() -> None:
    plan = plan_of(SEASON, TIMES)
    calm = simulate(plan, [1.0], dict.fromkeys(plan.by_name, 0.0), hours_between_failures=1e9)
    rough = simulate(plan, [1.0], dict.fromkeys(plan.by_name, 0.0), hours_between_failures=0.1)
    assert rough.lost > 0
    assert rough.makespan > calm.makespan
    assert rough.utilisation < calm.utilisation


def test_a_training_reads_its_footage_and_a_dub_its_speaker_too() -> None:
    plan = plan_of(SEASON, TIMES)
    reads = {task.name: bytes_of(task, SEASON, TIMES) for task in plan.tasks}
    assert reads["speaker0-train"] == 300.0
    assert reads["shot000-0-frames-0"] == pytest.approx(5.0 + plan.task("shot000-0-frames-0").count / 25 * 10.0)
