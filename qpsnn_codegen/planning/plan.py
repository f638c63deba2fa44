"""The Plan: what the C will do, in which order, and what it will cost."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.groups import Group, Grouping
from qpsnn_codegen.planning.layouts import MapLayout, layout_of
from qpsnn_codegen.planning.memory import ALIGNMENT, Buffer, arena_size, check_placement, lower_bound, place
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.packing import packed_maps
from qpsnn_codegen.planning.rows import check_order
from qpsnn_codegen.planning.stages import Stage, make_stages

_AS_IT_COMES = PlanOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stages, layouts and arena: layer by layer or, in groups, row by row, all timesteps inside.

    Attributes:
        name: prefix of every symbol.
        groups: of stages, in the order of execution; a buffer's moments are indices of groups.
        buffers: the arena; a group's scratch is named ``<node>/scratch`` after its last node.
        arena_bound: bytes below which no arena can be.
    """

    name: str
    network: IntegerNetwork
    options: PlanOptions
    stages: tuple[Stage, ...]
    groups: tuple[Group, ...]
    layouts: dict[str, MapLayout]
    buffers: tuple[Buffer, ...]
    arena_bytes: int
    arena_bound: int

    @property
    def weight_bytes(self) -> int:
        """Packed weights in flash."""
        return sum(stage.weight_bytes for stage in self.stages)

    @property
    def constant_bytes(self) -> int:
        """Per-channel constants, tables and orders of rows in flash."""
        orders = sum(len(group.order) for group in self.groups)
        return sum(stage.constant_bytes for stage in self.stages) + orders

    @property
    def input_layout(self) -> MapLayout:
        """How the caller hands over an input."""
        return self.layouts[self.network.nodes[0].name]


_WORTH_TIME = 1 / 16
"""Of the arena: what packing all spikes in bytes must save where that costs time, 1 to 5 % of it."""


def make_plan(network: IntegerNetwork, name: str, options: PlanOptions = _AS_IT_COMES) -> Plan:
    """Group nodes into stages and stages into groups, choose layouts and place the arena."""
    return arrange(network, name, options, make_stages(network, dict(options.kernels)))


def arrange(network: IntegerNetwork, name: str, options: PlanOptions, stages: tuple[Stage, ...]) -> Plan:
    """The plan of stages that were made as the options say: who compares many plans makes each stage once."""
    types = network.types()
    layouts = {node.name: layout_of(node, types[node.name], network.timesteps) for node in network.nodes if node.stored}

    def plan(packed: dict[str, MapLayout]) -> Plan:
        grouping = Grouping(stages=stages, layouts=layouts | packed)
        groups = grouping.choose(options.schedule)
        buffers = place(grouping.buffers(groups))
        kept = {stages[index].node: grouping.layout(group, index) for group in groups for index in group.stages}
        return Plan(
            name=name,
            network=network,
            options=options,
            stages=stages,
            groups=groups,
            layouts=layouts | packed | kept,
            buffers=buffers,
            arena_bytes=max(arena_size(buffers), ALIGNMENT),
            arena_bound=max(lower_bound(buffers), ALIGNMENT),
        )

    fast, *small = map(plan, packed_maps(stages, layouts, options.packing))
    return next((other for other in small if other.arena_bytes <= fast.arena_bytes * (1 - _WORTH_TIME)), fast)


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose buffers overlap or whose stages read what does not exist: the checker after planning."""
    check_placement(plan.buffers)
    ready = {plan.network.nodes[0].name}
    for stage in plan.stages:
        if not ready.issuperset(stage.reads):
            raise InternalError(f"stage {stage.node}", f"reads {stage.reads} before they are computed")
        ready.add(stage.node)
    if [index for group in plan.groups for index in group.stages] != list(range(len(plan.stages))):
        raise InternalError("groups", f"are not all stages in order: {plan.groups}")
    for group in plan.groups:
        if group.order:
            members = [plan.stages[index] for index in group.stages]
            rows = [rows for stage in members if (rows := stage.rows) is not None]
            check_order(rows, [plan.layouts[stage.node].rows for stage in members], group.order)
    if plan.arena_bytes < plan.arena_bound:
        raise InternalError("arena", "is smaller than what it must hold")
