"""The certificate: proof that the firmware's integers spike exactly as the real-number network (docs/numerics.md §6).

Inputs of a neuron are integers, so its decision at t steps after a known state depends only on an integer
q = 2^(kt) Q_t, the decayed sum of its currents. In the real network it spikes if q >= N_real, in the integer one if
q >= N_integer. Both bounds are computed exactly; if they agree for every t and every history that leaves a trace, no
input can tell the networks apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.integer_network import INT32_MAX, Integers

Reset = Literal["hard", "soft", "none"]
Status = Literal["certified", "certified up to", "bounded"]

MAX_CONDITIONS = 4096
"""Comparisons per channel beyond which the proof stops at fewer steps."""
MAX_FRACTION_BITS = 24
_MAX_EXPONENT = 30  # of 2^(kt): with constants below 2^31 every product stays inside int64
_REST_TRIES = 64
_FAR = 2**62

Rationals = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealNeuron:
    """A layer of neurons, exact, in units where the current is the integer A.

    Attributes:
        threshold: Θ per channel; ``None`` where the neuron cannot fire by definition.
        rest: ρ, the membrane before the first timestep and after a hard reset.
        drop: θ', what a soft reset subtracts.
        bias: β, added at every timestep; only for λ = 1, otherwise it is folded into ``threshold`` and ``rest``.
        gain: r, the weight of one unit of the shortcut.
        strict: spikes at ``>`` (else at ``>=``).
        decay: λ as the firmware applies it, 0 < λ <= 1. Only a power of two can be certified.
        decay_error: how far that is from the network's λ.
        low, high: bounds of A per channel, low <= 0 <= high.
        shortcut_max: largest value of the shortcut; 0 without one.
    """

    threshold: tuple[Fraction | None, ...]
    rest: Rationals
    drop: Rationals
    bias: Rationals
    gain: Rationals
    strict: bool
    decay: Fraction
    reset: Reset
    low: Integers
    high: Integers
    shortcut_max: int = 0
    decay_error: Fraction = Fraction(0)

    @property
    def channels(self) -> int:
        """How many."""
        return len(self.threshold)

    @property
    def provable(self) -> bool:
        """Whether λ = 2^-k, with a k that leaves room for at least one step."""
        power = self.decay.denominator & (self.decay.denominator - 1) == 0
        return self.decay.numerator == 1 and power and self.decay_shift <= _MAX_EXPONENT

    @property
    def decay_shift(self) -> int:
        """k of λ = 2^-k."""
        return self.decay.denominator.bit_length() - 1

    def select(self, channels: Sequence[int]) -> RealNeuron:
        """The same layer with only these channels."""
        pick = list(channels)
        return replace(
            self,
            threshold=tuple(self.threshold[c] for c in pick),
            rest=tuple(self.rest[c] for c in pick),
            drop=tuple(self.drop[c] for c in pick),
            bias=tuple(self.bias[c] for c in pick),
            gain=tuple(self.gain[c] for c in pick),
            low=self.low[pick],
            high=self.high[pick],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronIntegers:
    """What the firmware holds of a layer: int64 [C] arrays of values that fit int32, with ``fraction_bits`` = F."""

    fraction_bits: int
    threshold: Integers
    rest: Integers
    drop: Integers
    bias: Integers
    gain: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is proven of one spiking layer, given the spikes it receives.

    Attributes:
        steps: the proof covers this many steps since the last known state (T: every input, every timestep).
        channels: how many there are; ``proven``: how many of them are certified for all T steps.
        membrane_error: for layers not fully certified, a bound on |membrane - real membrane| plus the threshold's own
            rounding, relative to the firing threshold (0 when certified).
    """

    layer: str
    status: Status
    steps: int
    timesteps: int
    channels: int
    proven: int
    membrane_error: float

    def __str__(self) -> str:
        if self.status == "certified":
            return "certified"
        error = f"{self.proven}/{self.channels} channels, error <= {self.membrane_error:.2g} of threshold"
        if self.status == "bounded":
            return f"bounded ({error})"
        return f"certified up to {self.steps} of {self.timesteps} steps ({error})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Every comparison of a layer, as arrays [C, J] (or [J]).

    With Z = rest - 2^k (drop H - gain G) + bias B, the trace of the past is Z / 2^(k(t+1)); ``own``, ``past`` and
    ``count`` are H, G and B. ``bound`` is N_real clipped to ``least`` .. ``most`` + 1, the values q can take.
    """

    step: NDArray[np.int64]
    own: NDArray[np.int64]
    past: NDArray[np.int64]
    count: NDArray[np.int64]
    bound: NDArray[np.int64]
    least: NDArray[np.int64]
    most: NDArray[np.int64]
    complete: bool
    """Whether these are the comparisons of all timesteps; if not, nothing can be said of whole spike trains."""

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Channels [C] whose spikes do not depend on their input, as far as that is known."""
        settled = (self.bound > self.most) | (self.bound <= self.least)
        return np.asarray(settled.all(axis=1) & self.complete)

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Channels [C] that never spike, as far as that is known."""
        return np.asarray((self.bound > self.most).all(axis=1) & self.complete)


def conditions(real: RealNeuron, timesteps: int) -> Conditions:
    """All comparisons for as many of ``timesteps`` as :data:`MAX_CONDITIONS` allows."""
    step, own, past = _histories(real, timesteps)
    k = real.decay_shift
    sums = np.cumsum(np.int64(1) << (k * np.arange(int(step.max()) + 1)))[step]
    least = real.low[:, None] * sums
    most = real.high[:, None] * sums
    count = step + 1 if k == 0 else np.zeros_like(step)
    bound = np.empty(least.shape, dtype=np.int64)
    rows = list(zip(step.tolist(), own.tolist(), past.tolist(), count.tolist(), strict=True))
    for c in range(real.channels):
        threshold = real.threshold[c]
        if threshold is None:
            bound[c] = most[c] + 1
            continue
        # One common denominator makes the inner loop plain integers.
        parts = (threshold, real.rest[c], real.drop[c], real.gain[c], real.bias[c])
        unit = 1
        for part in parts:
            unit = unit * part.denominator // np.gcd(unit, part.denominator, dtype=object)
        theta, rest, drop, gain, bias = (part.numerator * (unit // part.denominator) for part in parts)
        divisor = unit << k
        for j, (t, h, g, b) in enumerate(rows):
            trace = rest - ((drop * h - gain * g) << k) + bias * b
            exact = (theta << (k * (t + 1))) - trace
            first = exact // divisor + 1 if real.strict else -(-exact // divisor)
            bound[c, j] = min(max(first, int(least[c, j])), int(most[c, j]) + 1)
    complete = int(step.max()) + 1 == timesteps
    return Conditions(
        step=step, own=own, past=past, count=count, bound=bound, least=least, most=most, complete=complete
    )


def _histories(real: RealNeuron, timesteps: int) -> tuple[Integers, Integers, Integers]:
    """Step, own-spike history H and shortcut history G of every comparison, histories that leave the same trace
    once.
    """
    k = real.decay_shift
    own = np.zeros(1, dtype=np.int64)
    past = np.arange(real.shortcut_max + 1, dtype=np.int64)
    columns: list[tuple[Integers, Integers, Integers]] = []
    total = 0
    for t in range(timesteps):
        if k * (t + 1) > _MAX_EXPONENT:
            break
        if t > 0:
            # Never fewer than before: what would be too many need not be made, be it gigabytes.
            if total + len(own) * len(past) > MAX_CONDITIONS:
                break
            if real.reset == "soft":
                own = np.unique(np.concatenate([own, own + (np.int64(1) << (k * (t - 1)))]))
            units = np.arange(real.shortcut_max + 1, dtype=np.int64) << (k * t)
            past = np.unique(past[:, None] + units[None, :])
        total += len(own) * len(past)
        if total > MAX_CONDITIONS and t > 0:
            break
        h, g = (grid.ravel() for grid in np.meshgrid(own, past, indexing="ij"))
        columns.append((np.full(len(h), t, dtype=np.int64), h, g))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))  # type: ignore[return-value]


def proven_steps(real: RealNeuron, integers: NeuronIntegers, timesteps: int) -> Integers:
    """For each channel [C], how many steps since a known state the integers provably agree with the real neuron.

    This is the certificate itself: it knows nothing of how the integers were found. ``timesteps`` for a channel means
    that no input of that length can make it differ.
    """
    facts = conditions(real, timesteps)
    agree = _integer_bound(real, integers, facts) == facts.bound
    if real.decay_shift:  # β has been folded; one left over is in no comparison
        agree &= (integers.bias == 0)[:, None]
    last = np.where(agree, timesteps, facts.step[None, :])
    reach = int(facts.step.max()) + 1
    return np.asarray(np.minimum(last.min(axis=1), reach), dtype=np.int64)


def _integer_bound(real: RealNeuron, integers: NeuronIntegers, facts: Conditions) -> Integers:
    """N_integer of every comparison, clipped like N_real."""
    k, f = real.decay_shift, integers.fraction_bits
    result = np.empty_like(facts.bound)
    trace = _trace(real, integers, facts)
    for c in range(real.channels):
        need = [
            -((int(z) - (int(integers.threshold[c] + 1) << (k * (int(t) + 1)))) // (1 << (f + k)))
            for z, t in zip(trace[c], facts.step, strict=True)
        ]
        result[c] = [
            min(max(n, int(low)), int(high) + 1)
            for n, low, high in zip(need, facts.least[c], facts.most[c], strict=True)
        ]
    return result


def _trace(real: RealNeuron, integers: NeuronIntegers, facts: Conditions) -> Integers:
    """Z of every comparison [C, J], in integers."""
    history = integers.drop[:, None] * facts.own - integers.gain[:, None] * facts.past
    return np.asarray(
        integers.rest[:, None] - (history << real.decay_shift) + integers.bias[:, None] * facts.count,
        dtype=np.int64,
    )


def rounded(real: RealNeuron, fraction_bits: int) -> NeuronIntegers:
    """The integers nearest to the real constants, before any search; values beyond int32 are cut to it."""

    def to_integers(values: Sequence[Fraction]) -> Integers:
        scaled = [round(value * 2**fraction_bits) for value in values]
        return np.array([min(max(v, -INT32_MAX), INT32_MAX) for v in scaled], dtype=np.int64)

    threshold = []
    for value in real.threshold:
        scaled = None if value is None else value * 2**fraction_bits
        exact = INT32_MAX if scaled is None else floor(scaled) if real.strict else ceil(scaled) - 1
        threshold.append(min(max(exact, -INT32_MAX), INT32_MAX))
    return NeuronIntegers(
        fraction_bits=fraction_bits,
        threshold=np.array(threshold, dtype=np.int64),
        rest=to_integers(real.rest),
        drop=to_integers(real.drop),
        bias=to_integers(real.bias),
        gain=to_integers(real.gain),
    )


def membrane_bound(real: RealNeuron, integers: NeuronIntegers, timesteps: int) -> Integers:
    """The largest |w| any input can cause, per channel [C]: what must stay below 2^31."""
    steps = geometric_sum(real.decay, timesteps)
    reach = np.maximum(np.abs(real.low), np.abs(real.high)).astype(object) * 2**integers.fraction_bits
    per_step = reach + np.abs(integers.gain).astype(object) * real.shortcut_max + np.abs(integers.bias).astype(object)
    if real.reset == "soft":
        per_step = per_step + np.abs(integers.drop).astype(object)
    # Every decay rounds down by less than one unit, which piles up like a current.
    total = [ceil((value + 1) * steps) + abs(int(rest)) for value, rest in zip(per_step, integers.rest, strict=True)]
    return np.array([min(value, _FAR) for value in total], dtype=np.int64)


def geometric_sum(decay: Fraction, timesteps: int) -> Fraction:
    """An upper bound on 1 + λ + … over the window: how much of a constant current can pile up."""
    if decay == 1:
        return Fraction(timesteps)
    if decay.denominator > 2**16:  # λ^T would have thousands of digits
        return min(Fraction(timesteps), 1 / (1 - decay))
    return (1 - decay**timesteps) / (1 - decay)


def search(real: RealNeuron, timesteps: int, *, precise: bool = False) -> NeuronIntegers | None:
    """The integers of a layer: the fewest fraction bits with which every channel is certified.

    For each F, ρ (β for λ = 1, where ρ shifts all steps alike) is tried by increasing distance from its rounded
    value; each leaves an interval of valid Θ, of which the member nearest to the rounded one is taken. If no F
    certifies every channel, the F that certifies most is used, and the others keep their rounded values. A layer that
    cannot be certified (λ no power of two), or whose potentials are read out (``precise``), gets as many fraction
    bits as fit.

    Returns:
        None if no F, not even 0, keeps the membranes within int32.
    """
    facts = conditions(real, timesteps) if real.provable else None
    best: tuple[int, NeuronIntegers] | None = None
    for fraction_bits in range(MAX_FRACTION_BITS + 1):
        start = rounded(real, fraction_bits)
        if _exceeds(real, start, timesteps):
            break
        if facts is None or precise:
            best = (0, start)
            continue
        found, proven = _search_threshold(real, start, facts, timesteps)
        if best is None or proven >= best[0]:
            best = (proven, found)
        if proven == real.channels:
            break
    return None if best is None else best[1]


def _exceeds(real: RealNeuron, integers: NeuronIntegers, timesteps: int) -> bool:
    """Whether a membrane could leave int32, with room for the search to move ρ and β."""
    slack = _REST_TRIES * (timesteps + 1)
    return bool((membrane_bound(real, integers, timesteps) + slack > INT32_MAX).any())


def _search_threshold(
    real: RealNeuron, start: NeuronIntegers, facts: Conditions, timesteps: int
) -> tuple[NeuronIntegers, int]:
    """Move Θ, and ρ or β where that is not enough; returns the integers and how many channels are certified."""
    threshold, rest, bias = start.threshold.copy(), start.rest.copy(), start.bias.copy()
    open_channels = np.arange(real.channels)
    moves_bias = real.decay_shift == 0
    for attempt in range(2 * _REST_TRIES):
        distance = (attempt + 1) // 2 * (1 if attempt % 2 else -1)
        trial = replace(
            start,
            rest=start.rest if moves_bias else start.rest + distance,
            bias=start.bias + distance if moves_bias else start.bias,
        )
        low, high = _threshold_interval(real, trial, facts, open_channels)
        solved = low <= high
        done = open_channels[solved]
        threshold[done] = np.clip(start.threshold[done] + 1, low[solved], high[solved]) - 1
        rest[done], bias[done] = trial.rest[done], trial.bias[done]
        open_channels = open_channels[~solved]
        if len(open_channels) == 0 or (moves_bias and not any(real.bias)):
            break
    proven = real.channels - len(open_channels) if facts.complete else 0
    return replace(start, threshold=threshold, rest=rest, bias=bias), proven


def _threshold_interval(
    real: RealNeuron, integers: NeuronIntegers, facts: Conditions, channels: Integers
) -> tuple[Integers, Integers]:
    """Smallest and largest Θ + 1 for which every comparison agrees, per channel; empty (low > high) if none does."""
    k, f = real.decay_shift, integers.fraction_bits
    part = replace(
        integers,
        **{name: getattr(integers, name)[channels] for name in ("threshold", "rest", "drop", "bias", "gain")},
    )
    trace = _trace(real, part, facts)
    bound, least, most = facts.bound[channels], facts.least[channels], facts.most[channels]
    shift = k * (facts.step + 1)
    low = (((bound - 1) << (f + k)) + trace >> shift) + 1
    high = (bound << (f + k)) + trace >> shift
    low = np.where(bound <= least, -INT32_MAX, low)
    high = np.where(bound > most, INT32_MAX + 1, high)
    return low.max(axis=1), high.min(axis=1)


def certify(
    layer: str, real: RealNeuron, integers: NeuronIntegers, timesteps: int, *, input_error: Rationals
) -> Certificate:
    """Say what is proven of ``integers``.

    Args:
        input_error: a bound per channel on |A - real current|, in units of A, for layers fed by rounded values.
    """
    provable = real.provable and not any(input_error)
    steps = proven_steps(real, integers, timesteps) if provable else np.zeros(real.channels, dtype=np.int64)
    proven = int((steps == timesteps).sum())
    reach = int(steps.min())
    status: Status = "certified" if proven == real.channels else "certified up to" if reach > 0 else "bounded"
    error = 0.0 if status == "certified" else _relative_error(real, integers, timesteps, input_error)
    return Certificate(
        layer=layer,
        status=status,
        steps=reach,
        timesteps=timesteps,
        channels=real.channels,
        proven=proven,
        membrane_error=error,
    )


def _relative_error(real: RealNeuron, integers: NeuronIntegers, timesteps: int, input_error: Rationals) -> float:
    """The bound of :attr:`Certificate.membrane_error`: every rounding of a step, piled up over the window."""
    unit = 2**integers.fraction_bits
    steps = geometric_sum(real.decay, timesteps)
    reach = membrane_bound(real, integers, timesteps)
    worst = 0.0
    for c in range(real.channels):
        threshold = real.threshold[c]
        if threshold is None:
            continue

        def off(exact: Fraction, stored: int) -> Fraction:
            return abs(exact - Fraction(stored, unit))

        # A wrong λ errs by its distance times the potential, which is the membrane and the center it leaves out.
        potential = Fraction(int(reach[c]), unit) + abs(real.drop[c] - threshold)
        per_step = Fraction(1, unit) + off(real.bias[c], int(integers.bias[c])) + input_error[c]
        per_step += off(real.gain[c], int(integers.gain[c])) * real.shortcut_max + real.decay_error * potential
        if real.reset == "soft":
            per_step += off(real.drop[c], int(integers.drop[c]))
        membrane = per_step * steps + off(real.rest[c], int(integers.rest[c]))
        if min(threshold, Fraction(int(integers.threshold[c]), unit)) > Fraction(int(reach[c]), unit) + membrane:
            continue  # out of reach in both networks, however it is rounded
        total = membrane + off(threshold, int(integers.threshold[c]))
        scale = abs(real.drop[c])
        worst = max(worst, float(total / scale) if scale else float("inf"))
    return worst
