"""Instructions in reports: what a model is predicted to take on every core, expected and at worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qpsnn_codegen.boards import Board
from qpsnn_codegen.calibration import Activity
from qpsnn_codegen.planning.cost import CORES, predicted_instructions, table_core, worst_instructions
from qpsnn_codegen.planning.plan import Plan
from qpsnn_codegen.planning.work import ASSUMED_RATE, assumed_work
from qpsnn_codegen.report.table import table

_SHOWN = "cortex-m4"
"""The core of which every stage is shown, unless a board was chosen."""

Cost = dict[str, dict[str, int]]
"""``expected`` and ``worst`` by core."""


def stage_costs(plan: Plan, activity: Activity | None) -> list[Cost]:
    """Instructions of every stage."""
    work = assumed_work(plan.network, ASSUMED_RATE) if activity is None else activity.work
    expected, worst = predicted_instructions(plan, work), worst_instructions(plan)
    return [
        {core: {"expected": round(usual[core]), "worst": round(most[core])} for core in CORES}
        for usual, most in zip(expected, worst, strict=True)
    ]


def total_cost(stages: list[Cost]) -> Cost:
    """Instructions of all stages together."""
    return {
        core: {case: sum(stage[core][case] for stage in stages) for case in ("expected", "worst")} for core in CORES
    }


def spike_source(activity: Activity | None) -> str:
    """Where the spikes of the expected figures come from."""
    if activity is None:
        return f"assumed: every neuron spikes at {ASSUMED_RATE:.0%} of the timesteps"
    return f"counted on {activity.samples:,} calibration samples"


def board_cost(board: Board, total: Cost) -> dict[str, Any]:
    """Of a chosen board: instructions, and milliseconds if each took one cycle; ``None`` where no clock is known."""
    counts = total[table_core(board.core)]
    clock = board.counter.hz if board.counter.counts_cycles else None
    times = None if clock is None else {case: round(1000 * count / clock, 3) for case, count in counts.items()}
    return {"instructions": counts, "clock_hz": clock, "milliseconds": times}


def instructions_text(report: Mapping[str, Any]) -> str:
    """A table per stage for one core, then the totals of all."""
    targets = report["targets"]
    core = table_core(targets[0]["core"]) if targets else _SHOWN
    stages = [(row["name"], *_cases(row["instructions"][core]), row["kernel"]) for row in report["layers"]]
    totals = [(_title(name), *_cases(cost), "") for name, cost in report["instructions"].items()]
    return "\n".join(
        [
            table(["layer", f"instructions, {_title(core)}", "worst case", "kernel"], stages),
            "",
            table(["core", "instructions", "worst case", ""], totals),
            "",
            f"Predicted, within 15 % of QEMU's count on the benchmark networks. Spikes {report['spikes']}.",
            "Worst case: every neuron spikes at every timestep, every pixel is non-zero.",
            *(_board_line(target) for target in targets if target["milliseconds"] is not None),
        ]
    )


def _cases(counts: Mapping[str, int]) -> tuple[int, int]:
    return counts["expected"], counts["worst"]


def _board_line(target: Mapping[str, Any]) -> str:
    times = target["milliseconds"]
    return (
        f"{target['board']}: {times['expected']:,.1f} ms expected, {times['worst']:,.1f} ms at worst "
        f"at {target['clock_hz'] / 1e6:g} MHz, if every instruction took one cycle"
    )


def _title(core: str) -> str:
    return f"Cortex-{core.removeprefix('cortex-').upper()}"
