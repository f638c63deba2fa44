"""Layers whose weights the model holds as real numbers: lowering rounds them, and the report says so.

The first and the last layer of a network that was trained with only the layers between quantized.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.kinds.conv import Grid, lower_synapses
from qpsnn_codegen.kinds.linear import linear_currents, linear_shape
from qpsnn_codegen.kinds.windows import Window, convolve, per_frame
from qpsnn_codegen.lowering import Draft, LoweringOptions, Signal, fractions
from qpsnn_codegen.network import Floats, Network, Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class RealConv(Node):
    """2-D convolution, rounded to one grid per output channel. float64 ``weights [O, I, kh, kw]`` and ``bias [O]``."""

    kind: ClassVar[str] = "real_conv"

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    window: Window

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if shape[0] != self.weights.shape[1]:
            raise self.refuse(f"expects {self.weights.shape[1]} channels, gets {shape[0]}", "check the layer before it")
        height, width = self.window.output_size(shape[1:])
        if height < 1 or width < 1:
            raise self.refuse(f"its kernel does not fit a map of {shape[1]}x{shape[2]}", "use padding or fewer pools")
        return len(self.weights), height, width

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        currents = per_frame(inputs[0], lambda frames: convolve(frames, self.weights, self.window, 1))
        return currents + self.bias[:, None, None]

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        if signal.flat and draft.types[signal.node].shape[1:] != (1, 1):
            raise self.refuse("is a convolution after a flatten", "use a linear layer there")
        return _lower(self, draft, signal, self.weights, self.bias, self.window, draft.options.weight_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealLinear(Node):
    """Fully connected layer, rounded to one grid for all outputs, so that a readout needs no scale per class.

    float64 ``weights [O, I]``, features in channel, row, column order, and ``bias [O]``.
    """

    kind: ClassVar[str] = "real_linear"

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def output_shape(self, *inputs: Shape) -> Shape:
        return linear_shape(self, self.weights, *inputs)

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return linear_currents(inputs[0], self.weights, self.bias)

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        channels, height, width = draft.types[signal.node].shape
        kernels = self.weights.reshape(len(self.weights), channels, height, width)
        window = Window(kernel=(height, width))
        return _lower(self, draft, signal, kernels, self.bias, window, draft.options.readout_bits, per_layer=True)


def rounding_of(network: Network, options: LoweringOptions) -> dict[str, int]:
    """Those of the options that decide how weights of this network are rounded, by name."""
    kinds = {type(node) for node in network.nodes}
    used = ((RealConv, "weight_bits"), (RealLinear, "readout_bits"))
    return {name: getattr(options, name) for kind, name in used if kind in kinds}


def _lower(
    node: Node,
    draft: Draft,
    signal: Signal,
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    window: Window,
    bits: int,
    *,
    per_layer: bool = False,
) -> Signal:
    """Round, and lower what that gives; what the rounding may change becomes part of the signal's error."""
    codes, grid = rounded(weights, bits, per_layer=per_layer)
    lowered = lower_synapses(node, draft, signal, codes, grid, bias, window, 1)
    # All channels of what can be read have one scale.
    reach = draft.types[signal.node].bound * signal.scale[0] + max(signal.error)
    # The most that the rounding can make of inputs of that size; a millionth covers the float64 sum.
    changed = np.abs(weights - grid.values(codes)).reshape(len(weights), -1).sum(axis=1)
    return replace(lowered, error=lowered.error + fractions(changed) * (reach * Fraction(1000001, 1000000)))


def rounded(weights: NDArray[np.float64], bits: int, *, per_layer: bool = False) -> tuple[NDArray[np.uint16], Grid]:
    """The nearest codes of the symmetric grid with scale max|W| / (2^(bits - 1) - 1), per output or for all."""
    top = 2 ** (bits - 1) - 1
    largest = np.abs(weights).reshape(1 if per_layer else len(weights), -1).max(axis=1)
    # A kernel of zeros stays zero under any scale.
    scale = np.broadcast_to(np.where(largest > 0, largest, top) / top, len(weights)).astype(np.float64)
    levels = np.rint(weights / scale.reshape(-1, *[1] * (weights.ndim - 1)))
    codes = np.clip(levels, -top, top).astype(np.int64) + 2 ** (bits - 1)
    return codes.astype(np.uint16), Grid.symmetric(bits, scale)
