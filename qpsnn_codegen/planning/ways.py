"""Ways to run each layer: the kernels that can, with the stages each of them makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from qpsnn_codegen.integer_network import IntegerNetwork
from qpsnn_codegen.planning.cost import CORES, stage_instructions
from qpsnn_codegen.planning.kernels import KERNELS
from qpsnn_codegen.planning.options import PlanOptions
from qpsnn_codegen.planning.stages import Stage, make_stages
from qpsnn_codegen.planning.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A layer on one kernel.

    Attributes:
        stages: several where the kernel does not take in the pool that follows.
        instructions: predicted, by core.
    """

    kernel: str
    stages: tuple[Stage, ...]
    instructions: Mapping[str, float]

    @property
    def flash(self) -> int:
        """Bytes of weights and constants."""
        return sum(stage.weight_bytes + stage.constant_bytes for stage in self.stages)

    @property
    def scratch(self) -> int:
        """Bytes, at the moment it needs most."""
        return max(stage.scratch_bytes for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What is one stage by the planner's options.

    Attributes:
        name: of the node by which options give it a kernel.
        ways: that of the options first, the others in the order of ``KERNELS``.
    """

    name: str
    ways: tuple[Way, ...]


def layers_of(network: IntegerNetwork, options: PlanOptions, work: Work) -> tuple[Layer, ...]:
    """Every layer in the order of execution; those that the options name have one way only.

    Raises:
        UsageError: as :func:`make_stages` does.
    """
    given = make_stages(network, dict(options.kernels))
    named = {layer for layer, _ in options.kernels}
    free = [stage for stage in given if named.isdisjoint(stage.parts)]
    owner = {part: stage.parts[0] for stage in given for part in stage.parts}
    ways = {stage.parts[0]: [_way(stage.kernel.name, [stage], work)] for stage in given}
    for kernel in KERNELS:
        wanted = {
            stage.parts[0]: kernel.name
            for stage in free
            if kernel.name != stage.kernel.name and kernel.fit(stage.kernel.candidate) is not None
        }
        stages: defaultdict[str, list[Stage]] = defaultdict(list)
        for stage in make_stages(network, {**dict(options.kernels), **wanted}) if wanted else ():
            stages[owner[stage.parts[0]]].append(stage)
        for layer in wanted:
            ways[layer].append(_way(kernel.name, stages[layer], work))
    return tuple(Layer(name=name, ways=tuple(found)) for name, found in ways.items())


def _way(kernel: str, stages: list[Stage], work: Work) -> Way:
    costs = [stage_instructions(stage, work) for stage in stages]
    total = {core: sum(cost[core] for cost in costs) for core in CORES}
    return Way(kernel=kernel, stages=tuple(stages), instructions=total)
