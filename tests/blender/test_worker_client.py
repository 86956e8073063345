"""The client's side of the protocol, with a fake worker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_blender

FAKE_WORKER = str(Path(__file__).with_name("fake_worker.py"))


@pytest.fixture
def start(module, monkeypatch):
    """Starts a job with a behaviour of the fake worker."""
    clients = []

    def start(behaviour: str):
        monkeypatch.setenv("S2L_FAKE_BEHAVIOUR", behaviour)
        clients.append(
            module("s2l_blender_addon.engine.worker_client").WorkerClient(
                FAKE_WORKER, module("s2l_core.jobs").InfoJob()
            )
        )
        return clients[-1]

    yield start
    for client in clients:
        client.kill()


def run(client, until=lambda client: client.has_ended, limit: float = 120.0):
    deadline = time.monotonic() + limit
    while not client.poll() and not until(client):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return client


def test_result_arrives_with_the_job_that_was_sent(start) -> None:
    client = run(start("answer"))
    assert client.result["job"] == {"schema": 1, "verb": "info", "device": "auto"}
    assert client.error is None
    assert (client.progress.phase, client.progress.done, client.progress.total) == ("checking", 2, 2)


def test_worker_ends_after_its_job(start) -> None:
    client = run(start("wait_for_the_end"))
    assert client.result == {"done": True}
    assert client._process.wait(timeout=120) == 0


def test_worker_error_becomes_its_class(module, start) -> None:
    client = run(start("fail"))
    assert type(client.error) is module("s2l_core.errors").NoFace
    assert str(client.error) == "Nobody is there. Look again."


def test_crash_is_told_with_the_last_words(module, start) -> None:
    client = run(start("crash"))
    assert type(client.error) is module("s2l_core.errors").WorkerLost
    assert "status 9: out of luck" in client.error.message


def test_full_pipes_and_foreign_lines_do_no_harm(start) -> None:
    client = run(start("babble"))
    assert client.result["version"] == "0.0.0"
    assert any("noise" in line for line in client.log)


def test_cancel_is_told_to_the_worker(module, start) -> None:
    client = run(start("wait"), until=lambda client: client.progress)
    client.cancel()
    run(client)
    assert type(client.error) is module("s2l_core.errors").Cancelled
    assert client.error.message == "Stopped."


def test_killed_job_is_cancelled_and_its_result_forgotten(module, start) -> None:
    client = start("ignore")
    client.kill()
    assert client.poll()
    assert type(client.error) is module("s2l_core.errors").Cancelled


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (None, "Starting"),
        (("training", 1, 4, None), "Training 25%"),
        (("training", 1, 4, 12.4), "Training 25%, 12 s left"),
        (("training", 1, 4, 150.0), "Training 25%, 2 min left"),
        (("training", 9, 4, 3900.0), "Training 100%, 1 h 05 min left"),
        (("loading", 0, 0, None), "Loading 0%"),
    ],
)
def test_progress_reads_as_a_line(module, progress, text) -> None:
    event = progress and module("s2l_core.events").Progress(*progress)
    assert module("s2l_blender_addon.progress").describe(event) == text


@pytest.mark.parametrize(
    "last",
    [
        '"result": [1]',
        '"result": null',
        '"error": null',
        '"error": {"message": 1}',
        '"error": {"message": "", "data": 1}',
    ],
)
def test_a_last_message_that_makes_no_sense_is_an_error(start, monkeypatch, last) -> None:
    monkeypatch.setenv("S2L_FAKE_LAST", f'{{"jsonrpc": "2.0", "id": 1, {last}}}')
    client = run(start("say_nonsense"))
    assert (client.error.code, client.progress) == ("internal_error", None)
    assert any("dance" in line for line in client.log)


def test_numbers_that_are_not_finite_are_none_in_a_result(start, monkeypatch) -> None:
    monkeypatch.setenv("S2L_FAKE_LAST", '{"jsonrpc": "2.0", "id": 1, "result": {"psnr": NaN, "frames": 1e999}}')
    assert run(start("say_nonsense")).result == {"psnr": None, "frames": None}


def test_a_line_without_an_end_ends_the_worker(start) -> None:
    client = run(start("never_end_a_line"))
    assert client.error.code == "worker_lost"
    assert "a line without an end" in client.error.message
