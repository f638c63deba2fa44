"""Cost: the instructions that a plan will take, before there is an image.

A kernel says what a stage does (:meth:`~qpsnn_codegen.planning.kernels.base.Kernel.features`); what each of that costs
on a core is in a table of measured constants (``kernel_costs.json``, written by ``make kernel-costs``), and how much to
add to the worst case to make it a bound.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from qpsnn_codegen.planning.plan import Plan
from qpsnn_codegen.planning.stages import Stage
from qpsnn_codegen.planning.work import Work, worst_work

TABLE = Path(__file__).resolve().parents[1] / "kernel_costs.json"

CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
"""Those the table has; the Cortex-M0+ executes what the M0 does."""

_TWINS = {"cortex-m0plus": "cortex-m0"}

Constants = Mapping[str, float]
"""Instructions by the name of a feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of one core, by kernel.

    Attributes:
        constants: what predictions are made of.
        margins: times the prediction, the most that any stage took of those measured at their worst; 1 at least.
    """

    constants: Mapping[str, Constants]
    margins: Mapping[str, float]


def predicted_instructions(plan: Plan, work: Work) -> list[dict[str, float]]:
    """Instructions of every stage by core, without the trace hooks. What the table lacks costs nothing."""
    packed = _in_bytes(plan)
    return [stage_instructions(stage, work, packed) for stage in plan.stages]


def stage_instructions(stage: Stage, work: Work, packed: Collection[str] = ()) -> dict[str, float]:
    """The same of one stage; ``packed``: the maps that are in bytes."""
    done, costs = stage.kernel.features(work, packed), read_costs()
    return {core: _total(costs[core].constants.get(stage.kernel.name, {}), done) for core in CORES}


def stage_features(plan: Plan, work: Work) -> list[dict[str, float]]:
    """What every stage does, by name."""
    packed = _in_bytes(plan)
    return [stage.kernel.features(work, packed) for stage in plan.stages]


def worst_instructions(plan: Plan) -> list[dict[str, float]]:
    """The same where every input and neuron is as busy as can be, with the margin that predictions of it need."""
    costs, stages = read_costs(), predicted_instructions(plan, worst_work(plan.network))
    return [
        {core: count * costs[core].margins.get(stage.kernel.name, 1.0) for core, count in counts.items()}
        for stage, counts in zip(plan.stages, stages, strict=True)
    ]


def table_core(core: str) -> str:
    """The core of :data:`CORES` that stands for one of a board."""
    return _TWINS.get(core, core)


def _in_bytes(plan: Plan) -> set[str]:
    return {name for name, layout in plan.layouts.items() if layout.format == "SPIKES8"}


def _total(constants: Constants, done: Mapping[str, float]) -> float:
    return sum(constants.get(name, 0.0) * amount for name, amount in done.items())


@cache
def read_costs() -> dict[str, Costs]:
    """By core."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return {core: Costs(constants=kernels, margins=table["margins"][core]) for core, kernels in table["cores"].items()}
