"""Which stages run one after the other, each on its whole map, and which in turns, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf

from qpsnn_codegen.planning.layouts import MapLayout
from qpsnn_codegen.planning.memory import Buffer, aligned, lower_bound
from qpsnn_codegen.planning.options import Schedule
from qpsnn_codegen.planning.rows import LayerRows, Order, order_of, rows_kept
from qpsnn_codegen.planning.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Stages ``first`` to ``last``, inclusive, which share a moment in time.

    Attributes:
        order: how their rows take turns; empty for a stage on its own.
        kept: of every stage but the last, the rows of its output that memory holds.
    """

    first: int
    last: int
    order: Order = ()
    kept: tuple[int, ...] = ()

    @property
    def stages(self) -> range:
        """Indices."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Stages, and their maps as they are with all rows in memory."""

    stages: Sequence[Stage]
    layouts: Mapping[str, MapLayout]
    _rows_of: tuple[LayerRows | None, ...] = field(init=False)
    """Of every stage; each way to cut the stages into groups asks for them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows_of", tuple(stage.rows for stage in self.stages))

    def choose(self, schedule: Schedule) -> tuple[Group, ...]:
        """The groups of a schedule; ``auto`` takes turns if that saves more memory than their order fills flash."""
        if schedule == "window":
            return tuple(self._group(index, index) for index in range(len(self.stages)))
        if schedule == "rows":
            return tuple(self._longest())
        whole, turns = self.choose("window"), self._smallest()
        saved = lower_bound(self.buffers(whole)) - lower_bound(self.buffers(turns))
        return turns if saved > sum(len(group.order) for group in turns) else whole

    def layout(self, group: Group, index: int) -> MapLayout:
        """The map of a stage, with the rows that its group keeps."""
        layout = self.layouts[self.stages[index].node]
        return replace(layout, rows=group.kept[index - group.first]) if index < group.last else layout

    def buffers(self, groups: Sequence[Group]) -> list[Buffer]:
        """Maps from the group that writes them to the last that reads them; scratch, shared, for a group alone.

        The input and the logits belong to the caller.
        """
        moment = {index: at for at, group in enumerate(groups) for index in group.stages}
        last_read = {name: moment[index] for index, stage in enumerate(self.stages) for name in stage.reads}
        buffers: list[Buffer] = []
        for at, group in enumerate(groups):
            for index in group.stages:
                node = self.stages[index].node
                if node in last_read:
                    size = aligned(self.layout(group, index).size)
                    over = self._place_taken(index, {name for name, last in last_read.items() if last == at})
                    buffers.append(Buffer(name=node, size=size, first=at, last=last_read[node], over=over))
            scratch = self._scratch(group)
            if scratch:
                name = f"{self.stages[group.last].node}/scratch"
                buffers.append(Buffer(name=name, size=scratch, first=at, last=at))
        return buffers

    def _place_taken(self, index: int, ending: AbstractSet[str]) -> str:
        """The map, of those that nobody reads any more, whose place a stage's output may take; or nothing."""
        stage = self.stages[index]
        source = stage.reads[0]
        same = self.layouts[source].format == self.layouts[stage.node].format
        written = any(other.node == source for other in self.stages)
        return source if stage.kernel.in_place and same and written and source in ending else ""

    def _scratch(self, group: Group) -> int:
        """Rows take turns, and keep nothing in between."""
        return max(self.stages[index].scratch_bytes for index in group.stages)

    def _group(self, first: int, last: int) -> Group:
        group = self._bare(first, last)
        return replace(group, order=order_of(self._rows(first, last))) if first < last else group

    def _rows(self, first: int, last: int) -> list[LayerRows]:
        return [rows for rows in self._rows_of[first : last + 1] if rows is not None]

    def _kept(self, first: int, last: int) -> tuple[int, ...]:
        return tuple(rows_kept(reader) for reader in self._rows(first, last)[1:])

    def _joints(self) -> list[bool]:
        """For every stage, whether the next one could run in turns with it: it alone reads its map, and only that."""
        readers = Counter(name for stage in self.stages for name in stage.reads)
        return [
            None not in self._rows_of[index : index + 2] and after.reads == (stage.node,) and readers[stage.node] == 1
            for index, (stage, after) in enumerate(pairwise(self.stages))
        ] + [False]

    def _longest(self) -> Iterator[Group]:
        first = 0
        for index, joined in enumerate(self._joints()):
            if not joined:
                yield self._group(first, index)
                first = index + 1

    def _smallest(self) -> tuple[Group, ...]:
        """Of all ways to cut the stages into groups, one whose fullest moment is least full, and fewest take turns."""
        count = len(self.stages)
        joints = self._joints()
        starts = [[last] for last in range(count)]
        for last in range(1, count):
            if joints[last - 1]:
                starts[last] += starts[last - 1]
        cost = {(first, last): self._live(first, last) for last in range(count) for first in starts[last]}
        least = [0]
        for last in range(count):
            least.append(min(max(least[first], cost[first, last]) for first in starts[last]))
        # By how many stages so far: how many of them run in turns, and where their groups begin.
        best: list[tuple[float, tuple[int, ...]]] = [(0, ())]
        for last in range(count):
            fitting = [first for first in starts[last] if cost[first, last] <= least[count]]
            ways = (
                (best[first][0] + (first < last) * (last - first + 1), (*best[first][1], first)) for first in fitting
            )
            best.append(min(ways, default=(inf, ())))
        firsts = best[count][1]
        return tuple(self._group(first, after - 1) for first, after in zip(firsts, (*firsts[1:], count), strict=True))

    def _live(self, first: int, last: int) -> int:
        """Bytes that are alive while stages ``first`` to ``last`` run as one group."""
        alone = [self._bare(index, index) for index in range(len(self.stages))]
        groups = (*alone[:first], self._bare(first, last), *alone[last + 1 :])
        return sum(buffer.size for buffer in self.buffers(groups) if first in buffer.needs_room)

    def _bare(self, first: int, last: int) -> Group:
        """A group without the order of its rows."""
        return Group(first=first, last=last, kept=self._kept(first, last))
