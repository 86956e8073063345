"""Fixtures of all tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared footage is cached for the session, and not among the user's; nor is what tests name put into the user's
    settings.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and models that lies beside the project; tests that need it are skipped without it."""
    if not SHARED_DATA.is_dir():
        warnings.warn(f"There is no {SHARED_DATA}: the tests on real footage are skipped.", stacklevel=2)
        pytest.skip(f"needs {SHARED_DATA}")
    return SHARED_DATA


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=1000, metavar="N", help="try N damaged inputs (default: 1000)")
    parser.addoption("--fuzz-seed", type=int, default=0, metavar="S", help="the first of them (default: 0)")
