"""One neuron, every input there is: what a certificate claims, found out by trying."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from qpsnn_codegen.certificate import NeuronIntegers, RealNeuron, Reset

Train = tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneNeuron:
    """A single channel over ``timesteps``, whose current takes every value from ``low`` to ``high``."""

    threshold: Fraction
    rest: Fraction
    drop: Fraction = Fraction(1)
    bias: Fraction = Fraction(0)
    gain: Fraction = Fraction(0)
    decay: Fraction = Fraction(1, 2)
    strict: bool = True
    reset: Reset = "hard"
    low: int = -2
    high: int = 3
    shortcut_max: int = 0
    timesteps: int = 4

    @property
    def real(self) -> RealNeuron:
        """As the certificate takes it."""
        return RealNeuron(
            threshold=(self.threshold,),
            rest=(self.rest,),
            drop=(self.drop,),
            bias=(self.bias,),
            gain=(self.gain,),
            strict=self.strict,
            decay=self.decay,
            reset=self.reset,
            low=np.array([self.low]),
            high=np.array([self.high]),
            shortcut_max=self.shortcut_max,
        )

    def inputs(self) -> list[tuple[tuple[int, int], ...]]:
        """Every sequence of (current, shortcut)."""
        values = product(range(self.low, self.high + 1), range(self.shortcut_max + 1))
        return list(product(list(values), repeat=self.timesteps))

    def real_trains(self) -> list[Train]:
        """The spikes of every sequence, in rationals: straight from the definition."""
        # Integers over one denominator, for speed: one with a factor of 2^k for every decay, so that each is exact.
        k = self.decay.denominator.bit_length() - 1
        parts = (self.threshold, self.rest, self.drop, self.bias, self.gain)
        unit = int(np.lcm.reduce([part.denominator for part in parts])) << (k * self.timesteps)
        threshold, rest, drop, bias, gain = (int(part * unit) for part in parts)
        trains = []
        for sequence in self.inputs():
            u, train = rest, []
            for current, shortcut in sequence:
                u = (u >> k) + current * unit + bias + gain * shortcut
                fired = u > threshold if self.strict else u >= threshold
                u = self._after(u, fired, rest, drop)
                train.append(fired)
            trains.append(tuple(train))
        return trains

    def integer_trains(self, integers: NeuronIntegers) -> list[Train]:
        """The spikes of every sequence as the firmware computes them."""
        k, f = self.decay.denominator.bit_length() - 1, integers.fraction_bits
        names = ("threshold", "rest", "drop", "bias", "gain")
        threshold, rest, drop, bias, gain = (int(getattr(integers, name)[0]) for name in names)
        trains = []
        for sequence in self.inputs():
            w, train = rest, []
            for current, shortcut in sequence:
                w = (w >> k) + current * 2**f + bias + gain * shortcut
                fired = w > threshold
                w = self._after(w, fired, rest, drop)
                train.append(fired)
            trains.append(tuple(train))
        return trains

    def _after(self, membrane: int, fired: bool, rest: int, drop: int) -> int:
        if not fired or self.reset == "none":
            return membrane
        return rest if self.reset == "hard" else membrane - drop
