"""The first layer on an image of bytes: currents once per pixel, by multiplication, then the neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers
from qpsnn_codegen.planning.kernels.base import Candidate
from qpsnn_codegen.planning.kernels.fusing import LayerKernel, is_plain, layer_parts
from qpsnn_codegen.planning.layouts import layout_of
from qpsnn_codegen.planning.work import Work, lines_inside, taps_inside

if TYPE_CHECKING:
    from qpsnn_codegen.emit.c_model import CModel

BLOCK = 8
"""``QPS_IMAGE_BLOCK``."""
_MAX_CODES = 2**14
"""Codes take two bytes here; beyond this many, flash matters more than speed, and 16 bits do not hold an offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKernel(LayerKernel):
    """``qps_image_run``."""

    name: ClassVar[str] = "image"

    @classmethod
    def fit(cls, candidate: Candidate) -> Self | None:
        parts = layer_parts(candidate)
        if parts is None or not is_plain(parts[1]):
            return None
        conv, neuron, pool = parts
        source = candidate.types[conv.inputs[0]]
        node = candidate.sources.get(conv.inputs[0])
        if node is None or layout_of(node, source, candidate.timesteps).format != "IMAGE_U8":
            return None
        totals = conv.codes.reshape(len(conv.codes), -1).sum(axis=1, dtype=np.int64)
        rows = int(np.prod(conv.codes.shape[1:]))
        if rows * _filled(len(conv.codes)) > _MAX_CODES or int(totals.max()) * int(source.high.max()) >= 2**24:
            return None
        return cls(candidate=candidate, conv=conv, neuron=neuron, pool=pool)

    @property
    def _row_words(self) -> int:
        return _filled(self._channels) // 2

    @property
    def scratch_words(self) -> int:
        return 2 * self.candidate.timesteps * -(-self._channels // 32) + 2 * (self._rows + 1)

    def weight_bytes(self, part: IntegerNode) -> int:
        return 4 * self._rows * self._row_words if part is self.conv else 0

    def constant_bytes(self, part: IntegerNode) -> int:
        return 4 * _filled(self._channels) + 8 * self._channels if part is self.neuron else 0

    def _packed(self) -> NDArray[np.uint8]:
        rows = self.conv.codes.transpose(1, 2, 3, 0).reshape(self._rows, -1).astype(np.uint32)
        rows = np.pad(rows, ((0, 0), (0, 2 * self._row_words - rows.shape[1])))
        words = rows[:, 0::2] | rows[:, 1::2] << np.uint32(24)
        return np.ascontiguousarray(words.astype("<u4")).view(np.uint8)

    def quiet(self) -> Integers:
        """Per channel, the largest constant current A with which no spike ever comes: int64 [C].

        A neuron's membrane never falls when A grows, so there is one such border.
        """
        neuron, kind = self.neuron, self.candidate.types[self.conv.name]
        # Outside what A can be: taken for quiet and for spiking, whatever they are.
        low, high = kind.low - 1, kind.high + 1

        def spikes(current: Integers) -> NDArray[np.bool_]:
            membrane = neuron.rest
            fired = np.zeros(len(current), dtype=bool)
            for _ in range(self.candidate.timesteps):
                membrane = neuron.decay.apply(membrane) + (current << neuron.fraction_bits)
                fired |= membrane > neuron.threshold
            return fired

        while np.any(high - low > 1):
            middle = (low + high) // 2
            fired = spikes(middle)
            low, high = np.where(fired, low, middle), np.where(fired, middle, high)
        return low

    def features(self, work: Work) -> dict[str, float]:
        load = work.loads[self.conv.name].scaled(self._share)
        source = self.candidate.types[self.conv.inputs[0]].shape
        taps = float(taps_inside(self.conv.window, source).sum()) * self._share
        pixels = float(load.steps.sum())
        blocks = _filled(self._channels) // BLOCK
        return {
            "stages": 1.0,
            "pixels": pixels,
            "lines": lines_inside(self.conv.window, source) * self._share,
            "taps": taps,
            "inputs": taps * source[0],
            "events": load.events,
            "rows": load.events * blocks,
            "sums": pixels * blocks,
            "neurons": pixels * self._channels,
            "neurons awake": work.awake[self.neuron.name] * self._share,
            "spikes": work.spikes[self.neuron.name] * self._share,
            "spike words": pixels * self.candidate.timesteps * -(-self._channels // 32),
        }

    def describe(self, c: CModel) -> CLayer:
        conv, neuron = self.conv, self.neuron
        _, inputs, kh, kw = conv.codes.shape
        comment = f"{conv.name}: rows [input {inputs}][ky {kh}][kx {kw}] of words with two codes, bits 0 and 24 up"
        codes = c.weights(conv.name, self._packed(), comment)
        border = np.full(_filled(self._channels), INT32_MAX)
        border[: self._channels] = self.quiet()
        quiet = c.array(neuron.name, "quiet", "int32_t", border, "largest current without a spike, per channel")
        constants = np.stack([neuron.threshold, neuron.rest], axis=1)
        neurons = c.array(neuron.name, "neurons", "int32_t", constants, "threshold and rest of every channel")
        fields: dict[str, Any] = {
            **self._fields(c),
            "codes": f"&{codes}[0]",
            "quiet": quiet,
            "neurons": neurons,
            "row_bytes": 4 * self._row_words,
            "multiplier": conv.multiplier,
            "zero_point": conv.zero_point,
            "decay_shift": neuron.decay.shift,
            "fraction_bits": neuron.fraction_bits,
        }
        symbol = c.struct(
            neuron.name,
            "layer",
            "qps_image_t",
            fields,
            f"{c.verdict(neuron.name)}; {conv.name}: {c.range_comment(conv.name)}",
        )
        return CLayer(
            function="qps_image_run",
            row_function="qps_image_row",
            symbol=symbol,
            arguments=("input", "output", "scratch"),
        )


def _filled(channels: int) -> int:
    """Codes of a row, filled up to whole blocks."""
    return -(-channels // BLOCK) * BLOCK
