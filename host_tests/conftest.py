"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run two at a time; a thread pool in each would have them fight for the cores. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# Cases compile C, so wall-clock deadlines and data-generation times say nothing about defects.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", _COMMON)
settings.register_profile("quick", _COMMON, max_examples=20)
settings.load_profile("full")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository under test."""
    return Path(__file__).resolve().parent.parent
