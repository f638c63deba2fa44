"""The order of rows: stages that run in turns, row by row, so that memory holds only rows still to be read.

A row of a layer is computed at all timesteps at once. The order is a list of stages, each entry one more row of that
stage, before its pool. Whoever is farthest along goes first, if the rows it reads are there: so no row waits longer
than it must, and a map between two stages needs as many rows as one window spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.kinds.windows import Window

Order = tuple[int, ...]
"""Which stage of a group, counted from 0, computes its next row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRows:
    """How a layer reads rows, and which it stores.

    Attributes:
        input_height: of the map it reads.
        height: of its own map, before the pool.
        pool_height: of that pool's windows, which lie side by side; 1 for none.
    """

    window: Window
    input_height: int
    height: int
    pool_height: int
    reads: tuple[tuple[int, int], ...] = field(init=False)
    """For every row of the layer, the first row of its input that it reads, and the first after them."""
    needs: tuple[int, ...] = field(init=False)
    """For every row of the layer, how many rows of its input must be there: they are computed in order."""

    def __post_init__(self) -> None:
        reads = tuple(map(self._reads, range(self.height)))
        object.__setattr__(self, "reads", reads)
        object.__setattr__(self, "needs", tuple(accumulate((end for _, end in reads), max)))

    @property
    def stored(self) -> int:
        """Rows of its output."""
        return self.height // self.pool_height

    def finished(self, done: int) -> int:
        """Rows of its output that are complete when so many of its own are done."""
        return min(done // self.pool_height, self.stored)

    def _reads(self, y: int) -> tuple[int, int]:
        start = y * self.window.stride[0] - self.window.padding[0]
        taps = range(start, start + self.window.kernel[0] * self.window.dilation[0], self.window.dilation[0])
        inside = [row for row in taps if 0 <= row < self.input_height]
        return (inside[0], inside[-1] + 1) if inside else (0, 0)


def rows_kept(reader: LayerRows) -> int:
    """Rows that memory must hold of the map a stage reads, when it runs as soon as it can."""
    kept, oldest = 1, reader.input_height
    # Rows run in order: one waits for what those before it need, and what those after it need must stay.
    for (first, end), needed in zip(reversed(reader.reads), reversed(reader.needs), strict=True):
        oldest = min(oldest, first) if end else oldest
        kept = max(kept, needed - oldest)
    return kept


def order_of(stages: Sequence[LayerRows]) -> Order:
    """The farthest stage that can run does, until all rows are done."""
    done = [0] * len(stages)
    order: list[int] = []
    total = sum(stage.height for stage in stages)
    while len(order) < total:
        for index in reversed(range(len(stages))):
            if done[index] == stages[index].height:
                continue
            before = stages[index - 1]
            if index == 0 or before.finished(done[index - 1]) >= stages[index].needs[done[index]]:
                done[index] += 1
                order.append(index)
                break
        else:
            raise InternalError("order of rows", "a stage waits for a row that never comes")
    return tuple(order)


def check_order(stages: Sequence[LayerRows], kept: Sequence[int], order: Order) -> None:
    """Run the order on maps that keep so many rows, the last one all of its own: every row must find what it reads.

    Raises:
        InternalError: a row that is read is not there, or not all rows are computed.
    """
    memory: list[dict[int, int]] = [{} for _ in stages]
    done = [0] * len(stages)
    for index in order:
        stage, y = stages[index], done[index]
        if index > 0:
            rows, ring = memory[index - 1], kept[index - 1]
            complete = stages[index - 1].finished(done[index - 1])
            first, end = stage.reads[y] if y < stage.height else (0, 0)
            for row in range(first, end, stage.window.dilation[0]):
                if row >= complete or rows.get(row % ring) != row:
                    raise InternalError(f"order of rows, stage {index}", f"row {y} reads row {row}, which is not there")
        row = y // stage.pool_height
        if row < stage.stored:
            memory[index][row % kept[index]] = row
        done[index] += 1
    if done != [stage.height for stage in stages]:
        raise InternalError("order of rows", f"computes {done} rows")
