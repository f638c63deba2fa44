"""Which maps of spikes are packed in bytes, rather than words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from qpsnn_codegen.planning.layouts import MapLayout
from qpsnn_codegen.planning.options import Packing
from qpsnn_codegen.planning.stages import Stage

_WORDS_ARE_FASTER = frozenset({"cortex-m55"})
"""With Helium additions take so little that reading bytes left over costs twice what it does elsewhere: 5 %."""


def packing_for(packing: Packing, cores: Collection[str]) -> Packing:
    """As asked for, or what is best on these cores, whose names are those of ``cost.CORES``."""
    return "words" if packing == "auto" and cores and _WORDS_ARE_FASTER.issuperset(cores) else packing


def packed_maps(
    stages: Sequence[Stage], layouts: Mapping[str, MapLayout], packing: Packing
) -> list[dict[str, MapLayout]]:
    """The maps that get smaller, of those whose kernels can do with bytes, by node.

    One choice, or two where the arena is to decide: without those that cost time, and with those of them whose pixels
    fill more than a word. A single word is read so much faster that its bytes are left to a budget.
    """
    words = {name for stage in stages if not stage.kernel.reads_bytes for name in stage.reads}
    smaller = {}
    for stage in stages:
        layout = layouts[stage.node]
        if stage.kernel.writes_bytes and stage.node not in words and layout.format == "SPIKES":
            packed = replace(layout, format="SPIKES8")
            if packed.size < layout.size:
                smaller[stage.node] = packed
    free = {node: layout for node, layout in smaller.items() if _costs_no_time(layout.shape[0])}
    if packing == "auto":
        worth = free | {node: layout for node, layout in smaller.items() if layout.shape[0] > 32}
        return [free] if free == worth else [free, worth]
    return [smaller if packing == "bytes" else {}]


def _costs_no_time(channels: int) -> bool:
    """A single byte is read like a word; whole bytes lie one pixel beside the other, and are read several at a time."""
    return channels <= 8 or channels % 8 == 0
