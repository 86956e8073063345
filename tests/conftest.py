"""Fixtures of all tests."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and models that lies beside the project; tests that need it are skipped without it."""
    if not SHARED_DATA.is_dir():
        warnings.warn(f"There is no {SHARED_DATA}: the tests on real footage are skipped.", stacklevel=2)
        pytest.skip(f"needs {SHARED_DATA}")
    return SHARED_DATA
