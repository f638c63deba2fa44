"""Flatten: the integers keep their map, only their meaning becomes a vector in channel, row, column order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qpsnn_codegen.lowering import Draft, Signal
from qpsnn_codegen.network import Floats, Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Node):
    """All features of a map as channels of one pixel."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, *inputs: Shape) -> Shape:
        channels, height, width = inputs[0]
        return channels * height * width, 1, 1

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return inputs[0].reshape(*inputs[0].shape[:2], -1, 1, 1)

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        return replace(inputs[0], flat=True)
