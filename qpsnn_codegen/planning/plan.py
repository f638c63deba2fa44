"""The Plan: what the C will do, in which order, and what it will cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qpsnn_codegen.errors import InternalError
from qpsnn_codegen.integer_network import IntegerNetwork, IntegerNode, IntegerType
from qpsnn_codegen.planning.kernels import Candidate, Kernel, choose, special
from qpsnn_codegen.planning.layouts import MapLayout, layout_of
from qpsnn_codegen.planning.memory import (
    ALIGNMENT,
    Buffer,
    arena_size,
    check_placement,
    lower_bound,
    place,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One kernel call: a stored node together with the currents it is made of.

    Attributes:
        node: the stored node the stage computes.
        parts: names of its currents, the nearest first, then the node's own.
        reads: the stored values it reads, in the order of the kernel's arguments.
        weight_bytes, constant_bytes: what it holds in flash.
        dense_slots: weights applied if every input were active, padding excluded, over the whole window.
        kernel: how the stage is run.
        static: its weights read an image, once per inference: multiply-accumulates rather than synaptic operations.
    """

    node: str
    parts: tuple[str, ...]
    reads: tuple[str, ...]
    scratch_bytes: int
    dense_slots: int
    static: bool
    kernel: Kernel
    weight_bytes: int = 0
    constant_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stages, layouts and arena of the *window* schedule: layer by layer, all timesteps inside.

    Attributes:
        name: prefix of every symbol.
        buffers: the arena; a stage's scratch is named ``<node>/scratch``.
        arena_bound: bytes below which no arena can be.
    """

    name: str
    network: IntegerNetwork
    stages: tuple[Stage, ...]
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
        """Per-channel constants and tables in flash."""
        return sum(stage.constant_bytes for stage in self.stages)

    @property
    def input_layout(self) -> MapLayout:
        """How the caller hands over an input."""
        return self.layouts[self.network.nodes[0].name]


def make_plan(network: IntegerNetwork, name: str) -> Plan:
    """Group nodes into stages, choose layouts and place the arena."""
    types = network.types()
    nodes = {node.name: node for node in network.nodes}
    stored = [node for node in network.nodes if node.stored]
    layouts = {node.name: layout_of(node, types[node.name], network.timesteps) for node in stored}
    readers = Counter(name for node in network.nodes for name in node.inputs)
    stages: list[Stage] = []
    for node in stored[1:]:
        stage = _stage(node, nodes, types, readers, network.timesteps)
        _append_or_fuse(stages, stage)
    counted = _without_doubles(stages, nodes)
    buffers = place(_buffers(counted, layouts))
    return Plan(
        name=name,
        network=network,
        stages=counted,
        layouts=layouts,
        buffers=buffers,
        arena_bytes=max(arena_size(buffers), ALIGNMENT),
        arena_bound=max(lower_bound(buffers), ALIGNMENT),
    )


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose buffers overlap or whose stages read what does not exist: the checker after planning."""
    check_placement(plan.buffers)
    ready = {plan.network.nodes[0].name}
    for stage in plan.stages:
        if not ready.issuperset(stage.reads):
            raise InternalError(f"stage {stage.node}", f"reads {stage.reads} before they are computed")
        ready.add(stage.node)
    if plan.arena_bytes < plan.arena_bound:
        raise InternalError("arena", "is smaller than what it must hold")


def _stage(
    node: IntegerNode,
    nodes: dict[str, IntegerNode],
    types: Mapping[str, IntegerType],
    readers: Mapping[str, int],
    timesteps: int,
) -> Stage:
    """Follow a stored node through its currents to the maps it reads."""
    parts: list[IntegerNode] = [node]
    reads: list[str] = []
    for name in node.inputs:
        source = nodes[name]
        while not source.stored:
            parts.append(source)
            source = nodes[source.inputs[0]]  # currents have one input
        reads.append(source.name)
    candidate = Candidate(
        parts=tuple(reversed(parts)),
        types=types,
        sources={name: nodes[name] for name in reads},
        readers=readers,
        timesteps=timesteps,
    )
    kernel = choose(candidate)
    return Stage(
        node=node.name,
        parts=tuple(part.name for part in reversed(parts)),
        reads=tuple(reads),
        scratch_bytes=4 * kernel.scratch_words,
        kernel=kernel,
        dense_slots=sum(_dense_slots(part, types, timesteps) for part in parts),
        static=types[reads[0]].static,
    )


def _append_or_fuse(stages: list[Stage], stage: Stage) -> None:
    """Append a stage, or let the one whose map it alone reads do its work too, if there is a kernel for both."""
    candidate = stage.kernel.candidate
    for index, earlier in enumerate(stages):
        if stage.reads == (earlier.node,) and candidate.readers[earlier.node] == 1:
            before = earlier.kernel.candidate
            together = replace(before, parts=(*before.parts, *candidate.parts))
            kernel = special(together)
            if kernel is not None:
                stages[index] = replace(
                    earlier,
                    node=stage.node,
                    parts=earlier.parts + stage.parts,
                    scratch_bytes=4 * kernel.scratch_words,
                    kernel=kernel,
                )
                return
    stages.append(stage)


def _without_doubles(stages: list[Stage], nodes: dict[str, IntegerNode]) -> tuple[Stage, ...]:
    """Weights and constants of currents that several stages read are in flash once: counted for the first of them."""
    counted: set[str] = set()
    result = []
    for stage in stages:
        parts = [nodes[name] for name in stage.parts if name not in counted]
        counted.update(stage.parts)
        result.append(
            replace(
                stage,
                weight_bytes=sum(stage.kernel.weight_bytes(part) for part in parts),
                constant_bytes=sum(stage.kernel.constant_bytes(part) for part in parts),
            )
        )
    return tuple(result)


def _dense_slots(node: IntegerNode, types: Mapping[str, IntegerType], timesteps: int) -> int:
    synapses = node.synapses()
    if synapses is None:
        return 0
    source = types[node.inputs[0]]
    taps = int(synapses.window.view(np.ones(source.shape[1:], dtype=np.int64)).sum())
    outputs, group_inputs = synapses.codes.shape[:2]
    return taps * int(outputs * group_inputs) * (1 if source.static else timesteps)


def _buffers(stages: tuple[Stage, ...], layouts: dict[str, MapLayout]) -> list[Buffer]:
    """Maps from the stage that writes them to the last that reads them; scratch for its stage alone.

    The input and the logits belong to the caller.
    """
    last_read: dict[str, int] = {}
    for index, stage in enumerate(stages):
        last_read.update(dict.fromkeys(stage.reads, index))
    buffers: list[Buffer] = []
    for index, stage in enumerate(stages):
        if stage.node in last_read:
            size = _aligned(layouts[stage.node].size)
            buffers.append(Buffer(name=stage.node, size=size, first=index, last=last_read[stage.node]))
        if stage.scratch_bytes:
            buffers.append(Buffer(name=f"{stage.node}/scratch", size=stage.scratch_bytes, first=index, last=index))
    return buffers


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
