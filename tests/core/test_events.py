"""A job tells its progress through a report, and stops when its caller asks."""

from __future__ import annotations

import pytest

from s2l_core import events
from s2l_core.errors import Cancelled


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_remaining_time_follows_the_rate_of_the_phase(clock: list[float]) -> None:
    heard: list[events.Event] = []
    report = events.Report(heard.append)
    report.progress("Training", 0, 100)
    clock[0] += 10.0
    report.progress("Training", 20, 100)
    clock[0] += 5.0
    report.progress("Writing", 5, 10)  # a new phase has its own rate
    assert [event.eta_seconds for event in heard if isinstance(event, events.Progress)] == [None, 40.0, None]


def test_a_cancelled_job_stops_at_its_next_progress() -> None:
    asked = False
    heard: list[events.Event] = []
    report = events.Report(heard.append, lambda: asked)
    report.progress("Training", 1, 2)
    asked = True
    with pytest.raises(Cancelled):
        report.progress("Training", 2, 2)
    assert len(heard) == 1


def test_a_note_says_how_good_the_work_is_so_far() -> None:
    heard: list[events.Event] = []
    events.Report(heard.append).progress("Training", 1, 2, "held-out 29.3 dB")
    assert heard == [events.Progress("Training", 1, 2, None, "held-out 29.3 dB")]


def test_logs_and_previews_reach_the_listener() -> None:
    heard: list[events.Event] = []
    report = events.Report(heard.append)
    report.log("warning", "The sound is quiet.")
    report.preview("mouth.png")
    assert heard == [events.Log("warning", "The sound is quiet."), events.Preview("mouth.png")]


def test_a_report_without_a_listener_is_silent() -> None:
    events.Report().progress("Training", 1, 2)
