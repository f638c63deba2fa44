"""Convolution with signed 16-bit weights: exact sums of 64 bits, rounded to 32."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import IntegerNode, Integers, IntegerType, Synapses
from qpsnn_codegen.kinds.windows import Window, convolve, per_frame
from qpsnn_codegen.planning.layouts import pack_rows

BITS = 16
LIST = 64
"""``QPS_WIDE_LIST``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideConv(IntegerNode):
    """A = floor((Σ level s + half) / 2^shift) over the window: int32 currents ``[O, h, w]``.

    ``levels`` int16 ``[O, I, kh, kw]``, none -2^15. A ``shift`` rounds: it is 0 unless the input was rounded before.
    """

    kind: ClassVar[str] = "conv"
    stored: ClassVar[bool] = False

    levels: NDArray[np.int16]
    window: Window
    shift: int

    @property
    def half(self) -> int:
        """What makes the floor a rounding."""
        return 1 << self.shift - 1 if self.shift else 0

    def sums_range(self, source: IntegerType) -> tuple[Integers, Integers]:
        """Bounds of the sums before they are shifted, per output: int64 [O]."""
        low_in, high_in = np.minimum(source.low, 0), np.maximum(source.high, 0)
        levels = self.levels.astype(np.int64)
        rising = np.maximum(levels, 0).sum(axis=(2, 3))
        falling = levels.sum(axis=(2, 3)) - rising
        return rising @ low_in + falling @ high_in, rising @ high_in + falling @ low_in

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        (source,) = inputs
        low, high = ((end + self.half) >> self.shift for end in self.sums_range(source))
        height, width = self.window.output_size(source.shape[1:])
        return IntegerType(shape=(len(self.levels), height, width), static=source.static, low=low, high=high)

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        weights = self.levels.astype(np.float64)
        sums = per_frame(inputs[0], lambda frames: convolve(frames, weights, self.window, 1))
        return (sums.astype(np.int64) + self.half) >> self.shift

    def scratch_words(self, *inputs: IntegerType) -> int:
        return 2 * min(int(np.prod(self.levels.shape[1:])), LIST)

    def describe(self, c: CModel) -> CLayer:
        outputs, channels, kh, kw = self.levels.shape
        comment = (
            f"{self.name}: rows [ky {kh}][kx {kw}][input {channels}], each the 16-bit weights of {outputs} outputs"
        )
        fields: dict[str, Any] = {
            "input": c.map_fields(self.inputs[0]),
            "window": self.window.c_fields(),
            "weights": f"&{c.weights(self.name, lambda: pack_rows(self.levels, BITS, 1), comment)}[0]",
            "outputs": outputs,
            "shift": self.shift,
        }
        symbol = c.struct(self.name, "conv", "qps_wide_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_wide_fill", symbol=symbol)

    def synapses(self) -> Synapses:
        return Synapses(codes=self.levels, bits=BITS, groups=1, window=self.window)

    def negated(self, channels: NDArray[np.bool_]) -> WideConv:
        """The same with the sums negated for some output channels."""
        return replace(self, levels=np.where(channels[:, None, None, None], -self.levels, self.levels))

    def select_outputs(self, keep: Integers) -> WideConv:
        return replace(self, levels=self.levels[keep])

    def select_inputs(self, keep: Integers) -> WideConv:
        return replace(self, levels=self.levels[:, keep])
