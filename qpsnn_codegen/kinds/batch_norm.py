"""Batch normalization: no arithmetic of its own, it only changes what the integers mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.lowering import Draft, Signal, fractions
from qpsnn_codegen.network import Floats, Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Node):
    """y = k x + (bias - mean k) with k = weight / sqrt(variance + eps); all float64 [C]."""

    kind: ClassVar[str] = "batch_norm"

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    eps: float

    @property
    def gain(self) -> NDArray[np.float64]:
        """k, in float64: from here on taken as exact."""
        return np.asarray(self.weight / np.sqrt(self.variance + self.eps))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if shape[0] != len(self.weight):
            raise self.refuse(f"normalizes {len(self.weight)} channels, gets {shape[0]}", "check the layer before it")
        return shape

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        gain = self.gain[:, None, None]
        return gain * inputs[0] + (self.bias - self.mean * self.gain)[:, None, None]

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        if signal.branch is not None:
            raise self.refuse("normalizes a sum of branches", "normalize each branch before adding")
        if len(self.weight) != len(signal.scale):
            raise self.refuse("normalizes single positions of a flattened map", "put it before the flatten")
        gain = fractions(self.gain)
        return replace(
            signal,
            scale=signal.scale * gain,
            offset=signal.offset * gain + fractions(self.bias) - fractions(self.mean) * gain,
            error=signal.error * abs(gain),
            potential=None,
        )
