"""Spiking neurons: leaky (LIF) or not (IF), with a hard, soft or no reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.certificate import NeuronIntegers, RealNeuron, Reset, certify, conditions, search
from qpsnn_codegen.constant_channels import settle
from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNode, Integers, IntegerType
from qpsnn_codegen.lowering import Draft, FractionArray, Potential, Signal, constant
from qpsnn_codegen.network import Floats, Node, Shape

MAX_RATIO_BITS = 8
"""λ = p / 2^q with q up to this is applied exactly; other λ are rounded to 31 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """λ as the firmware applies it: floor((w * multiplier + rounding) / 2^shift); multiplier 0 stands for a plain
    shift.
    """

    multiplier: int
    rounding: int
    shift: int

    @staticmethod
    def of(decay: float) -> tuple[Decay, Fraction]:
        """The integers for λ, 0 < λ <= 1, and the λ they really apply."""
        exact = Fraction(decay)
        bits = exact.denominator.bit_length() - 1
        if exact.numerator == 1 and bits <= 31:
            return Decay(multiplier=0, rounding=0, shift=bits), exact
        if bits <= MAX_RATIO_BITS:
            return Decay(multiplier=exact.numerator, rounding=0, shift=bits), exact
        multiplier = min(max(round(exact * 2**31), 1), INT32_MAX)
        if multiplier > 1 and multiplier & (multiplier - 1) == 0:
            multiplier += 1  # a rounded λ must not look like a power of two, whose certificate would not be λ's
        return Decay(multiplier=multiplier, rounding=2**30, shift=31), Fraction(multiplier, 2**31)

    def apply(self, membrane: Integers) -> Integers:
        """Decay of int64 values."""
        if self.multiplier == 0:
            return membrane >> self.shift
        return (membrane * self.multiplier + self.rounding) >> self.shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron(Node):
    """U[t] = decay U[t-1] + X[t]; S = U > threshold (or >=); then the reset. U starts at ``reset_potential``.

    ``decay`` 1 is integrate-and-fire. A ``threshold`` of infinity never fires.
    """

    kind: ClassVar[str] = "neuron"

    decay: float
    threshold: float
    strict: bool
    reset: Reset
    reset_potential: float

    def output_shape(self, *inputs: Shape) -> Shape:
        if not 0 < self.decay <= 1:
            raise self.refuse(f"has a decay of {self.decay}", "use 0 < decay <= 1")
        return inputs[0]

    def trajectory(self, currents: Floats) -> tuple[Floats, Floats]:
        """Spikes ``[N, T, ...]`` and the potential after the last reset ``[N, ...]``, in real numbers."""
        potential = np.full(currents[:, 0].shape, float(self.reset_potential))
        spikes = np.empty(currents.shape)
        for t in range(currents.shape[1]):
            potential = self.decay * potential + currents[:, t]
            fired = potential > self.threshold if self.strict else potential >= self.threshold
            spikes[:, t] = fired
            if self.reset == "hard":
                potential = np.where(fired, self.reset_potential, potential)
            elif self.reset == "soft":
                potential = np.where(fired, potential - self.threshold, potential)
        return spikes, potential

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return self.trajectory(inputs[0])[0]

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        return self.lower_neurons(draft, inputs[0], potentials=False)

    def lower_neurons(self, draft: Draft, signal: Signal, *, potentials: bool) -> Signal:
        """Lower the neurons; ``potentials``: their membranes matter too, not only their spikes."""
        signal = draft.negate(signal, np.array([value < 0 for value in signal.scale]), self.name)
        decay, applied = Decay.of(self.decay)
        real_in_units = self._in_units(draft, signal, applied)
        unit = self._unit(draft, signal, real_in_units, potentials=potentials)
        real = real_in_units(unit)
        integers = search(real, draft.timesteps)
        if integers is None:
            raise self.cannot_lower(
                f"its membranes do not fit 32 bits in {draft.timesteps} timesteps",
                "use a reset, a leak, fewer timesteps or a layer with fewer inputs",
            )
        node = IntegerNeuron.build(self.name, signal, real, integers, decay, draft.timesteps)
        kind = draft.add(node)
        draft.certificates[self.name] = certify(
            self.name, real, integers, draft.timesteps, input_error=tuple(signal.error / unit)
        )
        channels = kind.shape[0]
        return Signal(
            node=self.name,
            scale=constant(1, channels),
            offset=constant(0, channels),
            error=constant(0, channels),
            flat=signal.flat,
            potential=Potential(real=real, unit=unit, center=self._center(signal, unit, applied)),
        )

    def _unit(
        self,
        draft: Draft,
        signal: Signal,
        real_in_units: Callable[[FractionArray], RealNeuron],
        *,
        potentials: bool,
    ) -> FractionArray:
        """The real value of one unit of current, per channel."""
        remedy = "remove that channel or give its batch-norm another gain"
        if potentials:
            # Any unit that leaves the spikes alone would do for them, but not for the membranes.
            if not all(signal.scale):
                raise self.cannot_lower("reads out the potential of a channel with a gain of zero", remedy)
            return signal.scale
        try:
            return settle(signal.scale, real_in_units, draft.timesteps)
        except ValueError as error:
            raise self.cannot_lower(str(error), remedy) from None

    def _center(self, signal: Signal, unit: FractionArray, decay: Fraction) -> FractionArray:
        """c: the fixed point of the bias, which w = u - c leaves out; 0 for λ = 1."""
        if decay == 1:
            return constant(0, len(unit))
        return np.asarray(signal.offset / unit / constant(1 - decay, len(unit)))

    def _in_units(self, draft: Draft, signal: Signal, decay: Fraction) -> Callable[[FractionArray], RealNeuron]:
        """The neuron's constants divided by the unit of the current, as a function of that unit."""
        kind = draft.types[signal.node]
        branch = signal.branch

        def real(unit: FractionArray) -> RealNeuron:
            center = self._center(signal, unit, decay)
            fires = self.threshold != float("inf")
            drop = constant(Fraction(self.threshold), len(unit)) / unit if fires else constant(0, len(unit))
            gain = branch.scale / unit if branch is not None else constant(0, len(unit))
            return RealNeuron(
                threshold=tuple(drop - center) if fires else (None,) * len(unit),
                rest=tuple(constant(Fraction(self.reset_potential), len(unit)) / unit - center),
                drop=tuple(drop),
                bias=tuple(signal.offset / unit) if decay == 1 else tuple(constant(0, len(unit))),
                gain=tuple(gain),
                strict=self.strict,
                decay=decay,
                decay_error=abs(Fraction(self.decay) - decay),
                reset=self.reset,
                low=np.minimum(kind.low, 0),
                high=np.maximum(kind.high, 0),
                shortcut_max=int(draft.types[branch.node].high.max()) if branch is not None else 0,
            )

        return real


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerNeuron(IntegerNode):
    """w = decay(w) + A 2^F + bias + gain * shortcut; spike = w > threshold; then the reset. int64 arrays [C].

    Inputs: the source of A, and the shortcut's map if ``gain`` is there. ``None`` stands for constants that are all
    zero. ``kept`` are the channels left of ``channels`` when silent ones have been removed.
    """

    kind: ClassVar[str] = "neuron"
    stored: ClassVar[bool] = True
    spikes: ClassVar[bool] = True

    threshold: Integers
    rest: Integers
    drop: Integers | None
    bias: Integers | None
    gain: Integers | None
    fraction_bits: int
    decay: Decay
    reset: Literal["hard", "soft", "none"]
    kept: Integers | None = None
    channels: int = 0

    @staticmethod
    def build(
        name: str, signal: Signal, real: RealNeuron, integers: NeuronIntegers, decay: Decay, timesteps: int
    ) -> IntegerNeuron:
        """Keep what the kernel needs; a channel proven silent gets the threshold nothing passes."""
        threshold = integers.threshold
        if real.provable and not any(signal.error):
            threshold = np.where(conditions(real, timesteps).silent, INT32_MAX, threshold)
        return IntegerNeuron(
            name=name,
            inputs=(signal.node,) if signal.branch is None else (signal.node, signal.branch.node),
            threshold=threshold,
            rest=integers.rest,
            drop=integers.drop if real.reset == "soft" else None,
            bias=integers.bias if any(integers.bias) else None,
            gain=integers.gain if signal.branch is not None else None,
            fraction_bits=integers.fraction_bits,
            decay=decay,
            reset=real.reset,
        )

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        zeros = np.zeros(inputs[0].shape[0], dtype=np.int64)
        return IntegerType(shape=inputs[0].shape, static=False, low=zeros, high=zeros + 1)

    @property
    def note(self) -> str:
        if self.kept is None:
            return ""
        return f"{self.channels - len(self.kept)} of {self.channels} channels never spike and are left out"

    @property
    def silent(self) -> NDArray[np.bool_] | None:
        return np.asarray(self.threshold == INT32_MAX)

    def select_outputs(self, keep: Integers) -> IntegerNeuron | None:
        if self.gain is not None:
            return None
        arrays = {name: getattr(self, name) for name in ("threshold", "rest", "drop", "bias")}
        selected = {name: array[keep] for name, array in arrays.items() if array is not None}
        return replace(self, **selected, kept=keep, channels=len(self.threshold))

    def expand(self, spikes: NDArray[Any]) -> NDArray[Any]:
        if self.kept is None:
            return spikes
        full = np.zeros((*spikes.shape[:2], self.channels, *spikes.shape[3:]), dtype=spikes.dtype)
        full[:, :, self.kept] = spikes
        return full

    def compact(self, spikes: NDArray[Any]) -> NDArray[Any]:
        return spikes if self.kept is None else spikes[:, :, self.kept]

    def trajectory(self, timesteps: int, *inputs: Integers) -> tuple[Integers, Integers]:
        """Spikes ``[N, T, C, H, W]`` and the membrane after the last reset ``[N, C, H, W]``."""
        current = inputs[0]
        membrane = np.broadcast_to(_column(self.rest), current[:, 0].shape)
        spikes = np.empty((len(current), timesteps, *current.shape[2:]), dtype=np.int64)
        for t in range(timesteps):
            charged = self.decay.apply(membrane) + (_at(current, t) << self.fraction_bits)
            if self.bias is not None:
                charged = charged + _column(self.bias)
            if self.gain is not None:
                charged = charged + _column(self.gain) * _at(inputs[1], t)
            fired = charged > _column(self.threshold)
            spikes[:, t] = fired
            if self.reset == "hard":
                membrane = np.where(fired, _column(self.rest), charged)
            elif self.drop is not None:
                membrane = charged - np.where(fired, _column(self.drop), 0)
            else:
                membrane = charged
        return spikes, membrane

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        return self.trajectory(timesteps, *inputs)[0]

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, Any] = {
            "source": c.source(self.inputs[0]),
            "neuron": self.c_fields(c),
            "output": c.map_fields(self.name),
            "shortcut": c.map_fields(self.inputs[-1]) if self.gain is not None else "{0}",
            "static_current": c.static(self.inputs[0]),
            "trace": c.trace(self.name),
        }
        symbol = c.struct(self.name, "layer", "qps_spiking_t", fields, c.verdict(self.name))
        return CLayer(function="qps_spiking_run", symbol=symbol, arguments=("input", "second", "output", "scratch"))

    def c_fields(self, c: CModel) -> str:
        """Initializer of the ``qps_neuron_t``, its arrays declared on the way."""
        texts = {
            "threshold": c.array(self.name, "threshold", "int32_t", self.threshold, "a spike needs w above this"),
            "rest": c.array(self.name, "rest", "int32_t", self.rest, "w at the start and after a hard reset"),
            "drop": c.optional(self.name, "drop", "int32_t", self.drop, "what a soft reset subtracts"),
            "bias": c.optional(self.name, "bias", "int32_t", self.bias, "added at every timestep"),
            "gain": c.optional(self.name, "gain", "int32_t", self.gain, "weight of the shortcut"),
            "decay_multiplier": str(self.decay.multiplier),
            "decay_rounding": str(self.decay.rounding),
            "decay_shift": f"{self.decay.shift}U",
            "fraction_bits": f"{self.fraction_bits}U",
            "reset": f"QPS_RESET_{self.reset.upper()}",
        }
        return "{" + ", ".join(f".{name} = {text}" for name, text in texts.items()) + "}"

    def scratch_words(self, *inputs: IntegerType) -> int:
        # The membranes and the currents of one pixel.
        return 2 * inputs[0].shape[0]

    def constants(self) -> dict[str, NDArray[Any]]:
        arrays = {name: getattr(self, name) for name in ("threshold", "rest", "drop", "bias", "gain")}
        return {name: array.astype(np.int32) for name, array in arrays.items() if array is not None}


def _column(values: Integers) -> Integers:
    return values[:, None, None]


def _at(values: Integers, t: int) -> Integers:
    """The frame at t; a static map has only one."""
    return values[:, t if values.shape[1] > 1 else 0]
