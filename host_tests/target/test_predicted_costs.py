"""Predicted instructions beside those that QEMU counts: on the benchmark networks, and where the worst case happens.

Counts are the same on every machine, so a difference is a changed kernel: ``make kernel-costs`` measures it anew.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cores import Row, measure
from benchmarks.networks import BENCHMARKS, Benchmark
from benchmarks.on_cores import Job, core_board, stage_instructions
from host_tests.support.layers import Layers, restless
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.planning.cost import worst_instructions
from qpsnn_codegen.planning.kernels import KERNELS
from qpsnn_codegen.planning.plan import make_plan

ALLOWED = 0.15
CLOSE = {"generic": 1.5}
"""Of predictions of the worst case, times the count; of other kernels 1.2."""
TICK = 50.0
"""Instructions: the clock that counts is a coarse one."""
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


def worst_networks() -> dict[str, IntegerNetwork]:
    """Of every kernel and kind of neurons, other shapes than those that the constants were measured with."""
    whole, wide = Window(kernel=(16, 16)), Window(kernel=(5, 5), padding=(2, 2))
    events = {timesteps: Layers(seed=7, timesteps=timesteps).events(4, 8, 8) for timesteps in (1, 6)}
    return {
        "image": Layers(seed=1).image(1, 28, 28).layer(16, 8, AROUND).pool(2, 2).layer(32, 4, AROUND).network(),
        "image of colours": Layers(seed=2).image(3, 12, 12).layer(32, 8, AROUND).layer(32, 8, AROUND).network(),
        "large image": Layers(seed=3).image(1, 16, 16).layer(128, 8, whole).network(),
        "packed image of 2 bits": Layers(seed=8).image(1, 16, 16).layer(72, 2, whole).network(),
        "packed image of 4 bits": Layers(seed=4).image(16, 7, 7).layer(72, 4, wide).pool(2, 2).network(),
        "image in bytes": Layers(seed=4).image(16, 7, 7).layer(72, 8, wide).pool(2, 2).network(),
        "hard": Layers(seed=3).events(40, 6, 6).layer(70, 4, AROUND, rest=20).layer(33, 2, AROUND).pool(2, 2).network(),
        "soft": Layers(seed=1)
        .events(16, 8, 8)
        .layer(16, 4, AROUND)
        .neurons("soft")
        .layer(30, 8, AROUND)
        .neurons("soft")
        .network(),
        "shortcut": Layers(seed=5)
        .events(24, 6, 6)
        .layer(24, 4, AROUND)
        .layer(24, 4, AROUND)
        .neurons(gain=40, shortcut="neuron0")
        .network(),
        "1x1": Layers(seed=1).events(16, 8, 8).layer(16, 2).layer(12, 2).layer(6, 4).network(),
        "T = 1": events[1].layer(16, 4).layer(40, 4, AROUND).network(),
        "T = 6": events[6].layer(16, 4).layer(40, 4, AROUND).network(),
        "pooled counts": Layers(seed=6).events(64, 6, 6).sums(3, 3).network(classes=12),
    }


@pytest.mark.parametrize("core", ["M0", "M4", "M55"])
def test_the_worst_case_is_a_bound_and_a_close_one(core: str) -> None:
    networks, jobs, kernels = worst_networks(), [], set()
    for network in networks.values():
        kind = network.nodes[0].output_type()
        shape = (1, *(() if kind.static else (network.timesteps,)), *kind.shape)
        inputs = np.full(shape, int(kind.high.max()), dtype=np.uint8)
        jobs.append(Job(network=restless(network, inputs), inputs=inputs))
    for name, job, (counted,) in zip(networks, jobs, stage_instructions(core, jobs), strict=True):
        plan = make_plan(job.network, "net")
        for stage, found, worst in zip(plan.stages, counted, worst_instructions(plan), strict=True):
            kernels.add(stage.kernel.name)
            predicted = worst[core_board(core).core]
            assert found <= predicted + TICK, (name, stage.node, found, predicted)
            assert predicted <= CLOSE.get(stage.kernel.name, 1.2) * found + TICK, (name, stage.node, found, predicted)
    assert kernels == {kernel.name for kernel in KERNELS}


@pytest.mark.parametrize("core", ["M0", "M4"])
def test_fewer_spikes_take_less_than_the_worst_case(core: str) -> None:
    network = worst_networks()["hard"]
    inputs = np.random.default_rng(0).integers(0, 2, (2, 4, 40, 6, 6)).astype(np.uint8)
    (counted,) = stage_instructions(core, [Job(network=network, inputs=inputs)])
    worst = [stage[core_board(core).core] for stage in worst_instructions(make_plan(network, "net"))]
    assert (counted <= np.array(worst) + TICK).all()
