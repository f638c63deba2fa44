"""Readouts: what the logits are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.certificate import NeuronIntegers, membrane_bound, rounded, search
from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers, IntegerType
from qpsnn_codegen.kinds.neuron import IntegerNeuron, Neuron
from qpsnn_codegen.lowering import Draft, FractionArray, Potential, Signal
from qpsnn_codegen.network import Floats, Node, Shape

RESCALE_SHIFT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout(Node):
    """Logits from currents (``mean`` over time), from spikes (``count``), or the ``last`` potential of ``neuron``.

    The neuron of a ``last`` readout is part of it: the node reads the neuron's current.
    """

    kind: ClassVar[str] = "readout"

    mode: Literal["mean", "count", "last"]
    neuron: Neuron | None = None

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if shape[1:] != (1, 1):
            raise self.refuse(f"reads a map of {shape[1]}x{shape[2]}", "pool or flatten it before the last layer")
        return shape

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        (values,) = inputs
        if self.mode == "last" and self.neuron is not None:
            return self.neuron.trajectory(values)[1]
        total = values.sum(axis=1)
        return np.asarray(total / timesteps if self.mode == "mean" else total)

    def inner_spikes(self, *inputs: Floats) -> Mapping[str, Callable[[], Floats]]:
        neuron = self.neuron
        return {} if neuron is None else {neuron.name: lambda: neuron.trajectory(inputs[0])[0]}

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        (signal,) = inputs
        if draft.types[signal.node].shape[1:] != (1, 1):
            raise self.refuse("reads a flattened map", "put a linear layer before it")
        if self.mode == "last":
            return self._lower_last(draft, signal)
        if signal.branch is not None:
            raise self.refuse("reads a sum of branches", "end the network in one linear layer")
        kind = draft.types[signal.node]
        steps = draft.timesteps
        divisor = steps if self.mode == "mean" else 1
        rescale, unit = Rescale.of(signal.scale, signal.offset * steps)
        if kind.bound * steps > INT32_MAX:
            raise self.cannot_lower("its sums do not fit 32 bits", "use fewer timesteps or inputs")
        draft.add(
            SumReadout(
                name=self.name,
                inputs=(signal.node,),
                timesteps=steps,
                rescale=rescale,
                rounded_weights=any(signal.error),
            )
        )
        draft.logit_scale = unit / divisor
        self._check_range(draft)
        return signal

    def _lower_last(self, draft: Draft, signal: Signal) -> Signal:
        if self.neuron is None or signal.branch is not None:
            raise self.refuse("reads potentials of something other than the last neurons", "put it behind LIF or IF")
        signal = self.neuron.lower_neurons(draft, signal, potentials=True)
        potential, node = signal.potential, draft.remove(signal.node)
        if potential is None or not isinstance(node, IntegerNeuron):
            raise InternalError(f"layer {self.name}", "lost its neurons")
        # Potentials want resolution: as many fraction bits as fit, unless the neurons fire and need their certificate.
        zeros = np.zeros(len(node.threshold), dtype=np.int64)
        silent = all(value is None for value in potential.real.threshold)
        integers = search(potential.real, draft.timesteps, precise=True) if silent else None
        integers = integers or NeuronIntegers(
            fraction_bits=node.fraction_bits,
            threshold=node.threshold,
            rest=node.rest,
            drop=zeros if node.drop is None else node.drop,
            bias=zeros if node.bias is None else node.bias,
            gain=zeros,
        )
        rescale, unit, reach = _logits(potential, integers, draft.timesteps)
        while silent and integers.fraction_bits > 0 and rescale.bound(reach) > INT32_MAX:
            # The membranes fit, but not with the bias that comes back at the end.
            integers = rounded(potential.real, integers.fraction_bits - 1)
            rescale, unit, reach = _logits(potential, integers, draft.timesteps)
        draft.add(
            LastReadout(
                name=node.name,
                inputs=node.inputs,
                threshold=node.threshold,
                rest=integers.rest,
                drop=node.drop,
                bias=integers.bias if any(integers.bias) else None,
                gain=None,
                fraction_bits=integers.fraction_bits,
                decay=node.decay,
                reset=node.reset,
                reach=reach,
                rescale=rescale,
            )
        )
        draft.logit_scale = unit
        self._check_range(draft)
        return signal

    def _check_range(self, draft: Draft) -> None:
        *_, kind = draft.types.values()
        if kind.bound > INT32_MAX:
            raise self.cannot_lower("its logits do not fit 32 bits", "use fewer timesteps or inputs, or smaller biases")


def _logits(potential: Potential, integers: NeuronIntegers, timesteps: int) -> tuple[Rescale, Fraction, Integers]:
    """From membranes to logits: the rescaling, the real value of one unit of logit, and the bound of the membranes."""
    scale = potential.unit / Fraction(2**integers.fraction_bits)
    rescale, unit = Rescale.of(scale, potential.unit * potential.center)
    return rescale, unit, membrane_bound(potential.real, integers, timesteps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """logit = (value * multiplier + half) / 2^shift + offset, or value + offset where all classes share one scale.

    ``exact``: nothing had to be rounded.
    """

    multiplier: Integers | None
    offset: Integers
    exact: bool

    @staticmethod
    def of(scale: FractionArray, offset: FractionArray) -> tuple[Rescale, Fraction]:
        """Integers for real = scale * value + offset per class, and the real value of one unit of logit."""
        largest: Fraction = max(abs(value) for value in scale)
        # Logits that are all bias keep 20 bits of it.
        unit = largest or max(abs(value) for value in offset) / 2**20 or Fraction(1)
        same = all(value == unit for value in scale)
        multiplier = np.array([round(value / unit * 2**RESCALE_SHIFT) for value in scale], dtype=np.int64)
        shifted = np.array([min(max(round(value / unit), -(2**40)), 2**40) for value in offset], dtype=np.int64)
        exact = same and all(value / unit == stored for value, stored in zip(offset, shifted.tolist(), strict=True))
        return Rescale(multiplier=None if same else multiplier, offset=shifted, exact=exact), unit

    def apply(self, values: Integers) -> Integers:
        """Rescale ``[N, K, 1, 1]``."""
        if self.multiplier is not None:
            values = (values * self.multiplier[:, None, None] + 2 ** (RESCALE_SHIFT - 1)) >> RESCALE_SHIFT
        return values + self.offset[:, None, None]

    def range_of(self, low: Integers, high: Integers) -> tuple[Integers, Integers]:
        """Bounds of the logits from bounds of the values."""
        ends = np.stack([self.apply(end[None, :, None, None])[0, :, 0, 0] for end in (low, high)])
        return ends.min(axis=0), ends.max(axis=0)

    def bound(self, reach: Integers) -> int:
        """The largest magnitude of a logit whose value is at most ``reach``."""
        return max(int(np.abs(end).max()) for end in self.range_of(-reach, reach))

    def c_fields(self, c: CModel, name: str) -> str:
        """Initializer of a ``qps_rescale_t``."""
        multiplier = c.optional(name, "multiplier", "int32_t", self.multiplier, "scale of each class, 2^-16")
        offset = c.array(name, "offset", "int32_t", self.offset, "bias of each class, over the window")
        return f"{{.multiplier = {multiplier}, .offset = {offset}, .shift = {RESCALE_SHIFT}U}}"

    def constants(self) -> dict[str, NDArray[Any]]:
        """As C arrays."""
        arrays = {"multiplier": self.multiplier, "offset": self.offset}
        return {name: array.astype(np.int32) for name, array in arrays.items() if array is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SumReadout(IntegerNode):
    """Sum of currents over the window, rescaled: ``[N, 1, K, 1, 1]``.

    ``rounded_weights``: the currents differ from the real ones.
    """

    kind: ClassVar[str] = "readout"
    stored: ClassVar[bool] = True

    timesteps: int
    rescale: Rescale
    rounded_weights: bool = False

    @property
    def verdict(self) -> str:
        parts = ["weights"] * self.rounded_weights
        if not self.rescale.exact:
            parts += ["biases"] if self.rescale.multiplier is None else ["biases", "scales"]
        return f"{' and '.join(parts)} rounded" if parts else "exact"

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        (source,) = inputs
        low, high = self.rescale.range_of(source.low * self.timesteps, source.high * self.timesteps)
        return IntegerType(shape=source.shape, static=True, low=low, high=high)

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        (values,) = inputs
        total = values.sum(axis=1) if values.shape[1] > 1 else values[:, 0] * timesteps
        return self.rescale.apply(total)[:, None]

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, Any] = {
            "source": c.source(self.inputs[0]),
            "classes": len(self.rescale.offset),
            "timesteps": c.timesteps,
            "static_current": c.static(self.inputs[0]),
            "rescale": self.rescale.c_fields(c, self.name),
        }
        symbol = c.struct(self.name, "layer", "qps_sum_readout_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_sum_readout_run", symbol=symbol, arguments=("input", "logits", "scratch"))

    def scratch_words(self, *inputs: IntegerType) -> int:
        return inputs[0].shape[0]

    def constants(self) -> dict[str, NDArray[Any]]:
        return self.rescale.constants()


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReadout(IntegerNeuron):
    """A layer of neurons whose potentials are the logits; named after the neurons, whose spikes a trace shows.

    ``reach``: proven bound on every membrane, int64 [K].
    """

    kind: ClassVar[str] = "readout"

    reach: Integers
    rescale: Rescale

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        low, high = self.rescale.range_of(-self.reach, self.reach)
        return IntegerType(shape=inputs[0].shape, static=True, low=low, high=high)

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        return self.rescale.apply(self.trajectory(timesteps, *inputs)[1])[:, None]

    @property
    def silent(self) -> None:
        """Its channels are the classes: none of them can go."""
        return None

    def spike_train(self, result: Integers, *inputs: Integers, timesteps: int) -> Integers:
        return self.trajectory(timesteps, *inputs)[0]

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, Any] = {
            "source": c.source(self.inputs[0]),
            "neuron": self.c_fields(c),
            "classes": len(self.rescale.offset),
            "timesteps": c.timesteps,
            "static_current": c.static(self.inputs[0]),
            "trace": c.trace(self.name),
            "rescale": self.rescale.c_fields(c, self.name),
        }
        symbol = c.struct(self.name, "layer", "qps_last_readout_t", fields, c.verdict(self.name))
        return CLayer(function="qps_last_readout_run", symbol=symbol, arguments=("input", "logits", "scratch"))

    def scratch_words(self, *inputs: IntegerType) -> int:
        return inputs[0].shape[0] + -(-inputs[0].shape[0] // 32)

    def constants(self) -> dict[str, NDArray[Any]]:
        # Named: a slotted dataclass is a new class, which super() without arguments would not find.
        return {**IntegerNeuron.constants(self), **self.rescale.constants()}
