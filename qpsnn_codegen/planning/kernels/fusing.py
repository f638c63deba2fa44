"""What the fast kernels share: a layer of weights, its neurons, and the maximum pool that may follow, in one stage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.kinds.conv import IntegerConv
from qpsnn_codegen.kinds.neuron import IntegerNeuron
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.kinds.readout import LastReadout
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import Shape
from qpsnn_codegen.planning.kernels.base import Candidate, Kernel
from qpsnn_codegen.planning.rows import LayerRows
from qpsnn_codegen.planning.work import Load, Work

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKernel(Kernel):
    """A kernel for such a stage."""

    conv: IntegerConv
    neuron: IntegerNeuron
    pool: MapPool | None

    @property
    def writes_bytes(self) -> bool:
        return True

    @property
    def rows(self) -> LayerRows:
        types = self.candidate.types
        return LayerRows(
            window=self.conv.window,
            input_height=types[self.conv.inputs[0]].shape[1],
            height=types[self.neuron.name].shape[1],
            pool_height=_tile_of(self.pool)[0],
        )

    def _fields(self, c: CModel) -> dict[str, Any]:
        """What both kernels' descriptions have: maps, window, tiles."""
        _, height, width = self.candidate.types[self.neuron.name].shape
        tile = _tile_of(self.pool)
        tiles = {
            "height": height,
            "width": width,
            "pool_height": tile[0],
            "pool_width": tile[1],
            "trace": c.trace(self.neuron.name),
        }
        return {
            "input": c.map_fields(self.conv.inputs[0]),
            "window": self.conv.window.c_fields(),
            "output": c.map_fields(self.candidate.node.name),
            "tiles": initializer({name: f"{value}U" for name, value in tiles.items()}),
        }

    @property
    def _size(self) -> tuple[int, int]:
        """Rows and columns of the layer's pixels whose spikes the pool reads: no others are computed."""
        _, height, width = self.candidate.types[self.neuron.name].shape
        tile = _tile_of(self.pool)
        return height // tile[0] * tile[0], width // tile[1] * tile[1]

    @property
    def _share(self) -> float:
        """Of all its pixels."""
        return float(np.prod(self._size) / np.prod(self.candidate.types[self.neuron.name].shape[1:]))

    def _stored(self, frames: float, packed: Collection[str]) -> dict[str, float]:
        """What storing the spikes of so many pixels and timesteps takes, by the name of a feature."""
        if self.candidate.node.name not in packed:
            return {"spike words stored": frames * -(-self._channels // 32)}
        words, rest = divmod(-(-self._channels // 8), 4)
        return {
            "frames in bytes": frames,
            "spike words stored in bytes": frames * words,
            "spike bytes stored": frames * rest,
        }

    def _load(self, work: Work) -> Load:
        """What these pixels meet."""
        return work.loads[self.conv.name] if self._share == 1 else work.pooled[self.conv.name]

    def _inside(self, count: Callable[[Window, Shape], NDArray[np.int64]]) -> float:
        """Taps or lines inside the map under their windows."""
        height, width = self._size
        shape = self.candidate.types[self.conv.inputs[0]].shape
        return float(count(self.conv.window, shape)[:height, :width].sum())

    @property
    def _channels(self) -> int:
        return len(self.conv.codes)

    @property
    def _rows(self) -> int:
        """Of weights: one for each input under the window."""
        return int(np.prod(self.conv.codes.shape[1:]))


def layer_parts(candidate: Candidate) -> tuple[IntegerConv, IntegerNeuron, MapPool | None] | None:
    """The parts of a stage the fast kernels may run, or ``None``.

    The layer is not grouped and read by these neurons alone; what they give is spikes, not potentials; the pool's
    windows lie side by side.
    """
    if len(candidate.parts) not in (2, 3):
        return None
    conv, neuron, pool = (*candidate.parts, None)[:3]
    if not isinstance(conv, IntegerConv) or not isinstance(neuron, IntegerNeuron) or isinstance(neuron, LastReadout):
        return None
    if conv.groups != 1 or candidate.readers[conv.name] != 1:
        return None
    if pool is not None and not (isinstance(pool, MapPool) and _tiles(pool)):
        return None
    return conv, neuron, pool


def is_plain(neuron: IntegerNeuron) -> bool:
    """Whether neurons have a hard reset, a decay by a shift, no shortcut, and no bias left at every timestep."""
    added = neuron.bias is not None or neuron.gain is not None
    return neuron.reset == "hard" and neuron.decay.multiplier == 0 and neuron.decay.shift <= 31 and not added


def initializer(fields: Mapping[str, str]) -> str:
    """Of a struct within a struct."""
    return "{" + ", ".join(f".{name} = {text}" for name, text in fields.items()) + "}"


def _tile_of(pool: MapPool | None) -> tuple[int, int]:
    """Height and width of the windows of a fused pool; 1, 1 for none."""
    return (1, 1) if pool is None else pool.window.kernel


def _tiles(pool: MapPool) -> bool:
    """Whether a pool's windows lie side by side: then every spike belongs to one of them at most."""
    window = pool.window
    apart = window.stride == window.kernel and window.padding == (0, 0) and window.dilation == (1, 1)
    return pool.mode == "max" and apart and max(window.kernel) < 256
