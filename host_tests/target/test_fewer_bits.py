"""Layers of fewer bits take no longer, whatever the number of their channels, as docs/performance.md claims."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.widths import CHANNELS, WIDTHS, measure

pytestmark = pytest.mark.slow

TICK = 40.0
"""Instructions that the timer of the board cannot tell apart."""

HELIUM = 1.06
"""2 bits against 4 on a Cortex-M55, at most; 4 against 8 where one word is a whole row."""


def test_on_every_core_without_vectors() -> None:
    for core in ("M0", "M3", "M4"):
        for channels, counts in measure(core, CHANNELS).items():
            assert all(fewer <= more + TICK for more, fewer in pairwise(counts)), (core, channels, counts)


def test_with_helium() -> None:
    counted = measure("M55", CHANNELS)
    for channels, (eight, four, two) in counted.items():
        assert four <= eight * (HELIUM if channels <= 8 else 1.0) + TICK, (channels, eight, four)
        assert two <= four * HELIUM + TICK, (channels, four, two)
        assert two <= eight * (HELIUM if channels <= 16 else 1.0) + TICK, (channels, eight, two)
    # Blocks of 32 channels, two of which share a register.
    for channels in (64, 130):
        assert counted[channels] == sorted(counted[channels], reverse=True), channels


def test_widths_are_compared_downwards() -> None:
    """Which the comparisons above rely on."""
    assert WIDTHS == (8, 4, 2)
