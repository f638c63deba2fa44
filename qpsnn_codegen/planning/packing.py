"""Which maps of spikes are packed in bytes, rather than words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qpsnn_codegen.planning.layouts import MapLayout
from qpsnn_codegen.planning.options import Packing
from qpsnn_codegen.planning.stages import Stage


def packed_maps(stages: Sequence[Stage], layouts: Mapping[str, MapLayout], packing: Packing) -> dict[str, MapLayout]:
    """The maps that get smaller, of those whose kernels can do with bytes, by node."""
    if packing == "words":
        return {}
    words = {name for stage in stages if not stage.kernel.reads_bytes for name in stage.reads}
    packed = {}
    for stage in stages:
        layout = layouts[stage.node]
        if stage.kernel.writes_bytes and stage.node not in words and layout.format == "SPIKES":
            smaller = replace(layout, format="SPIKES8")
            if smaller.size < layout.size and (packing == "bytes" or _costs_no_time(layout.shape[0])):
                packed[stage.node] = smaller
    return packed


def _costs_no_time(channels: int) -> bool:
    """A single byte is read like a word; whole bytes lie one pixel beside the other, and are read several at a time."""
    return channels <= 8 or channels % 8 == 0
