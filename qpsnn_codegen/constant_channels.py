"""Channels whose spikes do not depend on their input (docs/numerics.md §2).

A batch-norm gain of zero, or one so small that no input can move the membrane across the threshold, would make the
constants of its channel infinite or huge. Such a channel's spike train is fixed, so any unit of current that gives
the same train for every input will do: the largest is taken, which has the smallest constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qpsnn_codegen.certificate import Conditions, RealNeuron, conditions
from qpsnn_codegen.lowering import FractionArray

_SMALLEST = 40
"""Units down to 2^-40 of the firing threshold are tried."""


def settle(scale: FractionArray, real_in_units: Callable[[FractionArray], RealNeuron], timesteps: int) -> FractionArray:
    """The unit of current of every channel: its scale, unless its spikes do not depend on the current.

    Args:
        scale: real current = scale * A, not negative, per channel.
        real_in_units: the layer's constants as a function of the unit.

    Raises:
        ValueError: a gain of zero whose fixed spike train no unit reproduces for every input; the text names the
            channel.
    """
    zero = np.array([value == 0 for value in scale])
    unit = scale.copy()
    unit[zero] = Fraction(1)
    real = real_in_units(unit)
    if not real.provable:
        if zero.any():
            raise ValueError(
                f"channel {int(np.flatnonzero(zero)[0])} has a gain of zero and a decay that is no power of two"
            )
        return unit
    truth = conditions(replace(real, low=np.where(zero, 0, real.low), high=np.where(zero, 0, real.high)), timesteps)
    if zero.any() and not truth.complete:
        raise ValueError(
            f"channel {int(np.flatnonzero(zero)[0])} has a gain of zero, over too many timesteps to fix its train"
        )
    undecided = np.flatnonzero(truth.decided)
    base = 2 ** max(int(abs(real.drop[0] * unit[0])).bit_length(), 1)
    for exponent in range(_SMALLEST):
        if len(undecided) == 0:
            break
        trial = unit.copy()
        trial[undecided] = Fraction(base, 2**exponent)
        facts = conditions(real_in_units(trial).select(undecided.tolist()), timesteps)
        same = (_outcome(facts) == _outcome(truth)[undecided]).all(axis=1) & facts.decided
        unit[undecided[same]] = Fraction(base, 2**exponent)
        undecided = undecided[~same]
    hopeless = [c for c in undecided.tolist() if zero[c]]
    if hopeless:
        raise ValueError(f"channel {hopeless[0]} has a gain of zero and a spike train that integers cannot fix")
    return unit


def _outcome(facts: Conditions) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """-1 where a comparison never holds, 1 where it always does, 0 where it depends on the input."""
    return np.asarray((facts.bound <= facts.least).astype(np.int8) - (facts.bound > facts.most).astype(np.int8))
