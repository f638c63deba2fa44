"""No plan has two values in one place while both are needed, and no arena is much larger than what it must hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.networks import BENCHMARKS
from host_tests.support.arena_model import Arena
from host_tests.support.layers import Layers
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.kinds.pools import MapPool
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.planning.memory import check_placement
from qpsnn_codegen.planning.options import Packing, PlanOptions, Schedule
from qpsnn_codegen.planning.plan import check_plan, make_plan

WINDOWS = (
    Window(kernel=(1, 1)),
    Window(kernel=(3, 3), padding=(1, 1)),
    Window(kernel=(2, 3), padding=(1, 1), stride=(2, 1)),
    Window(kernel=(3, 2), padding=(2, 1), dilation=(2, 1)),
)
POOLS = (
    Window(kernel=(2, 2)),
    Window(kernel=(2, 2), stride=(2, 2)),
    Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    Window(kernel=(3, 3), padding=(1, 1)),
    Window(kernel=(2, 1), stride=(3, 2), dilation=(2, 1)),
)
SCHEDULES: tuple[Schedule, ...] = ("auto", "window", "rows")
PACKINGS: tuple[Packing, ...] = ("auto", "words", "bytes")


@st.composite
def networks(draw: st.DrawFn) -> IntegerNetwork:
    """A few layers, pools and sums, in any order; sums reach back to earlier maps."""
    layers = Layers(seed=1, timesteps=draw(st.sampled_from([1, 2, 5])))
    shape = (draw(st.sampled_from([1, 35])), draw(st.integers(3, 9)), draw(st.integers(2, 5)))
    (layers.image if draw(st.booleans()) else layers.events)(*shape)
    layers.layer(draw(st.sampled_from([3, 40])), 2)
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["layer", "layer", "pool", "sum"]))
        channels, height, width = layers.shape
        alike = [name for name, other in layers.shapes.items() if other == layers.shape and "neuron" in name]
        if kind == "layer" or (kind == "sum" and not alike):
            fitting = [window for window in WINDOWS if min(window.output_size((height, width))) > 0]
            layers.layer(draw(st.sampled_from([3, 35, 64])), 2, draw(st.sampled_from(fitting)), symmetric=True)
        elif kind == "pool":
            fitting = [window for window in POOLS if min(window.output_size((height, width))) > 0]
            pool = draw(st.sampled_from(fitting)) if fitting else WINDOWS[0]
            name = f"pool{len(layers.nodes)}"
            node = MapPool(name=name, inputs=(layers.nodes[-1].name,), window=pool, mode="max")
            layers.append(node, (channels, *pool.output_size((height, width))))
        else:
            layers.add(draw(st.sampled_from(alike)), layers.nodes[-1].name)
    return layers.network()


@given(networks(), st.sampled_from(SCHEDULES), st.sampled_from(PACKINGS))
@settings(deadline=None)
def test_every_value_is_there_when_it_is_read(network: IntegerNetwork, schedule: Schedule, packing: Packing) -> None:
    plan = make_plan(network, "net", PlanOptions(schedule=schedule, packing=packing))
    check_plan(plan)
    assert Arena(plan).run() == []
    assert plan.arena_bound <= plan.arena_bytes <= 1.1 * plan.arena_bound + 64


@given(networks())
@settings(deadline=None)
def test_rows_in_turns_never_cost_memory(network: IntegerNetwork) -> None:
    """Of spikes that are packed alike: a smaller arena may have words where a larger one has bytes."""
    packings: tuple[Packing, ...] = ("words", "bytes")
    for packing in packings:
        chosen, window = (
            make_plan(network, "net", PlanOptions(schedule=schedule, packing=packing))
            for schedule in ("auto", "window")
        )
        assert chosen.arena_bound <= window.arena_bound


def pooled() -> Layers:
    """A pool by itself, since its windows overlap, between maps that are larger than all others."""
    layers = Layers(seed=2).events(3, 2, 2).layer(64, 2, Window(kernel=(1, 1), padding=(6, 6)))
    return layers.pool_by(Window(kernel=(2, 2))).layer(2, 2)


def test_a_pool_takes_the_place_of_its_input() -> None:
    plan = make_plan(pooled().network(), "net", PlanOptions(schedule="window"))
    before, after = (buffer for buffer in plan.buffers if "scratch" not in buffer.name and "neuron0" in buffer.name)
    assert (after.over, after.offset, after.first) == (before.name, before.offset, before.last)
    assert plan.arena_bytes < before.size + after.size
    assert Arena(plan).run() == []


def test_a_pool_over_its_border_does_not() -> None:
    """It would read what it has written."""
    layers = Layers(seed=2).events(3, 9, 9).layer(64, 2).pool_by(Window(kernel=(3, 3), padding=(1, 1))).layer(2, 2)
    assert not any(buffer.over for buffer in make_plan(layers.network(), "net").buffers)


def test_a_map_that_is_read_again_keeps_its_place() -> None:
    layers = pooled().add("neuron0", "neuron0")
    assert not any(buffer.over for buffer in make_plan(layers.network(), "net").buffers)


@pytest.mark.parametrize("what", ["place", "life", "order"])
def test_the_model_notices(what: str) -> None:
    """The test above can fail: values in one place, a map with too few rows, a pool that overtakes itself."""
    if what == "order":
        padded = Layers(seed=2).events(3, 9, 9).layer(64, 2).pool_by(Window(kernel=(3, 3), padding=(1, 1))).layer(2, 2)
        plan = make_plan(padded.network(), "net")
        before = plan.buffers[0]
        moved = [replace(b, offset=before.offset) if "pool" in b.name else b for b in plan.buffers]
        assert Arena(replace(plan, buffers=tuple(moved))).run()
        return
    around = Window(kernel=(3, 3), padding=(1, 1))
    network = Layers(seed=1).events(8, 9, 4).layer(9, 2, around).layer(9, 2, around).network()
    plan = make_plan(network, "net", PlanOptions(schedule="rows"))
    assert Arena(plan).run() == []
    first = plan.stages[0].node
    if what == "life":
        fewer = replace(plan.layouts[first], rows=plan.layouts[first].rows - 1)
        assert Arena(replace(plan, layouts=plan.layouts | {first: fewer})).run()
    else:
        together = tuple(replace(buffer, offset=0) for buffer in plan.buffers)
        assert Arena(replace(plan, buffers=together)).run()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bits"), [(name, bits) for name in BENCHMARKS for bits in BENCHMARKS[name].bits])
def test_arenas_of_the_benchmarks_are_as_small_as_can_be(name: str, bits: int) -> None:
    """Random networks may need up to a tenth more than the fullest moment; these do not."""
    network = lower(BENCHMARKS[name].network(bits))
    for schedule in SCHEDULES:
        plan = make_plan(network, "net", PlanOptions(schedule=schedule))
        check_placement(plan.buffers)
        assert plan.arena_bytes == plan.arena_bound
