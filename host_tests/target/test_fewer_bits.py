"""Layers of fewer bits take no longer, whatever the number of their channels, as docs/performance.md claims."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.widths import CHANNELS, CORES, WIDTHS, measure

pytestmark = pytest.mark.slow

TICK = 40.0
"""Instructions that the timer of the board cannot tell apart."""


@pytest.mark.parametrize("core", CORES)
def test_on_every_core(core: str) -> None:
    for channels, counts in measure(core, CHANNELS).items():
        assert all(fewer <= more + TICK for more, fewer in pairwise(counts)), (channels, counts)


def test_widths_are_compared_downwards() -> None:
    """Which the comparison above relies on."""
    assert WIDTHS == (8, 4, 2)
