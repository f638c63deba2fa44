"""Layers of fewer bits take no longer, as docs/performance.md claims."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks import kernels, widths

pytestmark = pytest.mark.slow

TICK = 40.0
"""Instructions that the timer of the board cannot tell apart."""


@pytest.mark.parametrize("core", widths.CORES)
def test_whatever_the_number_of_channels(core: str) -> None:
    for channels, counts in widths.measure(core, widths.CHANNELS).items():
        assert all(fewer <= more + TICK for more, fewer in pairwise(counts)), (channels, counts)


@pytest.mark.parametrize("core", ["M0", "M3", "M4"])
def test_two_bits_for_lists_of_three_events(core: str) -> None:
    """What comes once for each list counts most there; on the M55 it is more for 2 bits, as the tables say."""
    for channels, (_, four, two) in widths.measure(core, widths.CHANNELS, rate=0.02).items():
        assert two <= four + TICK, (channels, four, two)


@pytest.mark.parametrize("core", widths.CORES)
def test_at_any_rate(core: str) -> None:
    """Of the microkernel, and of a readout: instructions per operation, of which there are many."""
    layers = kernels.layers_of_spikes(), kernels.readouts()
    chosen = [layer for kind in layers for layer in kind if layer.kernel in ("events", "counts")]
    plain = [layer for layer in chosen if layer.reset != "soft"]
    counts = {(layer.kernel, layer.bits): figures for _, layer, figures in kernels.measure(plain, [core])}
    for kernel in ("events", "counts"):
        for figures in zip(*(counts[kernel, bits] for bits in widths.WIDTHS), strict=True):
            assert list(figures) == sorted(figures, reverse=True), (kernel, figures)


def test_widths_are_compared_downwards() -> None:
    """Which the comparisons above rely on."""
    assert widths.WIDTHS == (8, 4, 2)
