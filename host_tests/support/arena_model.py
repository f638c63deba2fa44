"""An arena in which every word knows what it holds: a plan is run on it, and every read must find what it looks for.

Lifetimes are not trusted: only where a buffer begins, and what the stages read and write, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.planning.kernels.fusing import LayerKernel
from qpsnn_codegen.planning.plan import Plan
from qpsnn_codegen.planning.stages import Stage

Content = tuple[str, int, int, int]
"""A node, a timestep, a row, a column; the last three are -1 for all that is not a pixel."""


@dataclass
class Arena:
    """Byte by byte, what it holds; ``errors`` are reads that found something else, and accesses outside."""

    plan: Plan
    held: dict[int, Content] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.offsets = {buffer.name: buffer.offset for buffer in self.plan.buffers}
        self.input = self.plan.network.nodes[0].name

    def run(self) -> list[str]:
        """Run the plan; returns what went wrong."""
        for group in self.plan.groups:
            scratch = f"{self.plan.stages[group.last].node}/scratch"
            if group.order:
                done = [0] * len(group.stages)
                for index in group.order:
                    self._row(self.plan.stages[group.first + index], done[index], scratch)
                    done[index] += 1
            else:
                self._whole(self.plan.stages[group.first], scratch)
        return self.errors

    def _whole(self, stage: Stage, scratch: str) -> None:
        node = stage.kernel.candidate.node
        if isinstance(stage.kernel, LayerKernel):
            for y in range(stage.kernel.rows.height):
                self._row(stage, y, scratch)
        elif isinstance(node, MapPool):
            self._pool(stage, node)
        else:
            # Any order: all is read before, between and after all that is written.
            for _ in range(2):
                for source in stage.reads:
                    self._read(source, self._pixels(source))
                self._write(stage.node, self._pixels(stage.node))
                self._scribble(scratch, stage.scratch_bytes)

    def _row(self, stage: Stage, y: int, scratch: str) -> None:
        rows = stage.rows
        assert rows is not None
        (source,) = stage.reads
        layout = self.plan.layouts[source]
        first, end = rows.reads[y]
        taps = range(first, end, rows.window.dilation[0])
        self._scribble(scratch, stage.scratch_bytes)
        self._read(source, ((t, row, x) for t in range(layout.frames) for row in taps for x in range(layout.shape[2])))
        own = self.plan.layouts[stage.node]
        stored = y // rows.pool_height
        if stored < own.shape[1]:
            pixels = [(t, stored, x) for t in range(own.frames) for x in range(own.shape[2])]
            if y % rows.pool_height:
                self._read(stage.node, pixels)
            self._write(stage.node, pixels)

    def _pool(self, stage: Stage, pool: MapPool) -> None:
        (source,) = stage.reads
        (height, width), window = self.plan.layouts[source].shape[1:], pool.window
        for t, y, x in self._pixels(stage.node):
            ys = [y * window.stride[0] - window.padding[0] + k * window.dilation[0] for k in range(window.kernel[0])]
            xs = [x * window.stride[1] - window.padding[1] + k * window.dilation[1] for k in range(window.kernel[1])]
            self._read(source, [(t, iy, ix) for iy in ys for ix in xs if 0 <= iy < height and 0 <= ix < width])
            self._write(stage.node, [(t, y, x)])

    def _pixels(self, node: str) -> Iterator[tuple[int, int, int]]:
        layout = self.plan.layouts[node]
        for t in range(layout.frames):
            for y in range(layout.shape[1]):
                for x in range(layout.shape[2]):
                    yield t, y, x

    def _places(self, node: str, pixel: tuple[int, int, int]) -> range:
        layout = self.plan.layouts[node]
        t, y, x = pixel
        size = layout.size // (layout.frames * layout.rows * layout.shape[2])
        start = self.offsets[node] + ((t * layout.rows + y % layout.rows) * layout.shape[2] + x) * size
        return range(start, start + size)

    def _read(self, node: str, pixels: Iterable[tuple[int, int, int]]) -> None:
        if node == self.input:
            return  # the caller's
        for pixel in pixels:
            if any(self.held.get(place) != (node, *pixel) for place in self._places(node, pixel)):
                self.errors.append(f"{node} {pixel} is not there")

    def _write(self, node: str, pixels: Iterable[tuple[int, int, int]]) -> None:
        if node not in self.offsets:
            return  # logits, or a map that nobody reads
        for pixel in pixels:
            self._hold(self._places(node, pixel), (node, *pixel))

    def _scribble(self, scratch: str, size: int) -> None:
        if size:
            start = self.offsets[scratch]
            self._hold(range(start, start + size), (scratch, -1, -1, -1))

    def _hold(self, places: range, content: Content) -> None:
        if places.start < 0 or places.stop > self.plan.arena_bytes:
            self.errors.append(f"{content} lies outside")
        self.held.update(dict.fromkeys(places, content))
