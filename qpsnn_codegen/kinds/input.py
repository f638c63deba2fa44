"""The input: raw images or spikes, and what normalization makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import IntegerNode, Integers, IntegerType
from qpsnn_codegen.lowering import Draft, Signal, constant
from qpsnn_codegen.network import Floats, Node, Shape

TABLE_SIZE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Node):
    """The network's input: x = (p / divisor - mean) / std, per channel.

    Attributes:
        spikes: one frame per timestep (p at most ``max_value``) instead of one image for all.
        mean, std: float64 [C].
    """

    kind: ClassVar[str] = "input"
    arity: ClassVar[int] = 0

    shape: Shape
    spikes: bool
    max_value: int
    divisor: float
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        (raw,) = inputs
        return np.broadcast_to(self._normalized(raw), (len(raw), timesteps, *self.shape))

    def _normalized(self, raw: Floats) -> Floats:
        """x from p ``[..., C, H, W]`` (or any H and W)."""
        return np.asarray((raw / self.divisor - self.mean[:, None, None]) / self.std[:, None, None])

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        channels = self.shape[0]
        node = IntegerInput(name=self.name, shape=self.shape, static=not self.spikes, max_value=self.max_value)
        draft.add(node)
        none = constant(0, channels)
        if not self.mean.any() and np.all(self.std == self.std[0]):
            scale = 1 / (Fraction(self.divisor) * Fraction(float(self.std[0])))
            return Signal(node=self.name, scale=constant(scale, channels), offset=none, error=none)
        if self.spikes or self.max_value >= TABLE_SIZE:
            raise self.refuse(
                "shifts or scales the channels of an input that is not bytes",
                "train with a normalization that is one scale for all channels",
            )
        values = self._normalized(np.arange(float(TABLE_SIZE))[None, None, :])[:, 0]
        limit = 2 ** (draft.options.input_bits - 1) - 1
        scale = Fraction(float(np.abs(values).max())) / limit
        table = np.rint(values / float(scale)).astype(np.int16)
        draft.add(Lookup(name=f"{self.name}.table", inputs=(self.name,), table=table, bits=draft.options.input_bits))
        # Half a unit of rounding, and the float64 quotient's own error.
        error = constant(scale * Fraction(1000001, 2000000), channels)
        return Signal(node=f"{self.name}.table", scale=constant(scale, channels), offset=none, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerInput(IntegerNode):
    """The caller's buffer: bytes of an image, or packed spikes (bytes where values pass 1) per timestep."""

    kind: ClassVar[str] = "input"
    stored: ClassVar[bool] = True
    planar: ClassVar[bool] = True

    shape: Shape
    static: bool
    max_value: int

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        zeros = np.zeros(self.shape[0], dtype=np.int64)
        return IntegerType(shape=self.shape, static=self.static, low=zeros, high=zeros + self.max_value)

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        return inputs[0]

    def describe(self, c: CModel) -> CLayer:
        raise InternalError(f"layer {self.name}", "was planned as a stage, but the caller owns it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(IntegerNode):
    """Normalization by table: int16 ``[C, 256]`` from the raw byte to a signed integer of ``bits`` bits."""

    kind: ClassVar[str] = "lookup"
    stored: ClassVar[bool] = True
    planar: ClassVar[bool] = True

    table: NDArray[np.int16]
    bits: int

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        # A padded position is 0, so 0 belongs to the range.
        low = np.minimum(self.table.min(axis=1), 0).astype(np.int64)
        high = np.maximum(self.table.max(axis=1), 0).astype(np.int64)
        return IntegerType(shape=inputs[0].shape, static=inputs[0].static, low=low, high=high)

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        (raw,) = inputs
        channel = np.arange(self.table.shape[0])[:, None, None]
        return self.table[channel, raw].astype(np.int64)

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, Any] = {
            "input": c.map_fields(self.inputs[0]),
            "output": c.map_fields(self.name),
            "table": c.array(self.name, "values", "int16_t", self.table, "normalized value of each byte, per channel"),
        }
        symbol = c.struct(self.name, "layer", "qps_lookup_t", fields, "input normalization")
        return CLayer(function="qps_lookup_run", symbol=symbol, arguments=("input", "output"))

    @property
    def verdict(self) -> str:
        return f"rounded to {self.bits} bits"

    def constants(self) -> dict[str, NDArray[Any]]:
        return {"table": self.table}
