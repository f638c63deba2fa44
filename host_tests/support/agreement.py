"""C against the reference for networks that the fast kernels must run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host_tests.support.builds import COMPILERS, emit, run_files
from host_tests.support.guards import GUARDED_MAIN, guarded_main, spread
from host_tests.support.layers import Layers, all_kinds_of_inputs, hits, tuned
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.kernels.events import EventsKernel
from qpsnn_codegen.planning.options import Packing, PlanOptions, Schedule
from qpsnn_codegen.planning.plan import Plan, make_plan
from qpsnn_codegen.reference import Outcome, run_reference
from qpsnn_codegen.verification import compare

SCHEDULES: tuple[Schedule, ...] = ("window", "rows")
PACKINGS: tuple[Packing, ...] = ("words", "bytes")
"""One for each compiler, with a packing: what a compiler makes of a kernel depends little on who calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A network with inputs, and what the reference makes of them."""

    network: IntegerNetwork
    inputs: NDArray[np.uint8]
    expected: Outcome


def kernels_of(network: IntegerNetwork) -> list[str]:
    """Which kernel runs each stage."""
    return [stage.kernel.name for stage in make_plan(network, "net").stages]


def events_kernel(network: IntegerNetwork, index: int = 0) -> EventsKernel:
    """The kernel of a layer of neurons."""
    name = f"neuron{index}"
    (kernel,) = (stage.kernel for stage in make_plan(network, "net").stages if name in stage.parts)
    assert isinstance(kernel, EventsKernel)
    return kernel


def before_readout(network: IntegerNetwork) -> list[str]:
    """The same without the last, which is not what most tests are about."""
    *kernels, readout = kernels_of(network)
    assert readout in ("counts", "generic")
    return kernels


def case_of(layers: Layers, inputs: NDArray[np.uint8] | None = None) -> Tested:
    """The layers with thresholds on membranes that occur, and a readout.

    Args:
        inputs: all kinds of inputs by default.
    """
    network = layers.network()
    if inputs is None:
        inputs = all_kinds_of_inputs(network)
    network = tuned(network, inputs)
    met = np.array([list(found.values()) for found in hits(network, inputs).values()])
    channels = sum(len(network.types()[node.name].low) for node in network.spiking())
    # With fewer channels, not every distance is dealt.
    assert channels < 3 * network.timesteps or met.sum(axis=0).min() > 0, f"thresholds met at -1, 0, +1: {met}"
    result = of_network(network, inputs)
    for name, spikes in result.expected.spikes.items():
        assert 0 < spikes.mean() < 1, f"{name} always does the same: it tests nothing"
    return result


def of_network(network: IntegerNetwork, inputs: NDArray[np.uint8]) -> Tested:
    """The network as it is."""
    return Tested(network=network, inputs=inputs, expected=run_reference(network, inputs, trace=True))


def check_c(case: Tested, kernels: Sequence[str]) -> None:
    """The stages before the readout run on these kernels; C is right and within its buffers, in either form."""
    assert before_readout(case.network) == [*kernels]
    for cc, schedule, packing in zip(COMPILERS, SCHEDULES, PACKINGS, strict=True):
        options = PlanOptions(schedule=schedule, packing=packing)
        plan = spread(make_plan(case.network, "net", options))
        files = {**emit(plan), GUARDED_MAIN: guarded_main(plan)}
        verdict = compare(case.expected, run_files(files, case.network, case.inputs, cc, main=GUARDED_MAIN))
        assert verdict.mismatches == 0, f"{cc}: {verdict.first}"


def check_planned(case: Tested, plan: Plan) -> None:
    """C is right under every compiler in the arena as planned, where buffers lie side by side and take turns."""
    for cc in COMPILERS:
        verdict = compare(case.expected, run_files(emit(plan), case.network, case.inputs, cc))
        assert verdict.mismatches == 0, f"{cc}: {verdict.first}"
