"""Predicted instructions beside those that QEMU counts: on the benchmark networks, and where the worst case happens.

Counts are the same on every machine, so a difference is a changed kernel: ``make kernel-costs`` measures it anew.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cores import Row, measure
from benchmarks.networks import BENCHMARKS, Benchmark
from benchmarks.on_cores import Job, core_board, stage_instructions
from host_tests.support.layers import Layers, with_neuron
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.cost import predicted_instructions
from qpsnn_codegen.planning.plan import make_plan
from qpsnn_codegen.planning.work import worst_work

ALLOWED = 0.15
AROUND = Window(kernel=(3, 3), padding=(1, 1))


def rows_of(network: str, bits: int, *cores: str) -> list[Row]:
    rows = list(measure(network, bits, None, cores))
    assert [row.core for row in rows] == list(cores)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(("network", "bits", "cores"), [("A", 4, ("M0", "M55")), ("B", 8, ("M7",))])
def test_predictions_hold_on_trained_networks(network: str, bits: int, cores: tuple[str, ...]) -> None:
    for row in rows_of(network, bits, *cores):
        assert abs(row.error) <= ALLOWED, row


@pytest.mark.slow
def test_predictions_hold_on_the_pruned_vgg16_which_spikes_as_in_the_paper() -> None:
    wanted = BENCHMARKS["E"]
    assert isinstance(wanted, Benchmark)
    assert wanted.operations == 11.6e6
    for row in rows_of("E", 4, "M3", "M4"):
        assert row.operations == pytest.approx(wanted.operations, rel=0.03)
        assert abs(row.error) <= ALLOWED, row


def always_spiking() -> IntegerNetwork:
    """Every neuron spikes at every timestep, whatever comes in."""
    layers = Layers(seed=3).events(40, 6, 6).layer(70, 4, AROUND, rest=20).layer(33, 2, AROUND, rest=20).pool(2, 2)
    network = layers.network()
    for node in network.spiking():
        lowest = int(network.types()[node.inputs[0]].low.min()) * 100
        network = with_neuron(network, node.name, threshold=np.full(len(network.types()[node.name].low), lowest))
    return network


@pytest.mark.parametrize("core", ["M0", "M4"])
def test_the_worst_case_happens(core: str) -> None:
    network = always_spiking()
    inputs = np.ones((1, 4, 40, 6, 6), dtype=np.uint8)
    (counted,) = stage_instructions(core, [Job(network=network, inputs=inputs)])
    predicted = predicted_instructions(make_plan(network, "net"), worst_work(network))
    for found, stage in zip(counted[0], predicted, strict=True):
        assert stage[core_board(core).core] == pytest.approx(found, rel=ALLOWED)
