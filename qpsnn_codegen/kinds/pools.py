"""Pools: the maximum (OR of spikes) and the average (a count; its divisor goes into the scale)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers, IntegerType
from qpsnn_codegen.kinds.windows import Window, per_frame
from qpsnn_codegen.lowering import Draft, Signal
from qpsnn_codegen.network import Floats, Node, Shape

Mode = Literal["max", "sum"]
_LOWEST = -(2**62)


def _pooled_shape(node: Node, window: Window, shape: Shape) -> Shape:
    height, width = window.output_size(shape[1:])
    if height < 1 or width < 1:
        raise node.refuse(
            f"its window does not fit a map of {shape[1]}x{shape[2]}", "remove a pool or enlarge the input"
        )
    if any(2 * p > k for p, k in zip(window.padding, window.kernel, strict=True)):
        raise node.refuse("pads by more than half its window", "use a smaller padding")
    inside = window.view(np.ones(shape[1:], dtype=np.int64)).sum(axis=(-2, -1))
    if inside.min() == 0:
        raise node.refuse("has windows that lie outside the map altogether", "use a smaller padding or dilation")
    return shape[0], height, width


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(Node):
    """Maximum over a window; positions outside the map do not take part."""

    kind: ClassVar[str] = "max_pool"

    window: Window

    def output_shape(self, *inputs: Shape) -> Shape:
        return _pooled_shape(self, self.window, inputs[0])

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return per_frame(inputs[0], lambda frames: self.window.view(frames, -np.inf).max(axis=(-2, -1)))

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        return _lower_pool(self, draft, inputs[0], self.window, "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool(Node):
    """Mean over a window, padding counted; ``window`` ``None``: over the whole map."""

    kind: ClassVar[str] = "avg_pool"

    window: Window | None

    def _window(self, shape: Shape) -> Window:
        return self.window or Window(kernel=(shape[1], shape[2]))

    def output_shape(self, *inputs: Shape) -> Shape:
        return _pooled_shape(self, self._window(inputs[0]), inputs[0])

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        window = self._window((0, *inputs[0].shape[-2:]))
        return per_frame(inputs[0], lambda frames: window.view(frames).mean(axis=(-2, -1)))

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        window = self._window(draft.types[signal.node].shape)
        # A padded position counts 0 in reality, so an offset would not pass through unchanged.
        if window.padding != (0, 0) and any(signal.offset):
            raise self.refuse("pads a map that has a batch-norm or bias", "use padding 0")
        pooled = _lower_pool(self, draft, signal, window, "sum")
        return replace(pooled, scale=pooled.scale * Fraction(1, window.kernel[0] * window.kernel[1]))


def _lower_pool(node: Node, draft: Draft, signal: Signal, window: Window, mode: Mode) -> Signal:
    if signal.branch is not None:
        raise node.refuse("pools a sum of branches before its neuron", "put the neuron before the pool")
    if signal.flat and draft.types[signal.node].shape[1:] != (1, 1):
        raise node.refuse("pools a flattened map", "put it before the flatten")
    kind = draft.types[signal.node]
    area = window.kernel[0] * window.kernel[1]
    if mode == "sum" and kind.bound * area > INT32_MAX:
        raise node.cannot_lower("its sums do not fit 32 bits", "use a smaller window")
    if draft.nodes[signal.node].stored:
        if (signal.scale < 0).any():
            raise node.cannot_lower(
                "pools spikes scaled by a negative gain", "put the batch-norm behind the next weights"
            )
        if kind.low.min() < 0 or (mode == "sum" and kind.bound * area > 2**16 - 1):
            raise node.refuse("pools a normalized image or counts beyond 16 bits", "put a layer of neurons before it")
        draft.add(MapPool(name=node.name, inputs=(signal.node,), window=window, mode=mode))
    else:
        minimum = (
            np.array([value < 0 for value in signal.scale]) if mode == "max" else np.zeros(len(signal.scale), bool)
        )
        draft.add(CurrentPool(name=node.name, inputs=(signal.node,), window=window, mode=mode, minimum=minimum))
    return replace(signal, node=node.name, potential=None)


def _pool_type(window: Window, mode: Mode, source: IntegerType) -> IntegerType:
    area = window.kernel[0] * window.kernel[1] if mode == "sum" else 1
    height, width = window.output_size(source.shape[1:])
    return IntegerType(
        shape=(source.shape[0], height, width),
        static=source.static,
        low=source.low * area,
        high=source.high * area,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPool(IntegerNode):
    """A pool over a stored map."""

    kind: ClassVar[str] = "map_pool"
    stored: ClassVar[bool] = True
    channelwise: ClassVar[bool] = True

    window: Window
    mode: Mode

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        return _pool_type(self.window, self.mode, inputs[0])

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        return _pool(inputs[0], self.window, self.mode)

    def reads_ahead(self, source: IntegerType) -> bool:
        """Whether no pixel of the output, counted row by row, comes after one of the input that it still reads."""
        _, height, width = self.output_type(source).shape
        rows, columns = (self._first_read(axis, size) for axis, size in ((0, height), (1, width)))
        first = rows[:, None] * source.shape[2] + columns
        return bool((first >= np.arange(height * width).reshape(height, width)).all())

    def _first_read(self, axis: int, size: int) -> Integers:
        """Per position of the window along an axis, the first place inside the map."""
        start = np.arange(size) * self.window.stride[axis] - self.window.padding[axis]
        return np.where(start < 0, start % self.window.dilation[axis], start)

    def describe(self, c: CModel) -> CLayer:
        fields = {
            "input": c.map_fields(self.inputs[0]),
            "output": c.map_fields(self.name),
            "window": self.window.c_fields(),
            "mode": f"QPS_POOL_{self.mode.upper()}",
        }
        symbol = c.struct(self.name, "pool", "qps_pool_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_pool_run", symbol=symbol, arguments=("input", "output"))

    def select_outputs(self, keep: Integers) -> MapPool:
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPool(IntegerNode):
    """A pool over currents. ``minimum`` bool [C]: channels whose gain is negative, where the largest value is the
    smallest A.
    """

    kind: ClassVar[str] = "current_pool"
    stored: ClassVar[bool] = False
    channelwise: ClassVar[bool] = True

    window: Window
    mode: Mode
    minimum: NDArray[np.bool_]

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        return _pool_type(self.window, self.mode, inputs[0])

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        sign = np.where(self.minimum, -1, 1)[:, None, None]
        return _pool(inputs[0] * sign, self.window, self.mode) * sign

    def describe(self, c: CModel) -> CLayer:
        channels, height, width = c.plan.network.types()[self.inputs[0]].shape
        bits = np.packbits(self.minimum, bitorder="little") if self.minimum.any() else None
        fields: dict[str, Any] = {
            "source": c.source(self.inputs[0]),
            "channels": channels,
            "height": height,
            "width": width,
            "window": self.window.c_fields(),
            "mode": f"QPS_POOL_{self.mode.upper()}",
            "minimum": c.optional(
                self.name, "minimum", "uint8_t", bits, "channels to take the minimum of, one bit each"
            ),
        }
        symbol = c.struct(self.name, "pool", "qps_current_pool_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_current_pool_fill", symbol=symbol)

    def scratch_words(self, *inputs: IntegerType) -> int:
        return inputs[0].shape[0]

    def constants(self) -> dict[str, NDArray[Any]]:
        return {"minimum": np.packbits(self.minimum, bitorder="little")} if self.minimum.any() else {}

    def negated(self, channels: NDArray[np.bool_]) -> CurrentPool:
        """The same over negated currents: the maximum becomes a minimum and back."""
        return replace(self, minimum=self.minimum ^ channels) if self.mode == "max" else self

    def select_outputs(self, keep: Integers) -> CurrentPool:
        return replace(self, minimum=self.minimum[keep])


def _pool(values: Integers, window: Window, mode: Mode) -> Integers:
    fill = 0 if mode == "sum" else _LOWEST

    def pool(frames: NDArray[Any]) -> NDArray[Any]:
        view = window.view(frames, fill)
        return np.asarray(view.sum(axis=(-2, -1)) if mode == "sum" else view.max(axis=(-2, -1)))

    return per_frame(values, pool)
