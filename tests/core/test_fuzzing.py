"""Damaged and hostile input gets an answer with a code of its own, in time, and loses nothing; see ``tests/fuzzing``.

``python3 build.py test --fuzz 10000`` tries ten thousand inputs; ``--fuzz 1 --fuzz-seed 1234`` the input 1234 again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fuzzing import run, specimens
from tests.fuzzing.kinds import KINDS

from .conftest import CLIP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes are watched through /proc")


@pytest.fixture(scope="module")
def good(hasty_speaker: str, tmp_path_factory: pytest.TempPathFactory) -> specimens.Specimens:
    return specimens.make(tmp_path_factory.mktemp("good"), CLIP, hasty_speaker)


def test_damaged_input_is_answered_in_time_and_nothing_is_lost(
    good: specimens.Specimens, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    first = request.config.getoption("--fuzz-seed")
    tally = run.run(range(first, first + request.config.getoption("--fuzz")), good, tmp_path)
    with capsys.disabled():
        print(f"\n{run.report(tally)}")
    assert tally.faults == []


def test_good_input_of_every_kind_is_accepted(good: specimens.Specimens, tmp_path: Path) -> None:
    tester = run.Tester(good, tmp_path / "tester")
    try:
        refused = {kind: answer for kind in KINDS if "result" not in (answer := tester.accept_good(kind).answer)}
    finally:
        tester.close()
    assert refused.keys() == {"line"}  # the request behind the good line is refused
