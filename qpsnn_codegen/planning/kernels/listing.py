"""How often the kernel of events lists what a window holds (qps_gather.c), from how full windows are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.kernels.lanes import GROUP
from qpsnn_codegen.planning.work import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lists of events take.

    Attributes:
        windows: of the columns under all windows, the share that is listed.
        anew: of the lists, the share that is not kept from the window before.
        events: listed; ``moved``: to where their list begins; ``vain``: in lists that turned out to have no room.
    """

    windows: float
    anew: float
    events: float
    moved: float
    vain: float


def listing_of(load: Load, slot: int, channels: int, window: Window, size: tuple[int, int]) -> Listing:
    """Lists are kept along a row of windows, until one has no room for a window: then they are made anew.

    Args:
        slot: events there is room for; 0: no list is kept.
        channels: of the map.
        size: rows and columns of windows.
    """
    if not slot:
        return Listing(windows=1.0, anew=1.0, events=load.events, moved=0.0, vain=0.0)
    (height, width), columns, taps = size, window.kernel[1], int(np.prod(window.kernel))
    # There must be room for any pixel's spikes when the last tap is looked at.
    room = (slot - GROUP * -(-channels // GROUP)) * taps // max(taps - 1, 1) + 1
    below = load.peaks_below(room) / max(float(load.peaks.sum()), 1.0)
    # If windows that share no column are full independently of each other.
    kept = float(np.mean(below ** (1 + np.arange(width) / columns)))
    share = kept / below if below else 0.0
    events = load.events_below(room) * share
    # Lists grow by a column and lose one, and move back when they come to the end of their room.
    count = np.arange(min(room, len(load.steps)))
    moves = np.minimum(count / columns / (room - count), 1.0)
    return Listing(
        windows=1 - kept + kept / columns,
        anew=1 - kept,
        events=load.events - events + events / columns,
        moved=float(count * moves @ load.steps[: len(count)]) * share,
        vain=room * height * (1 - below ** (1 + (width - 1) / columns)),
    )
