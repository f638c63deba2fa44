"""Random networks of every kind: C and reference agree in every spike and logit, and the certificate keeps its word."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from host_tests.support.builds import COMPILERS, emit, run_files
from host_tests.support.networks import FAMILIES, Case, Family, cases
from qpsnn_codegen.emit.golden import random_inputs
from qpsnn_codegen.errors import LoweringError, UnsupportedError
from qpsnn_codegen.integer_network import INT32_MAX, IntegerNetwork, check_integer_network
from qpsnn_codegen.kinds.neuron import Neuron
from qpsnn_codegen.kinds.readout import LastReadout
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.network import check_network
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.verification import adversarial_inputs, compare

EXAMPLES_FULL = 40
"""Networks per family, each under every compiler: 8 x 40 = 320 in a full run."""
EXAMPLES_QUICK = 3
RANDOM_INPUTS = 6
MOST_REFUSED = 0.3
TIE = 1e-9
"""Relative distance from the threshold within which float64's own rounding may decide."""


def examples() -> int:
    """Per family, by the Hypothesis profile in force."""
    return EXAMPLES_FULL if settings().max_examples >= 100 else EXAMPLES_QUICK


def test_full_run_has_300_networks() -> None:
    assert len(FAMILIES) * EXAMPLES_FULL >= 300


@dataclass
class Tally:
    """What became of the networks of a run."""

    compiled: int = 0
    certified: int = 0
    refused: list[str] = field(default_factory=list)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_c_equals_reference(family: Family) -> None:
    tally = Tally()

    # Shrinking would compile hundreds of programs; the printed @reproduce_failure line repeats a failure.
    @settings(max_examples=examples(), phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(case=cases(family), seed=st.integers(0, 2**16))
    def check(case: Case, seed: int) -> None:
        check_case(case, seed, family, tally)

    check()
    total = tally.compiled + len(tally.refused)
    assert len(tally.refused) <= max(1, MOST_REFUSED * total), tally.refused
    # An exact family that certifies nothing would compare nothing with real numbers.
    assert tally.certified > 0 or not family.exact


def check_case(case: Case, seed: int, family: Family, tally: Tally) -> None:
    check_network(case.network)
    try:
        integers = lower(case.network, case.options)
    except (LoweringError, UnsupportedError) as refusal:
        tally.refused.append(str(refusal))
        return
    check_integer_network(integers)
    inputs = np.concatenate([random_inputs(integers, RANDOM_INPUTS, seed), adversarial_inputs(integers)])
    expected = run_reference(integers, inputs, trace=True)
    files = emit(make_plan(integers, "net"))
    for cc in COMPILERS:
        verdict = compare(expected, run_files(files, integers, inputs, cc))
        assert verdict.mismatches == 0, f"{cc}: {verdict.first}"
    tally.compiled += 1
    if all(certificate.status == "certified" for certificate in integers.certificates):
        tally.certified += 1
        check_real_network(case, integers, inputs, expected, exact=family.exact)


def check_real_network(
    case: Case, integers: IntegerNetwork, inputs: NDArray[np.uint8], outcome: Outcome, *, exact: bool
) -> None:
    """A fully certified network spikes as the real one does, but for float64's own ties."""
    currents = {neuron.name: neuron.inputs[0] for neuron in case.neurons}
    logits, real = case.network.run(inputs, record=[*currents, *currents.values()])
    for neuron in case.neurons:
        wanted = real[neuron.name]
        found = outcome.spikes[neuron.name].reshape(wanted.shape)
        if np.array_equal(found, wanted):
            continue
        assert not exact, f"{neuron.name} is certified, but {int((found != wanted).sum())} spikes differ"
        assert_tie(neuron, real[currents[neuron.name]], found, wanted)
        return  # what follows has other inputs
    tolerance = logit_tolerance(integers)
    assert np.abs(outcome.logits * integers.logit_scale - logits).max() <= tolerance


def assert_tie(
    neuron: Neuron, currents: NDArray[np.float64], found: NDArray[np.uint8], wanted: NDArray[np.float64]
) -> None:
    """Every neuron that differs starts to differ where its float64 potential is on the threshold."""
    potential = np.full(currents[:, 0].shape, neuron.reset_potential)
    differed = np.zeros(potential.shape, dtype=bool)
    for t in range(currents.shape[1]):
        charged = neuron.decay * potential + currents[:, t]
        new = (found[:, t] != wanted[:, t]) & ~differed
        size = np.maximum(np.abs(currents).max(axis=1), 1)
        distance = np.abs(charged - neuron.threshold) / size
        assert not new.any() or distance[new].max() < TIE, f"{neuron.name} is certified, but differs at step {t}"
        differed |= new
        fired = wanted[:, t] > 0
        if neuron.reset == "hard":
            potential = np.where(fired, neuron.reset_potential, charged)
        else:
            potential = charged - (neuron.threshold * fired if neuron.reset == "soft" else 0)


def logit_tolerance(integers: IntegerNetwork) -> float:
    """How far a logit may be from the real one through rounding alone, spikes being equal."""
    readout = integers.nodes[-1]
    if not isinstance(readout, LastReadout):
        # The scale of a class is rounded to 2^-17, the shifted sum and the bias to a half.
        source = integers.types()[readout.inputs[0]]
        return integers.logit_scale * (source.bound * integers.timesteps * 2.0**-17 + 1.5)
    if (readout.threshold < INT32_MAX).any():
        return float("inf")  # constants moved by the search: proven in spikes, not in potential
    rounding = 3.0 * (integers.timesteps + 1)
    return integers.logit_scale * (float(readout.reach.max()) * 2.0**-17 + rounding + 1.5)
