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

from qpsnn_codegen.planning.plan import Plan, Stage
from qpsnn_codegen.planning.work import Work

TABLE = Path(__file__).resolve().parents[1] / "kernel_costs.json"

CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
"""Those the table has; the Cortex-M0+ executes what the M0 does."""

_TWINS = {"cortex-m0plus": "cortex-m0"}

Constants = Mapping[str, float]
"""Instructions by the name of a feature."""


def predicted_instructions(plan: Plan, work: Work, core: str) -> list[float]:
    """Instructions of every stage on a core, without the trace hooks."""
    kernels = read_costs()[_TWINS.get(core, core)]
    return [stage_instructions(stage, work, kernels.get(stage.kernel.name, {})) for stage in plan.stages]


def stage_instructions(stage: Stage, work: Work, constants: Constants) -> float:
    """Instructions of one stage; what the table lacks costs nothing."""
    return sum(constants.get(name, 0.0) * amount for name, amount in stage.kernel.features(work).items())


@cache
def read_costs() -> dict[str, dict[str, Constants]]:
    """By core and kernel."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    cores: dict[str, dict[str, Constants]] = table["cores"]
    return cores
