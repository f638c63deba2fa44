"""The event-driven kernel: convolution or linear layer of spikes, neurons with a hard reset, a maximum pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.planning.kernels.base import Candidate
from qpsnn_codegen.planning.kernels.fusing import LayerKernel, layer_parts, tile_of
from qpsnn_codegen.planning.kernels.lanes import BLOCK_WORDS, GROUP, lane_channels, pack_blocks, row_words
from qpsnn_codegen.planning.work import Work, lines_inside, taps_inside

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

STEPS = 4
"""``QPS_STEPS``: timesteps that are computed together."""

_LARGEST_SUM = 2**16 - 1
_MAX_ROWS = 2**16 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsKernel(LayerKernel):
    """``qps_events_run``."""

    name: ClassVar[str] = "events"

    @classmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        parts = layer_parts(candidate)
        if parts is None:
            return None
        conv, neuron, pool = parts
        source = candidate.types[conv.inputs[0]]
        spikes = not source.static and int(source.low.min()) >= 0 and int(source.high.max()) <= 1
        totals = conv.codes.reshape(len(conv.codes), -1).sum(axis=1, dtype=np.int64)
        rows = int(np.prod(conv.codes.shape[1:]))
        small = (
            conv.multiplier in (1, 2)
            and int(totals.max()) <= _LARGEST_SUM
            and rows <= _MAX_ROWS
            and (conv.zero_point << neuron.fraction_bits) <= _LARGEST_SUM
        )
        if not (spikes and small):
            return None
        return cls(candidate=candidate, conv=conv, neuron=neuron, pool=pool)

    @property
    def _sum_words(self) -> int:
        return row_words(self._channels, self.conv.bits) * 16 // self.conv.bits

    @property
    def scratch_words(self) -> int:
        carried = 2 if self.candidate.timesteps > STEPS else 0
        spike_words = -(-self._channels // 32)
        return (STEPS + carried) * self._sum_words + STEPS * spike_words + -(-self._rows // 2)

    def weight_bytes(self, part: IntegerNode) -> int:
        return self._rows * row_words(self._channels, self.conv.bits) * 4 if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        return int(self._constants().nbytes) if part is self.neuron else 0

    @property
    def _narrow(self) -> bool:
        """Whether thresholds and rests fit 16 bits."""
        # A channel that never spikes has a threshold no 32-bit value passes.
        values = np.concatenate([self.neuron.threshold, self.neuron.rest])
        return bool((np.abs(values) < 2**15).all())

    def _constants(self) -> NDArray[Any]:
        """threshold and rest in the order of the sums: int16 ``[pairs, 2, 2]`` or int32 ``[sums, 2]``."""
        lanes = lane_channels(self._channels, self.conv.bits)
        both = np.stack([self.neuron.threshold, self.neuron.rest])
        ordered = np.where(lanes >= 0, both[:, lanes], 0)
        if self._narrow:
            used = -(-self._channels // 2)
            return ordered.reshape(2, -1, 2).transpose(1, 0, 2)[:used].astype(np.int16)
        return np.asarray(ordered.T[: self._channels], dtype=np.int32)

    @property
    def packed_limit(self) -> int:
        """Events per timestep below which every intermediate value fits 16 bits: lambda 1/2 and narrow constants only.

        With n events, |A| <= n * reach, so |w| <= max|rest| + 2 |A| 2^F; and 2 S 2^F m must not leave its lane.
        """
        if not self._narrow or self.neuron.decay.shift != 1:
            return 0
        conv, unit = self.conv, 1 << self.neuron.fraction_bits
        top = (1 << conv.bits) - 1
        reach = max(conv.zero_point, conv.multiplier * top - conv.zero_point)
        rest = int(np.abs(self.neuron.rest).max())
        by_membrane = (2**15 - 1 - rest) // (2 * reach * unit)
        by_lane = (2**16 - 1) // (2 * conv.multiplier * top * unit)
        return max(min(by_membrane, by_lane) + 1, 0)

    def features(self, work: Work) -> dict[str, float]:
        conv, load, timesteps = self.conv, work.loads[self.conv.name], self.candidate.timesteps
        source = self.candidate.types[conv.inputs[0]].shape
        taps = float(taps_inside(conv.window, source).sum() * timesteps)
        words_read = taps * -(-source[0] // GROUP)
        silence = 1 - load.events / max(taps * source[0], 1.0)
        blocks, words = divmod(row_words(self._channels, conv.bits), BLOCK_WORDS[conv.bits])
        pixels = float(load.peaks.sum())
        frames = float(load.steps.sum())
        groups, single = divmod(self._channels, GROUP)
        whole_steps = timesteps == STEPS
        packed = load.peaks_below(self.packed_limit) if whole_steps else 0.0
        return {
            "stages": 1.0,
            "pixels": pixels,
            "frames": frames,
            "lines": float(lines_inside(conv.window, source) * timesteps),
            "taps apart": taps if source[0] % GROUP else 0.0,
            "tap words": words_read,
            # If spikes come independently of each other.
            "tap words with events": words_read * (1 - silence ** min(source[0], GROUP)),
            "tap bytes with events": taps * -(-source[0] // 8) * (1 - silence ** min(source[0], 8)),
            "events": load.events,
            f"rows, {conv.bits}-bit blocks": load.events * blocks,
            f"rows, {conv.bits}-bit words": load.events * words,
            f"sums, {conv.bits}-bit blocks": load.busy * blocks,
            f"sums, {conv.bits}-bit words": load.busy * words,
            "sums cleared": float(load.steps[0]) * self._sum_words,
            "neuron groups, 16 bits": packed * groups,
            "neuron groups, 32 bits": (pixels - packed) * groups if whole_steps else 0.0,
            "neurons": pixels * (single if whole_steps else self._channels),
            "neuron steps": frames * (single if whole_steps else self._channels),
            "spike words": frames * -(-self._channels // GROUP),
            "spikes": work.spikes[self.neuron.name],
        }

    def describe(self, c: CModel) -> CLayer:
        conv, neuron = self.conv, self.neuron
        rows = pack_blocks(conv.codes, conv.bits)
        _, inputs, kh, kw = conv.codes.shape
        comment = (
            f"{conv.name}: {conv.bits}-bit codes of {self._channels} outputs in blocks, "
            f"each of rows [ky {kh}][kx {kw}][input {inputs}]"
        )
        constants = self._constants()
        text = "threshold and rest in the order of the sums, " + ("pair by pair" if self._narrow else "one by one")
        lif = {
            "narrow" if self._narrow else "wide": c.array(
                neuron.name, "neurons", f"{constants.dtype}_t", constants, text
            ),
            "channels": f"{self._channels}U",
            "packed_limit": f"{min(self.packed_limit, 2**16 - 1)}U",
            "event_cost": f"{conv.zero_point << neuron.fraction_bits}U",
            "decay_shift": f"{neuron.decay.shift}U",
            "sum_shift": f"{neuron.fraction_bits + conv.multiplier - 1}U",
        }
        packed = {
            "codes": f"&{c.weights(conv.name, rows, comment)}[0]",
            "rows": f"{self._rows}U",
            "words": f"{row_words(self._channels, conv.bits)}U",
            "bits": f"{conv.bits}U",
        }
        _, height, width = self.candidate.types[neuron.name].shape
        tile = tile_of(self.pool)
        fields: dict[str, Any] = {
            "input": c.map_fields(conv.inputs[0]),
            "window": conv.window.c_fields(),
            "rows": _initializer(packed),
            "lif": _initializer(lif),
            "output": c.map_fields(self.candidate.node.name),
            "height": height,
            "width": width,
            "pool_height": tile[0],
            "pool_width": tile[1],
            "trace": c.trace(neuron.name),
        }
        symbol = c.struct(
            neuron.name,
            "layer",
            "qps_events_t",
            fields,
            f"{c.verdict(neuron.name)}; {conv.name}: {c.range_comment(conv.name)}",
        )
        return CLayer(function="qps_events_run", symbol=symbol, arguments=("input", "output", "scratch"))


def _initializer(fields: dict[str, str]) -> str:
    return "{" + ", ".join(f".{name} = {text}" for name, text in fields.items()) + "}"
