"""The event-driven kernel: convolution or linear layer of spikes, its neurons, a maximum pool."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import IntegerNode
from qpsnn_codegen.planning.kernels.base import Candidate
from qpsnn_codegen.planning.kernels.fusing import LayerKernel, initializer, is_plain, layer_parts
from qpsnn_codegen.planning.kernels.lanes import (
    BLOCK_BYTES,
    GROUP,
    PAIRS,
    code_bytes,
    has_half,
    lane_channels,
    pack_blocks,
    rest_bits,
    row_bytes,
    stored_bits,
)
from qpsnn_codegen.planning.kernels.listing import listing_of
from qpsnn_codegen.planning.work import Load, Work, lines_inside, taps_inside

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

STEPS = 4
"""``QPS_STEPS``: timesteps that are computed together."""

NARROW_ZERO = 2**15
"""``QPS_NARROW_ZERO``: what a value of 0 is stored as in 16 bits."""

_KEPT_COLUMNS = 8
"""``QPS_GATHER_COLUMNS``: of a kernel whose lists can be kept."""
_SLACK = 64
"""Events beyond 7/16 of all rows: up to 1024 rows, half of them."""
_WORD_EVENTS = 32
"""And these: a list has room for the spikes of any word before one is read."""

_CHUNKS = {2: (5, 85), 4: (17,), 8: ()}
"""Rows that lanes have room for (``QPS_CRUMB_ROWS``, ``QPS_NIBBLE_ROWS``): then sums are moved to wider ones."""

_BYTE = 8
"""Channels in which a core without a count of zeros looks for spikes."""

_ROUND = 32
"""Bytes of constants that a core reads together at most."""

_LARGEST_SUM = 2**16 - 1
_MAX_ROWS = 2**16 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apart:
    """What is computed timestep by timestep, and how often sums begin anew because 16 bits hold no more."""

    pixels: float
    frames: float
    more: float
    features: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsKernel(LayerKernel):
    """``qps_events_run``; or ``qps_events_any_run``, where 16 bits do not hold all sums or neurons are not plain.

    The latter computes a pixel timestep by timestep, at less speed: always, or only those with too many events.
    """

    name: ClassVar[str] = "events"

    sum_limit: int = field(init=False)
    """Events per timestep up to which 16 bits hold their sums in every channel; at most all rows."""
    packed_limit: int = field(init=False)
    """Events per timestep below which 16 bits hold a current's share in w: lambda 1/2 and narrow constants only."""

    def __post_init__(self) -> None:
        # Once for both and all uses; of bytes, a stable sort is one by radix, forty times as fast.
        codes = np.sort(self.conv.codes.reshape(self._channels, -1), axis=1, kind="stable")
        object.__setattr__(self, "sum_limit", _sum_limit(codes))
        object.__setattr__(self, "packed_limit", self._packed_limit(codes))

    @classmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        parts = layer_parts(candidate)
        if parts is None:
            return None
        conv, neuron, pool = parts
        source = candidate.types[conv.inputs[0]]
        spikes = not source.static and int(source.low.min()) >= 0 and int(source.high.max()) <= 1
        rows = int(np.prod(conv.codes.shape[1:]))
        if not spikes or conv.multiplier not in (1, 2) or rows > _MAX_ROWS:
            return None
        return cls(candidate=candidate, conv=conv, neuron=neuron, pool=pool)

    @property
    def reads_bytes(self) -> bool:
        return self.neuron.gain is None

    @property
    def _any(self) -> bool:
        """Whether it is ``qps_events_any_run``."""
        return not is_plain(self.neuron) or self.sum_limit < self._rows

    @property
    def scratch_words(self) -> int:
        groups = -(-self._channels // GROUP)
        membranes = GROUP if self._any or self.candidate.timesteps > STEPS else 0
        return groups * (STEPS * PAIRS + membranes + 2 * STEPS) + -(-max(self._rows, STEPS * self.slot) // 2)

    @property
    def slot(self) -> int:
        """Events of a timestep for which its list is kept from one window to the next; 0: it is made anew.

        Lists are shorter than a quarter of all rows unless far more neurons spike than a network that is meant to be
        fast would let; where they outgrow half of them (7/16 of very many) they are made anew, which costs time only.
        """
        window = self.conv.window
        width = self.candidate.types[self.conv.inputs[0]].shape[2]
        moves = window.stride[1] == 1 and window.dilation[1] == 1 and 1 < window.kernel[1] <= _KEPT_COLUMNS
        columns = width + 2 * window.padding[1]
        indices = columns * self._rows // window.kernel[1]
        if not moves or columns == window.kernel[1] or indices > _MAX_ROWS or self.candidate.timesteps > STEPS:
            return 0
        return min(-(-self._rows // 2), -(-7 * self._rows // 16) + _SLACK) + _WORD_EVENTS

    @property
    def _bits(self) -> int:
        """Of codes as they are stored."""
        return stored_bits(self._channels, self.conv.bits)

    def weight_bytes(self, part: IntegerNode) -> int:
        return code_bytes(self._rows, self._channels, self._bits) if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        if part is not self.neuron:
            return 0
        arrays = [self._constants()] if is_plain(self.neuron) else self.neuron.constants().values()
        return sum(array.nbytes for array in arrays)

    @property
    def narrow(self) -> bool:
        """Whether thresholds and rests fit 16 bits, and membranes have room for the zero these are stored with."""
        # A channel that never spikes has a threshold no 32-bit value passes.
        values = np.concatenate([self.neuron.threshold, self.neuron.rest])
        current = self.candidate.types[self.conv.name]
        charge = current.bound << self.neuron.fraction_bits
        room = self.candidate.timesteps * charge + 2**16 < 2**31
        return bool((np.abs(values) < NARROW_ZERO).all()) and room and self.neuron.decay.shift <= 15

    def _constants(self) -> NDArray[Any]:
        """threshold and rest in the order of the sums: uint16 ``[pairs, 2, 2]`` or int32 ``[sums, 2]``.

        Filled up to ``_ROUND`` bytes, with neurons that never spike.
        """
        lanes = lane_channels(self._channels, self._bits)[: self._channels]
        values = np.stack([self.neuron.threshold, self.neuron.rest])[:, lanes]
        size = 2 if self.narrow else 4
        missing = -len(lanes) % (_ROUND // (2 * size))
        never = 2 ** (8 * size - 1) - 1
        filled = np.pad(values, ((0, 0), (0, missing)))
        filled[0, len(lanes) :] = never
        if self.narrow:
            return (filled.reshape(2, -1, 2).transpose(1, 0, 2) + NARROW_ZERO).astype(np.uint16)
        return np.asarray(filled.T, dtype=np.int32)

    def _packed_limit(self, codes: NDArray[np.uint8]) -> int:
        """From the codes of every channel, in ascending order.

        w = floor((w + x) / 2) with x = 2 A 2^F is between w and x: it fits where x does, and rests and thresholds. The
        largest |A| of n events is what the n largest weights of a channel add up to.
        """
        if not is_plain(self.neuron) or not self.narrow or self.neuron.decay.shift != 1:
            return 0
        weights = self.conv.multiplier * codes.astype(np.int64) - self.conv.zero_point
        up = np.maximum(weights[:, ::-1], 0).cumsum(axis=1).max(axis=0)
        down = np.maximum(-weights, 0).cumsum(axis=1).max(axis=0)
        return 1 + int(np.count_nonzero(np.maximum(up, down) << (self.neuron.fraction_bits + 1) < NARROW_ZERO))

    def features(self, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
        conv, timesteps = self.conv, self.candidate.timesteps
        load = self._load(work)
        source = self.candidate.types[conv.inputs[0]].shape
        listing = listing_of(load, self.slot, source[0], conv.window, self._size)
        # Pixels with too many events are noticed by their list, which may have to be made once more.
        again = listing.anew * self._too_full(load)
        frames_listed = timesteps * listing.windows + again / max(float(load.peaks.sum()), 1.0)
        taps = self._inside(taps_inside) * frames_listed
        in_bytes = conv.inputs[0] in packed
        words, rest_bytes = divmod(-(-source[0] // _BYTE), GROUP // _BYTE) if in_bytes else (-(-source[0] // GROUP), 0)
        loads = taps * (words + (rest_bytes > 0))
        silence = 1 - listing.events / max(taps * source[0], 1.0)
        blocks, rest = divmod(row_bytes(self._channels, self._bits), BLOCK_BYTES[self._bits])
        columns, last = divmod(rest, 4)
        units = [("blocks", blocks), (f"{columns} words", columns > 0), (f"rest of {last} bytes", last > 0)]
        pixels = float(load.peaks.sum())
        # Of the pixels that no event reaches, the first in a row stands for all.
        quiet = max(float(load.peaks[0]) - self._size[0], 0.0)
        quiet *= self.slot > 0 and self.neuron.gain is None
        pixels -= quiet
        frames = float(load.steps.sum()) - quiet * timesteps
        groups, pairs = -(-self._channels // GROUP), -(-self._channels // 2)
        whole_steps = timesteps == STEPS
        apart = self._apart(load, pixels, frames, work)
        together, frames_together = pixels - apart.pixels, frames - apart.frames
        few = min(self.packed_limit, self.sum_limit + 1)
        short = load.peaks_below(few) - quiet if whole_steps and self.packed_limit else 0.0
        # Which pixels spike is not known: each is taken to have as many as any other.
        spikes = work.spikes[self.neuron.name] * self._share / max(pixels, 1.0)
        sums = {
            f"{what}, {self._bits}-bit {unit}": times * count
            for what, times in [
                ("rows", load.events),
                ("sums", load.busy + apart.more),
                *((f"chunks of {n}", load.chunks(n)) for n in _CHUNKS[self._bits]),
            ]
            for unit, count in units
        }
        lists = {
            "columns listed": self._inside(lines_inside) * frames_listed,
            "taps": taps,
            "tap words": taps * words,
            "rests of taps": taps * (rest_bytes > 0),
            "bytes of rests": taps * rest_bytes,
            # If spikes come independently of each other.
            "tap words with events": loads * (1 - silence ** min(source[0], GROUP)),
            "tap bytes with events": taps * -(-source[0] // _BYTE) * (1 - silence ** min(source[0], _BYTE)),
            "events listed": listing.events + again * load.events / max(float(load.steps.sum()), 1.0),
            "lists made anew": frames * listing.anew,
            "events listed in vain": listing.vain,
        }
        form = "bytes: " if in_bytes else ""
        return {
            "stages": 1.0,
            "pixels": pixels,
            "frames": frames,
            **{f"{form}{name}": number for name, number in lists.items()},
            "events moved": listing.moved,
            **sums,
            "sums cleared": (float(load.steps[0]) - quiet * timesteps) * groups * is_plain(self.neuron),
            "neuron groups, 16 bits": short * groups,
            "neuron pairs, 16 bits": short * pairs,
            "neuron groups, 32 bits": (together - short) * groups * whole_steps,
            "neuron pairs, 32 bits": (together - short) * pairs * whole_steps,
            "neuron groups, other steps": together * groups * (not whole_steps),
            "neurons": together * self._channels * (not whole_steps),
            "neuron steps": frames_together * self._channels * (not whole_steps),
            **self._stored(float(load.steps.sum()), packed),
            "spikes, 16 bits": short * spikes,
            "spikes, 32 bits": (together - short) * spikes * whole_steps,
            "spikes, other steps": together * spikes * (not whole_steps),
            "long spikes": apart.pixels * spikes,
            **apart.features,
        }

    def _apart(self, load: Load, pixels: float, frames: float, work: Work) -> _Apart:
        """What of so many pixels and timesteps is computed timestep by timestep."""
        plain, neuron, limit = is_plain(self.neuron), self.neuron, self.sum_limit
        if not self._any:
            return _Apart(pixels=0.0, frames=0.0, more=0.0, features={})
        more = load.chunks(limit) - load.busy
        busy = load.busy
        if plain:
            timesteps = self.candidate.timesteps
            pixels = self._too_full(load)
            frames = busy = pixels * timesteps / -(-timesteps // STEPS)
        decay = "multiplied" if neuron.decay.multiplier else "shifted"
        neurons = frames * self._channels
        features = {
            "long steps": frames,
            "long parts": busy + more,
            "long sums": (busy + more) * self._channels,
            f"long neurons, {'plain' if plain else decay}": neurons,
            "long biases": neurons * (neuron.bias is not None),
        }
        if neuron.gain is not None:
            name = neuron.inputs[1]
            kind = self.candidate.types[name]
            bits = not kind.static and int(kind.high.max()) <= 1
            features["shortcut words" if bits else "shortcut values"] = neurons / (GROUP if bits else 1)
            features["shortcut spikes"] = work.spikes.get(name, 0.0) * self._share * bits
        return _Apart(pixels=pixels, frames=frames, more=more, features=features)

    def _too_full(self, load: Load) -> float:
        """Pixels that plain neurons cannot take all at once, for their events."""
        return float(load.peaks[self.sum_limit + 1 :].sum()) * is_plain(self.neuron)

    def describe(self, c: CModel) -> CLayer:
        conv, neuron = self.conv, self.neuron
        _, inputs, kh, kw = conv.codes.shape
        comment = (
            f"{conv.name}: {self._bits}-bit codes of {self._channels} outputs in blocks, "
            f"each of rows [kx {kw}][ky {kh}][input {inputs}]"
        )
        lif = self._lif(c)
        packed = {
            "codes": f"&{c.weights(conv.name, lambda: pack_blocks(conv.codes, self._bits), comment)}[0]",
            "sum": self._sum,
            "rows": f"{self._rows}U",
            "bytes": f"{row_bytes(self._channels, self._bits)}U",
            "bits": f"{self._bits}U",
            "rest_bits": f"{rest_bits(self._channels, self._bits)}U",
        }
        fields: dict[str, Any] = {
            **self._fields(c),
            "rows": initializer(packed),
            "lif": initializer(lif),
            "slot": f"{self.slot}U",
        }
        verdict = f"{c.verdict(neuron.name)}; {conv.name}: {c.range_comment(conv.name)}"
        if not self._any:
            return CLayer(
                function="qps_events_run",
                row_function="qps_events_row",
                symbol=c.struct(neuron.name, "layer", "qps_events_t", fields, verdict),
                arguments=("input", "output", "scratch"),
                named=(self._sum,),
            )
        fields = {"events": initializer(fields), "sum_limit": self.sum_limit}
        if not is_plain(neuron):
            fields["neuron"] = neuron.c_fields(c)
        if neuron.gain is not None:
            fields["shortcut"] = c.map_fields(neuron.inputs[1])
        return CLayer(
            function="qps_events_any_run",
            row_function="qps_events_any_row",
            symbol=c.struct(neuron.name, "layer", "qps_events_any_t", fields, verdict),
            arguments=("input", "second", "output", "scratch"),
            named=(self._sum,),
        )

    @property
    def _sum(self) -> str:
        """The function that adds up rows of codes of this width, and of this form."""
        halves = "halves_" if has_half(self._channels, self._bits) else ""
        return f"qps_rows_sum_{halves}{self._bits}"

    def _lif(self, c: CModel) -> dict[str, str]:
        """Fields of the ``qps_lif_t``, its array declared on the way; no constants of neurons that are not plain."""
        conv, neuron = self.conv, self.neuron
        fields = {
            "channels": f"{self._channels}U",
            "zero_point": f"{conv.zero_point}U",
            "fraction_bits": f"{neuron.fraction_bits}U",
            "sum_shift": f"{neuron.fraction_bits + conv.multiplier - 1}U",
        }
        if not is_plain(neuron):
            return fields
        constants = self._constants()
        text = "threshold and rest in the order of the sums, " + ("pair by pair" if self.narrow else "one by one")
        symbol = c.array(neuron.name, "neurons", f"{constants.dtype}_t", constants, text)
        return fields | {
            "narrow" if self.narrow else "wide": symbol,
            "packed_limit": f"{min(self.packed_limit, 2**16 - 1)}U",
            "decay_shift": f"{neuron.decay.shift}U",
        }


def _sum_limit(codes: NDArray[np.uint8]) -> int:
    """From the codes of every channel, in ascending order."""
    return int(np.count_nonzero(codes[:, ::-1].cumsum(axis=1, dtype=np.int64).max(axis=0) <= _LARGEST_SUM))
