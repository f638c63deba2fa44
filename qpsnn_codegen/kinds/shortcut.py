"""The parameter-free shortcut of the paper's ResNet ("option A"): subsample, and pad with silent channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import IntegerNode, Integers, IntegerType
from qpsnn_codegen.lowering import Draft, Signal, constant
from qpsnn_codegen.network import Floats, Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut(Node):
    """Every ``stride``-th row and column, with zero channels before and after."""

    kind: ClassVar[str] = "shortcut"

    stride: int
    pad_before: int
    pad_after: int

    def output_shape(self, *inputs: Shape) -> Shape:
        channels, height, width = inputs[0]
        return (
            channels + self.pad_before + self.pad_after,
            -(-height // self.stride),
            -(-width // self.stride),
        )

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        margins = ((0, 0), (0, 0), (self.pad_before, self.pad_after), (0, 0), (0, 0))
        return np.pad(inputs[0][..., :: self.stride, :: self.stride], margins)

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        scale = signal.uniform_scale
        if (
            scale is None
            or signal.flat
            or not draft.nodes[signal.node].stored
            or draft.types[signal.node].low.min() < 0
        ):
            raise self.refuse("reads something other than spikes", "put it directly behind a neuron or pool")
        node = ChannelMap(
            name=self.name,
            inputs=(signal.node,),
            stride=self.stride,
            pad_before=self.pad_before,
            pad_after=self.pad_after,
        )
        channels = draft.add(node).shape[0]
        return replace(
            signal,
            node=self.name,
            scale=constant(scale, channels),
            offset=constant(0, channels),
            error=constant(max(signal.error), channels),
            potential=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMap(IntegerNode):
    """The same on a stored map of spikes or counts."""

    kind: ClassVar[str] = "shortcut"
    stored: ClassVar[bool] = True

    stride: int
    pad_before: int
    pad_after: int

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        (source,) = inputs
        channels, height, width = source.shape
        margins = (self.pad_before, self.pad_after)
        return IntegerType(
            shape=(channels + sum(margins), -(-height // self.stride), -(-width // self.stride)),
            static=source.static,
            low=np.pad(source.low, margins),
            high=np.pad(source.high, margins),
        )

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        margins = ((0, 0), (0, 0), (self.pad_before, self.pad_after), (0, 0), (0, 0))
        return np.pad(inputs[0][..., :: self.stride, :: self.stride], margins)

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, str | int] = {
            "input": c.map_fields(self.inputs[0]),
            "output": c.map_fields(self.name),
            "stride": self.stride,
            "pad_before": self.pad_before,
        }
        symbol = c.struct(self.name, "shortcut", "qps_shortcut_t", fields, self.name)
        return CLayer(function="qps_shortcut_run", symbol=symbol, arguments=("input", "output"))
