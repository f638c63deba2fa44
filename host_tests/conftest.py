"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run two at a time; a thread pool in each would have them fight for the cores. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from host_tests.support.compiler_cache import use_compiler_cache

# Cases compile C, so wall-clock deadlines and data-generation times say nothing about defects.
_COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", _COMMON)
settings.register_profile("quick", _COMMON, max_examples=20)
settings.load_profile("full")


def pytest_configure(config: pytest.Config) -> None:
    """One cache for all workers, which inherit PATH; `make clean` removes it with pytest's own."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is not None and not hasattr(config, "workerinput"):
        use_compiler_cache(cache.mkdir("compilers"))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository under test."""
    return Path(__file__).resolve().parent.parent
