"""Convolution with weight codes; also the integer form of linear layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers, IntegerType, Synapses
from qpsnn_codegen.kinds.wide_conv import BITS as WIDE_BITS
from qpsnn_codegen.kinds.wide_conv import WideConv
from qpsnn_codegen.kinds.windows import Window, convolve, per_frame
from qpsnn_codegen.lowering import Draft, Signal, constant, fractions
from qpsnn_codegen.network import Floats, Node, Shape
from qpsnn_codegen.planning.layouts import pack_rows

MAX_ROUNDED_SUM = 2**30
"""Currents that had to be rounded stay below this, divided by T + 1."""

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""Weight codes: of 16 bits where the grid has as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Real weight = scale / divisor * (multiplier * code - zero_point), docs/numerics.md §2.

    ``scale`` is float64 [O]. ReScaW: divisor = zero_point = 2^bits - 1, multiplier 2; symmetric: 1, 2^(bits-1), 1.
    """

    bits: int
    multiplier: int
    zero_point: int
    divisor: int
    scale: NDArray[np.float64]

    @property
    def mirror(self) -> int:
        """What a code and its complement sum to."""
        return 2 * self.zero_point // self.multiplier

    @staticmethod
    def rescaw(bits: int, scale: NDArray[np.float64]) -> Grid:
        """The grid of odd levels, without zero."""
        top = 2**bits - 1
        return Grid(bits=bits, multiplier=2, zero_point=top, divisor=top, scale=scale)

    @staticmethod
    def symmetric(bits: int, scale: NDArray[np.float64]) -> Grid:
        """The grid with zero in the middle."""
        return Grid(bits=bits, multiplier=1, zero_point=2 ** (bits - 1), divisor=1, scale=scale)

    def values(self, codes: Codes) -> Floats:
        """Real weights, float64, from codes ``[O, ...]``."""
        unit = (self.scale / self.divisor).reshape(-1, *[1] * (codes.ndim - 1))
        return unit * (self.multiplier * codes.astype(np.float64) - self.zero_point)

    def levels(self, codes: Codes) -> Integers:
        """Integer weights m u - z."""
        return self.multiplier * codes.astype(np.int64) - self.zero_point


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv(Node):
    """2-D convolution. ``codes`` ``[O, I/groups, kh, kw]``; ``bias`` float64 [O]."""

    kind: ClassVar[str] = "conv"

    codes: Codes
    grid: Grid
    bias: NDArray[np.float64]
    window: Window
    groups: int = 1

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        outputs, group_inputs = self.codes.shape[:2]
        if shape[0] != group_inputs * self.groups or outputs % self.groups:
            raise self.refuse(
                f"expects {group_inputs * self.groups} channels, gets {shape[0]}", "check the layer before it"
            )
        height, width = self.window.output_size(shape[1:])
        if height < 1 or width < 1:
            raise self.refuse(f"its kernel does not fit a map of {shape[1]}x{shape[2]}", "use padding or fewer pools")
        return outputs, height, width

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        weights = self.grid.values(self.codes)
        currents = per_frame(inputs[0], lambda frames: convolve(frames, weights, self.window, self.groups))
        return currents + self.bias[:, None, None]

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        if signal.flat and draft.types[signal.node].shape[1:] != (1, 1):
            raise self.refuse("is a convolution after a flatten", "use a linear layer there")
        return lower_synapses(self, draft, signal, self.codes, self.grid, self.bias, self.window, self.groups)


def lower_synapses(
    node: Node,
    draft: Draft,
    signal: Signal,
    codes: Codes,
    grid: Grid,
    bias: NDArray[np.float64],
    window: Window,
    groups: int,
) -> Signal:
    """The integer form of any layer of weights: real output = scale * A + bias with A an integer sum."""
    scale_in = signal.uniform_scale
    if scale_in is None or not draft.nodes[signal.node].stored:
        raise node.refuse(
            "reads values that are neither an input nor spikes",
            "put a neuron (and no batch-norm or addition of currents) before it",
        )
    if codes.max() >= 2**grid.bits or grid.mirror - int(codes.min()) >= 2**grid.bits:
        raise node.refuse("has weight codes outside its grid", "quantize its weights again")
    shift = 0
    if grid.bits == WIDE_BITS:
        shift = _add_wide(node, draft, signal, codes, grid, window, groups)
    else:
        _add_narrow(node, draft, signal, codes, grid, window, groups)
    # The real value of one unit of A.
    units = fractions(grid.scale) * (scale_in * 2**shift / grid.divisor)
    error = constant(0, len(codes))
    if any(signal.error):
        # The largest sum of |weight| times the largest input error.
        magnitude = np.abs(grid.levels(codes)).reshape(len(codes), -1).sum(axis=1)
        error = fractions(grid.scale) * fractions(magnitude) * (max(signal.error) / grid.divisor)
    if shift:
        error = error + units / 2
    return Signal(
        node=node.name,
        scale=units,
        offset=fractions(bias),
        error=error,
        shared=False,
    )


def _add_narrow(
    node: Node, draft: Draft, signal: Signal, codes: Codes, grid: Grid, window: Window, groups: int
) -> None:
    """Append a layer of codes up to 8 bits; every intermediate sum fits 32."""
    integer = IntegerConv(
        name=node.name,
        inputs=(signal.node,),
        codes=codes.astype(np.uint8),
        bits=grid.bits,
        multiplier=grid.multiplier,
        zero_point=grid.zero_point,
        window=window,
        groups=groups,
    )
    worst = integer.worst_sum(draft.types[signal.node])
    if worst > INT32_MAX:
        raise node.cannot_lower(f"its sums reach {worst}, beyond 32 bits", "use fewer inputs, bits or a smaller kernel")
    draft.add(integer)


