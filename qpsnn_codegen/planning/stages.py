"""Stages: kernel calls, each a stored node with the currents that lead to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qpsnn_codegen.errors import UsageError
from qpsnn_codegen.integer_network import IntegerNetwork, IntegerNode, IntegerType
from qpsnn_codegen.planning.kernels import KERNELS, Candidate, Kernel, choose, special
from qpsnn_codegen.planning.rows import LayerRows


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

    @property
    def rows(self) -> LayerRows | None:
        """How its kernel goes row by row, or ``None`` where it does not."""
        return self.kernel.rows


def make_stages(network: IntegerNetwork, kernels: Mapping[str, str]) -> tuple[Stage, ...]:
    """Group a network's nodes into stages, in the order of execution.

    Args:
        kernels: which kernel must run the stage that a node belongs to.

    Raises:
        UsageError: there is no such node or kernel, or the kernel cannot run it.
    """
    types = network.types()
    nodes = {node.name: node for node in network.nodes}
    stored = [node for node in network.nodes if node.stored]
    readers = Counter(name for node in network.nodes for name in node.inputs)
    stages: list[Stage] = []
    for node in stored[1:]:
        _append_or_fuse(stages, _stage(node, nodes, types, readers, network.timesteps, kernels), kernels)
    _check_kernels(stages, kernels)
    return _without_doubles(stages, nodes)


def _check_kernels(stages: Sequence[Stage], kernels: Mapping[str, str]) -> None:
    by_part = {part: stage for stage in stages for part in stage.parts}
    for stage in stages:
        named = {part: kernels[part] for part in stage.parts if part in kernels}
        if len(set(named.values())) > 1:
            texts = " and ".join(f"{layer}={name}" for layer, name in named.items())
            parts = " + ".join(stage.parts)
            raise UsageError("--kernel", f"{texts} are for one stage, {parts}", "name one kernel for it")
    for layer, name in kernels.items():
        where = f"--kernel {layer}={name}"
        if layer not in by_part:
            raise UsageError(where, f"there is no layer {layer!r}", f"choose one of {', '.join(by_part)}")
        stage = by_part[layer]
        if stage.kernel.name != name:
            able = [kernel.name for kernel in KERNELS if kernel.fit(stage.kernel.candidate) is not None]
            raise UsageError(where, f"{name!r} cannot run {' + '.join(stage.parts)}", f"choose {' or '.join(able)}")


def _stage(
    node: IntegerNode,
    nodes: dict[str, IntegerNode],
    types: Mapping[str, IntegerType],
    readers: Mapping[str, int],
    timesteps: int,
    kernels: Mapping[str, str],
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
    kernel = choose(candidate, kernels)
    return Stage(
        node=node.name,
        parts=tuple(part.name for part in reversed(parts)),
        reads=tuple(reads),
        scratch_bytes=4 * kernel.scratch_words,
        kernel=kernel,
        dense_slots=sum(_dense_slots(part, types, timesteps) for part in parts),
        static=types[reads[0]].static,
    )


def _append_or_fuse(stages: list[Stage], stage: Stage, kernels: Mapping[str, str]) -> None:
    """Append a stage, or let the one whose map it alone reads do its work too, if there is a kernel for both."""
    candidate = stage.kernel.candidate
    for index, earlier in enumerate(stages):
        if stage.reads == (earlier.node,) and candidate.readers[earlier.node] == 1:
            before = earlier.kernel.candidate
            together = replace(before, parts=(*before.parts, *candidate.parts))
            kernel = special(together, kernels)
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
