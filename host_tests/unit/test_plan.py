"""The plan: stages, costs against naive counts, and the checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from host_tests.golden.models import MODELS
from host_tests.mutants.cases import NETWORKS
from qpsnn_codegen.emit.c_model import CModel
from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.lowering import lower
from qpsnn_codegen.planning.memory import Buffer, check_placement
from qpsnn_codegen.planning.options import PlanOptions, Schedule
from qpsnn_codegen.planning.plan import Plan, check_plan, make_plan


def plans() -> dict[str, tuple[IntegerNetwork, Plan]]:
    networks = {name: lower(make(), options) for name, (make, options) in NETWORKS.items()}
    networks |= {name: lower(make()) for name, make in MODELS.items()}
    return {name: (network, make_plan(network, "net")) for name, network in networks.items()}


def plans_of(schedule: Schedule) -> dict[str, tuple[IntegerNetwork, Plan]]:
    """The same, with another schedule."""
    return {
        f"{name}, {schedule}": (network, make_plan(network, "net", PlanOptions(schedule=schedule)))
        for name, (network, _) in plans().items()
    }


PLANS = plans() | plans_of("rows")


@pytest.mark.parametrize("name", PLANS)
class TestPlans:
    def test_passes_its_checker(self, name: str) -> None:
        check_plan(PLANS[name][1])

    def test_every_node_is_in_one_stage(self, name: str) -> None:
        network, plan = PLANS[name]
        stored = {node.name for node in network.nodes if node.stored}
        for stage in plan.stages:
            assert stage.parts[-1] == stage.node
            # A kernel of its own may take in the neurons before a pool.
            limit = 0 if stage.kernel.name == "generic" else 1
            assert len(stored.intersection(stage.parts[:-1])) <= limit
        assert len([part for stage in plan.stages for part in stage.parts]) >= len(network.nodes) - 1
        assert {part for stage in plan.stages for part in stage.parts} == {node.name for node in network.nodes[1:]}

    def test_buffers_live_as_long_as_they_are_read(self, name: str) -> None:
        _, plan = PLANS[name]
        buffers = {buffer.name: buffer for buffer in plan.buffers}
        for moment, index in ((at, index) for at, group in enumerate(plan.groups) for index in group.stages):
            stage = plan.stages[index]
            if stage.scratch_bytes:
                scratch = buffers[f"{plan.stages[plan.groups[moment].last].node}/scratch"]
                assert (scratch.first, scratch.last) == (moment, moment)
                assert scratch.size >= stage.scratch_bytes
            for read in stage.reads:
                if read in buffers:
                    assert buffers[read].first <= moment <= buffers[read].last
            if stage.node in buffers:
                assert buffers[stage.node].first == moment
                assert buffers[stage.node].size >= plan.layouts[stage.node].size
        check_placement(plan.buffers)
        assert plan.arena_bound <= plan.arena_bytes == max((b.offset + b.size for b in plan.buffers), default=4)

    def test_costs_against_naive_counts(self, name: str) -> None:
        network, plan = PLANS[name]
        types = network.types()
        nodes = {node.name: node for node in network.nodes}
        for stage in plan.stages:
            slots = weight_bytes = 0
            for part in stage.parts:
                synapses = nodes[part].synapses()
                if synapses is None:
                    continue
                outputs, group_inputs, kh, kw = synapses.codes.shape
                row = -(-(outputs // synapses.groups) * synapses.bits // 8)
                weight_bytes += kh * kw * group_inputs * synapses.groups * row
                source = types[nodes[part].inputs[0]]
                _, height, width = source.shape
                window = synapses.window
                rows, columns = window.output_size((height, width))
                for y, x, ky, kx in product(range(rows), range(columns), range(kh), range(kw)):
                    iy = y * window.stride[0] - window.padding[0] + ky * window.dilation[0]
                    ix = x * window.stride[1] - window.padding[1] + kx * window.dilation[1]
                    if 0 <= iy < height and 0 <= ix < width:
                        slots += outputs * group_inputs * (1 if source.static else network.timesteps)
            assert stage.dense_slots == slots
            if stage.kernel.name == "generic":
                assert stage.weight_bytes == weight_bytes
                arrays = [array for part in stage.parts for array in nodes[part].constants().values()]
                assert stage.constant_bytes == sum(array.size * array.dtype.itemsize for array in arrays)

    def test_bytes_are_those_of_the_arrays_declared(self, name: str) -> None:
        _, plan = PLANS[name]
        model = CModel(plan)
        for stage in plan.stages:
            before = len(model.arrays)
            stage.kernel.describe(model)
            declared = model.arrays[before:]
            size = {"uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4}
            weights = sum(array.values.size for array in declared if array.weights)
            constants = sum(array.values.size * size[array.ctype] for array in declared if not array.weights)
            assert (stage.weight_bytes, stage.constant_bytes) == (weights, constants)


def misplaced(plan: Plan) -> Plan:
    """All buffers at the start of the arena."""
    return replace(plan, buffers=tuple(replace(buffer, offset=0) for buffer in plan.buffers))


CHANGES: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "overlap": (misplaced, "overlaps"),
    "order": (lambda plan: replace(plan, stages=plan.stages[::-1]), "before they are computed"),
    "arena": (lambda plan: replace(plan, arena_bytes=plan.arena_bound - 4), "smaller than what it must hold"),
    "alignment": (
        lambda plan: replace(plan, buffers=(*plan.buffers, Buffer(name="x", size=3, first=0, last=0, offset=4096))),
        "buffer x",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_checker_finds(change: str) -> None:
    make, text = CHANGES[change]
    with pytest.raises(InternalError, match=text):
        check_plan(make(PLANS["image"][1]))