def _add_wide(node: Node, draft: Draft, signal: Signal, codes: Codes, grid: Grid, window: Window, groups: int) -> int:
    """Append a layer of 16-bit codes; returns by how many bits its sums are shifted."""
    if groups != 1:
        raise node.refuse("is a grouped layer of 16-bit weights", "use 8 bits there, or no groups")
    levels = grid.levels(codes).astype(np.int16)
    integer = WideConv(name=node.name, inputs=(signal.node,), levels=levels, window=window, shift=0)
    low, high = integer.sums_range(draft.types[signal.node])
    worst = int(max(-low.min(), high.max()))
    exact = not any(signal.error)
    # Where the input is not exact, a sum of fewer bits changes next to nothing, and leaves the membranes room.
    most = INT32_MAX if exact else MAX_ROUNDED_SUM // (draft.timesteps + 1)
    shift = 0 if exact else (worst // most).bit_length()
    if worst >> shift > most or worst >= 2**53:
        raise node.cannot_lower(f"its sums reach {worst}, beyond 32 bits", "use fewer inputs or 8-bit weights")
    draft.add(replace(integer, shift=shift))
    return shift


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerConv(IntegerNode):
    """A = m Σ u s - z Σ s over the window: int32 currents ``[O, h, w]``."""

    kind: ClassVar[str] = "conv"
    stored: ClassVar[bool] = False

    codes: NDArray[np.uint8]
    bits: int
    multiplier: int
    zero_point: int
    window: Window
    groups: int

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        (source,) = inputs
        low_in, high_in = self._input_range(source)
        # Levels fit 16 bits; per input channel, the sums of the positive and of the negative ones.
        levels = self.multiplier * self.codes.astype(np.int16) - np.int16(self.zero_point)
        rising = np.maximum(levels, 0).sum(axis=(2, 3), dtype=np.int64)
        falling = levels.sum(axis=(2, 3), dtype=np.int64) - rising
        height, width = self.window.output_size(source.shape[1:])
        return IntegerType(
            shape=(len(self.codes), height, width),
            static=source.static,
            low=(rising * low_in + falling * high_in).sum(axis=1),
            high=(rising * high_in + falling * low_in).sum(axis=1),
        )

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        weights = self.multiplier * self.codes.astype(np.float64) - self.zero_point
        sums = per_frame(inputs[0], lambda frames: convolve(frames, weights, self.window, self.groups))
        return sums.astype(np.int64)

    def describe(self, c: CModel) -> CLayer:
        outputs, group_inputs, kh, kw = self.codes.shape
        comment = (
            f"{self.name}: rows [ky {kh}][kx {kw}][input {group_inputs * self.groups}], "
            f"each the {self.bits}-bit codes of {outputs // self.groups} outputs, lowest bits first"
        )
        codes = c.weights(self.name, lambda: pack_rows(self.codes, self.bits, self.groups), comment)
        fields: dict[str, Any] = {
            "input": c.map_fields(self.inputs[0]),
            "window": self.window.c_fields(),
            "codes": f"&{codes}[0]",
            "row_bytes": -(-(outputs // self.groups) * self.bits // 8),
            "groups": self.groups,
            "group_inputs": group_inputs,
            "group_outputs": outputs // self.groups,
            "bits": self.bits,
            "multiplier": self.multiplier,
            "zero_point": self.zero_point,
        }
        symbol = c.struct(self.name, "conv", "qps_conv_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_conv_fill", symbol=symbol)

    def synapses(self) -> Synapses:
        return Synapses(codes=self.codes, bits=self.bits, groups=self.groups, window=self.window)

    def negated(self, channels: NDArray[np.bool_]) -> IntegerConv:
        """The same with A negated for some output channels, by complementing their codes."""
        flipped = np.where(channels[:, None, None, None], self.mirror - self.codes.astype(np.int64), self.codes)
        return replace(self, codes=flipped.astype(np.uint8))

    @property
    def mirror(self) -> int:
        """What a code and its complement sum to."""
        return 2 * self.zero_point // self.multiplier

    def select_outputs(self, keep: Integers) -> IntegerConv | None:
        return replace(self, codes=self.codes[keep]) if self.groups == 1 else None

    def select_inputs(self, keep: Integers) -> IntegerConv | None:
        return replace(self, codes=self.codes[:, keep]) if self.groups == 1 else None

    def worst_sum(self, source: IntegerType) -> int:
        """The largest magnitude of any intermediate: m Σ u s and z Σ s, before they are subtracted.

        Whether a channel's codes are as they are or complemented, as a neuron may ask for later.
        """
        reach = source.bound
        totals = self.codes.reshape(len(self.codes), -1).sum(axis=1, dtype=np.int64)
        fan_in = int(np.prod(self.codes.shape[1:]))
        largest = max(int(totals.max()), self.mirror * fan_in - int(totals.min()))
        sums = max(largest * self.multiplier, self.zero_point * fan_in) * reach
        kind = self.output_type(source)
        return max(sums, kind.bound)

    def _input_range(self, source: IntegerType) -> tuple[Integers, Integers]:
        """Bounds of the input each weight sees, zero included: [O, I/groups]."""
        outputs, group_inputs = self.codes.shape[:2]
        group = np.repeat(np.arange(self.groups), outputs // self.groups)
        index = group[:, None] * group_inputs + np.arange(group_inputs)[None, :]
        return np.minimum(source.low, 0)[index], np.maximum(source.high, 0)[index]
