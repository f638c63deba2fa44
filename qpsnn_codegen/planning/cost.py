"""Cost: the instructions that a plan will take, before there is an image.

A kernel says what a stage does (:meth:`~qpsnn_codegen.planning.kernels.base.Kernel.features`); what each of that costs
on a core is in a table of measured constants (``kernel_costs.json``, written by ``make kernel-costs``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from qpsnn_codegen.planning.plan import Plan
from qpsnn_codegen.planning.stages import Stage
from qpsnn_codegen.planning.work import Work

TABLE = Path(__file__).resolve().parents[1] / "kernel_costs.json"

CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
"""Those the table has; the Cortex-M0+ executes what the M0 does."""

_TWINS = {"cortex-m0plus": "cortex-m0"}

Constants = Mapping[str, float]
"""Instructions by the name of a feature."""


def predicted_instructions(plan: Plan, work: Work) -> list[dict[str, float]]:
    """Instructions of every stage by core, without the trace hooks. What the table lacks costs nothing."""
    return [stage_instructions(stage, work) for stage in plan.stages]


def stage_instructions(stage: Stage, work: Work) -> dict[str, float]:
    """The same of one stage."""
    done, costs = stage.kernel.features(work), read_costs()
    return {core: _total(costs[core].get(stage.kernel.name, {}), done) for core in CORES}


def table_core(core: str) -> str:
    """The core of :data:`CORES` that stands for one of a board."""
    return _TWINS.get(core, core)


def _total(constants: Constants, done: Mapping[str, float]) -> float:
    return sum(constants.get(name, 0.0) * amount for name, amount in done.items())


@cache
def read_costs() -> dict[str, dict[str, Constants]]:
    """By core and kernel."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    cores: dict[str, dict[str, Constants]] = table["cores"]
    return cores
