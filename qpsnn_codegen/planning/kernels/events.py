"""The event-driven kernel: convolution or linear layer of spikes, neurons with a hard reset, a maximum pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.planning.kernels.base import Candidate
from qpsnn_codegen.planning.kernels.fusing import LayerKernel, initializer, layer_parts
from qpsnn_codegen.planning.kernels.lanes import (
    BLOCK_BYTES,
    GROUP,
    PAIRS,
    code_bytes,
    lane_channels,
    pack_blocks,
    row_bytes,
)
from qpsnn_codegen.planning.work import Load, Work, lines_inside, taps_inside

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

STEPS = 4
"""``QPS_STEPS``: timesteps that are computed together."""

NARROW_ZERO = 2**15
"""``QPS_NARROW_ZERO``: what a value of 0 is stored as in 16 bits."""

_KEPT_COLUMNS = 8
"""``QPS_GATHER_COLUMNS``: of a kernel whose lists can be kept."""
_WORD_EVENTS = 32
"""By which half of all rows must be exceeded for a list to have room for any pixel's spikes before one is read."""

_CHUNKS = {2: (5, 85), 4: (17,), 8: ()}
"""Rows that lanes have room for (``QPS_CRUMB_ROWS``, ``QPS_NIBBLE_ROWS``): then sums are moved to wider ones."""

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
    def reads_bytes(self) -> bool:
        return True

    @property
    def scratch_words(self) -> int:
        groups = -(-self._channels // GROUP)
        carried = GROUP if self.candidate.timesteps > STEPS else 0
        return groups * (STEPS * PAIRS + carried + 2 * STEPS) + -(-max(self._rows, STEPS * self.slot) // 2)

    @property
    def slot(self) -> int:
        """Events of a timestep for which its list is kept from one window to the next; 0: it is made anew.

        Lists are shorter than a quarter of all rows unless far more neurons spike than a network that is meant to be
        fast would let; where they are longer they are made anew, which costs time and nothing else.
        """
        window = self.conv.window
        width = self.candidate.types[self.conv.inputs[0]].shape[2]
        moves = window.stride[1] == 1 and window.dilation[1] == 1 and 1 < window.kernel[1] <= _KEPT_COLUMNS
        columns = width + 2 * window.padding[1]
        indices = columns * self._rows // window.kernel[1]
        if not moves or columns == window.kernel[1] or indices > _MAX_ROWS or self.candidate.timesteps > STEPS:
            return 0
        return -(-self._rows // 2) + _WORD_EVENTS

    def weight_bytes(self, part: IntegerNode) -> int:
        return code_bytes(self._rows, self._channels, self.conv.bits) if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        return int(self._constants().nbytes) if part is self.neuron else 0

    @property
    def _narrow(self) -> bool:
        """Whether thresholds and rests fit 16 bits, and membranes have room for the zero these are stored with."""
        # A channel that never spikes has a threshold no 32-bit value passes.
        values = np.concatenate([self.neuron.threshold, self.neuron.rest])
        current = self.candidate.types[self.conv.name]
        charge = current.bound << self.neuron.fraction_bits
        room = self.candidate.timesteps * charge + 2**16 < 2**31
        return bool((np.abs(values) < NARROW_ZERO).all()) and room and self.neuron.decay.shift <= 15

    def _constants(self) -> NDArray[Any]:
        """threshold and rest in the order of the sums: uint16 ``[pairs, 2, 2]`` or int32 ``[sums, 2]``."""
        lanes = lane_channels(self._channels, self.conv.bits)
        both = np.stack([self.neuron.threshold, self.neuron.rest])
        ordered = np.where(lanes >= 0, both[:, lanes], 0)
        if self._narrow:
            used = -(-self._channels // 2)
            padded = np.pad(ordered, ((0, 0), (0, -ordered.shape[1] % 2)))
            return (padded.reshape(2, -1, 2).transpose(1, 0, 2)[:used] + NARROW_ZERO).astype(np.uint16)
        return np.asarray(ordered.T[: self._channels], dtype=np.int32)

    @property
    def packed_limit(self) -> int:
        """Events per timestep below which 16 bits hold a current's share in w: lambda 1/2 and narrow constants only.

        w = floor((w + x) / 2) with x = 2 A 2^F is between w and x: it fits where x does, and rests and thresholds. The
        largest |A| of n events is what the n largest weights of a channel add up to.
        """
        if not self._narrow or self.neuron.decay.shift != 1:
            return 0
        codes = np.sort(self.conv.codes.reshape(self._channels, -1).astype(np.int64), axis=1)
        weights = self.conv.multiplier * codes - self.conv.zero_point
        up = np.maximum(weights[:, ::-1], 0).cumsum(axis=1).max(axis=0)
        down = np.maximum(-weights, 0).cumsum(axis=1).max(axis=0)
        return 1 + int(np.count_nonzero(np.maximum(up, down) << (self.neuron.fraction_bits + 1) < NARROW_ZERO))

    def features(self, work: Work) -> dict[str, float]:
        conv, timesteps = self.conv, self.candidate.timesteps
        load = work.loads[conv.name].scaled(self._share)
        source = self.candidate.types[conv.inputs[0]].shape
        listed = self._listed(load)
        frames_listed = timesteps * self._share * listed
        taps = float(taps_inside(conv.window, source).sum()) * frames_listed
        words = taps * -(-source[0] // GROUP)
        silence = 1 - listed * load.events / max(taps * source[0], 1.0)
        blocks, rest = divmod(row_bytes(self._channels, conv.bits), BLOCK_BYTES[conv.bits])
        columns, last = divmod(rest, 4)
        pixels = float(load.peaks.sum())
        # Of the pixels that no event reaches, the first in a row stands for all.
        quiet = max(float(load.peaks[0]) - conv.window.output_size(source[1:])[0], 0.0) if self.slot else 0.0
        pixels -= quiet
        frames = float(load.steps.sum()) - quiet * timesteps
        groups, single = divmod(self._channels, GROUP)
        whole_steps = timesteps == STEPS
        packed = load.peaks_below(self.packed_limit) - quiet if whole_steps and self.packed_limit else 0.0
        sums = {
            f"{what}, {conv.bits}-bit {unit}": times * count
            for what, times in [("sums", load.busy), *((f"chunks of {n}", load.chunks(n)) for n in _CHUNKS[conv.bits])]
            for unit, count in [("blocks", blocks), ("words", columns), (f"rest of {last} bytes", last > 0)]
        }
        return {
            "stages": 1.0,
            "pixels": pixels,
            "frames": frames,
            "columns listed": lines_inside(conv.window, source) * frames_listed,
            "taps": taps,
            "tap words": words,
            # If spikes come independently of each other.
            "tap words with events": words * (1 - silence ** min(source[0], GROUP)),
            "events listed": load.events * listed,
            f"rows, {conv.bits}-bit blocks": load.events * blocks,
            f"rows, {conv.bits}-bit words": load.events * columns,
            f"rows, {conv.bits}-bit rest of {last} bytes": load.events * (last > 0),
            **sums,
            "sums cleared": (float(load.steps[0]) - quiet * timesteps) * -(-self._channels // GROUP),
            "neuron groups, 16 bits": packed * groups,
            "neuron groups, 32 bits": (pixels - packed) * groups if whole_steps else 0.0,
            "neurons": pixels * (single if whole_steps else self._channels),
            "neuron steps": frames * (single if whole_steps else self._channels),
            "spike words": frames * -(-self._channels // GROUP),
            "spikes": work.spikes[self.neuron.name] * self._share,
        }

    def _listed(self, load: Load) -> float:
        """Of the columns under all windows, those whose events are listed: one of a window, or all."""
        if not self.slot:
            return 1.0
        # Where lists have no room for a whole pixel they are made anew.
        room = self.slot - GROUP * -(-self.candidate.types[self.conv.inputs[0]].shape[0] // GROUP) + 1
        anew = (load.events - load.events_below(room)) / max(load.events, 1.0)
        return anew + (1 - anew) / self.conv.window.kernel[1]

    def describe(self, c: CModel) -> CLayer:
        conv, neuron = self.conv, self.neuron
        rows = pack_blocks(conv.codes, conv.bits)
        _, inputs, kh, kw = conv.codes.shape
        comment = (
            f"{conv.name}: {conv.bits}-bit codes of {self._channels} outputs in blocks, "
            f"each of rows [kx {kw}][ky {kh}][input {inputs}]"
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
            "bytes": f"{row_bytes(self._channels, conv.bits)}U",
            "bits": f"{conv.bits}U",
        }
        fields: dict[str, Any] = {
            **self._fields(c),
            "rows": initializer(packed),
            "lif": initializer(lif),
            "slot": f"{self.slot}U",
        }
        symbol = c.struct(
            neuron.name,
            "layer",
            "qps_events_t",
            fields,
            f"{c.verdict(neuron.name)}; {conv.name}: {c.range_comment(conv.name)}",
        )
        return CLayer(
            function="qps_events_run",
            row_function="qps_events_row",
            symbol=symbol,
            arguments=("input", "output", "scratch"),
        )
